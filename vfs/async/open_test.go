package async

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durusdb/durus/vfs"
)

// A1: Open, Create and Locker do nothing, on a storage that hangs and on one
// that fails.
func TestOpenDoesNothing(t *testing.T) {
	for _, hook := range []func(string, int64, int) error{
		func(string, int64, int) error { select {} },
		func(string, int64, int) error { return errDisk },
	} {
		l := newLower()
		l.on(hook)
		a := New(l, Options{})
		for i := range 1000 {
			f := a.Open(fmt.Sprint("/", i), vfs.Append)
			w := a.Create(fmt.Sprint("/", i), vfs.FailIfExists, 0o600)
			k := a.Locker("/lock", f, vfs.Append, 0o600)
			if f == nil || w == nil || k == nil {
				t.Fatal("nil")
			}
		}
		if n := l.total(); n != 0 {
			t.Errorf("%d operations below", n)
		}
		if n := a.hands(); n != 0 {
			t.Errorf("%d goroutines", n)
		}
	}
}

// A3: who needs the lock first is told when the file is open.
func TestOnOpen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		l.put(t, "/f", 10)
		l.sleep(200 * time.Millisecond)
		a := New(l, Options{})
		f := a.Open("/f", vfs.Append)
		k := a.Locker("/f.lock", f, vfs.Append, 0o600)
		calls := 0
		onOpen := func(err error) {
			check(t, err)
			calls++
		}
		var ok bool
		_, err := k.TryLock()
		again(t, err)
		f.(vfs.Async).OnOpen(onOpen)
		c := newClient(t, f.(vfs.Ready))
		lasts(t, 200*time.Millisecond, func() {
			err = c.until(func() (err error) { ok, err = k.TryLock(); return err })
		})
		synctest.Wait()
		if err != nil || !ok || calls != 1 {
			t.Fatalf("locked %v, %v, %d calls", ok, err, calls)
		}
		f.(vfs.Async).OnOpen(onOpen)
		if synctest.Wait(); calls != 2 {
			t.Errorf("%d calls", calls)
		}
		if l.count("stat") != 1 {
			t.Errorf("opened %d times", l.count("stat"))
		}
		check(t, k.Unlock())
		check(t, k.Close())
		check(t, f.Close())
		if calls != 2 {
			t.Errorf("%d calls", calls)
		}
	})
}

// Nothing of a file is begun before its opening has ended, whatever was called
// first.
func TestOpeningComesFirst(t *testing.T) {
	for i, op := range []func(f vfs.File){
		func(f vfs.File) { _, _ = f.ReadAt(make([]byte, 1), 0) },
		func(f vfs.File) { _, _ = f.Size() },
		func(f vfs.File) { _, _ = f.Append([]byte("x"), 0) },
		func(f vfs.File) { _ = f.Sync() },
		func(f vfs.File) { vfs.Advise(f, vfs.WillNeed, 0, 10) },
	} {
		bubble(t, func(t *testing.T) {
			l := newLower()
			l.put(t, "/f", 0)
			l.sleep(time.Second)
			f := New(l, Options{}).Open("/f", vfs.Append)
			op(f)
			if synctest.Wait(); l.total() != 1 || l.count("stat") != 1 {
				t.Errorf("operation %d: begun before the file is open", i)
			}
			rest(3 * time.Second)
			if n := l.total(); n != 2 {
				t.Errorf("operation %d: %d operations below", i, n)
			}
			check(t, f.Close())
		})
	}
}

// Goroutines come when there is work, and go when there is none.
func TestGoroutinesGo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		l.put(t, "/f", 100)
		l.sleep(time.Second)
		a := New(l, Options{Workers: 5})
		for range 3 {
			f := a.Open("/f", vfs.ReadOnly)
			f.(vfs.Ready).OnReady(func() {})
			for i := range 20 {
				_, err := f.ReadAt(make([]byte, 1), int64(i))
				again(t, err)
			}
			time.Sleep(1500 * time.Millisecond) // it is open, five reads are under way
			if n := a.hands(); n < 5 || n > 6 {
				t.Errorf("%d goroutines at work", n)
			}
			time.Sleep(4*time.Second + 2*linger)
			if n := a.hands(); n != 0 {
				t.Errorf("%d goroutines without work", n)
			}
			check(t, f.Close())
		}
	})
}

// The error of opening is told to all, and each time.
func TestOpenFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := New(newLower(), Options{})
		f := a.Open("/missing", vfs.Append)
		k := a.Locker("/f.lock", f, vfs.Append, 0o600)
		c := newClient(t, f.(vfs.Ready))
		is(t, k.Lock(t.Context()), fs.ErrNotExist)
		_, err := k.TryLock()
		is(t, err, fs.ErrNotExist)
		var told error
		f.(vfs.Async).OnOpen(func(err error) { told = err })
		is(t, told, fs.ErrNotExist)
		for range 2 {
			is(t, c.until(func() error { _, err := f.ReadAt(make([]byte, 1), 0); return err }), fs.ErrNotExist)
			is(t, c.until(func() error { _, err := f.Size(); return err }), fs.ErrNotExist)
			is(t, c.until(func() error { _, err := f.Stat(); return err }), fs.ErrNotExist)
			is(t, c.until(func() error { _, err := f.Append([]byte("x"), 0); return err }), fs.ErrNotExist)
			is(t, c.until(f.Sync), fs.ErrNotExist)
		}
		check(t, f.Close())
	})
}

