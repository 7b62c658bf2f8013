package fault_test

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/fault"
	"github.com/durusdb/durus/vfs/wrap"
)

// timed runs a test everywhere, with a clock that stands still while anybody
// works.
func timed(t *testing.T, test func(t *testing.T, lower vfs.FS, dir string)) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		synctest.Test(t, func(t *testing.T) { test(t, lower, dir) })
	})
}

func TestDelay(t *testing.T) {
	timed(t, func(t *testing.T, lower vfs.FS, dir string) {
		name := filepath.Join(dir, "f")
		disk := fault.New(lower, 0)
		f := create(t, disk, name, "x")
		for _, after := range []bool{false, true} {
			disk.Add(fault.Rule{Ops: wrap.Append, After: after, Effect: fault.Delay(time.Minute)})
			size, err := f.Size()
			check(t, err)
			begin := time.Now()
			done := make(chan time.Duration)
			go func() {
				wrote(t, 1, nil)(f.Append([]byte("y"), size))
				done <- time.Since(begin)
			}()
			synctest.Wait()
			now, err := f.Size()
			check(t, err)
			equal(t, "written before the delay", now == size+1, after)
			equal(t, "delay", <-done, time.Minute)
		}
		l := disk.Locker(filepath.Join(dir, "l"), f, vfs.Append, 0o600)
		defer l.Close()
		disk.Add(fault.Rule{Ops: wrap.Lock, After: true, Effect: fault.Delay(time.Hour)})
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		begin := time.Now()
		is(t, l.Lock(ctx), context.DeadlineExceeded)
		equal(t, "waited", time.Since(begin), time.Second)
		gets(t, l, true) // the one that came too late was given back
		check(t, l.Unlock())
	})
}

// What hangs goes on after Release, or when its rule is removed; a context that
// is done and a closed handle end it.
func TestHang(t *testing.T) {
	timed(t, func(t *testing.T, lower vfs.FS, dir string) {
		name := filepath.Join(dir, "f")
		disk := fault.New(lower, 0)
		f := create(t, disk, name, "x")
		l := disk.Locker(filepath.Join(dir, "l"), f, vfs.Append, 0o600)
		errs := make(chan error)
		hangs := func(do func() error) {
			t.Helper()
			go func() { errs <- do() }()
			synctest.Wait()
			equal(t, "hanging", disk.Hanging(), 1)
		}
		ends := func(want error) {
			t.Helper()
			is(t, <-errs, want)
			equal(t, "hanging", disk.Hanging(), 0)
		}
		remove := disk.Add(fault.Rule{Ops: wrap.Append | wrap.Lock | wrap.Read, Times: -1, Effect: fault.Hang()})
		add := func(at int64) func() error {
			return func() error { _, err := f.Append([]byte("y"), at); return err }
		}
		hangs(add(1))
		holds(t, lower, name, "x")
		disk.Release()
		ends(nil)
		holds(t, lower, name, "xy")
		hangs(add(2))
		equal(t, "hits", remove(), 2)
		ends(nil)
		check(t, add(3)())
		holds(t, lower, name, "xyyy")

		disk.Add(fault.Rule{Ops: wrap.Append | wrap.Lock | wrap.Read, Times: -1, Effect: fault.Hang()})
		ctx, cancel := context.WithCancel(context.Background())
		hangs(func() error { return l.Lock(ctx) })
		cancel()
		ends(context.Canceled)
		hangs(func() error { return l.Lock(context.Background()) })
		check(t, l.Close())
		ends(vfs.ErrClosed)
		hangs(func() error { _, err := f.ReadAt(make([]byte, 1), 0); return err })
		check(t, f.Close())
		ends(vfs.ErrClosed)
		holds(t, lower, name, "xyyy")
	})
}

// A1: a storage whose every operation hangs, or fails, hinders nobody from
// opening and creating.
func TestDeadStorage(t *testing.T) {
	timed(t, func(t *testing.T, lower vfs.FS, dir string) {
		name := filepath.Join(dir, "f")
		for _, e := range []fault.Effect{fault.Hang(), fault.Fail(nil)} {
			disk := fault.New(lower, 0)
			remove := disk.Add(fault.Rule{Times: -1, Effect: e})
			f, w := disk.Open(name, vfs.Append), disk.Create(name, vfs.FailIfExists, 0o600)
			l := disk.Locker(name+".lock", f, vfs.Append, 0o600)
			if f == nil || w == nil || l == nil {
				t.Fatal("no handle")
			}
			equal(t, "hits", remove(), 0)
			left(t, lower, name)
			check(t, errors.Join(f.Close(), w.Abort(), l.Close()))
		}
	})
}

