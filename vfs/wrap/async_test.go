package wrap_test

import (
	"errors"
	"io/fs"
	"slices"
	"syscall"
	"testing"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/wrap"
)

// twice is a storage whose operations on bytes answer vfs.ErrAgain every other
// time, and whose files can be mapped if they are told so. It knows its own
// files when it makes a locker.
type twice struct {
	vfs.FS
	async, mapped bool
	locked        vfs.File // what the newest locker guards
}

func (s *twice) Open(name string, mode vfs.Mode) vfs.File {
	f := &twiceFile{File: s.FS.Open(name, mode)}
	switch {
	case s.async && s.mapped:
		return struct {
			*twiceFile
			mapper
		}{f, mapper{}}
	case s.async:
		return f
	case s.mapped:
		return struct {
			vfs.File
			mapper
		}{f.File, mapper{}}
	}
	return f.File
}

func (s *twice) Create(name string, mode vfs.CreateMode, perm fs.FileMode) vfs.Writer {
	w := s.FS.Create(name, mode, perm)
	if s.async {
		return &twiceWriter{Writer: w}
	}
	return w
}

func (s *twice) Locker(name string, data vfs.File, mode vfs.Mode, perm fs.FileMode) vfs.Locker {
	s.locked = data
	return s.FS.Locker(name, vfs.Base(data), mode, perm)
}

// turns answers vfs.ErrAgain, then nil, and calls who waits.
type turns struct {
	odd   bool
	ready func()
}

func (t *turns) OnReady(fn func()) { t.ready = fn }

func (t *turns) again() error {
	if t.odd = !t.odd; !t.odd {
		return nil
	}
	if t.ready != nil {
		go t.ready()
	}
	return vfs.ErrAgain
}

type twiceFile struct {
	vfs.File
	turns
}

func (f *twiceFile) Unwrap() vfs.File          { return f.File }
func (f *twiceFile) OnOpen(fn func(err error)) { fn(nil) }

