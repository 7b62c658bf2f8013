package filestorage

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/mem"
)

// TestCrashRandom cuts the power at random operations of random sequences of 4
// to 12 steps: three processes that promise, some that do not, kills, full
// disks, holds, exhausted leases, new classes, and power cuts after which the
// others go on. DURUS_CRASH_SEED repeats the workload of one seed.
// D1 D4 D6 D8 D9 F1 F2 F3 F5 F6 F9 H1 H2 H8 H9 S60 S61
func TestCrashRandom(t *testing.T) {
	im, base, err := baseWorld()
	if err != nil {
		t.Fatal(err)
	}
	c := newCrasher(t, shareRandom.states(), 0)
	c.random(t, func() *world { return base.fork(im) })
	if c.tried.Load() == 0 {
		t.Fatal("nothing was tried")
	}
}

// random runs random workloads until the budget is used up.
func (c *crasher) random(t *testing.T, fork func() *world) {
	first, once := c.seed, false
	if n, err := strconv.ParseUint(os.Getenv("DURUS_CRASH_SEED"), 10, 64); err == nil {
		first, once, c.budget = n, true, math.MaxInt64
	}
	var next atomic.Uint64
	var group sync.WaitGroup
	for range c.workers {
		group.Go(func() {
			for !c.over() {
				n := next.Add(1) - 1
				if once && n > 0 {
					return
				}
				if err := c.runRandom(fork(), first+n); err != nil {
					c.failed.Store(true)
					t.Errorf("DURUS_CRASH_SEED=%d repeats it: %v", first+n, err)
				}
			}
		})
	}
	group.Wait()
}

// lookEvery: random workloads look at one of so many moments.
const lookEvery = 8

// runRandom runs the workload of a seed. All that happens in it depends on the
// seed alone, but for goroutines of the storage.
func (c *crasher) runRandom(w *world, seed uint64) error {
	c.runs.Add(1)
	w.rnd = rand.New(rand.NewPCG(seed, 1))
	e := &eye{c: c, w: w, rnd: rand.New(rand.NewPCG(seed, 2)), options: mem.Options{Samples: 16, Sectors: 4, Seed: seed}}
	if w.rnd.IntN(8) == 0 {
		e.options.EveryByte, e.oneOf = true, 32
	}
	e.open.Store(true)
	defer w.watch(e.before)()
	var names []string
	for range 4 + w.rnd.IntN(9) {
		st := randomSteps[w.rnd.IntN(len(randomSteps))]
		names = append(names, st.name)
		err := st.run(w)
		e.look("the end of it")
		if err := e.verdict(err); err != nil {
			return fmt.Errorf("the last step of %s: %w", strings.Join(names, ", "), err)
		}
	}
	if err := w.lastViews(); err != nil {
		return fmt.Errorf("after %s: %w", strings.Join(names, ", "), err)
	}
	return nil
}

// randomSteps are those of the exhaustive workloads and others, some of which
// do different things each time.
var randomSteps = append(slices.Clone(steps),
	step{"one of three", func(w *world) error { return w.commitStep(w.anyName(), storage.SyncAlways, w.anySize()) }},
	step{"another of three", func(w *world) error { return w.commitStep(w.anyName(), storage.SyncAlways, w.anySize()) }},
	step{"no promise yet", func(w *world) error { return w.commitStep("I", storage.SyncInterval, w.anySize()) }},
	step{"sync", syncOne},
	step{"killed", killed},
	step{"full disk", fullDisk},
	step{"hold", holding},
	step{"many ids", func(w *world) error { return w.takeIDs(w.anyName(), 40) }},
	step{"new class", newClass},
	step{"close", func(w *world) error { return w.close(w.anyOpen()) }},
	step{"power cut", powerCut},
	step{"pack of one of three", func(w *world) error { return w.packStep(w.anyName()) }},
)

func (w *world) anyName() string { return string(rune('A' + w.rnd.IntN(3))) }
func (w *world) anySize() int    { return []int{16, 40, 400, 511, 3000, 9 << 10}[w.rnd.IntN(6)] }

