package async

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durusdb/durus/vfs"
)

// A15: one call for what became ready since the last one began.
func TestOneCallPerTransition(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		l.put(t, "/f", 1000)
		l.sleep(time.Second)
		f := New(l, Options{}).Open("/f", vfs.ReadOnly)
		var count atomic.Int32
		calls := func() int { return int(count.Load()) }
		f.(vfs.Ready).OnReady(func() {
			count.Add(1)
			time.Sleep(time.Millisecond) // so that all that is ready at one time is told at once
		})
		read := func(i int) error { _, err := f.ReadAt(make([]byte, 1), int64(i)); return err }
		for i := range 10 {
			again(t, read(i))
		}
		if synctest.Wait(); calls() != 0 {
			t.Errorf("%d calls at first", calls())
		}
		rest(5 * time.Second)
		if n := calls(); n == 0 || n > 2 {
			t.Errorf("%d calls for ten reads", n)
		}
		for i := range 10 {
			check(t, read(i))
		}
		before := calls()
		rest(5 * time.Second)
		if calls() != before {
			t.Errorf("%d calls for nothing", calls()-before)
		}
		again(t, read(0))
		again(t, read(0))
		if rest(5 * time.Second); calls() != before+1 {
			t.Errorf("%d calls for one read", calls()-before)
		}
		check(t, f.Close())
	})
}

// A15: a callback may use the file, set another function, or none, and close it.
func TestCallbackUsesTheFile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		l.put(t, "/f", 1000)
		l.sleep(time.Millisecond)
		f := New(l, Options{}).Open("/f", vfs.ReadOnly)
		r := f.(vfs.Ready)
		read := func(off int64) error { _, err := f.ReadAt(make([]byte, 1), off); return err }
		var steps []string
		closed := func() {
			steps = append(steps, "close")
			again(t, read(4)) // so that there would be another call
			check(t, f.Close())
			is(t, read(4), vfs.ErrClosed)
			r.OnReady(func() { t.Error("called after Close") })
		}
		none := func() {
			steps = append(steps, "none")
			check(t, read(2))
			r.OnReady(nil)
			again(t, read(3))
		}
		r.OnReady(func() {
			steps = append(steps, "first")
			check(t, read(1))
			r.OnReady(none)
			again(t, read(2))
		})
		again(t, read(1))
		rest(time.Second)
		if len(steps) != 2 {
			t.Fatal(steps)
		}
		r.OnReady(closed) // what became ready meanwhile is told now
		if rest(time.Second); len(steps) != 3 {
			t.Fatal(steps)
		}
	})
}

// A15: after Close there is no call, and none is running; a callback of another
// file may close it, too.
func TestNoCallAfterClose(t *testing.T) {
	l := newLower()
	l.put(t, "/f", 1000)
	a := New(l, Options{Workers: 4})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range 200 {
				f := a.Open("/f", vfs.ReadOnly)
				var closed, running atomic.Bool
				f.(vfs.Ready).OnReady(func() {
					running.Store(true)
					if closed.Load() {
						t.Error("called after Close")
					}
					_, _ = f.ReadAt(make([]byte, 1), 0)
					running.Store(false)
				})
				for off := range 5 {
					_, err := f.ReadAt(make([]byte, 1), int64(off))
					again(t, err)
				}
				if i%2 == 0 {
					time.Sleep(time.Duration(i) * time.Microsecond)
				}
				if err := f.Close(); err != nil {
					t.Error(err)
				}
				if closed.Store(true); running.Load() {
					t.Error("a call is running after Close")
				}
			}
		})
	}
	group.Wait()

	f, g := a.Open("/f", vfs.ReadOnly), a.Open("/f", vfs.ReadOnly)
	done := make(chan error)
	f.(vfs.Ready).OnReady(func() { done <- errors.Join(f.Close(), g.Close()) })
	g.(vfs.Ready).OnReady(func() {})
	_, _ = g.ReadAt(make([]byte, 1), 0)
	_, err := f.ReadAt(make([]byte, 1), 0)
	again(t, err)
	check(t, <-done)
}

// Close waits for a callback that is running elsewhere.
func TestCloseWaitsForCallback(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		l.put(t, "/f", 1000)
		f := New(l, Options{}).Open("/f", vfs.ReadOnly)
		ended := false
		f.(vfs.Ready).OnReady(func() {
			time.Sleep(time.Second)
			ended = true
		})
		_, err := f.ReadAt(make([]byte, 1), 0)
		again(t, err)
		synctest.Wait()
		lasts(t, time.Second, func() { check(t, f.Close()) })
		if !ended {
			t.Error("it is still running")
		}
	})
}

// A callback that ends its goroutine, as a failing test does, ends no others.
func TestCallbackEndsGoroutine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		l.put(t, "/f", 1000)
		a := New(l, Options{})
		f := a.Open("/f", vfs.ReadOnly)
		f.(vfs.Async).OnOpen(func(error) { runtime.Goexit() })
		calls := 0
		f.(vfs.Async).OnOpen(func(error) { calls++ })
		f.(vfs.Ready).OnReady(func() { calls++; runtime.Goexit() })
		_, err := f.ReadAt(make([]byte, 1), 0)
		again(t, err)
		if synctest.Wait(); calls != 2 {
			t.Errorf("%d calls", calls)
		}
		check(t, f.Close())
		g := vfs.Blocking(a).Open("/f", vfs.ReadOnly)
		_, err = g.ReadAt(make([]byte, 1), 0)
		check(t, err)
		check(t, g.Close())
	})
}
