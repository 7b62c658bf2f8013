package vfs_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
)

// store is an asynchronous storage for these tests, as plain as it can be: one
// goroutine for each operation, which takes as long as delay says. The bytes of
// a read say which read below brought them.
type store struct {
	*mem.Process
	delay func() time.Duration
	reads atomic.Int64
}

func newStore(delay func() time.Duration) *store {
	return &store{Process: mem.NewVolatile().Process("p"), delay: delay}
}

func (s *store) Open(name string, mode vfs.Mode) vfs.File {
	return &storeFile{File: s.Process.Open(name, mode), task: task{store: s, begun: map[string]*answer{}}}
}

func (s *store) Create(name string, mode vfs.CreateMode, perm fs.FileMode) vfs.Writer {
	return &storeWriter{Writer: s.Process.Create(name, mode, perm), task: task{store: s, begun: map[string]*answer{}}}
}

func (s *store) Locker(name string, data vfs.File, mode vfs.Mode, perm fs.FileMode) vfs.Locker {
	l := &storeLocker{Locker: s.Process.Locker(name, data, mode, perm)}
	for data != nil {
		if f, ok := data.(*storeFile); ok {
			l.f = f
		}
		w, ok := data.(interface{ Unwrap() vfs.File })
		if !ok {
			break
		}
		data = w.Unwrap()
	}
	return l
}

// task is what an asynchronous file and writer have in common.
type task struct {
	store *store

	mu     sync.Mutex
	begun  map[string]*answer
	fn     func()
	closed bool
}

type answer struct {
	done bool
	n    int64
	err  error
}

// do answers as an operation of vfs.Async does.
func (k *task) do(call string, op func() (int64, error)) (int64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return 0, vfs.ErrClosed
	}
	if a := k.begun[call]; a != nil {
		if !a.done {
			return 0, vfs.ErrAgain
		}
		delete(k.begun, call)
		return a.n, a.err
	}
	a := &answer{}
	k.begun[call] = a
	go func() {
		n, err := op()
		time.Sleep(k.store.delay())
		k.mu.Lock()
		a.done, a.n, a.err = true, n, err
		fn := k.fn
		k.mu.Unlock()
		fn()
	}()
	return 0, vfs.ErrAgain
}

func (k *task) OnReady(fn func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fn = fn
}

type storeFile struct {
	vfs.File
	task
	open bool
}

func (f *storeFile) Unwrap() vfs.File { return f.File }

func (f *storeFile) OnOpen(fn func(error)) { go fn(nil) }

// ReadAt counts: each read below brings a number that is greater than that of
// all that began before it.
func (f *storeFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.do(fmt.Sprint("read", off, len(p)), func() (int64, error) { return f.store.reads.Add(1), nil })
	if err != nil {
		return 0, err
	}
	for i := range p {
		p[i] = byte(n >> (8 * i))
	}
	return len(p), nil
}

func (f *storeFile) Size() (int64, error) { return f.do("size", f.File.Size) }

func (f *storeFile) Append(p []byte, end int64) (int, error) {
	n, err := f.do(fmt.Sprint("append", end, len(p)), func() (int64, error) {
		n, err := f.File.Append(p, end)
		return int64(n), err
	})
	return int(n), err
}

func (f *storeFile) Sync() error {
	_, err := f.do("sync", func() (int64, error) { return 0, f.File.Sync() })
	return err
}

func (f *storeFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

type storeWriter struct {
	vfs.Writer
	task
	refused bool
}

// Write refuses every second time, and takes nothing then.
func (w *storeWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.refused = !w.refused
	refuse, fn := w.refused, w.fn
	w.mu.Unlock()
	if !refuse {
		return w.Writer.Write(p)
	}
	go fn()
	return 0, vfs.ErrAgain
}

func (w *storeWriter) Commit() error {
	_, err := w.do("commit", func() (int64, error) { return 0, w.Writer.Commit() })
	return err
}

func (w *storeWriter) Abort() error {
	_, err := w.do("abort", func() (int64, error) { return 0, w.Writer.Abort() })
	return err
}

// storeLocker is ready when the size of its file is known.
type storeLocker struct {
	vfs.Locker
	f *storeFile
}

func (l *storeLocker) TryLock() (bool, error) {
	if !l.f.open {
		if _, err := l.f.Size(); err != nil {
			return false, err
		}
		l.f.open = true
	}
	return l.Locker.TryLock()
}

func (l *storeLocker) Lock(ctx context.Context) error {
	ok, err := l.TryLock()
	if err == nil && !ok {
		err = l.Locker.Lock(ctx)
	}
	return err
}

func put(t *testing.T, s *store, name string) {
	t.Helper()
	w := s.Process.Create(name, vfs.ReplaceIfExists, 0o600)
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

func fixed(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

func hasty() time.Duration { return rand.N(20 * time.Microsecond) }

// What is not asynchronous stays as it is.
func TestBlockingOfBlocking(t *testing.T) {
	p := mem.NewVolatile().Process("p")
	b := vfs.Blocking(p)
	if _, ok := b.Open("/f", vfs.ReadOnly).(*mem.File); !ok {
		t.Error("the file is wrapped")
	}
	if _, ok := b.Create("/f", vfs.FailIfExists, 0).(*mem.Writer); !ok {
		t.Error("the writer is wrapped")
	}
	if _, ok := b.Locker("/l", p.Open("/f", vfs.Append), vfs.Append, 0).(*mem.Locker); !ok {
		t.Error("the locker is wrapped")
	}
	if vfs.Blocking(b) != b {
		t.Error("wrapped twice")
	}
	s := vfs.Blocking(newStore(hasty))
	if _, ok := vfs.Base(s.Open("/f", vfs.ReadOnly)).(*mem.File); !ok {
		t.Error("the file at the bottom is not found")
	}
}

// No call gets the answer of another that began before it, and no wake-up is
// lost: a caller who was not called would wait for ever.
func TestBlockingAnswersAreFresh(t *testing.T) {
	s := newStore(hasty)
	f := vfs.Blocking(s).Open("/f", vfs.ReadOnly)
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			p := make([]byte, 4)
			for range 300 {
				before := s.reads.Load()
				if _, err := f.ReadAt(p, int64(i%3)); err != nil {
					t.Error(err)
				}
				if n := int64(p[0]) | int64(p[1])<<8 | int64(p[2])<<16; n <= before {
					t.Errorf("read %d, begun after %d", n, before)
				}
			}
		})
	}
	group.Wait()
	if n := s.reads.Load(); n != 16*300 {
		t.Errorf("%d reads below", n)
	}
}

