package vfstest

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"

	"github.com/durusdb/durus/vfs"
)

// crashRules are about what is on the disk when the power goes. // A19
var crashRules = []rule{
	{"Rule6_SyncedBytesAreOnTheDisk", syncedBytes},
	{"Rule6_SyncOfAnyHandle", syncOfAnyHandle},
	{"Rule7_NamesAreOnTheDiskAfterSyncDir", syncedNames},
	{"Rule2_CommittedFilesAreWhole", committedWhole},
	{"Rule3_ReplacedFilesAreOldOrNew", replacedWhole},
	{"Rule2_UnfinishedFilesAreNotListed", unfinishedUnlisted},
}

// crashes skips the test where nobody can cut the power.
func (s *subject) crashes() {
	s.need(s.Crash != nil, "nobody can cut the power of this storage (Env.Crash)")
}

// cut looks at each state in which a power cut may leave the storage now.
func (s *subject) cut(look func(after vfs.FS)) {
	s.Helper()
	n := 0
	for after := range s.Crash() {
		look(vfs.Blocking(after))
		n++
	}
	if n == 0 {
		s.Fatal("Env.Crash has yielded nothing")
	}
}

// survives reports a name that does not lead to a file that begins so.
func (s *subject) survives(after vfs.FS, base string, want []byte) {
	s.Helper()
	if got, err := readName(after, s.name(base)); err != nil || !bytes.HasPrefix(got, want) {
		s.Errorf("after a power cut %s holds %s, %v; want %s", base, brief(got), err, brief(want))
	}
}

// whole reports a name that leads to something else than one of these files.
func (s *subject) whole(after vfs.FS, base string, files ...[]byte) {
	s.Helper()
	got, err := readName(after, s.name(base))
	if err != nil || !slices.ContainsFunc(files, func(p []byte) bool { return bytes.Equal(p, got) }) {
		s.Errorf("after a power cut %s holds %s, %v", base, brief(got), err)
	}
}

func syncedBytes(s *subject) {
	s.crashes()
	s.grows()
	want := pattern(1, 1000)
	s.create("x", want)
	s.check(s.fs.SyncDir(s.name("x")))
	f := s.open(s.fs, "x", vfs.Append)
	for i := range 4 {
		part := pattern(i+2, 300)
		n, err := f.Append(part, int64(len(want)))
		if n != len(part) || err != nil {
			s.Fatalf("Append = %d, %v", n, err)
		}
		s.cut(func(after vfs.FS) { s.survives(after, "x", want) })
		want = append(want, part...)
		s.check(f.Sync())
		s.cut(func(after vfs.FS) { s.whole(after, "x", want) })
	}
	s.check(f.Truncate(500))
	s.check(f.Sync())
	s.cut(func(after vfs.FS) { s.whole(after, "x", want[:500]) })
}

// Sync covers what other handles, of the other view too, have written before.
func syncOfAnyHandle(s *subject) {
	s.crashes()
	s.grows()
	want := pattern(1, 1000)
	s.create("x", want)
	s.check(s.fs.SyncDir(s.name("x")))
	f, g, h := s.open(s.fs, "x", vfs.Append), s.open(s.fs, "x", vfs.Append), s.open(s.other, "x", vfs.Append)
	for i, pair := range [][2]vfs.File{{f, g}, {f, h}, {h, g}} {
		part := pattern(i, 100)
		_, err := pair[0].Append(part, int64(len(want)))
		want = append(want, part...)
		s.check(errors.Join(err, pair[1].Sync()))
		s.cut(func(after vfs.FS) { s.whole(after, "x", want) })
	}
}

func syncedNames(s *subject) {
	s.crashes()
	s.create("x", []byte("bytes"))
	s.create("y", []byte("stays"))
	s.check(s.fs.SyncDir(s.name("x")))
	s.cut(func(after vfs.FS) {
		s.whole(after, "x", []byte("bytes"))
		s.whole(after, "y", []byte("stays"))
	})
	s.check(s.fs.Remove(s.name("x")))
	s.check(s.fs.SyncDir(s.name("x")))
	s.cut(func(after vfs.FS) {
		_, err := after.Stat(s.name("x"))
		s.is("after a power cut, Stat of a removed name", err, fs.ErrNotExist)
		s.whole(after, "y", []byte("stays"))
	})
}

// A name that a power cut leaves has all its bytes, SyncDir or not.
func committedWhole(s *subject) {
	s.crashes()
	want := pattern(1, 10_000)
	s.create("x", want)
	s.cut(func(after vfs.FS) {
		if _, err := after.Stat(s.name("x")); !errors.Is(err, fs.ErrNotExist) {
			s.whole(after, "x", want)
		}
	})
}

func replacedWhole(s *subject) {
	s.crashes()
	old, replaced := pattern(1, 5000), pattern(2, 4000)
	s.create("x", old)
	s.check(s.fs.SyncDir(s.name("x")))
	s.replace("x", replaced)
	s.cut(func(after vfs.FS) {
		if s.props.AtomicReplace {
			s.whole(after, "x", old, replaced)
		}
	})
	s.check(s.fs.SyncDir(s.name("x")))
	s.cut(func(after vfs.FS) { s.whole(after, "x", replaced) })
}

// What a Writer leaves behind that did not come to its Commit is no file, and
// no obstacle to the next one.
func unfinishedUnlisted(s *subject) {
	s.crashes()
	s.create("a", nil)
	s.check(s.fs.SyncDir(s.name("a")))
	w := s.fs.Create(s.name("x"), vfs.FailIfExists, 0o600)
	_, err := w.Write(pattern(1, 200_000))
	s.check(err)
	s.check(s.fs.SyncDir(s.name("x")))
	s.cut(func(after vfs.FS) {
		if got, err := list(after, s.Dir+"/"); err != nil || !slices.Equal(got, []string{s.name("a")}) {
			s.Errorf("after a power cut List shows %q, %v", got, err)
		}
		if err := put(after, s.name("x"), vfs.FailIfExists, []byte("new")); err != nil {
			s.Errorf("after a power cut: %v", err)
		}
		s.whole(after, "x", []byte("new"))
	})
	s.check(w.Abort())
	s.remain("a")
}
