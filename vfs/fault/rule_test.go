package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/fault"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/wrap"
)

func TestRuleString(t *testing.T) {
	boom := errors.New("boom")
	for _, x := range []struct {
		rule fault.Rule
		want string
	}{
		{fault.Rule{}, "any, call 1: fail, " + syscall.EIO.Error()},
		{fault.Rule{Ops: wrap.Read, Path: "*.db", Nth: 3, Times: 2, Effect: fault.Fail(boom)}, "read on *.db, calls 3 to 4: fail, boom"},
		{fault.Rule{Ops: wrap.Append | wrap.Write, Times: -1, Effect: fault.Short(10, boom)}, "append|write, every call: short write of 10 bytes, boom"},
		{fault.Rule{Nth: 2, Times: -1, Effect: fault.Torn(boom)}, "any, every call from 2 on: torn write, boom"},
		{fault.Rule{Effect: fault.Torn(boom, 0, 2)}, "any, call 1: torn write of sectors [0 2], boom"},
		{fault.Rule{Chance: 0.25, After: true, Effect: fault.Delay(time.Second)}, "any, every call with probability 0.25, after it: delay of 1s"},
		{fault.Rule{Chance: 0.5, Times: 4, Effect: fault.Hang()}, "any, every call with probability 0.5, at most 4: hang"},
		{fault.Rule{Ops: wrap.Sync, Effect: fault.Pretend()}, "sync, call 1: pretend"},
		{fault.Rule{Effect: fault.FlipBit(9)}, "any, call 1: flip bit 9"},
		{fault.Rule{Effect: fault.FlipBit(-1)}, "any, call 1: flip a bit"},
		{fault.Rule{Effect: fault.StaleSize(time.Minute)}, "any, call 1: sizes up to 1m0s old"},
		{fault.Rule{Effect: fault.LoseLocks()}, "any, call 1: lose all locks"},
	} {
		equal(t, "rule", x.rule.String(), x.want)
	}
	f := fault.New(mem.NewDisk().Process("p"), 7, fault.Rule{Ops: wrap.Stat}, fault.Rule{Ops: wrap.Sync})
	_, err := f.Stat("x")
	is(t, err, syscall.EIO)
	equal(t, "seed", f.Seed(), 7)
	equal(t, "rules", f.String(), fmt.Sprintf("seed 7\nstat, call 1: fail, %[1]v (1 hits)\nsync, call 1: fail, %[1]v (0 hits)", syscall.EIO))
}

func TestBadRules(t *testing.T) {
	for _, r := range []fault.Rule{
		{Path: "[a"},
		{Chance: 1.5},
		{Chance: -1},
		{Ops: wrap.Read, Effect: fault.Short(1, nil)},
		{Ops: wrap.Props},
		{After: true, Effect: fault.Pretend()},
	} {
		func() {
			defer func() {
				if msg := recover(); msg == nil || !strings.HasPrefix(fmt.Sprint(msg), "fault: ") {
					t.Errorf("%v: %v", r, msg)
				}
			}()
			fault.New(mem.NewDisk().Process("p"), 0, r)
		}()
	}
}

// Which calls a rule befalls.
func TestWhich(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		name := filepath.Join(dir, "a.db")
		for _, n := range []string{"a.db", "b.db", "a.txt"} {
			create(t, lower, filepath.Join(dir, n), "x")
		}
		fails := func(rule fault.Rule, name string, want ...bool) {
			t.Helper()
			disk := fault.New(lower, 0)
			remove := disk.Add(rule)
			f := disk.Open(name, vfs.ReadOnly)
			defer f.Close()
			hits := 0
			for i, w := range want {
				_, err := f.ReadAt(make([]byte, 1), 0)
				if errors.Is(err, syscall.EIO) != w || !w && err != nil {
					t.Errorf("%v: call %d: %v", rule, i+1, err)
				}
				if w {
					hits++
				}
			}
			equal(t, "hits", remove(), hits)
			equal(t, "hits, again", remove(), hits)
			_, err := f.ReadAt(make([]byte, 1), 0)
			check(t, err)
		}
		r := fault.Rule{Ops: wrap.Read | wrap.Size}
		fails(r, name, true, false, false)
		r.Nth = 2
		fails(r, name, false, true, false)
		r.Times = 2
		fails(r, name, false, true, true, false)
		r.Times = -1
		fails(r, name, false, true, true, true, true)
		r.Path = "a.*"
		fails(r, name, false, true)
		fails(r, filepath.Join(dir, "b.db"), false, false)
		r.Path = filepath.ToSlash(filepath.Join(dir, "*.db"))
		fails(r, name, false, true)
		fails(r, filepath.Join(dir, "a.txt"), false, false)
		r.Path = "/other/*.db"
		fails(r, name, false, false)
		fails(fault.Rule{Ops: wrap.Sync | wrap.Append}, name, false, false)
	})
}

