package vfstest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"

	"github.com/durusdb/durus/vfs"
)

// takenRules are about names that several want, or that are taken.
var takenRules = []rule{
	{"Rule3_A5_OneCreatorWins", oneCreatorWins},
	{"Rule3_A5_CreatorsBesideARemover", creatorsBesideRemover},
	{"Rule3_A6_OldHandlesKeepOldBytes", oldHandlesKeepBytes},
	{"Rule3_A6_ReadersSeeOldOrNew", readersSeeOldOrNew},
	{"Rule3_ReplacersFromBothSides", replacers},
}

// view returns one view or the other, in turns.
func (s *subject) view(i int) vfs.FS {
	if i%2 == 0 {
		return s.fs
	}
	return s.other
}

const creators = 16

func oneCreatorWins(s *subject) {
	s.need(s.props.ConditionalPut, "several creators may win here (Props.ConditionalPut)")
	for round := range 10 {
		base := fmt.Sprintf("x%d", round)
		var won, lost atomic.Int64
		var winner []byte // written by the one who wins
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range creators {
			wg.Go(func() {
				mine := pattern(i, 10_000+i)
				w := s.view(i).Create(s.name(base), vfs.FailIfExists, 0o600)
				for p := range parts(mine, 3000) {
					if n, err := w.Write(p); n != len(p) || err != nil {
						s.Errorf("Write = %d, %v", n, err)
					}
				}
				<-start
				switch err := w.Commit(); {
				case err == nil:
					if won.Add(1) == 1 {
						winner = mine
					}
				case errors.Is(err, fs.ErrExist):
					lost.Add(1)
				default:
					s.Errorf("Commit: %v", err)
				}
			})
		}
		close(start)
		wg.Wait()
		if won.Load() != 1 || lost.Load() != creators-1 {
			s.Fatalf("%d won, %d lost; want 1 and %d", won.Load(), lost.Load(), creators-1)
		}
		s.leadsTo(base, winner)
	}
	s.remain("x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9")
}

// A name that comes and goes: it has as many winners as removers, or one more.
func creatorsBesideRemover(s *subject) {
	s.need(s.props.ConditionalPut, "several creators may win here (Props.ConditionalPut)")
	var won, removed atomic.Int64
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			fsys := s.view(i)
			for range 30 {
				switch err := put(fsys, s.name("x"), vfs.FailIfExists, []byte("bytes")); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, fs.ErrExist):
					s.Errorf("Commit: %v", err)
				}
				switch err := fsys.Remove(s.name("x")); {
				case err == nil:
					removed.Add(1)
				case !errors.Is(err, fs.ErrNotExist):
					s.Errorf("Remove: %v", err)
				}
			}
		})
	}
	wg.Wait()
	left := int64(0)
	if _, err := s.fs.Stat(s.name("x")); err == nil {
		left = 1
	}
	if won.Load() != removed.Load()+left {
		s.Errorf("%d creators won, %d removers did, %d are left", won.Load(), removed.Load(), left)
	}
}

// A file that is replaced or removed stays what it was for those who have it
// open, and says that no name leads to it.
func oldHandlesKeepBytes(s *subject) {
	versions := [][]byte{pattern(0, 5000), pattern(1, 4999), nil, pattern(3, 20_000)}
	var old []vfs.File
	for _, v := range versions {
		s.replace("x", v)
		s.leadsTo("x", v)
		for _, fsys := range []vfs.FS{s.fs, s.other} {
			old = append(old, s.opened(fsys, "x", vfs.ReadOnly))
		}
	}
	lazy := s.open(s.fs, "x", vfs.ReadOnly) // finds nothing: it was not opened before
	s.check(s.fs.Remove(s.name("x")))
	s.isGone("x")
	_, err := lazy.Size()
	s.is("Size of a file that was removed before its first use", err, fs.ErrNotExist)
	for i, f := range old {
		s.holds(f, versions[i/2])
		if n, err := f.Size(); n != int64(len(versions[i/2])) || err != nil {
			s.Errorf("Size = %d, %v", n, err)
		}
		if info, err := f.Stat(); err != nil || info.Links != 0 {
			s.Errorf("Stat of a file that was replaced: %+v, %v", info, err)
		}
	}
	s.remain()
}

// Readers that open the name again and again find one of its files, whole.
func readersSeeOldOrNew(s *subject) {
	s.need(s.props.AtomicReplace, "a name that is being replaced may lead nowhere (Props.AtomicReplace)")
	const size = 5000
	s.create("x", bytes.Repeat([]byte{0}, size))
	var done atomic.Bool
	var reads atomic.Int64
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for !done.Load() {
				got, err := readName(s.view(i), s.name("x"))
				if err != nil || len(got) != size || bytes.Count(got, got[:1]) != size {
					s.Errorf("a reader saw %s, %v", brief(got), err)
					return
				}
				if info, err := s.view(i).Stat(s.name("x")); err != nil || s.props.StableSize && info.Size != size {
					s.Errorf("Stat said %+v, %v", info, err)
					return
				}
				reads.Add(1)
			}
		})
	}
	n := 0
	for ; n < 150 || reads.Load() < 20 && !s.Failed() && n < 100_000; n++ {
		if err := put(s.fs, s.name("x"), vfs.ReplaceIfExists, bytes.Repeat([]byte{byte(n)}, size)); err != nil {
			s.Errorf("Commit: %v", err)
			break
		}
	}
	done.Store(true)
	wg.Wait()
	s.leadsTo("x", bytes.Repeat([]byte{byte(n - 1)}, size))
	s.remain("x")
}

// The last of several replacers wins, whoever it is, and the file is his.
func replacers(s *subject) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 10 {
				if err := put(s.view(i), s.name("x"), vfs.ReplaceIfExists, pattern(i, 3000+i)); err != nil {
					s.Errorf("Commit: %v", err)
				}
			}
		})
	}
	wg.Wait()
	got, err := readName(s.fs, s.name("x"))
	s.check(err)
	if i := len(got) - 3000; i < 0 || i >= 8 || !bytes.Equal(got, pattern(i, 3000+i)) {
		s.Errorf("the file is nobody's: %s", brief(got))
	}
	s.leadsTo("x", got)
	s.remain("x")
}
