package vfstest

import (
	"errors"
	"io"
	"io/fs"
	"sync"

	"github.com/durusdb/durus/vfs"
)

// handleRules are about opening, modes and closing.
var handleRules = []rule{
	{"Rule1_OpenCreateLockerDoNothing", openDoesNothing},
	{"Rule1_ErrorOfOpeningStays", errorStays},
	{"Rule8_A21_ModeIsEnforced", modeIsEnforced},
	{"CloseEndsHandle", closeEndsHandle},
	{"CloseWhileReading", closeWhileReading},
	{"NotRegular", notRegular},
}

// What Open, Create and Locker return is never nil, has left no trace, and
// finds what is there when it is used, not when it was made. // A1
func openDoesNothing(s *subject) {
	f, unused := s.open(s.fs, "x", vfs.ReadOnly), s.fs.Open(s.name("x"), vfs.Append)
	deep := s.fs.Open(s.name("no/such/place"), vfs.Append)
	w, lost := s.fs.Create(s.name("x"), vfs.FailIfExists, 0o600), s.fs.Create(s.name("no/such/place"), vfs.ReplaceIfExists, 0o600)
	l := s.fs.Locker(s.name("x.lock"), f, vfs.Append, 0o600)
	if unused == nil || deep == nil || w == nil || lost == nil || l == nil {
		s.Fatalf("nil among %v, %v, %v, %v, %v", unused, deep, w, lost, l)
	}
	s.isGone("x")
	s.isGone("x.lock")
	s.remain()
	s.create("x", []byte("later"))
	s.holds(f, []byte("later"))
	s.is("the slower of two creators", w.Commit(), fs.ErrExist)
	s.check(errors.Join(unused.Close(), deep.Close(), lost.Abort(), l.Close()))
	s.remain("x")
}

// A file that is not there: every operation says so, and goes on saying so on
// this handle when the file has come. // A2
func errorStays(s *subject) {
	f := s.open(s.fs, "x", vfs.Append)
	for round := range 2 {
		for what, err := range operations(f) {
			if !s.props.Append && errors.Is(err, vfs.ErrNotSupported) {
				continue // it need not look at the file for that
			}
			s.is(what, err, fs.ErrNotExist)
			s.names(what, err, "x")
		}
		if round == 0 {
			s.create("x", []byte("too late"))
		}
	}
	s.leadsTo("x", []byte("too late"))
}

// What a handle was not opened for is ErrMode, whatever is or is not there.
func modeIsEnforced(s *subject) {
	s.create("x", []byte("bytes"))
	for _, base := range []string{"x", "missing"} {
		for what, err := range changes(s.open(s.fs, base, vfs.ReadOnly)) {
			s.is(what+" of "+base+", opened ReadOnly", err, vfs.ErrMode)
			s.names(what, err, base)
		}
	}
	used := s.opened(s.fs, "x", vfs.ReadOnly)
	for what, err := range changes(used) {
		s.is(what+" of a handle in use, opened ReadOnly", err, vfs.ErrMode)
	}
	s.holds(used, []byte("bytes"))
	s.leadsTo("x", []byte("bytes"))
	s.isGone("missing")
}

// A second Close does nothing; what comes after it is ErrClosed; other handles
// do not notice.
func closeEndsHandle(s *subject) {
	s.create("x", []byte("bytes"))
	used, never, stays := s.opened(s.fs, "x", vfs.Append), s.fs.Open(s.name("x"), vfs.Append), s.opened(s.fs, "x", vfs.ReadOnly)
	for _, f := range []vfs.File{used, never} {
		s.check(f.Close())
		s.check(f.Close())
		for what, err := range operations(f) {
			if !s.props.Append && errors.Is(err, vfs.ErrNotSupported) {
				continue
			}
			s.is(what+" after Close", err, vfs.ErrClosed)
			s.names(what, err, "x")
		}
	}
	s.holds(stays, []byte("bytes"))
	s.leadsTo("x", []byte("bytes"))
}

// A Close may come at any time. Who reads gets the bytes or ErrClosed.
func closeWhileReading(s *subject) {
	want := pattern(1, 5000)
	s.create("x", want)
	for range 10 {
		f := s.fs.Open(s.name("x"), vfs.ReadOnly)
		begun := make(chan struct{})
		var once sync.Once
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				p := make([]byte, 100)
				for i := 0; ; i++ {
					off := i * 37 % (len(want) - len(p))
					n, err := f.ReadAt(p, int64(off))
					once.Do(func() { close(begun) })
					if errors.Is(err, vfs.ErrClosed) {
						return
					}
					if n != len(p) || err != nil && err != io.EOF || string(p) != string(want[off:off+n]) {
						s.Errorf("ReadAt beside Close: %d, %v", n, err)
						return
					}
				}
			})
		}
		<-begun
		if err := f.Close(); err != nil {
			s.Errorf("Close beside ReadAt: %v", err)
		}
		wg.Wait()
	}
}

// A directory is no file, for whoever opens, creates or removes.
func notRegular(s *subject) {
	s.inSub()
	for _, mode := range []vfs.Mode{vfs.ReadOnly, vfs.Append} {
		f := s.open(s.fs, "sub", mode)
		_, err := f.Size()
		s.is("Size of a directory", err, vfs.ErrNotRegular)
		s.names("Size", err, "sub")
		_, err = f.ReadAt(make([]byte, 1), 0)
		s.is("ReadAt of a directory", err, vfs.ErrNotRegular)
	}
	for _, mode := range []vfs.CreateMode{vfs.FailIfExists, vfs.ReplaceIfExists} {
		if err := put(s.fs, s.name("sub"), mode, []byte("x")); err == nil {
			s.Errorf("a directory was replaced (mode %d)", mode)
		}
	}
	if err := s.fs.Remove(s.name("sub")); err == nil {
		s.Error("Remove has removed a directory")
	}
	if info, err := s.fs.Stat(s.name("sub")); err != nil || info.Type != fs.ModeDir {
		s.Errorf("Stat of a directory: %+v, %v", info, err)
	}
	s.leadsTo("sub/x", []byte("deep"))
}

// inSub puts a file into the directory "sub", or skips the test where there are
// no directories that are something.
func (s *subject) inSub() {
	s.Helper()
	if err := put(s.fs, s.name("sub/x"), vfs.FailIfExists, []byte("deep")); err != nil {
		s.is("Commit in a directory", err, fs.ErrNotExist)
		s.Skip(`directories have to be made, and "sub" was not`)
	}
	if info, err := s.fs.Stat(s.name("sub")); errors.Is(err, fs.ErrNotExist) || err == nil && info.Type == 0 {
		s.Skip("a directory is nothing but a part of names")
	}
}
