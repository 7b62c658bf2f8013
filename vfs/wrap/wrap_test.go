package wrap_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/posix"
	"github.com/durusdb/durus/vfs/wrap"
)

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func is(tb testing.TB, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Errorf("error %v, want %v", err, want)
	}
}

// same reports whether an error is another one itself, unwrapped.
func same(a, b any) bool { return a == b }

// everywhere runs a test on a simulated disk and on a real one.
func everywhere(t *testing.T, test func(t *testing.T, lower vfs.FS, dir string)) {
	t.Run("mem", func(t *testing.T) { test(t, mem.NewDisk().Process("p"), "/") })
	t.Run("posix", func(t *testing.T) { test(t, posix.New(), t.TempDir()) })
}

// create makes a file.
func create(tb testing.TB, fsys vfs.FS, name, content string) {
	tb.Helper()
	w := fsys.Create(name, vfs.ReplaceIfExists, 0o600)
	_, err := w.Write([]byte(content))
	check(tb, errors.Join(err, w.Commit()))
}

// list returns the last elements of what List shows.
func list(tb testing.TB, fsys vfs.FS, prefix string) (names []string) {
	tb.Helper()
	for name, err := range fsys.List(prefix) {
		check(tb, err)
		names = append(names, filepath.Base(name))
	}
	return names
}

// opsOf hands on all calls and collects their operations.
func opsOf(seen *[]wrap.Op) func(*wrap.Call) {
	return func(c *wrap.Call) {
		*seen = append(*seen, c.Op)
		c.Next()
	}
}

// Every operation has a name of its own, and a place in arrays.
func TestOp(t *testing.T) {
	names := map[string]bool{}
	for i := range wrap.Ops {
		op := wrap.Op(1 << i)
		if names[op.String()] || op.String() == "" || op.Index() != i || !wrap.All.Has(op) {
			t.Errorf("operation %d: %q, index %d", i, op, op.Index())
		}
		names[op.String()] = true
	}
	for op, want := range map[wrap.Op]string{
		0: "none", wrap.All: "any", wrap.LockClose: "lockclose", wrap.Sync | wrap.Read: "read|sync",
	} {
		if op.String() != want {
			t.Errorf("%q, want %q", op, want)
		}
	}
	if (wrap.Read | wrap.Sync).Has(wrap.Size | wrap.Stat) {
		t.Error("disjoint sets")
	}
}

// Each operation is one call, in order, and answers what the storage below
// does. An opening and a creation come before the first operation.
func TestCalls(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		var seen []wrap.Op
		fsys := wrap.New(lower, opsOf(&seen))
		name := filepath.Join(dir, "f")
		saw := func(want wrap.Op) {
			t.Helper()
			var got wrap.Op
			for _, op := range seen {
				if got.Has(op) {
					t.Errorf("%v twice", op)
				}
				got |= op
			}
			if got != want {
				t.Errorf("calls %v, want %v", got, want)
			}
			seen = nil
		}

		if got, want := fsys.Props(name), lower.Props(name); got != want {
			t.Errorf("Props %+v, want %+v", got, want)
		}
		saw(wrap.Props)
		create(t, fsys, name, "hello")
		saw(wrap.Create | wrap.Write | wrap.Commit)
		check(t, fsys.Create(name+"2", vfs.FailIfExists, 0o600).Abort())
		saw(wrap.Abort)
		check(t, fsys.SyncDir(name))
		saw(wrap.SyncDir)
		info, err := fsys.Stat(name)
		check(t, err)
		if want, _ := lower.Stat(name); info != want || info.Size != 5 {
			t.Errorf("Stat %+v, want %+v", info, want)
		}
		saw(wrap.Stat)
		if got := list(t, fsys, name); !slices.Equal(got, []string{"f"}) {
			t.Errorf("List %q", got)
		}
		saw(wrap.List)
		path, err := fsys.Resolve(name)
		if want, _ := lower.Resolve(name); path != want || err != nil {
			t.Errorf("Resolve %q, %v", path, err)
		}
		saw(wrap.Resolve)

		f := fsys.Open(name, vfs.Append)
		saw(0)
		if n, err := f.Append([]byte("world"), 5); n != 5 || err != nil {
			t.Errorf("Append %d, %v", n, err)
		}
		saw(wrap.Open | wrap.Append)
		if n, err := f.Rewrite([]byte("HELLO"), 0); n != 5 || err != nil {
			t.Errorf("Rewrite %d, %v", n, err)
		}
		saw(wrap.Rewrite)
		p := make([]byte, 20)
		if n, err := f.ReadAt(p, 1); string(p[:n]) != "ELLOworld" || !same(err, io.EOF) {
			t.Errorf("ReadAt %q, %v", p[:n], err)
		}
		saw(wrap.Read)
		check(t, f.Truncate(7))
		saw(wrap.Truncate)
		check(t, f.Sync())
		saw(wrap.Sync)
		if n, err := f.Size(); n != 7 || err != nil {
			t.Errorf("Size %d, %v", n, err)
		}
		saw(wrap.Size)
		if got, err := f.Stat(); got.Size != 7 || got.ID != info.ID || err != nil {
			t.Errorf("Stat %+v, %v", got, err)
		}
		saw(wrap.FileStat)

		testLocker(t, fsys.Locker(name+".lock", f, vfs.Append, 0o600), saw)

		check(t, f.Close())
		check(t, f.Close())
		saw(wrap.Close)
		check(t, fsys.Remove(name))
		saw(wrap.Remove)
		if got := list(t, fsys, filepath.Join(dir, "f")); !slices.Equal(got, []string{"f.lock"}) {
			t.Errorf("left are %q", got)
		}
	})
}

