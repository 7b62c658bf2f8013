package vfstest

import (
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/async"
)

// bentAsync is an asynchronous file of which some methods do something else.
type bentAsync struct {
	bentFile
	vfs.Async
	onOpen  func(fn func(error))
	onReady func(fn func())
}

func (f bentAsync) OnOpen(fn func(error)) {
	if f.onOpen == nil {
		f.Async.OnOpen(fn)
		return
	}
	f.onOpen(fn)
}

func (f bentAsync) OnReady(fn func()) {
	if f.onReady == nil {
		f.Async.OnReady(fn)
		return
	}
	f.onReady(fn)
}

// bentReady is an asynchronous writer of which some methods do something else.
type bentReady struct {
	bentWriter
	vfs.Ready
	onReady func(fn func())
}

func (w bentReady) OnReady(fn func()) {
	if w.onReady == nil {
		w.Ready.OnReady(fn)
		return
	}
	w.onReady(fn)
}

// asyncOf makes a storage whose asynchronous files are bent.
func asyncOf(bend func(f vfs.File, a vfs.Async) bentAsync) bent {
	return file(func(f vfs.File) vfs.File {
		a := f.(vfs.Async)
		b := bend(f, a)
		b.File, b.Async = f, a
		return b
	})
}

// readyOf makes a storage whose asynchronous writers are bent.
func readyOf(bend func(w vfs.Writer, r vfs.Ready) bentReady) bent {
	return writer(func(w vfs.Writer) vfs.Writer {
		r := w.(vfs.Ready)
		b := bend(w, r)
		b.Writer, b.Ready = w, r
		return b
	})
}

// late calls fn when it is too late for it.
func late(fn func()) func() {
	if fn == nil {
		return nil
	}
	return func() { time.AfterFunc(time.Millisecond, fn) }
}

// TestRulesFindAsyncBreaches is TestRulesFindBreaches for what is particular to
// asynchronous storages.
func TestRulesFindAsyncBreaches(t *testing.T) {
	findBreaches(t, asyncBreaches, func() Env {
		env := memEnv()
		lower, other := env.FS, env.Other
		env.FS = async.New(lower, async.Options{})
		env.Other = func() vfs.FS { return async.New(other(), async.Options{}) }
		return env
	})
}

var asyncBreaches = []breach{
	{"Async_A14_AgainThenTheResult", "nobody is told", asyncOf(func(vfs.File, vfs.Async) bentAsync {
		return bentAsync{onReady: func(func()) {}}
	})},
	{"Async_A14_AgainThenTheResult", "a result is for ever", asyncOf(func(f vfs.File, _ vfs.Async) bentAsync {
		known, first := false, int64(0)
		return bentAsync{bentFile: bentFile{size: func() (int64, error) {
			if known {
				return first, nil
			}
			n, err := f.Size()
			first, known = n, err == nil
			return n, err
		}}}
	})},
	{"Async_A14_AgainThenTheResult", "bytes and ErrAgain", asyncOf(func(f vfs.File, _ vfs.Async) bentAsync {
		return bentAsync{bentFile: bentFile{readAt: func(p []byte, off int64) (int, error) {
			n, err := f.ReadAt(p, off)
			if errors.Is(err, vfs.ErrAgain) {
				n = len(p)
			}
			return n, err
		}}}
	})},
	{"Async_A16_RangesAreIndependent", "the newest result, whatever was asked for", asyncOf(func(f vfs.File, _ vfs.Async) bentAsync {
		asked := int64(-1)
		return bentAsync{bentFile: bentFile{readAt: func(p []byte, off int64) (int, error) {
			if asked < 0 {
				asked = off
			}
			n, err := f.ReadAt(p, asked)
			if err == nil {
				asked = -1
			}
			return n, err
		}}}
	})},
	{"Async_A16_ErrorsAreToldOnceAndRetried", "an error stays", asyncOf(func(f vfs.File, _ vfs.Async) bentAsync {
		var first error
		return bentAsync{bentFile: bentFile{readAt: func(p []byte, off int64) (int, error) {
			if first != nil {
				return 0, first
			}
			n, err := f.ReadAt(p, off)
			if err != nil && !errors.Is(err, vfs.ErrAgain) {
				first = err
			}
			return n, err
		}}}
	})},
	{"Async_A3_OnOpenOnce", "twice", asyncOf(func(_ vfs.File, a vfs.Async) bentAsync {
		return bentAsync{onOpen: func(fn func(error)) { a.OnOpen(func(err error) { fn(err); fn(err) }) }}
	})},
	{"Async_A3_OnOpenOnce", "only to the first", asyncOf(func(_ vfs.File, a vfs.Async) bentAsync {
		asked := false
		return bentAsync{onOpen: func(fn func(error)) {
			if !asked {
				asked = true
				a.OnOpen(fn)
			}
		}}
	})},
	{"Async_A3_OnOpenOnce", "always well", asyncOf(func(_ vfs.File, a vfs.Async) bentAsync {
		return bentAsync{onOpen: func(fn func(error)) { a.OnOpen(func(error) { fn(nil) }) }}
	})},
	{"Async_A3_TryLockBeforeItIsOpen", "busy until it is open", locker(func(l vfs.Locker) vfs.Locker {
		return bentLocker{Locker: l, tryLock: func() (bool, error) {
			ok, err := l.TryLock()
			if errors.Is(err, vfs.ErrAgain) {
				err = nil
			}
			return ok, err
		}}
	})},
	{"Async_A15_NoCallbackAfterClose", "callbacks are late", asyncOf(func(_ vfs.File, a vfs.Async) bentAsync {
		return bentAsync{onReady: func(fn func()) { a.OnReady(late(fn)) }}
	})},
	{"Async_A15_NoCallbackAfterCommitOrAbort", "callbacks are late", readyOf(func(_ vfs.Writer, r vfs.Ready) bentReady {
		return bentReady{onReady: func(fn func()) { r.OnReady(func() { fn(); late(fn)() }) }}
	})},
	{"Async_OnReadyIsSetAndUnset", "once set, always set", asyncOf(func(_ vfs.File, a vfs.Async) bentAsync {
		return bentAsync{onReady: func(fn func()) {
			if fn != nil {
				a.OnReady(fn)
			}
		}}
	})},
	{"Async_Rule2_WriterOverItsBuffer", "what is not taken is told as taken", readyOf(func(w vfs.Writer, _ vfs.Ready) bentReady {
		return bentReady{bentWriter: bentWriter{write: func(p []byte) (int, error) {
			_, err := w.Write(p)
			if errors.Is(err, vfs.ErrAgain) {
				return len(p), nil
			}
			return len(p), err
		}}}
	})},
	{"Async_Rule2_CommitStays", "told once", readyOf(func(w vfs.Writer, _ vfs.Ready) bentReady {
		told := false
		return bentReady{bentWriter: bentWriter{commit: func() error {
			if told {
				return nil
			}
			err := w.Commit()
			told = errors.Is(err, fs.ErrExist)
			return err
		}}}
	})},
}
