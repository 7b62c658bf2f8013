package vfstest

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/durusdb/durus/vfs"
)

// growthRules are about files that change in place.
var growthRules = []rule{
	{"Rule5_AppendPutsBytesAtTheEnd", appendGrows},
	{"Rule5_AppendWithoutBytes", appendNothing},
	{"RewriteKeepsTheSize", rewriteInPlace},
	{"TruncateCuts", truncateCuts},
	{"TruncateAndAppendAgain", truncateAndAppend},
	{"Rule5_ReadersBesideAnAppender", readersBesideAppender},
	{"Rule14_SyncBesideEverything", syncBeside},
	{"StorageWithoutAppend", withoutAppend},
}

// witnesses are the handles of "x" that must see what happens through own.
func (s *subject) witnesses(own vfs.File) []vfs.File {
	if !s.props.StableSize {
		return []vfs.File{own}
	}
	return []vfs.File{own, s.opened(s.fs, "x", vfs.ReadOnly), s.opened(s.other, "x", vfs.ReadOnly), s.opened(s.other, "x", vfs.Append)}
}

// grows skips the test where files do not.
func (s *subject) grows() { s.need(s.props.Append, "files of this storage cannot grow (Props.Append)") }

func appendGrows(s *subject) {
	s.grows()
	s.create("x", []byte("begin"))
	f := s.open(s.fs, "x", vfs.Append)
	all := s.witnesses(f)
	want := []byte("begin")
	for i, n := range []int{1, 3, 511, 4096, 100, 70_000, 1} {
		part := pattern(i, n)
		if got, err := f.Append(part, int64(len(want))); got != n || err != nil {
			s.Fatalf("Append(%d bytes, %d) = %d, %v", n, len(want), got, err)
		}
		want = append(want, part...)
		clear(part)
		for _, g := range all {
			if size, err := g.Size(); size != int64(len(want)) || err != nil {
				s.Errorf("Size = %d, %v; want %d", size, err, len(want))
			}
			if info, err := g.Stat(); info.Size != int64(len(want)) || err != nil {
				s.Errorf("Stat: %+v, %v; want size %d", info, err, len(want))
			}
			s.holds(g, want)
		}
		if info, err := s.other.Stat(s.name("x")); s.props.StableSize && (info.Size != int64(len(want)) || err != nil) {
			s.Errorf("Stat of the name: %+v, %v; want size %d", info, err, len(want))
		}
	}
	s.check(f.Sync())
	s.remain("x")
}

func appendNothing(s *subject) {
	s.grows()
	s.create("x", []byte("bytes"))
	f := s.open(s.fs, "x", vfs.Append)
	if n, err := f.Append(nil, 5); n != 0 || err != nil {
		s.Errorf("Append of nothing = %d, %v", n, err)
	}
	if n, err := f.Rewrite(nil, 2); n != 0 || err != nil {
		s.Errorf("Rewrite of nothing = %d, %v", n, err)
	}
	s.check(f.Sync())
	s.holds(f, []byte("bytes"))
}

// Rewrite writes what it is given: a record that is kept in a file changes so.
func rewriteInPlace(s *subject) {
	s.grows()
	want := pattern(1, 20_000)
	s.create("x", want)
	f := s.open(s.fs, "x", vfs.Append)
	all := s.witnesses(f)
	for _, c := range []struct{ off, n int }{{0, 1}, {100, 10_000}, {4095, 2}, {19_999, 1}, {0, 20_000}} {
		p := pattern(c.off+7, c.n)
		if n, err := f.Rewrite(p, int64(c.off)); n != c.n || err != nil {
			s.Fatalf("Rewrite(%d bytes, %d) = %d, %v", c.n, c.off, n, err)
		}
		copy(want[c.off:], p)
		for _, g := range all {
			s.holds(g, want)
		}
	}
	s.check(f.Sync())
	s.leadsTo("x", want)
}

