package fault_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/fault"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/posix"
	"github.com/durusdb/durus/vfs/wrap"
)

// bench is a storage with rules, and two lockers of one file: mine through it,
// his not.
type bench struct {
	disk      *fault.FS
	file      vfs.File
	mine, his vfs.Locker
}

func newBench(t *testing.T, lower vfs.FS, dir string) *bench {
	disk := fault.New(lower, 0)
	f := create(t, disk, filepath.Join(dir, "f"), "x")
	b := &bench{
		disk: disk, file: f,
		mine: disk.Locker(filepath.Join(dir, "l"), f, vfs.Append, 0o600),
		his:  lower.Locker(filepath.Join(dir, "l"), vfs.Base(f), vfs.Append, 0o600),
	}
	t.Cleanup(func() { check(t, errors.Join(b.mine.Close(), b.his.Close())) })
	return b
}

// gets reports an unexpected answer of TryLock.
func gets(tb testing.TB, l vfs.Locker, want bool) {
	tb.Helper()
	if ok, err := l.TryLock(); ok != want || err != nil {
		tb.Errorf("TryLock %v, %v; want %v", ok, err, want)
	}
}

// Locks that exclude nobody. Giving them back is as good as with real ones.
func TestFakeLocks(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		b := newBench(t, lower, dir)
		ctx := context.Background()
		check(t, b.his.Lock(ctx))
		gets(t, b.mine, false)
		b.disk.Add(fault.Rule{Ops: wrap.TryLock, Effect: fault.Pretend()})
		gets(t, b.mine, true)
		check(t, b.mine.Unlock())
		gets(t, b.mine, false)
		b.disk.Add(fault.Rule{Ops: wrap.Lock, Effect: fault.Pretend()})
		check(t, b.mine.Lock(ctx))
		check(t, b.mine.Unlock())
		if b.mine.Unlock() == nil {
			t.Error("unlocked twice")
		}
		gets(t, b.mine, false)
		check(t, b.his.Unlock())
		gets(t, b.mine, true) // a real one again
		gets(t, b.his, false)
		check(t, b.mine.Unlock())
		gets(t, b.his, true)
		check(t, b.his.Unlock())
	})
}

// A lock that is lost while it is held, by an operation of whatever kind.
func TestLoseLocks(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		b := newBench(t, lower, dir)
		gets(t, b.mine, true)
		gets(t, b.his, false)
		b.disk.Add(fault.Rule{Ops: wrap.Append, Effect: fault.LoseLocks()})
		wrote(t, 1, nil)(b.file.Append([]byte("y"), 1))
		gets(t, b.his, true)
		check(t, b.mine.Unlock())
		gets(t, b.mine, false)
		check(t, b.his.Unlock())

		b.disk.Add(fault.Rule{Ops: wrap.TryLock, After: true, Effect: fault.LoseLocks()})
		gets(t, b.mine, true) // granted and lost
		gets(t, b.his, true)
		check(t, b.his.Unlock())
		check(t, b.mine.Unlock())
	})
}

// A lock that is closed, or could not be given back, is not forgotten.
func TestLockEnds(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		b := newBench(t, lower, dir)
		gets(t, b.mine, true)
		b.disk.Add(fault.Rule{Ops: wrap.Unlock})
		if b.mine.Unlock() == nil {
			t.Error("the unlock did not fail")
		}
		gets(t, b.his, false)
		b.disk.Add(fault.Rule{Ops: wrap.LockClose})
		if b.mine.Close() == nil {
			t.Error("the close did not fail")
		}
		gets(t, b.his, true)
		check(t, b.his.Unlock())
	})
}

// A13: what a mask takes away is gone, and the properties say so.
func TestMask(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		name := filepath.Join(dir, "f")
		create(t, lower, name, "x")
		masked := fault.Mask(lower, func(p vfs.Props) vfs.Props {
			p.Locks, p.Append, p.Mapping, p.Kind = false, false, false, "poor"
			return p
		})
		want := lower.Props(name)
		want.Locks, want.Append, want.Mapping, want.Kind = false, false, false, "poor"
		equal(t, "props", masked.Props(name), want)
		f := open(t, masked, name)
		wrote(t, 0, vfs.ErrNotSupported)(f.Append([]byte("y"), 1))
		wrote(t, 0, vfs.ErrNotSupported)(f.Rewrite([]byte("y"), 0))
		is(t, f.Truncate(0), vfs.ErrNotSupported)
		if m, ok := f.(vfs.Mapper); ok {
			_, _, err := m.Map(0, 1)
			is(t, err, vfs.ErrNotSupported)
		}
		l := masked.Locker(name+".lock", f, vfs.Append, 0o600)
		defer l.Close()
		_, err := l.TryLock()
		is(t, err, vfs.ErrNotSupported)
		is(t, l.Lock(context.Background()), vfs.ErrNotSupported)
		holds(t, masked, name, "x")
		check(t, write(masked, name, "y"))
		holds(t, masked, name, "y")

		same := fault.Mask(lower, func(p vfs.Props) vfs.Props { return p })
		equal(t, "props", same.Props(name), lower.Props(name))
		f = open(t, same, name)
		wrote(t, 1, nil)(f.Append([]byte("z"), 1))
		l = same.Locker(name+".lock", f, vfs.Append, 0o600)
		defer l.Close()
		gets(t, l, true)
	})
}

// A rule without effect on a storage that cannot be mapped leaves it so.
func TestMapper(t *testing.T) {
	if _, ok := fault.New(mem.NewDisk().Process("p"), 0).Open("f", vfs.ReadOnly).(vfs.Mapper); ok {
		t.Error("files of mem can be mapped")
	}
	_, want := posix.New().Open("f", vfs.ReadOnly).(vfs.Mapper)
	_, got := fault.New(posix.New(), 0).Open("f", vfs.ReadOnly).(vfs.Mapper)
	equal(t, "mapping", got, want)
}