// Rules lie over each other: what one keeps away does not count for the next.
func TestOrderOfRules(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	disk := fault.New(mem.NewDisk().Process("p"), 0,
		fault.Rule{Ops: wrap.Stat, Nth: 2, Effect: fault.Fail(first)},
		fault.Rule{Ops: wrap.Stat, Nth: 2, Effect: fault.Fail(second)},
		fault.Rule{Ops: wrap.Stat, Times: -1, Effect: fault.Delay(1)})
	check(t, write(disk, "f", "x"))
	for i, want := range []error{nil, first, second, nil} {
		if _, err := disk.Stat("f"); !errors.Is(err, want) {
			t.Errorf("call %d: %v, want %v", i+1, err, want)
		}
	}
}

// The same seed gives the same faults, another one others.
func TestChance(t *testing.T) {
	run := func(seed uint64, rules ...fault.Rule) string {
		disk := fault.New(mem.NewDisk().Process("p"), seed)
		check(t, write(disk, "f", "x"))
		for _, r := range rules {
			disk.Add(r)
		}
		var b strings.Builder
		for range 1000 {
			if _, err := disk.Stat("f"); err != nil {
				b.WriteByte('!')
			} else {
				b.WriteByte('.')
			}
		}
		return b.String()
	}
	seed := randomSeed(t)
	r := fault.Rule{Ops: wrap.Stat, Chance: 0.2}
	faults := run(seed, r)
	if n := strings.Count(faults, "!"); n < 100 || n > 300 { // 8 standard deviations
		t.Errorf("%d of 1000 calls failed", n)
	}
	if run(seed, r) != faults {
		t.Error("the same seed gave other faults")
	}
	if run(seed, r, fault.Rule{Ops: wrap.Sync, Chance: 0.5}) != faults {
		t.Error("another rule gave other faults")
	}
	if run(seed+1, r) == faults {
		t.Error("another seed gave the same faults")
	}
	r.Times = 5
	equal(t, "faults", strings.Count(run(seed, r), "!"), 5)
}

// Each operation fails before it is done, and after.
func TestFail(t *testing.T) {
	ctx := context.Background()
	name := func(dir, base string) string { return filepath.Join(dir, base) }
	for _, x := range []struct {
		op   wrap.Op
		do   func(fsys vfs.FS, f vfs.File, l vfs.Locker, dir string) error
		done func(fsys vfs.FS, l vfs.Locker, dir string) bool // nil: it cannot be seen
	}{
		{wrap.Stat, func(fsys vfs.FS, _ vfs.File, _ vfs.Locker, dir string) error {
			_, err := fsys.Stat(name(dir, "f"))
			return err
		}, nil},
		{wrap.List, func(fsys vfs.FS, _ vfs.File, _ vfs.Locker, dir string) (err error) {
			for _, err = range fsys.List(dir) {
				continue
			}
			return err
		}, nil},
		{wrap.Remove, func(fsys vfs.FS, _ vfs.File, _ vfs.Locker, dir string) error {
			return fsys.Remove(name(dir, "f"))
		}, func(fsys vfs.FS, _ vfs.Locker, dir string) bool {
			_, err := fsys.Stat(name(dir, "f"))
			return err != nil
		}},
		{wrap.SyncDir, func(fsys vfs.FS, _ vfs.File, _ vfs.Locker, dir string) error {
			return fsys.SyncDir(name(dir, "f"))
		}, nil},
		{wrap.Resolve, func(fsys vfs.FS, _ vfs.File, _ vfs.Locker, dir string) error {
			_, err := fsys.Resolve(name(dir, "f"))
			return err
		}, nil},
		{wrap.Open, func(_ vfs.FS, f vfs.File, _ vfs.Locker, _ string) error {
			_, err := f.Size()
			return err
		}, nil},
		{wrap.Read, func(_ vfs.FS, f vfs.File, _ vfs.Locker, _ string) error {
			_, err := f.ReadAt(make([]byte, 10), 0)
			return err
		}, nil},
		{wrap.Size, func(_ vfs.FS, f vfs.File, _ vfs.Locker, _ string) error {
			_, err := f.Size()
			return err
		}, nil},
		{wrap.FileStat, func(_ vfs.FS, f vfs.File, _ vfs.Locker, _ string) error {
			_, err := f.Stat()
			return err
		}, nil},
		{wrap.Append, func(_ vfs.FS, f vfs.File, _ vfs.Locker, _ string) error {
			n, err := f.Append([]byte("yz"), 1)
			if n != 0 && n != 2 {
				return fmt.Errorf("wrote %d: %w", n, io.ErrShortWrite)
			}
			return err
		}, func(fsys vfs.FS, _ vfs.Locker, dir string) bool {
			info, err := fsys.Stat(name(dir, "f"))
			return err == nil && info.Size == 3
		}},
		{wrap.Truncate, func(_ vfs.FS, f vfs.File, _ vfs.Locker, _ string) error {
			return f.Truncate(0)
		}, func(fsys vfs.FS, _ vfs.Locker, dir string) bool {
			info, err := fsys.Stat(name(dir, "f"))
			return err == nil && info.Size == 0
		}},
		{wrap.Sync, func(_ vfs.FS, f vfs.File, _ vfs.Locker, _ string) error { return f.Sync() }, nil},
		{wrap.Commit, func(fsys vfs.FS, _ vfs.File, _ vfs.Locker, dir string) error {
			return write(fsys, name(dir, "g"), "x")
		}, func(fsys vfs.FS, _ vfs.Locker, dir string) bool {
			_, err := fsys.Stat(name(dir, "g"))
			return err == nil
		}},
		{wrap.TryLock, func(_ vfs.FS, _ vfs.File, l vfs.Locker, _ string) error {
			_, err := l.TryLock()
			return err
		}, nil},
		{wrap.Lock, func(_ vfs.FS, _ vfs.File, l vfs.Locker, _ string) error { return l.Lock(ctx) }, nil},
		{wrap.Reopen, func(_ vfs.FS, _ vfs.File, l vfs.Locker, _ string) error { return l.Reopen() }, nil},
		{wrap.Deleted, func(_ vfs.FS, _ vfs.File, l vfs.Locker, _ string) error {
			_, err := l.Deleted()
			return err
		}, nil},
		{wrap.ReadMark, func(_ vfs.FS, _ vfs.File, l vfs.Locker, _ string) error {
			_, err := l.ReadMark(new([vfs.MarkSize]byte))
			return err
		}, nil},
		{wrap.UpdateMark, func(_ vfs.FS, _ vfs.File, l vfs.Locker, _ string) error {
			return l.UpdateMark(ctx, func(p *[vfs.MarkSize]byte, _ bool) bool { p[0] = 1; return true })
		}, func(_ vfs.FS, l vfs.Locker, _ string) bool {
			var p [vfs.MarkSize]byte
			_, err := l.ReadMark(&p)
			return err == nil && p[0] == 1
		}},
	} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v/after=%v", x.op, after), func(t *testing.T) {
				everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
					disk := fault.New(lower, 0)
					create(t, lower, name(dir, "f"), "x")
					f := open(t, disk, name(dir, "f"))
					l := disk.Locker(name(dir, "l"), f, vfs.Append, 0o600)
					defer l.Close()
					remove := disk.Add(fault.Rule{Ops: x.op, After: after})
					err := x.do(disk, f, l, dir)
					if x.op == wrap.UpdateMark && after && errors.Is(err, vfs.ErrNotSupported) {
						t.Skip("no latch on this system")
					}
					is(t, err, syscall.EIO)
					equal(t, "hits", remove(), 1)
					equal(t, "unknown outcome", errors.Is(err, vfs.ErrUnknownOutcome), x.op == wrap.Commit && after)
					if x.done != nil {
						equal(t, "done", x.done(disk, l, dir), after)
					}
					if x.op.Has(wrap.TryLock | wrap.Lock) { // nobody knows of a lock that was refused
						other := lower.Locker(name(dir, "l"), vfs.Base(f), vfs.Append, 0o600)
						defer other.Close()
						ok, err := other.TryLock()
						check(t, err)
						equal(t, "free", ok, true)
					}
				})
			})
		}
	}
}

