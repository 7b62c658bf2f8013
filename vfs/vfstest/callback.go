package vfstest

import (
	"bytes"
	"errors"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/durusdb/durus/vfs"
)

// callbackRules are about what an asynchronous storage calls, and when.
var callbackRules = []rule{
	{"Async_A3_OnOpenOnce", onOpenOnce},
	{"Async_A3_TryLockBeforeItIsOpen", tryLockBeforeOpen},
	{"Async_A15_CallbacksMayDoAnything", callbacksMayDoAnything},
	{"Async_A15_NoCallbackAfterClose", noCallbackAfterClose},
	{"Async_A15_NoCallbackAfterCommitOrAbort", noCallbackAfterEnd},
	{"Async_OnReadyIsSetAndUnset", onReadyIsSet},
}

// opening collects the calls of OnOpen.
type opening struct {
	calls atomic.Int64
	ended chan error
}

func (s *subject) onOpen(a vfs.Async) *opening {
	o := &opening{ended: make(chan error, 10)}
	a.OnOpen(func(err error) {
		o.calls.Add(1)
		o.ended <- err
	})
	return o
}

// end waits for the call.
func (s *subject) end(o *opening) error {
	s.Helper()
	select {
	case err := <-o.ended:
		return err
	case <-time.After(s.patience):
		s.Fatal("OnOpen did not call")
		return nil
	}
}

// Everybody who asks is told, once, when the opening has ended: before, after,
// well or not.
func onOpenOnce(s *subject) {
	s.create("x", []byte("bytes"))
	for _, c := range []struct {
		base string
		want error
	}{{"x", nil}, {"missing", fs.ErrNotExist}} {
		f, a := s.asyncFile(c.base, vfs.ReadOnly)
		var all []*opening
		for range 3 {
			all = append(all, s.onOpen(a))
		}
		for _, o := range all {
			s.is("OnOpen", s.end(o), c.want)
		}
		late := s.onOpen(a)
		s.is("OnOpen afterwards", s.end(late), c.want)
		err := s.bell(a).until(func() error { _, err := f.Size(); return err })
		s.is("Size", err, c.want)
		s.check(f.Close())
		for _, o := range append(all, late) {
			if n := o.calls.Load(); n != 1 {
				s.Errorf("OnOpen of %s called %d times", c.base, n)
			}
		}
	}
	f, a := s.asyncFile("x", vfs.ReadOnly)
	s.check(f.Close())
	s.is("OnOpen of a handle that was closed", s.end(s.onOpen(a)), vfs.ErrClosed)
}

// Before the file is open TryLock answers ErrAgain, if not the truth; then it
// does not say so any more.
func tryLockBeforeOpen(s *subject) {
	s.locks()
	s.create("x", nil)
	for _, base := range []string{"x", "missing"} {
		f, a := s.asyncFile(base, vfs.Append)
		l := s.Env.FS.Locker(s.name(base+".lock"), f, vfs.Append, 0o600)
		ok, err := l.TryLock()
		if ok == (err != nil) || err != nil && !errors.Is(err, vfs.ErrAgain) && base == "x" {
			s.Errorf("TryLock of a file that is not open yet = %v, %v", ok, err)
		}
		if ok {
			s.check(l.Unlock())
		}
		opened := s.end(s.onOpen(a))
		ok, err = l.TryLock()
		if base == "missing" {
			s.is("OnOpen", opened, fs.ErrNotExist)
			s.is("TryLock", err, fs.ErrNotExist)
		} else {
			s.check(errors.Join(opened, err))
			if !ok {
				s.Error("TryLock of a free lock says busy")
			}
			s.check(l.Unlock())
		}
		s.check(l.Close())
	}
}

