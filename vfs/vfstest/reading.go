package vfstest

import (
	"bytes"
	"io"
	"io/fs"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/durusdb/durus/vfs"
)

// readRules are about bytes, sizes and what else is known of a file.
var readRules = []rule{
	{"Rule4_ReadAt", readAt},
	{"Rule4_EmptyFile", emptyFile},
	{"Rule4_LargeFile", largeFile},
	{"A8_ManyReaders", manyReaders},
	{"StatTellsWhatIsThere", statTells},
	{"FileIDsTellFilesApart", fileIDs},
}

// seeded returns a source of random numbers and prints its seed.
func (s *subject) seeded() (seed uint64) {
	seed = uint64(time.Now().UnixNano())
	s.Logf("seed %d", seed)
	return seed
}

// readAt reads as io.ReaderAt does.
func readAt(s *subject) {
	want := pattern(2, 10_000)
	s.create("x", want)
	f := s.open(s.fs, "x", vfs.ReadOnly)
	for _, c := range []struct {
		off int64
		n   int
		got int
	}{
		{0, 1, 1}, {0, 10_000, 10_000}, {0, 10_001, 10_000}, {1, 9_998, 9_998}, {4095, 2, 2}, {4096, 4096, 4096},
		{9_999, 1, 1}, {9_999, 2, 1}, {10_000, 1, 0}, {10_001, 1, 0}, {1 << 40, 8, 0}, {9_000, 1 << 20, 1000},
	} {
		p := bytes.Repeat([]byte{0xEE}, c.n)
		n, err := f.ReadAt(p, c.off)
		if n != c.got || n > 0 && !bytes.Equal(p[:n], want[c.off:c.off+int64(n)]) {
			s.Errorf("ReadAt(%d bytes, %d) = %d, %v; want %d and the bytes", c.n, c.off, n, err, c.got)
		}
		// io.ReaderAt: the last bytes may come with io.EOF or without.
		last := n == c.n && c.off+int64(n) == int64(len(want))
		if n < c.n && err != io.EOF || n == c.n && err != nil && (!last || err != io.EOF) {
			s.Errorf("ReadAt(%d bytes, %d) = %d with error %v", c.n, c.off, n, err)
		}
	}
	for _, off := range []int64{0, 5, 10_000, 10_001} {
		if n, err := f.ReadAt(nil, off); n != 0 || err != nil && err != io.EOF {
			s.Errorf("ReadAt(nothing, %d) = %d, %v", off, n, err)
		}
	}
	for _, off := range []int64{-1, -1 << 62} {
		if n, err := f.ReadAt(make([]byte, 8), off); n != 0 || err == nil || err == io.EOF {
			s.Errorf("ReadAt(8 bytes, %d) = %d, %v; want an error", off, n, err)
		}
	}
	s.holds(f, want) // an error of a read does not stay
}

func emptyFile(s *subject) {
	s.create("x", nil)
	f := s.open(s.fs, "x", vfs.ReadOnly)
	if n, err := f.Size(); n != 0 || err != nil {
		s.Errorf("Size = %d, %v", n, err)
	}
	if n, err := f.ReadAt(make([]byte, 1), 0); n != 0 || err != io.EOF {
		s.Errorf("ReadAt = %d, %v; want io.EOF", n, err)
	}
	s.leadsTo("x", nil)
	s.remain("x")
}

// A file of some megabytes, written in uneven parts from one buffer that is
// used again, and read in other parts.
func largeFile(s *subject) {
	want := pattern(3, 5<<20+12345)
	w := s.fs.Create(s.name("x"), vfs.FailIfExists, 0o600)
	buf := make([]byte, 100_003)
	for rest := want; len(rest) > 0; {
		p := buf[:copy(buf[:1+len(rest)%len(buf)], rest)]
		if n, err := w.Write(p); n != len(p) || err != nil {
			s.Fatalf("Write = %d, %v", n, err)
		}
		rest = rest[len(p):]
		clear(buf) // what was taken was copied
	}
	s.check(w.Commit())
	s.leadsTo("x", want)
	f := s.open(s.other, "x", vfs.ReadOnly)
	p := make([]byte, 1<<20+1)
	for off := 0; off < len(want); off += len(p) {
		n, err := f.ReadAt(p, int64(off))
		if err != nil && err != io.EOF || !bytes.Equal(p[:n], want[off:min(off+len(p), len(want))]) {
			s.Fatalf("ReadAt(%d bytes, %d) = %d, %v", len(p), off, n, err)
		}
	}
}