// Everything that the storage below can do is handed on, but mapping, which
// waits.
func TestProps(t *testing.T) {
	all := vfs.Props{Locks: true, Append: true, AtomicReplace: true, ConditionalPut: true, StableSize: true, Mapping: true, LiveMapping: true, Remote: true, Kind: "x"}
	got := New(able{newLower(), all}, Options{}).Props("/f")
	if all.Mapping, all.LiveMapping = false, false; got != all {
		t.Errorf("%+v", got)
	}
}

type able struct {
	vfs.FS
	props vfs.Props
}

func (a able) Props(string) vfs.Props { return a.props }

// What the mode forbids does not reach the storage.
func TestMode(t *testing.T) {
	l := newLower()
	f := New(l, Options{}).Open("/f", vfs.ReadOnly)
	_, err := f.Append([]byte("x"), 0)
	is(t, err, vfs.ErrMode)
	_, err = f.Rewrite([]byte("x"), 0)
	is(t, err, vfs.ErrMode)
	is(t, f.Truncate(0), vfs.ErrMode)
	is(t, f.Sync(), vfs.ErrMode)
	if n := l.total(); n != 0 {
		t.Errorf("%d operations below", n)
	}
}

// A18: an opening that hangs keeps its worker, and nothing else, from others.
func TestOpeningHangs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		want := l.put(t, "/f", 100)
		release := make(chan struct{})
		var dead atomic.Bool // the next opening hangs
		dead.Store(true)
		l.on(func(op string, _ int64, _ int) error {
			if op == "stat" && dead.Swap(false) {
				<-release
			}
			return nil
		})
		a := New(l, Options{Workers: 2})
		hung := a.Open("/dead", vfs.Append)
		var told error
		hung.(vfs.Async).OnOpen(func(err error) { told = err })
		synctest.Wait()
		for i := range 100 {
			_, err := hung.ReadAt(make([]byte, i), 0)
			again(t, err)
			_, err = hung.Append(make([]byte, i), 0)
			again(t, err)
		}
		b := vfs.Blocking(a)
		f := b.Open("/f", vfs.ReadOnly)
		got := make([]byte, 100)
		_, err := f.ReadAt(got, 0)
		check(t, err)
		if string(got) != string(want) {
			t.Error("wrong bytes")
		}
		check(t, f.Close())

		// Waiting for it can be given up, and so can the file.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		k := a.Locker("/lock", hung, vfs.Append, 0o600)
		lasts(t, time.Second, func() { is(t, k.Lock(ctx), context.DeadlineExceeded) })
		waiting := make(chan error)
		dead.Store(true)
		other := b.Open("/dead", vfs.Append)
		for _, k := range []vfs.Locker{a.Locker("/lock", hung, vfs.Append, 0o600), b.Locker("/lock", other, vfs.Append, 0o600)} {
			go func() { waiting <- k.Lock(context.Background()) }()
			synctest.Wait()
			check(t, k.Close())
			is(t, <-waiting, vfs.ErrClosed)
			_, err = k.TryLock()
			is(t, err, vfs.ErrClosed)
		}
		go func() { waiting <- k.Lock(context.Background()) }()
		synctest.Wait()
		lasts(t, 0, func() { check(t, errors.Join(hung.Close(), other.Close())) })
		is(t, <-waiting, vfs.ErrClosed)
		is(t, told, vfs.ErrClosed)
		_, err = k.TryLock()
		is(t, err, vfs.ErrClosed)
		if l.count("close") != 1 {
			t.Errorf("%d files closed below", l.count("close"))
		}
		close(release)
		if synctest.Wait(); l.count("close") != 3 || l.count("append") != 0 {
			t.Errorf("%d files closed below, %d appends", l.count("close"), l.count("append"))
		}
	})
}

// A18: one worker, and callbacks that start operations on other files.
func TestOneWorker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		l.put(t, "/f", 100)
		l.sleep(time.Millisecond)
		a := New(l, Options{Workers: 1})
		done := make(chan struct{})
		var chain func(depth int)
		chain = func(depth int) {
			if depth == 50 {
				close(done)
				return
			}
			f := a.Open("/f", vfs.Append)
			read := func() bool {
				_, err := f.ReadAt(make([]byte, 10), int64(depth))
				if !errors.Is(err, vfs.ErrAgain) {
					check(t, err)
				}
				return err == nil
			}
			f.(vfs.Ready).OnReady(func() {
				if read() {
					chain(depth + 1)
					check(t, f.Close())
				}
			})
			read()
			again(t, f.Sync())
		}
		chain(0)
		<-done
		if n := l.mostAtATime(); n != 1 {
			t.Errorf("%d operations at a time", n)
		}
	})
}

// The Locker finds the file below any wrappers, and gives the one below that to
// the storage below.
func TestLockerOfWrapped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		l.put(t, "/f", 1)
		l.sleep(time.Second)
		b := vfs.Blocking(New(l, Options{}))
		data := struct{ wrapped }{wrapped{b.Open("/f", vfs.Append)}}
		k1, k2 := b.Locker("/l", data, vfs.Append, 0o600), b.Locker("/other", l.Process.Open("/f", vfs.Append), vfs.Append, 0o600)
		var ok bool
		var err error
		lasts(t, time.Second, func() { ok, err = k1.TryLock() })
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		if ok, err = k2.TryLock(); ok || err != nil {
			t.Errorf("locked through two lock files: %v, %v", ok, err)
		}
		check(t, k1.Unlock())
		if ok, err = k2.TryLock(); !ok || err != nil {
			t.Errorf("not unlocked: %v, %v", ok, err)
		}
		check(t, errors.Join(k1.Close(), k2.Close(), data.Close()))
	})
}

type wrapped struct{ vfs.File }

func (w wrapped) Unwrap() vfs.File { return w.File }