func testLocker(t *testing.T, l vfs.Locker, saw func(wrap.Op)) {
	t.Helper()
	ctx := context.Background()
	if ok, err := l.TryLock(); !ok || err != nil {
		t.Errorf("TryLock %v, %v", ok, err)
	}
	saw(wrap.TryLock)
	if l.Incarnation() == 0 {
		t.Error("no lock file is open")
	}
	saw(0)
	l.Holder()
	saw(wrap.Holder)
	check(t, l.Unlock())
	saw(wrap.Unlock)
	check(t, l.Lock(ctx))
	saw(wrap.Lock)
	check(t, l.Reopen())
	saw(wrap.Reopen)
	if gone, err := l.Deleted(); gone || err != nil {
		t.Errorf("Deleted %v, %v", gone, err)
	}
	saw(wrap.Deleted)
	mark := [vfs.MarkSize]byte{1, 2, 3}
	switch err := l.UpdateMark(ctx, func(p *[vfs.MarkSize]byte, _ bool) bool { *p = mark; return true }); {
	case errors.Is(err, vfs.ErrNotSupported): // on some systems posix has no latch
		mark = [vfs.MarkSize]byte{}
	case err != nil:
		t.Error(err)
	}
	saw(wrap.UpdateMark)
	var got [vfs.MarkSize]byte
	if _, err := l.ReadMark(&got); got != mark || err != nil {
		t.Errorf("ReadMark %v, %v", got, err)
	}
	saw(wrap.ReadMark)
	check(t, l.Close())
	check(t, l.Close())
	saw(wrap.LockClose)
	_, err := l.TryLock()
	is(t, err, vfs.ErrClosed)
	saw(0)
}

