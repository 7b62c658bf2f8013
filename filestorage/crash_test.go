package filestorage

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs/mem"
)

// crashBudget is how many states a crash test may try: DURUS_CRASH_STATES.
func crashBudget(def int) int {
	if n, err := strconv.Atoi(os.Getenv("DURUS_CRASH_STATES")); err == nil {
		return n
	}
	return def
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
// D1 D4 D6 D8 D9 H1 H2 H8 H9 H17 F1 F2 F3 F5 F9
func TestCrashEverywhere(t *testing.T) {
	im, base, err := baseWorld()
	if err != nil {
		t.Fatal(err)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	c := &crasher{seen: map[uint64]struct{}{}, budget: int64(crashBudget(15_000)), started: time.Now()}
	depth := 3
	if testing.Short() {
		depth = 2
	}
	for _, c.options = range []mem.Options{
		{Samples: 8, Sectors: 3},
		{Samples: 64, Sectors: 6},
		{Samples: 1024, Sectors: 10, EveryByte: true},
		{Samples: 16384, Sectors: 14, EveryByte: true, Seed: uint64(c.started.UnixNano())},
	} {
		c.all(t, depth, base, im)
	}
	t.Logf("%d workloads, %d operations, %d states tried in %v (%.0f/s)", c.runs.Load(), c.ops.Load(), c.tried.Load(), time.Since(c.started).Round(time.Millisecond), float64(c.tried.Load())/time.Since(c.started).Seconds())
	if c.tried.Load() == 0 {
		t.Fatal("nothing was tried")
	}
}

// crasher tries the crash images of workloads. The same image with the same
// obligations is tried once.
type crasher struct {
	options mem.Options
	budget  int64
	started time.Time

	mu   sync.Mutex // guards seen
	seen map[uint64]struct{}

	runs, ops, tried atomic.Int64
	failed           atomic.Bool
}

// all runs every workload, on all processors.
func (c *crasher) all(t *testing.T, depth int, base *world, im *mem.Image) {
	queue := make(chan []step)
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for seq := range queue {
				c.runs.Add(1)
				if err := c.run(base.fork(im), seq); err != nil {
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

// run runs one workload, and judges on the way.
func (c *crasher) run(w *world, seq []step) (failure error) {
	w.disk.Hook = func(op mem.Op) mem.Action {
		c.ops.Add(1)
		switch op.Kind {
		case mem.OpRead, mem.OpSize, mem.OpStat, mem.OpReadMark, mem.OpTryLock, mem.OpUnlock, mem.OpLatch, mem.OpUnlatch, mem.OpOpen:
			return mem.Proceed() // nothing has changed since the operation before
		}
		if failure == nil {
			failure = c.images(w, fmt.Sprintf("before %v", op))
		}
		return mem.Proceed()
	}
	defer func() { w.disk.Hook = nil }()
	for i, st := range seq {
		err := st.run(w)
		if failure == nil {
			failure = c.images(w, "after it")
		}
		if failure == nil {
			failure = w.err
		}
		if failure == nil && !expected(err) {
			failure = err
		}
		if failure != nil {
			return fmt.Errorf("step %d: %w", i+1, failure)
		}
	}
	// Whoever has it open sees by an ordinary View what others were told.
	for _, name := range slices.Sorted(maps.Keys(w.procs)) {
		if err := again(func() error { return w.view(w.procs[name]) }); !expected(err) || w.err != nil {
			return fmt.Errorf("View of %s at the end: %v %v", name, err, w.err)
		}
	}
	return failure
}

func (c *crasher) images(w *world, where string) error {
	if c.over() {
		return nil
	}
	key := w.obligations()
	for im := range w.disk.Images(c.options) {
		h := im.Hash() ^ key
		c.mu.Lock()
		_, seen := c.seen[h]
		c.seen[h] = struct{}{}
		c.mu.Unlock()
		if seen {
			continue
		}
		c.tried.Add(1)
		if err := w.judge(im); err != nil {
			return fmt.Errorf("power cut %s, %v: %w", where, im, err)
		}
		if c.over() {
			return nil
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
