package filestorage

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs/mem"
)

// share is the part of the states that a kind of crash test may try, in
// percent. All together are DURUS_CRASH_STATES.
type share int64

const (
	shareExhaustive share = 50 // TestCrashEverywhere
	shareRecovery   share = 15 // in it, the power cut again during the recovery
	shareRandom     share = 20 // TestCrashRandom
	shareStacks     share = 15 // TestCrashOverStacks
)

// states is how many that is.
func (p share) states() int64 {
	total := int64(30_000)
	if n, err := strconv.ParseInt(os.Getenv("DURUS_CRASH_STATES"), 10, 64); err == nil {
		total = n
	}
	return total * int64(p) / 100
}

// workloads yields all sequences of up to n steps, the short ones first.
func workloads(n int, yield func([]step) bool) {
	seqs := [][]step{nil}
	for range n {
		var longer [][]step
		for _, q := range seqs {
			for _, st := range steps {
				seq := append(append([]step(nil), q...), st)
				if !yield(seq) {
					return
				}
				longer = append(longer, seq)
			}
		}
		seqs = longer
	}
}

func workloadName(seq []step) string {
	var names []string
	for _, st := range seq {
		names = append(names, st.name)
	}
	return strings.Join(names, ", ")
}

// TestCrashEverywhere cuts the power at every operation of every sequence of
// up to three steps, in every way that the models M1 to M8 know, and judges
// what is left: it opens, it is a prefix of history, everything that was
// acknowledged or shown by a View is in it, nothing is there in part, it
// verifies and takes a commit. First come all sequences with a few images of
// each moment, then, as far as the budget goes, all again with more.
//
// Of some images the power is cut again at every operation of that recovery,
// M10: what had to survive still has to, and what the recovery told as well.
// D1 D4 D6 D8 D9 H1 H2 H8 H9 H17 F1 F2 F3 F5 F9
func TestCrashEverywhere(t *testing.T) {
	im, base, err := baseWorld()
	if err != nil {
		t.Fatal(err)
	}
	c := newCrasher(t, shareExhaustive.states(), shareRecovery.states())
	depth := 3
	if testing.Short() {
		depth = 2
	}
	for _, c.options = range imageOptions(c.seed) {
		c.all(t, depth, func() *world { return base.fork(im) })
	}
	if c.tried.Load() == 0 || c.again.Load() == 0 {
		t.Fatal("nothing was tried")
	}
}

// imageOptions go from a few images of each moment to very many.
func imageOptions(seed uint64) []mem.Options {
	return []mem.Options{
		{Samples: 8, Sectors: 3},
		{Samples: 64, Sectors: 6},
		{Samples: 1024, Sectors: 10, EveryByte: true},
		{Samples: 16384, Sectors: 14, EveryByte: true, Seed: seed},
	}
}

// crasher tries the crash images of workloads. The same image with the same
// obligations is tried once.
type crasher struct {
	options mem.Options
	workers int   // run so many workloads at a time
	budget  int64 // states of workloads
	deep    int64 // states of recoveries
	started time.Time
	seed    uint64 // of what is random

	seen     hashes // states that were tried
	verified hashes // see world.recover

	// What was done. made counts images, tried and again those that were not
	// seen before: of workloads, and of recoveries.
	runs, ops, made, tried, again atomic.Int64
	failed                        atomic.Bool
}

func newCrasher(t *testing.T, budget, deep int64) *crasher {
	c := &crasher{workers: runtime.GOMAXPROCS(0), budget: budget, deep: deep, started: time.Now()}
	c.seed = uint64(c.started.UnixNano())
	percent := debug.SetGCPercent(800)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		took := time.Since(c.started)
		t.Logf("%d workloads, %d operations, %d images: %d distinct states tried and %d of recoveries, in %v (%.0f/s), seed %d",
			c.runs.Load(), c.ops.Load(), c.made.Load(), c.tried.Load(), c.again.Load(), took.Round(time.Millisecond),
			float64(c.tried.Load()+c.again.Load())/took.Seconds(), c.seed)
	})
	return c
}

// all runs every workload of up to depth steps.
func (c *crasher) all(t *testing.T, depth int, fork func() *world) {
	queue := make(chan []step)
	var group sync.WaitGroup
	for range c.workers {
		group.Go(func() {
			for seq := range queue {
				if err := c.run(fork(), seq); err != nil {
					c.failed.Store(true)
					t.Errorf("%s: %v", workloadName(seq), err)
				}
			}
		})
	}
	workloads(depth, func(seq []step) bool {
		if c.over() {
			return false
		}
		queue <- seq
		return true
	})
	close(queue)
	group.Wait()
}

func (c *crasher) over() bool { return c.failed.Load() || c.tried.Load() >= c.budget }

