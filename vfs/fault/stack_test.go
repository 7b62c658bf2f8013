package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/fault"
	"github.com/durusdb/durus/vfs/latency"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/trace"
	"github.com/durusdb/durus/vfs/wrap"
)

// Wrappers compose: rules over latencies over counts over a disk, waiting or
// under an asynchronous storage. Of the calls that fail nothing arrives below.
func TestStack(t *testing.T) {
	stacks := map[string]func(vfs.FS) vfs.FS{
		"waiting": func(fsys vfs.FS) vfs.FS { return fsys },
		"async":   func(fsys vfs.FS) vfs.FS { return vfs.Blocking(async{fsys}) },
	}
	for kind, stack := range stacks {
		t.Run(kind, func(t *testing.T) {
			timed(t, func(t *testing.T, lower vfs.FS, dir string) {
				name := filepath.Join(dir, "f")
				counts := trace.New(lower)
				slow := latency.New(counts, latency.Profile{Open: time.Second, Read: time.Second, Write: time.Second, Sync: time.Second, Lock: time.Second})
				disk := fault.New(slow, 0)
				fsys := stack(disk)

				f := create(t, fsys, name, "hello")
				disk.Add(fault.Rule{Ops: wrap.Append, Nth: 2, Effect: fault.Short(2, syscall.ENOSPC)})
				disk.Add(fault.Rule{Ops: wrap.Read, Nth: 2})
				disk.Add(fault.Rule{Ops: wrap.Sync, Effect: fault.Pretend()})
				wrote(t, 5, nil)(f.Append([]byte("world"), 5))
				wrote(t, 2, syscall.ENOSPC)(f.Append([]byte("!!!!!"), 10))
				p := make([]byte, 20)
				n, err := f.ReadAt(p, 0)
				equal(t, "read", string(p[:n]), "helloworld!!")
				is(t, err, io.EOF)
				_, err = f.ReadAt(p, 0)
				is(t, err, syscall.EIO)
				check(t, f.Sync()) // the lie
				check(t, f.Sync())
				info, err := f.Stat()
				check(t, err)
				equal(t, "size", info.Size, 12)

				l := fsys.Locker(name+".lock", f, vfs.Append, 0o600)
				defer l.Close()
				check(t, l.Lock(context.Background()))
				gets(t, lower.Locker(name+".lock", vfs.Base(f), vfs.Append, 0o600), false)
				check(t, l.Unlock())
				check(t, f.Close())

				disk.Add(fault.Rule{Ops: wrap.Commit, After: true})
				is(t, write(fsys, name, "new"), vfs.ErrUnknownOutcome)
				holds(t, lower, name, "new")
				disk.Add(fault.Rule{Ops: wrap.Write})
				is(t, write(fsys, name, "newer"), syscall.EIO)
				holds(t, lower, name, "new")
				left(t, lower, name, "f", "f.lock")

				equal(t, "appends below", counts.Calls(wrap.Append), 2)
				equal(t, "reads below", counts.Calls(wrap.Read), 1)
				equal(t, "syncs below", counts.Calls(wrap.Sync), 1)
				equal(t, "commits below", counts.Calls(wrap.Commit), 2)
			})
		})
	}
}

// Over an asynchronous storage an operation counts when it is done, however
// often it was asked for.
func TestOverAsync(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		name := filepath.Join(dir, "f")
		disk := fault.New(async{lower}, 0)
		fsys := vfs.Blocking(disk)
		f := create(t, fsys, name, "abc")
		if _, ok := disk.Open(name, vfs.ReadOnly).(vfs.Async); !ok {
			t.Error("the files are not asynchronous")
		}
		add := func(r fault.Rule) func() int { return disk.Add(r) }
		reads := add(fault.Rule{Ops: wrap.Read, Nth: 2})
		after := add(fault.Rule{Ops: wrap.Sync, Nth: 2, After: true})
		flips := add(fault.Rule{Ops: wrap.Read, Nth: 2, Effect: fault.FlipBit(0)})
		short := add(fault.Rule{Ops: wrap.Append, Nth: 2, Effect: fault.Short(1, nil)})
		torn := add(fault.Rule{Ops: wrap.Rewrite, Effect: fault.Torn(nil, 0)})
		p := make([]byte, 3)
		for i, want := range []string{"abc", "", "`bc", "abc"} { // the second does not reach the flip
			n, err := f.ReadAt(p, 0)
			equal(t, "read", string(p[:n]), want)
			equal(t, "failed", err != nil, i == 1)
		}
		check(t, f.Sync())
		is(t, f.Sync(), syscall.EIO)
		check(t, f.Sync())
		wrote(t, 2, nil)(f.Append([]byte("de"), 3))
		wrote(t, 1, syscall.EIO)(f.Append([]byte("fg"), 5))
		wrote(t, 3, syscall.EIO)(f.Rewrite([]byte("ABC"), 0))
		holds(t, lower, name, "ABCdef")
		for _, hits := range []func() int{reads, after, flips, short, torn} {
			equal(t, "hits", hits(), 1)
		}

		add(fault.Rule{Ops: wrap.Commit, After: true})
		is(t, write(fsys, name, "new"), vfs.ErrUnknownOutcome)
		add(fault.Rule{Ops: wrap.Commit})
		err := write(fsys, name, "newer")
		is(t, err, syscall.EIO)
		equal(t, "unknown", errors.Is(err, vfs.ErrUnknownOutcome), false)
		holds(t, lower, name, "new")
		left(t, lower, name, "f")

		add(fault.Rule{Ops: wrap.Open})
		failed := open(t, fsys, name)
		_, err = failed.Size()
		is(t, err, syscall.EIO)
		_, err = failed.Stat()
		is(t, err, syscall.EIO)
	})
}

func Example() {
	lower := mem.NewDisk().Process("p")
	disk := fault.New(lower, 1, fault.Rule{
		Ops:    wrap.Append,
		Path:   "*.db",
		Nth:    2,
		Effect: fault.Short(3, syscall.ENOSPC),
	})
	if err := disk.Create("a.db", vfs.FailIfExists, 0o600).Commit(); err != nil {
		fmt.Println(err)
	}
	f := disk.Open("a.db", vfs.Append)
	defer f.Close()
	end := int64(0)
	for range 3 {
		n, err := f.Append([]byte("record "), end)
		fmt.Println(n, errors.Is(err, syscall.ENOSPC))
		if err == nil {
			end += int64(n)
		}
	}
	p := make([]byte, 100)
	n, _ := f.ReadAt(p, 0)
	fmt.Println(strings.TrimSpace(string(p[:n])))
	// Output:
	// 7 false
	// 3 true
	// 7 false
	// record record
}