// B10: sizes that are as old as a cache of attributes lets them be.
func TestStaleSize(t *testing.T) {
	timed(t, func(t *testing.T, lower vfs.FS, dir string) {
		name := filepath.Join(dir, "f")
		disk := fault.New(lower, 0)
		equal(t, "stable", disk.Props(name).StableSize, lower.Props(name).StableSize)
		remove := disk.Add(fault.Rule{Path: "f", Times: -1, Effect: fault.StaleSize(time.Minute)})
		equal(t, "stable", disk.Props(name).StableSize, false)
		f := create(t, disk, name, "abc")
		theirs := open(t, lower, name)

		sizes := func(want, byName int64) {
			t.Helper()
			n, err := f.Size()
			check(t, err)
			info, err := f.Stat()
			check(t, err)
			equal(t, "Size", n, want)
			equal(t, "Stat of the file", info.Size, want)
			info, err = disk.Stat(name)
			check(t, err)
			equal(t, "Stat of the name", info.Size, byName)
		}
		reads := func(off int64, length int, want string, wantErr error) {
			t.Helper()
			p := make([]byte, length)
			n, err := f.ReadAt(p, off)
			equal(t, "read", string(p[:n]), want)
			is(t, err, wantErr)
		}
		sizes(3, 3)
		wrote(t, 3, nil)(theirs.Append([]byte("def"), 3))
		time.Sleep(59 * time.Second)
		sizes(3, 3)
		reads(0, 9, "abc", io.EOF)
		reads(0, 3, "abc", nil)
		reads(5, 1, "", io.EOF)
		reads(9, 0, "", nil)
		if _, err := f.ReadAt(make([]byte, 1), -1); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("a negative offset: %v", err)
		}
		time.Sleep(time.Second)
		reads(0, 9, "abcdef", io.EOF) // asks for the size
		sizes(6, 6)

		wrote(t, 1, nil)(f.Append([]byte("g"), 6)) // its own change
		sizes(7, 6)
		reads(5, 9, "fg", io.EOF)
		wrote(t, 1, nil)(f.Rewrite([]byte("F"), 5))
		sizes(7, 6)
		check(t, theirs.Truncate(4))
		sizes(7, 6)
		reads(2, 9, "cd", io.EOF)
		check(t, f.Truncate(3))
		sizes(3, 6)

		check(t, write(disk, name, "0123456789")) // another file, of which f knows nothing
		sizes(3, 10)
		check(t, lower.Remove(name))
		sizes(3, 10)
		check(t, write(lower, name, "0"))
		check(t, disk.Remove(name))
		_, err := disk.Stat(name)
		if err == nil {
			t.Error("what it removed itself is still there")
		}
		remove()
		equal(t, "stable", disk.Props(name).StableSize, lower.Props(name).StableSize)
		n, err := f.Size()
		check(t, err)
		equal(t, "Size without the rule", n, 3)
		check(t, f.Close())

		// What is not known is asked for, and may fail.
		check(t, write(lower, name, "abc"))
		disk.Add(fault.Rule{Times: -1, Effect: fault.StaleSize(time.Minute)})
		disk.Add(fault.Rule{Ops: wrap.Size | wrap.Stat | wrap.FileStat, Times: -1})
		f = open(t, disk, name)
		reads(0, 9, "abc", io.EOF)
		_, err = f.Size()
		check(t, err) // from memory
		_, err = f.Stat()
		is(t, err, syscall.EIO)
		_, err = disk.Stat(name)
		is(t, err, syscall.EIO)
		gone := open(t, disk, name+"2")
		_, err = gone.ReadAt(make([]byte, 1), 0)
		if err == nil || errors.Is(err, io.EOF) {
			t.Errorf("a file that is not there: %v", err)
		}
	})
}