// One handle, 64 goroutines, any ranges.
func manyReaders(s *subject) {
	seed := s.seeded()
	want := pattern(4, 100_000)
	s.create("x", want)
	f := s.open(s.fs, "x", vfs.ReadOnly) // opened by whoever comes first
	var wg sync.WaitGroup
	for g := range 64 {
		rnd := rand.New(rand.NewPCG(seed, uint64(g)))
		wg.Go(func() {
			for i := range 20 {
				off, size := rnd.IntN(len(want)+10), 1+rnd.IntN(5000)
				p := make([]byte, size)
				n, err := f.ReadAt(p, int64(off))
				model := want[min(off, len(want)):min(off+size, len(want))]
				if !bytes.Equal(p[:n], model) || n < size && err != io.EOF || err != nil && (err != io.EOF || off+n < len(want)) {
					s.Errorf("ReadAt(%d bytes, %d) = %d, %v; want %d", size, off, n, err, len(model))
				}
				if i%10 != 0 {
					continue
				}
				if end, err := f.Size(); end != int64(len(want)) || err != nil {
					s.Errorf("Size = %d, %v", end, err)
				}
			}
		})
	}
	wg.Wait()
}

// What File.Stat says of a file, FS.Stat says of its name. // A4
func statTells(s *subject) {
	for i, perm := range []fs.FileMode{0o600, 0o640, 0o666, 0o400} {
		base := string(rune('a' + i))
		w := s.fs.Create(s.name(base), vfs.FailIfExists, perm)
		_, err := w.Write(pattern(i, 100*i))
		s.check(err)
		s.check(w.Commit())
		f := s.open(s.fs, base, vfs.ReadOnly)
		own, err := f.Stat()
		s.check(err)
		for _, fsys := range []vfs.FS{s.fs, s.other} {
			info, err := fsys.Stat(s.name(base))
			s.check(err)
			if info != own {
				s.Errorf("the name of a file says %+v, its handle %+v", info, own)
			}
		}
		if own.Size != int64(100*i) || own.Links != 1 || own.Type != 0 || own.ID == (vfs.FileID{}) {
			s.Errorf("Stat of a file of %d bytes: %+v", 100*i, own)
		}
		if own.Perm&^perm != 0 || own.Perm == 0 {
			s.Errorf("created with %v, it has %v", perm, own.Perm)
		}
	}
	s.remain("a", "b", "c", "d")
}

// Files that are open at the same time have different identities; handles and
// names of one file have the same.
func fileIDs(s *subject) {
	ids := map[vfs.FileID]string{}
	for _, base := range []string{"a", "b", "c"} {
		s.create(base, []byte(base))
		var first vfs.FileID
		for i, fsys := range []vfs.FS{s.fs, s.fs, s.other} {
			info, err := s.open(fsys, base, vfs.ReadOnly).Stat()
			s.check(err)
			if i == 0 {
				first = info.ID
			}
			if info.ID != first {
				s.Errorf("two handles of one file: %v and %v", first, info.ID)
			}
		}
		if twin, ok := ids[first]; ok {
			s.Errorf("%s and %s are open, and both are %v", twin, base, first)
		}
		ids[first] = base
	}
	old := s.opened(s.fs, "a", vfs.ReadOnly)
	s.replace("a", []byte("new"))
	was, err := old.Stat()
	s.check(err)
	is, err := s.opened(s.fs, "a", vfs.ReadOnly).Stat()
	s.check(err)
	if was.ID == is.ID {
		s.Errorf("the file that was replaced and its successor are both %v", is.ID)
	}
}