func (f *twiceFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.again(); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

type twiceWriter struct {
	vfs.Writer
	turns
}

func (w *twiceWriter) Write(p []byte) (int, error) {
	if err := w.again(); err != nil {
		return 0, err
	}
	return w.Writer.Write(p)
}

func (w *twiceWriter) Commit() error {
	if err := w.again(); err != nil {
		return err
	}
	return w.Writer.Commit()
}

func (w *twiceWriter) Abort() error {
	if err := w.again(); err != nil {
		return err
	}
	return w.Writer.Abort()
}

type mapper struct{}

func (mapper) Map(_ int64, n int) ([]byte, func() error, error) {
	return make([]byte, n), func() error { return nil }, nil
}

// Wrapped files and writers can do what those below can, and no more (contract
// rules 11 and 12).
func TestAbilities(t *testing.T) {
	for _, x := range []struct{ async, mapped bool }{{false, false}, {false, true}, {true, false}, {true, true}} {
		lower := &twice{FS: mem.NewDisk().Process("p"), async: x.async, mapped: x.mapped}
		fsys := wrap.New(wrap.New(lower, (*wrap.Call).Next), (*wrap.Call).Next)
		create(t, lower.FS, "f", "x")
		f := fsys.Open("f", vfs.ReadOnly)
		_, isAsync := f.(vfs.Async)
		m, isMapper := f.(vfs.Mapper)
		_, isReady := fsys.Create("g", vfs.FailIfExists, 0o600).(vfs.Ready)
		if isAsync != x.async || isReady != x.async || isMapper != x.mapped {
			t.Errorf("%+v: async %v, writer %v, mapper %v", x, isAsync, isReady, isMapper)
		}
		if _, ok := vfs.Base(f).(*mem.File); x.async && !ok {
			t.Errorf("%+v: at the bottom is %T", x, vfs.Base(f))
		}
		if isMapper {
			if b, unmap, err := m.Map(0, 7); len(b) != 7 || unmap == nil || err != nil {
				t.Errorf("Map: %d bytes, %v", len(b), err)
			}
		}
	}
}

// An asynchronous storage stays one: its answers go up, its callbacks too, and
// vfs.Blocking waits for it.
func TestAsync(t *testing.T) {
	lower := &twice{FS: mem.NewDisk().Process("p"), async: true}
	var seen []wrap.Op
	fsys := wrap.New(lower, opsOf(&seen))
	waiting := vfs.Blocking(fsys)
	create(t, waiting, "f", "hello")
	if want := []wrap.Op{wrap.Create, wrap.Write, wrap.Write, wrap.Commit, wrap.Commit}; !slices.Equal(seen, want) {
		t.Errorf("calls %v, want %v", seen, want)
	}
	f := fsys.Open("f", vfs.ReadOnly)
	p := make([]byte, 5)
	if n, err := f.ReadAt(p, 0); n != 0 || !errors.Is(err, vfs.ErrAgain) {
		t.Errorf("ReadAt %d, %v", n, err)
	}
	if n, err := f.ReadAt(p, 0); string(p[:n]) != "hello" || err != nil {
		t.Errorf("ReadAt %q, %v", p[:n], err)
	}
	g := waiting.Open("f", vfs.ReadOnly)
	if n, err := g.ReadAt(p, 0); string(p[:n]) != "hello" || err != nil {
		t.Errorf("blocking ReadAt %q, %v", p[:n], err)
	}
}

// The Open call also comes before OnOpen, which tells its error.
func TestOnOpen(t *testing.T) {
	lower := &twice{FS: mem.NewDisk().Process("p"), async: true}
	fault := error(syscall.EIO)
	fsys := wrap.New(lower, func(c *wrap.Call) {
		if c.Next(); c.Op == wrap.Open {
			c.Err = fault
		}
	})
	for _, want := range []error{syscall.EIO, nil} {
		fault = want
		a, _ := fsys.Open("f", vfs.ReadOnly).(vfs.Async)
		told := false
		a.OnOpen(func(err error) {
			told = true
			is(t, err, want)
		})
		if !told {
			t.Error("not told")
		}
	}
}

// What fails over an asynchronous writer is dropped below before it is told.
func TestAsyncWriterFails(t *testing.T) {
	lower := &twice{FS: mem.NewDisk().Process("p"), async: true}
	fsys := wrap.New(lower, func(c *wrap.Call) {
		if c.Op == wrap.Commit {
			c.Err = syscall.EIO
			return
		}
		c.Next()
	})
	w := vfs.Blocking(fsys).Create("f", vfs.FailIfExists, 0o600)
	_, err := w.Write([]byte("x"))
	check(t, err)
	is(t, w.Commit(), syscall.EIO)
	is(t, w.Commit(), syscall.EIO)
	if names := lower.FS.(*mem.Process).Disk().Names(); len(names) != 0 {
		t.Errorf("left are %q", names)
	}

	w = fsys.Create("f", vfs.FailIfExists, 0o600)
	for range 2 {
		_, err = w.Write([]byte("x"))
	}
	check(t, err)
	is(t, w.Abort(), vfs.ErrAgain)
	check(t, w.Abort())
	_, err = w.Write(nil)
	is(t, err, vfs.ErrClosed)
}

// A locker below gets the file that its storage made, whatever lies over it.
func TestLockerData(t *testing.T) {
	lower := &twice{FS: mem.NewDisk().Process("p"), async: true}
	create(t, lower.FS, "f", "")
	inner := wrap.New(lower, (*wrap.Call).Next)
	outer := wrap.New(vfs.Blocking(inner), (*wrap.Call).Next)
	f := outer.Open("f", vfs.Append)
	l := inner.Locker("l", f, vfs.Append, 0o600) // past the outer ones
	if _, ok := lower.locked.(*twiceFile); !ok {
		t.Errorf("the storage got a %T", lower.locked)
	}
	if ok, err := l.TryLock(); !ok || err != nil {
		t.Errorf("TryLock %v, %v", ok, err)
	}
	check(t, l.Close())
	foreign := lower.FS.Open("f", vfs.Append)
	outer.Locker("l", foreign, vfs.Append, 0o600)
	if lower.locked != foreign {
		t.Errorf("of a foreign file the storage got %T", lower.locked)
	}
	outer.Locker("l", nil, vfs.Append, 0o600)
	if lower.locked != nil {
		t.Errorf("of no file the storage got %T", lower.locked)
	}
}