// A callback may use the file, close it, and set another function or none: the
// storage holds nothing that this could wait for.
func callbacksMayDoAnything(s *subject) {
	want := pattern(1, 5000)
	s.create("x", want)
	f, a := s.asyncFile("x", vfs.ReadOnly)
	done := make(chan struct{})
	var calls atomic.Int64
	a.OnReady(func() {
		p := make([]byte, 100)
		n := calls.Add(1)
		for off := range int64(20) { // begins more than there is, and collects what is there
			n, err := f.ReadAt(p, 100*off)
			if err != nil && !errors.Is(err, vfs.ErrAgain) || err == nil && !bytes.Equal(p[:n], want[100*off:100*off+100]) {
				s.Errorf("ReadAt in a callback = %d, %v", n, err)
			}
		}
		a.OnOpen(func(error) {})
		if n != 3 {
			return
		}
		a.OnReady(nil)
		if err := f.Close(); err != nil {
			s.Errorf("Close in a callback: %v", err)
		}
		if _, err := f.ReadAt(p, 0); !errors.Is(err, vfs.ErrClosed) {
			s.Errorf("ReadAt after Close in a callback: %v", err)
		}
		close(done)
	})
	p := make([]byte, 50)
	deadline := time.After(s.patience)
	for off := int64(0); ; off = (off + 50) % 4900 { // something is always on its way
		if _, err := f.ReadAt(p, off); err != nil && !errors.Is(err, vfs.ErrAgain) && !errors.Is(err, vfs.ErrClosed) {
			s.Errorf("ReadAt: %v", err)
		}
		select {
		case <-done:
			return
		case <-deadline:
			s.Fatalf("%d callbacks came, and not all came back", calls.Load())
		case <-time.After(moment / 10):
		}
	}
}

// When Close has returned no callback is running or will run.
func noCallbackAfterClose(s *subject) {
	s.create("x", pattern(1, 50_000))
	_, _ = s.asyncFile("x", vfs.ReadOnly)
	for i := range 100 {
		f := s.Env.FS.Open(s.name("x"), vfs.ReadOnly)
		var closed atomic.Bool
		f.(vfs.Async).OnReady(func() {
			if closed.Load() {
				s.Error("a callback after Close")
			}
			time.Sleep(time.Duration(i%3) * 100 * time.Microsecond)
			if closed.Load() {
				s.Error("a callback was running when Close returned")
			}
		})
		p := make([]byte, 100)
		for off := range int64(20) {
			if _, err := f.ReadAt(p, 100*off); err != nil && !errors.Is(err, vfs.ErrAgain) {
				s.Errorf("ReadAt: %v", err)
			}
		}
		time.Sleep(time.Duration(i%5) * 50 * time.Microsecond)
		s.check(f.Close())
		closed.Store(true)
	}
	time.Sleep(moment)
}

// Nor when Commit or Abort has.
func noCallbackAfterEnd(s *subject) {
	for i := range 40 {
		w, r := s.asyncWriter("x", vfs.ReplaceIfExists)
		var ended atomic.Bool
		b := &bell{s, make(chan struct{}, 1)}
		r.OnReady(func() {
			if ended.Load() {
				s.Error("a callback after the end")
			}
			b.ring()
		})
		s.check(b.until(func() error { _, err := w.Write(pattern(i, 1000)); return err }))
		end := w.Commit
		if i%2 == 0 {
			end = w.Abort
		}
		s.check(b.until(end))
		ended.Store(true)
	}
	time.Sleep(moment)
	s.leadsTo("x", pattern(39, 1000))
}

// Without a function results come all the same; with a new one it is the new
// one that is called.
func onReadyIsSet(s *subject) {
	want := pattern(1, 1000)
	s.create("x", want)
	f, a := s.asyncFile("x", vfs.ReadOnly)
	var first atomic.Int64
	a.OnReady(func() { first.Add(1) })
	a.OnReady(nil)
	p := make([]byte, 100)
	for deadline := time.Now().Add(s.patience); ; time.Sleep(moment / 10) {
		n, err := f.ReadAt(p, 0)
		if errors.Is(err, vfs.ErrAgain) && time.Now().Before(deadline) {
			continue
		}
		if n != 100 || err != nil || !bytes.Equal(p, want[:100]) {
			s.Fatalf("ReadAt = %d, %v", n, err)
		}
		break
	}
	if n, err := s.bell(a).read(f, p, 100); n != 100 || err != nil || !bytes.Equal(p, want[100:200]) {
		s.Errorf("ReadAt = %d, %v", n, err)
	}
	if n := first.Load(); n != 0 {
		s.Errorf("a function that was unset was called %d times", n)
	}
}