// run runs one workload, and judges on the way: the last step, those before it
// have been the last of shorter workloads.
func (c *crasher) run(w *world, seq []step) error {
	c.runs.Add(1)
	e := &eye{c: c, w: w, options: c.options}
	defer w.watch(e.before)()
	for i, st := range seq {
		e.open.Store(i == len(seq)-1)
		err := st.run(w)
		e.look("the end of it")
		if err := e.verdict(err); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return w.lastViews()
}

// eye looks at the crash images of one world. Over an asynchronous storage its
// hook runs on other goroutines than the steps.
type eye struct {
	c       *crasher
	w       *world
	options mem.Options
	oneOf   int         // of so many images it takes one, at random; 0: all
	open    atomic.Bool // it looks

	mu      sync.Mutex // guards all that follows
	rnd     *rand.Rand // it looks now and then; nil: always
	moment  uint64     // that was looked at last
	failure error
}

// before is the observer of the world.
func (e *eye) before(op mem.Op) mem.Action {
	e.c.ops.Add(1)
	if e.open.Load() && mutates(op) {
		e.look(op)
	}
	return mem.Proceed()
}

// mutates reports whether something may have changed since an operation like
// this one was last looked at.
func mutates(op mem.Op) bool {
	switch op.Kind {
	case mem.OpRead, mem.OpSize, mem.OpStat, mem.OpReadMark, mem.OpTryLock, mem.OpUnlock, mem.OpLatch, mem.OpUnlatch, mem.OpOpen:
		return false
	}
	return true
}

// look judges the images of this moment.
func (e *eye) look(where any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failure == nil && e.open.Load() && (e.rnd == nil || e.rnd.IntN(lookEvery) == 0) {
		e.failure = e.images(where)
	}
}

// verdict is the first failure: of an image, of a promise, or of the step that
// ended with err.
func (e *eye) verdict(err error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.failure != nil:
		return e.failure
	case e.w.err != nil:
		return e.w.err
	case !expected(err):
		return err
	}
	return nil
}

// images judges the images of this moment, unless it is the one that was looked
// at last.
func (e *eye) images(where any) error {
	c, w := e.c, e.w
	key := w.obligations()
	moment := mixed(w.disk.Moment(), key)
	if moment == e.moment || c.over() {
		return nil
	}
	e.moment = moment
	made := int64(0)
	defer func() { c.made.Add(made) }()
	for im := range w.disk.Images(e.options) {
		made++
		if e.oneOf > 0 && e.rnd.IntN(e.oneOf) != 0 || !c.seen.add(stateOf(im, key)) {
			continue
		}
		c.tried.Add(1)
		if err := c.judge(w, im); err != nil {
			return fmt.Errorf("power cut before %v, %v: %w", where, im, err)
		}
		if c.over() {
			return nil
		}
	}
	return nil
}

// stateOf stands for an image with obligations. What other files it holds is
// the same to everybody.
func stateOf(im *mem.Image, obligations uint64) uint64 {
	return mixed(im.FileHash(worldPath), im.FileHash(lockName(worldPath)), im.FileHash(checkpointName(worldPath)), obligations)
}

// judge judges one image; and what a power cut during its recovery leaves, of
// so many of them that the budget for that lasts as long as the other one.
func (c *crasher) judge(w *world, im *mem.Image) error {
	n := w.after(im)
	if c.tried.Load()%stackedEvery != 0 {
		n.over = nil
	}
	if float64(c.again.Load())*float64(c.budget) >= float64(c.tried.Load())*float64(c.deep) {
		return n.recover(&c.verified)
	}
	n.own()
	var failure error
	n.disk.Hook = func(op mem.Op) mem.Action {
		if failure == nil && mutates(op) {
			failure = c.imagesAgain(n, op)
		}
		return mem.Proceed()
	}
	if err := n.recover(&c.verified); err != nil {
		return err
	}
	return failure
}

// imagesAgain judges the images of one moment of a recovery.
func (c *crasher) imagesAgain(n *world, where mem.Op) error {
	key := n.obligations()
	for im := range n.disk.Images(mem.Options{Samples: 16, Sectors: 4}) {
		if !c.seen.add(stateOf(im, key)) {
			continue
		}
		c.again.Add(1)
		if err := n.after(im).recover(&c.verified); err != nil {
			return fmt.Errorf("and again before %v of the recovery, %v: %w", where, im, err)
		}
	}
	return nil
}

// obligations is a number that stands for what must survive.
func (w *world) obligations() uint64 {
	var h uint64
	for tid := range w.must {
		x := uint64(tid) * 0x9e3779b97f4a7c15
		h += x ^ x>>29
	}
	for oid := range w.given {
		h += uint64(oid) * 0xbf58476d1ce4e5b9
	}
	return h
}
