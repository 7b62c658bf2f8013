package vfstest

import (
	"bytes"
	"errors"
	"io/fs"

	"github.com/durusdb/durus/vfs"
)

// writerRules are about one Writer at a time.
var writerRules = []rule{
	{"Rule2_A4_InvisibleUntilCommit", invisibleUntilCommit},
	{"Rule2_A2_WritesSucceedCommitTells", commitTells},
	{"Rule2_NameThatIsTaken", nameIsTaken},
	{"WriteAfterTheEndIsErrClosed", writeAfterEnd},
	{"AbortLeavesNothing", abortLeavesNothing},
	{"EmptyCommit", emptyCommit},
	{"WritersAreIndependent", writersAreIndependent},
}

var bothModes = []vfs.CreateMode{vfs.FailIfExists, vfs.ReplaceIfExists}

// Before Commit nobody sees anything, in either view; then all of it.
func invisibleUntilCommit(s *subject) {
	want := pattern(1, 300_000)
	for _, mode := range bothModes {
		w := s.fs.Create(s.name("x"), mode, 0o600)
		for p := range parts(want, 7919) {
			s.isGone("x")
			s.remain()
			if n, err := w.Write(p); n != len(p) || err != nil {
				s.Fatalf("Write = %d, %v", n, err)
			}
		}
		s.isGone("x")
		s.remain()
		s.check(w.Commit())
		s.leadsTo("x", want)
		s.remain("x")
		s.check(s.fs.SyncDir(s.name("x")))
		s.check(s.fs.Remove(s.name("x")))
	}
}

// parts cuts p into pieces of n bytes.
func parts(p []byte, n int) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for ; len(p) > 0; p = p[min(n, len(p)):] {
			if !yield(p[:min(n, len(p))]) {
				return
			}
		}
	}
}

// However impossible the name is: all writes succeed, Commit fails, twice the
// same, and leaves nothing.
func commitTells(s *subject) {
	s.create("file", []byte("in the way"))
	if s.props.ReliableListing {
		defer s.remain("file")
	}
	failed := 0
	for _, base := range []string{"missing/directory/x", "file/x", "file"} {
		w := s.fs.Create(s.name(base), vfs.FailIfExists, 0o600)
		for range 1000 {
			if n, err := w.Write([]byte("0123456789")); n != 10 || err != nil {
				s.Fatalf("Write = %d, %v", n, err)
			}
		}
		first := w.Commit()
		if first == nil { // for this storage nothing is wrong with it
			s.leadsTo(base, bytes.Repeat([]byte("0123456789"), 1000))
			s.check(s.fs.Remove(s.name(base)))
			continue
		}
		failed++
		s.names("Commit", first, base)
		second := w.Commit()
		if second == nil || second.Error() != first.Error() {
			s.Errorf("Commit of %s: %v, then %v", base, first, second)
		}
		s.check(w.Abort())
		if third := w.Commit(); third == nil || third.Error() != first.Error() {
			s.Errorf("Commit of %s: %v, then %v after an Abort", base, first, third)
		}
	}
	if failed == 0 {
		s.Error("FailIfExists never failed, though the name was taken")
	}
	s.leadsTo("file", []byte("in the way"))
}

// A name that is taken: ErrExist, and the file is as it was.
func nameIsTaken(s *subject) {
	s.create("x", []byte("first"))
	f := s.opened(s.other, "x", vfs.ReadOnly)
	for _, fsys := range []vfs.FS{s.fs, s.other} {
		w := fsys.Create(s.name("x"), vfs.FailIfExists, 0o600)
		if _, err := w.Write([]byte("second")); err != nil {
			s.Fatal(err)
		}
		err := w.Commit()
		s.is("Commit", err, fs.ErrExist)
		s.names("Commit", err, "x")
	}
	s.leadsTo("x", []byte("first"))
	s.holds(f, []byte("first"))
	s.remain("x")
}

// After Commit or Abort nothing can be written, and nothing changes any more.
func writeAfterEnd(s *subject) {
	for _, end := range []struct {
		base string
		end  func(vfs.Writer) error
	}{{"committed", vfs.Writer.Commit}, {"aborted", vfs.Writer.Abort}} {
		w := s.fs.Create(s.name(end.base), vfs.FailIfExists, 0o600)
		_, err := w.Write([]byte("bytes"))
		s.check(err)
		s.check(end.end(w))
		for range 2 {
			n, err := w.Write([]byte("more"))
			if n != 0 {
				s.Errorf("%s: Write took %d bytes", end.base, n)
			}
			s.is(end.base+": Write", err, vfs.ErrClosed)
			s.names("Write", err, end.base)
			if err := w.Abort(); err != nil {
				s.Errorf("%s: Abort: %v", end.base, err)
			}
			if err := w.Commit(); (err != nil || end.base == "aborted") && !errors.Is(err, vfs.ErrClosed) {
				s.Errorf("%s: Commit: %v", end.base, err)
			}
		}
	}
	s.leadsTo("committed", []byte("bytes"))
	s.isGone("aborted")
	s.remain("committed")
}

func abortLeavesNothing(s *subject) {
	s.create("old", []byte("old"))
	for _, mode := range bothModes {
		for _, base := range []string{"old", "new"} {
			for _, size := range []int{0, 1, 1 << 20} {
				w := s.fs.Create(s.name(base), mode, 0o600)
				if size > 0 {
					_, err := w.Write(pattern(1, size))
					s.check(err)
				}
				s.check(w.Abort())
				s.check(w.Abort())
			}
		}
	}
	s.isGone("new")
	s.leadsTo("old", []byte("old"))
	s.remain("old")
}

// A Commit without a Write, or with nothing in it, makes an empty file.
func emptyCommit(s *subject) {
	s.check(s.fs.Create(s.name("a"), vfs.FailIfExists, 0o600).Commit())
	s.create("b", nil)
	s.create("c", []byte("was full"))
	s.check(s.fs.Create(s.name("c"), vfs.ReplaceIfExists, 0o600).Commit())
	for _, base := range []string{"a", "b", "c"} {
		s.leadsTo(base, nil)
	}
	s.remain("a", "b", "c")
}

// Writers of one name, begun one after the other and mixed: each has bytes of
// its own.
func writersAreIndependent(s *subject) {
	var writers []vfs.Writer
	for i := range 6 {
		fsys := s.fs
		if i%2 == 1 {
			fsys = s.other
		}
		writers = append(writers, fsys.Create(s.name("x"), vfs.ReplaceIfExists, 0o600))
	}
	for j := range 20 {
		for i, w := range writers {
			_, err := w.Write(pattern(i, 100*(j+1))[100*j:])
			s.check(err)
		}
	}
	for _, i := range []int{3, 0, 5, 2} {
		s.check(writers[i].Commit())
		s.leadsTo("x", pattern(i, 2000))
	}
	s.check(errors.Join(writers[1].Abort(), writers[4].Abort()))
	s.leadsTo("x", pattern(2, 2000))
	s.remain("x")
}