// A function may change what is asked for, ask again, and change the answer.
func TestChanges(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		name := filepath.Join(dir, "f")
		fsys := wrap.New(lower, func(c *wrap.Call) {
			switch c.Op {
			case wrap.Append:
				c.Data = bytes.ToUpper(c.Data)
				c.Next()
				c.Off += int64(c.N)
				c.Next() // twice
			case wrap.Read:
				c.Next()
				slices.Reverse(c.Data[:c.N])
			case wrap.Size:
				c.Info.Size = 42
			case wrap.List:
				c.Next()
				c.Names, c.Err = c.Names[:1], syscall.EIO
			default:
				c.Next()
			}
		})
		create(t, fsys, name, "")
		create(t, fsys, name+"2", "")
		f := fsys.Open(name, vfs.Append)
		defer f.Close()
		_, err := f.Append([]byte("abc"), 0)
		check(t, err)
		p := make([]byte, 9)
		if n, err := f.ReadAt(p, 0); string(p[:n]) != "CBACBA" || !same(err, io.EOF) {
			t.Errorf("%q, %v", p[:n], err)
		}
		if n, err := f.Size(); n != 42 || err != nil {
			t.Errorf("Size %d, %v", n, err)
		}
		var got []string
		for name, err := range fsys.List(name) {
			got = append(got, fmt.Sprint(filepath.Base(name), " ", err))
		}
		if want := []string{"f <nil>", ". " + syscall.EIO.Error()}; !slices.Equal(got, want) {
			t.Errorf("List %q, want %q", got, want)
		}
		for range fsys.List(name) {
			break // before the error
		}
	})
}

// The error of an opening stays, and reaches every operation (contract rule 1).
// It is made once, though many ask for it.
func TestOpenFails(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		name := filepath.Join(dir, "f")
		create(t, lower, name, "x")
		opens := 0
		fsys := wrap.New(lower, func(c *wrap.Call) {
			if c.Op != wrap.Open {
				t.Errorf("%v after a failed opening", c.Op)
			}
			opens++
			time.Sleep(time.Millisecond)
			c.Err = c.Failure("test", syscall.EIO)
		})
		f := fsys.Open(name, vfs.Append)
		errs := make(chan error)
		for range 8 {
			go func() { _, err := f.Size(); errs <- err }()
		}
		_, first := f.ReadAt(nil, 0)
		is(t, first, syscall.EIO)
		for range 8 {
			if err := <-errs; !same(err, first) {
				t.Errorf("another error: %v", err)
			}
		}
		is(t, f.Sync(), syscall.EIO)
		if want := "test: open " + name + ": "; opens != 1 || !strings.HasPrefix(first.Error(), want) {
			t.Errorf("%d openings, error %v", opens, first)
		}
	})
}

// What the mode forbids, and what comes after Close, does not reach the
// function (contract rule 8). Close reaches the storage below in any case.
func TestModeAndClose(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		name := filepath.Join(dir, "f")
		create(t, lower, name, "x")
		var seen []wrap.Op
		fsys := wrap.New(lower, func(c *wrap.Call) {
			seen = append(seen, c.Op)
			if c.Op.Has(wrap.Close | wrap.LockClose) {
				c.Err = syscall.EIO
				return
			}
			c.Next()
		})
		f := fsys.Open(name, vfs.ReadOnly)
		_, err := f.Append(nil, 0)
		is(t, err, vfs.ErrMode)
		_, err = f.Rewrite(nil, 0)
		is(t, err, vfs.ErrMode)
		is(t, f.Truncate(0), vfs.ErrMode)
		is(t, f.Sync(), vfs.ErrMode)
		_, err = f.Size()
		check(t, err)
		is(t, f.Close(), syscall.EIO)
		check(t, f.Close())
		_, err = f.Size()
		is(t, err, vfs.ErrClosed)
		if want := []wrap.Op{wrap.Open, wrap.Size, wrap.Close}; !slices.Equal(seen, want) {
			t.Errorf("calls %v, want %v", seen, want)
		}

		data := fsys.Open(name, vfs.Append)
		defer data.Close()
		a := fsys.Locker(name+".lock", data, vfs.Append, 0o600)
		b := fsys.Locker(name+".lock", data, vfs.Append, 0o600)
		check(t, a.Lock(context.Background()))
		if ok, err := b.TryLock(); ok || err != nil {
			t.Errorf("a second lock: %v, %v", ok, err)
		}
		is(t, a.Close(), syscall.EIO)
		if ok, err := b.TryLock(); !ok || err != nil {
			t.Errorf("after Close: %v, %v", ok, err)
		}
		is(t, b.Close(), syscall.EIO)
	})
}

