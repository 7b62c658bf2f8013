package async

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durusdb/durus/vfs"
)

// Changes happen in the order of the calls, whatever else is under way.
func TestChangesInOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		l.put(t, "/f", 10)
		var order []string
		l.on(func(op string, off int64, n int) error {
			if op == "append" || op == "rewrite" || op == "truncate" {
				order = append(order, fmt.Sprint(op, off, n))
			}
			time.Sleep(rand.N(time.Millisecond))
			return nil
		})
		f := New(l, Options{}).Open("/f", vfs.Append)
		c := newClient(t, f.(vfs.Ready))
		var want []string
		var ops []func() error
		for i := range int64(100) {
			switch i % 3 {
			case 0:
				ops = append(ops, func() error { _, err := f.Append(make([]byte, 5), i); return err })
				want = append(want, fmt.Sprint("append", i, 5))
			case 1:
				ops = append(ops, func() error { _, err := f.Rewrite(make([]byte, 5), i); return err })
				want = append(want, fmt.Sprint("rewrite", i, 5))
			case 2:
				ops = append(ops, func() error { return f.Truncate(i) })
				want = append(want, fmt.Sprint("truncate", i, 0))
			}
			again(t, ops[i]())
			_, _ = f.ReadAt(make([]byte, 1), i)
			_, _ = f.Size()
			_ = f.Sync()
			if i%7 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		for _, op := range ops {
			check(t, c.until(op))
		}
		if !slices.Equal(order, want) {
			t.Errorf("got  %v\nwant %v", order, want)
		}
		check(t, f.Close())
	})
}

// A19: Sync has not returned before the one below has, and covers all that was
// answered before.
func TestSync(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		l.put(t, "/f", 0)
		var synced atomic.Bool
		var written atomic.Int64
		l.on(func(op string, _ int64, n int) error {
			switch op {
			case "append":
				time.Sleep(time.Second)
				written.Add(int64(n))
			case "sync":
				covered := written.Load()
				time.Sleep(3 * time.Second)
				if synced.Store(true); covered != 1 {
					t.Errorf("the sync covers %d bytes", covered)
				}
			}
			return nil
		})
		f := New(l, Options{}).Open("/f", vfs.Append)
		c := newClient(t, f.(vfs.Ready))
		write := func(end int64) error { _, err := f.Append([]byte("x"), end); return err }
		check(t, c.until(func() error { return write(0) }))
		again(t, f.Sync())
		synctest.Wait()
		check(t, c.until(func() error { return write(1) })) // beside it
		if synced.Load() {
			t.Error("the append has waited for the sync")
		}
		check(t, c.until(f.Sync))
		if !synced.Load() {
			t.Error("told before it was done")
		}
		check(t, f.Close())
	})
}

// What a change says is what its caller gets, once.
func TestChangeFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		l.put(t, "/f", 100)
		broken := true
		l.on(func(op string, _ int64, _ int) error {
			if op != "stat" && op != "close" && broken {
				return errDisk
			}
			return nil
		})
		f := New(l, Options{}).Open("/f", vfs.Append)
		c := newClient(t, f.(vfs.Ready))
		ops := []func() error{
			func() error { _, err := f.Append([]byte("x"), 100); return err },
			func() error { _, err := f.Rewrite([]byte("x"), 0); return err },
			func() error { return f.Truncate(50) },
			f.Sync,
			func() error { _, err := f.Size(); return err },
		}
		for _, op := range ops {
			is(t, c.until(op), errDisk)
		}
		broken = false
		for _, op := range ops {
			check(t, c.until(op))
		}
		check(t, f.Close())
		for _, op := range ops {
			is(t, op(), vfs.ErrClosed)
		}
		check(t, f.Close())
	})
}

// Close carries out nothing that has not begun, and waits for a change that has.
func TestCloseAmongChanges(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		l.put(t, "/f", 0)
		l.sleep(time.Second)
		f := New(l, Options{}).Open("/f", vfs.Append)
		for i := range 5 {
			_, err := f.Append([]byte("x"), int64(i))
			again(t, err)
		}
		time.Sleep(2500 * time.Millisecond) // it is open, one is written, the next one is under way
		l.on(func(op string, _ int64, _ int) error {
			if op == "close" {
				return errDisk
			}
			return nil
		})
		lasts(t, 500*time.Millisecond, func() { is(t, f.Close(), errDisk) })
		if n, closed := l.count("append"), l.count("close"); n != 2 || closed != 1 {
			t.Errorf("%d appends, closed %d times below", n, closed)
		}
		if info, err := l.Stat("/f"); info.Size != 2 || err != nil {
			t.Errorf("%d bytes, %v", info.Size, err)
		}
	})
}

// Close does not wait for reads and a sync; the last of them closes the file
// below, once.
func TestCloseAmongReads(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		l.put(t, "/f", 100)
		a := New(l, Options{})
		f := a.Open("/f", vfs.Append)
		c := newClient(t, f.(vfs.Ready))
		check(t, c.until(func() error { _, err := f.Stat(); return err }))
		var under atomic.Int32
		l.on(func(op string, off int64, _ int) error {
			if op == "close" {
				if under.Load() != 0 {
					t.Error("closed while it is used")
				}
				return nil
			}
			under.Add(1)
			time.Sleep(time.Second + time.Duration(off))
			under.Add(-1)
			return nil
		})
		for i := range 10 {
			_, err := f.ReadAt(make([]byte, 10), int64(i))
			again(t, err)
		}
		again(t, f.Sync())
		synctest.Wait()
		lasts(t, 0, func() { check(t, f.Close()) })
		if l.count("close") != 0 {
			t.Error("closed below")
		}
		rest(2 * time.Second)
		if n := l.count("close"); n != 1 {
			t.Errorf("closed %d times below", n)
		}
		if n := a.used(); n != 0 {
			t.Errorf("%d bytes kept", n)
		}
	})
}