// RELIABILITY 12: the nth operation fails, before or after it is done, for n =
// 1, 2, ... until none does. The name leads to the old bytes or to the new
// ones, and to the new ones after a failure only if it said so.
func TestEveryOperationFails(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		name := filepath.Join(dir, "f")
		for _, after := range []bool{false, true} {
			for n := 1; ; n++ {
				check(t, write(lower, name, "old"))
				disk := fault.New(lower, 0)
				remove := disk.Add(fault.Rule{Nth: n, After: after})
				err := write(disk, name, "new")
				committed := err == nil || errors.Is(err, vfs.ErrUnknownOutcome)
				if err == nil {
					err = disk.SyncDir(name)
				}
				fired := remove() == 1
				if fired != errors.Is(err, syscall.EIO) {
					t.Errorf("operation %d: fault %v, error %v", n, fired, err)
				}
				if committed {
					holds(t, lower, name, "new")
				} else {
					holds(t, lower, name, "old")
				}
				left(t, lower, name, "f")
				if !fired {
					equal(t, "operations", n, 5) // create write commit syncdir
					break
				}
			}
		}
	})
}

// Rules come and go while others work.
func TestConcurrentRules(t *testing.T) {
	disk := fault.New(mem.NewDisk().Process("p"), randomSeed(t))
	f := create(t, disk, "f", "x")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := f.ReadAt(make([]byte, 1), 0); err != nil && !errors.Is(err, syscall.EIO) {
					t.Error(err)
				}
				_, _ = disk.Stat("f")
			}
		})
	}
	for range 300 {
		before := disk.Add(fault.Rule{Ops: wrap.Read, Times: 3})
		hang := disk.Add(fault.Rule{Ops: wrap.Read | wrap.Stat, Chance: 0.5, Effect: fault.Hang()})
		disk.Release()
		_ = disk.String()
		if n := before(); n > 3 {
			t.Errorf("%d hits", n)
		}
		hang()
	}
	close(stop)
	wg.Wait()
	equal(t, "hanging", disk.Hanging(), 0)
}