// anyOpen is a process that has the database open, or A.
func (w *world) anyOpen() string {
	names := slices.Sorted(maps.Keys(w.procs))
	if len(names) == 0 {
		return "A"
	}
	return names[w.rnd.IntN(len(names))]
}

// syncOne: what a handle has seen when its Sync returns is on the disk,
// whatever its policy.
func syncOne(w *world) error {
	p, err := w.open(w.anyOpen(), storage.SyncAlways)
	if err != nil {
		return err
	}
	if err := again(func() error { return p.s.Sync(background) }); err != nil {
		return err
	}
	all, err := readChain(p.s.current(), p.s.current().end())
	if err != nil {
		return err
	}
	w.keep(all, "Sync of "+p.name+" returned")
	return nil
}

// killed: a process dies at some operation of a commit, of a write perhaps in
// the middle. Nobody closes anything.
func killed(w *world) error {
	name, left, torn := w.anyName(), w.rnd.IntN(40), w.rnd.IntN(600)
	inner := w.asked()
	restore := w.watch(func(op mem.Op) mem.Action {
		act := inner(op)
		if op.Process != name {
			return act
		}
		if left--; left < 0 {
			return mem.KillAfter(torn)
		}
		return act
	})
	err := w.commitStep(name, storage.SyncAlways, w.anySize())
	restore()
	if p := w.procs[name]; p != nil && p.fs.Killed() {
		delete(w.procs, name)
	}
	if errors.Is(err, mem.ErrKilled) {
		return nil
	}
	return err
}

// fullDisk: a commit finds room for some of its bytes. Views do not mind, unless
// there is no mark and no room to write one. Then there is room again.
func fullDisk(w *world) error {
	name, other, size := w.anyName(), w.anyOpen(), w.anySize()
	w.disk.SetSpace(int64(w.rnd.IntN(size + 200)))
	err := w.commitStep(name, storage.SyncAlways, size)
	if (err == nil || errors.Is(err, syscall.ENOSPC)) && !w.unmarked {
		err = w.viewStep(other)
	}
	w.disk.SetSpace(-1)
	if err == nil || errors.Is(err, syscall.ENOSPC) {
		err = w.viewStep(other)
	}
	return err
}

// holding: a process keeps the lock from before its transaction until it has
// appended.
func holding(w *world) error {
	p, err := w.open(w.anyName(), storage.SyncAlways)
	if err != nil {
		return err
	}
	hold, err := p.s.Hold(background, time.Hour)
	if err != nil {
		return err
	}
	defer hold.Release()
	snap, err := p.s.Begin(background, true)
	if err != nil {
		return err
	}
	defer snap.Release()
	c := w.propose(p, snap, w.anySize())
	c.Hold = hold
	_, err = w.submit(p, c)
	return err
}

// newClass: the objects of a class that was just named are of that class.
func newClass(w *world) error {
	process, name := w.anyName(), fmt.Sprintf("crash.Class%d", w.rnd.IntN(4))
	return again(func() error {
		p, err := w.open(process, storage.SyncAlways)
		if err != nil {
			return err
		}
		class, err := p.s.ClassID(background, name)
		if err != nil {
			return err
		}
		snap, err := p.s.Begin(background, true)
		if err != nil {
			return err
		}
		defer snap.Release()
		c := w.propose(p, snap, 40)
		c.Records[0].Class = class
		w.attempt(w.next - 1).class = name
		_, err = w.submit(p, c)
		return err
	})
}

// powerCut: the machine stops, and starts again with one of the states in which
// that may leave the disk. The leases that nobody has used may be lost.
func powerCut(w *world) error {
	var left *mem.Image
	n := 0
	for im := range w.disk.Images(mem.Options{Samples: 8, Sectors: 3, Seed: w.rnd.Uint64()}) {
		if n++; w.rnd.IntN(n) == 0 {
			left = im
		}
	}
	for _, p := range w.procs {
		p.fs.Kill()
	}
	clear(w.procs)
	maps.DeleteFunc(w.given, func(_ storage.OID, who string) bool { return who != "base" })
	w.unsure = false
	w.recoveries++
	w.live(left.Disk())
	return w.viewStep(w.anyName())
}