// Sleep and Wait end early when nobody needs them any more.
func TestSleepEnds(t *testing.T) {
	disk := mem.NewDisk().Process("p")
	create(t, disk, "f", "")
	began := make(chan struct{}, 2)
	fsys := wrap.New(disk, func(c *wrap.Call) {
		if c.Op.Has(wrap.Size | wrap.Lock) {
			began <- struct{}{}
			c.Err = c.Sleep(time.Hour)
			return
		}
		c.Next()
		if err := c.Sleep(0); err != nil {
			t.Error(err)
		}
	})
	f := fsys.Open("f", vfs.ReadOnly)
	l := fsys.Locker("l", f, vfs.Append, 0o600)
	ctx, cancel := context.WithCancel(context.Background())
	errs := make(chan error)
	ended := func(what string, want error) {
		t.Helper()
		if err := <-errs; !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	go func() { errs <- l.Lock(ctx) }()
	<-began
	cancel()
	ended("a context that is done", context.Canceled)
	go func() { errs <- l.Lock(context.Background()) }()
	<-began
	check(t, l.Close())
	ended("a closed locker", vfs.ErrClosed)
	go func() { _, err := f.Size(); errs <- err }()
	<-began
	check(t, f.Close())
	ended("a closed file", vfs.ErrClosed)
}

func TestMap(t *testing.T) {
	lower, name := posix.New(), filepath.Join(t.TempDir(), "f")
	create(t, lower, name, "mapped")
	if _, ok := lower.Open(name, vfs.ReadOnly).(vfs.Mapper); !ok {
		t.Skip("files of this system cannot be mapped")
	}
	var fault error
	fsys := wrap.New(lower, func(c *wrap.Call) {
		c.Next()
		if c.Op == wrap.Map && c.Err == nil {
			c.Err = fault
		}
	})
	f := fsys.Open(name, vfs.ReadOnly)
	defer f.Close()
	m, _ := f.(vfs.Mapper)
	b, unmap, err := m.Map(0, 6)
	if string(b) != "mapped" || err != nil {
		t.Fatalf("%q, %v", b, err)
	}
	check(t, unmap())
	fault = syscall.ENOMEM
	if b, unmap, err = m.Map(0, 6); b != nil || unmap != nil {
		t.Error("a mapping that failed")
	}
	is(t, err, syscall.ENOMEM)
}

func TestNoAllocation(t *testing.T) {
	f, _ := readable(t)
	p := make([]byte, 16)
	n := testing.AllocsPerRun(1000, func() {
		if _, err := f.ReadAt(p, 0); err != nil {
			t.Fatal(err)
		}
	})
	if n >= 1 { // the collector may empty the pool
		t.Errorf("%v allocations by ReadAt", n)
	}
}

// BenchmarkReadAt is what a layer costs: compare with the storage below.
func BenchmarkReadAt(b *testing.B) {
	f, lower := readable(b)
	for _, x := range []struct {
		name string
		f    vfs.File
	}{{"lower", lower}, {"wrapped", f}} {
		b.Run(x.name, func(b *testing.B) {
			b.ReportAllocs()
			p := make([]byte, 16)
			for b.Loop() {
				if _, err := x.f.ReadAt(p, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func readable(tb testing.TB) (f, lower vfs.File) {
	disk := mem.NewVolatile().Process("p")
	create(tb, disk, "f", "sixteen bytes...")
	f = wrap.New(disk, func(c *wrap.Call) { c.Next() }).Open("f", vfs.ReadOnly)
	return f, vfs.Base(f)
}

func Example() {
	lower := mem.NewDisk().Process("p")
	fsys := wrap.New(lower, func(c *wrap.Call) {
		c.Next()
		fmt.Println(c.Op, c.Name, c.N, c.Err)
	})
	w := fsys.Create("greeting", vfs.FailIfExists, 0o600)
	w.Write([]byte("hello"))
	if err := w.Commit(); err != nil {
		fmt.Println(err)
	}
	f := fsys.Open("greeting", vfs.ReadOnly)
	f.ReadAt(make([]byte, 9), 0)
	f.Close()
	// Output:
	// create greeting 0 <nil>
	// write greeting 5 <nil>
	// commit greeting 0 <nil>
	// open greeting 0 <nil>
	// read greeting 5 EOF
	// close greeting 0 <nil>
}