// Reads of different ranges wait side by side, equal ones in turn; changes of a
// file are one after the other.
func TestBlockingSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(fixed(time.Second))
		put(t, s, "/f")
		f := vfs.Blocking(s).Open("/f", vfs.Append)
		for _, c := range []struct {
			what string
			op   func(i int) error
			want time.Duration
		}{
			{"different reads", func(i int) error { _, err := f.ReadAt(make([]byte, 1), int64(i)); return err }, time.Second},
			{"equal reads", func(int) error { _, err := f.ReadAt(make([]byte, 1), 0); return err }, 5 * time.Second},
			{"changes", func(i int) error { _, err := f.Append([]byte("x"), int64(i)); return err }, 5 * time.Second},
			{"a sync and a size", func(i int) error {
				if i == 0 {
					return f.Sync()
				}
				if i == 1 {
					_, err := f.Size()
					return err
				}
				return nil
			}, time.Second},
		} {
			start := time.Now()
			var group sync.WaitGroup
			for i := range 5 {
				group.Go(func() {
					if err := c.op(i); err != nil {
						t.Errorf("%s: %v", c.what, err)
					}
				})
			}
			group.Wait()
			if d := time.Since(start); d != c.want {
				t.Errorf("five times %s: %v, want %v", c.what, d, c.want)
			}
		}
	})
}

// Close wakes all who wait.
func TestBlockingClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(fixed(time.Hour))
		f := vfs.Blocking(s).Open("/f", vfs.ReadOnly)
		var group sync.WaitGroup
		for i := range 10 {
			group.Go(func() {
				_, err := f.ReadAt(make([]byte, 1), int64(i/2)) // half of them wait for their turn
				if !errors.Is(err, vfs.ErrClosed) {
					t.Errorf("got %v, want ErrClosed", err)
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		group.Wait()
		if d := time.Since(start); d != 0 {
			t.Errorf("woken after %v", d)
		}
		time.Sleep(2 * time.Hour) // for the reads below
	})
}

// A writer that refuses is asked again, and Commit and Abort wait for their end.
func TestBlockingWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(fixed(time.Second))
		b := vfs.Blocking(s)
		w := b.Create("/f", vfs.FailIfExists, 0o600)
		for range 100 {
			if n, err := w.Write([]byte("hello")); n != 5 || err != nil {
				t.Fatal(n, err)
			}
		}
		start := time.Now()
		if err := w.Commit(); err != nil || time.Since(start) != time.Second {
			t.Errorf("commit: %v after %v", err, time.Since(start))
		}
		if info, err := s.Stat("/f"); info.Size != 500 || err != nil {
			t.Errorf("%d bytes, %v", info.Size, err)
		}
		w = b.Create("/g", vfs.FailIfExists, 0o600)
		start = time.Now()
		if err := w.Abort(); err != nil || time.Since(start) != time.Second {
			t.Errorf("abort: %v after %v", err, time.Since(start))
		}
	})
}

// TryLock waits for the opening of the file, also of one that others have
// wrapped, and then says busy at once; Lock does so until ctx is done.
func TestBlockingLocker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(fixed(time.Second))
		put(t, s, "/f")
		b := vfs.Blocking(s)
		data := struct{ wrapped }{wrapped{b.Open("/f", vfs.Append)}}
		l := b.Locker("/l", data, vfs.Append, 0o600)
		start := time.Now()
		if ok, err := l.TryLock(); !ok || err != nil || time.Since(start) != time.Second {
			t.Errorf("locked %v, %v after %v", ok, err, time.Since(start))
		}
		start = time.Now()
		other := b.Locker("/l", data, vfs.Append, 0o600)
		if ok, err := other.TryLock(); ok || err != nil || time.Since(start) != 0 {
			t.Errorf("locked %v, %v after %v", ok, err, time.Since(start))
		}

		slow := newStore(fixed(time.Hour))
		put(t, slow, "/f")
		b = vfs.Blocking(slow)
		l = b.Locker("/l", b.Open("/f", vfs.Append), vfs.Append, 0o600)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start = time.Now()
		if err := l.Lock(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("lock: %v after %v", err, time.Since(start))
		}
		start = time.Now()
		if err := l.Lock(t.Context()); err != nil || time.Since(start) != time.Hour-time.Minute {
			t.Errorf("lock: %v after %v", err, time.Since(start))
		}
	})
}

type wrapped struct{ vfs.File }

func (w wrapped) Unwrap() vfs.File { return w.File }