func truncateCuts(s *subject) {
	s.grows()
	want := pattern(1, 10_000)
	s.create("x", want)
	f := s.open(s.fs, "x", vfs.Append)
	all := s.witnesses(f)
	for _, size := range []int{10_000, 9_999, 4096, 1, 0, 0} {
		s.check(f.Truncate(int64(size)))
		for _, g := range all {
			if n, err := g.Size(); n != int64(size) || err != nil {
				s.Errorf("Size = %d, %v; want %d", n, err, size)
			}
			s.holds(g, want[:size])
		}
	}
	if err := f.Truncate(-1); err == nil {
		s.Error("Truncate(-1) succeeded")
	}
	s.check(f.Sync())
	if info, err := f.Stat(); info.Size != 0 || err != nil {
		s.Errorf("%+v, %v", info, err)
	}
}

// What was cut off and appended anew is what was appended.
func truncateAndAppend(s *subject) {
	s.grows()
	s.create("x", pattern(1, 5000))
	f := s.open(s.fs, "x", vfs.Append)
	all := s.witnesses(f)
	for i := range 10 {
		at := 5000 - 400*i
		for _, g := range all { // all have seen the old tail
			_, err := readAll(g)
			s.check(err)
		}
		s.check(f.Truncate(int64(at)))
		n, err := f.Append(pattern(i+2, 300), int64(at))
		if n != 300 || err != nil {
			s.Fatalf("Append after Truncate = %d, %v", n, err)
		}
		want := append(pattern(1, at), pattern(i+2, 300)...)
		for _, g := range all {
			s.holds(g, want)
		}
	}
}

// While one appends, and syncs, all others see a prefix of what it appends:
// whatever Size said, the bytes up to there are right.
func readersBesideAppender(s *subject) {
	s.grows()
	s.create("x", nil)
	f := s.open(s.fs, "x", vfs.Append)
	readers := s.witnesses(f)
	want := pattern(5, 100*321)
	var done atomic.Bool
	var wg sync.WaitGroup
	for _, g := range readers {
		wg.Go(func() {
			for seen := int64(0); !done.Load(); {
				size, err := g.Size()
				if err != nil || size < seen {
					s.Errorf("Size went from %d to %d, %v", seen, size, err)
					return
				}
				p := make([]byte, size)
				if n, err := g.ReadAt(p, 0); n != len(p) || err != nil && err != io.EOF || !bytes.Equal(p, want[:size]) {
					s.Errorf("ReadAt of %d bytes beside Append: %d, %v", size, n, err)
					return
				}
				seen = size
			}
		})
	}
	for off := 0; off < len(want); off += 321 {
		n, err := f.Append(want[off:off+321], int64(off))
		if n != 321 || err != nil {
			s.Errorf("Append = %d, %v", n, err)
			break
		}
	}
	done.Store(true)
	wg.Wait()
	s.leadsTo("x", want)
}

// All methods of one handle at once, from many goroutines.
func syncBeside(s *subject) {
	s.grows()
	s.create("x", pattern(1, 1000))
	f := s.open(s.fs, "x", vfs.Append)
	var done atomic.Bool
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			p := make([]byte, 100)
			for !done.Load() {
				var err error
				switch i % 4 {
				case 0:
					err = f.Sync()
				case 1:
					_, err = f.Stat()
				case 2:
					_, err = f.ReadAt(p, 500)
				case 3:
					_, err = f.Size()
					vfs.Advise(f, vfs.WillNeed, 0, 1000)
				}
				if err != nil {
					s.Errorf("beside others: %v", err)
				}
			}
		})
	}
	for i := range 50 {
		n, err := f.Append(pattern(1, 1050+50*i)[1000+50*i:], int64(1000+50*i))
		_, errR := f.Rewrite(pattern(1, 1000)[900:], 900)
		if err := errors.Join(err, errR); n != 50 || err != nil {
			s.Errorf("Append = %d, %v", n, err)
		}
	}
	done.Store(true)
	wg.Wait()
	s.leadsTo("x", pattern(1, 3500))
}

// Where files cannot grow, the calls say so and the file can be read.
func withoutAppend(s *subject) {
	s.need(!s.props.Append, "files of this storage can grow (Props.Append)")
	s.create("x", []byte("bytes"))
	f := s.open(s.fs, "x", vfs.Append)
	for what, err := range changes(f) {
		if what != "Sync" || err != nil { // a Sync of what cannot change is done
			s.is(what, err, vfs.ErrNotSupported)
		}
	}
	s.holds(f, []byte("bytes"))
	s.leadsTo("x", []byte("bytes"))
}
