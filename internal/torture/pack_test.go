//go:build linux

package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/internal/history"
	"github.com/durusdb/durus/pack"
)

// fewest is how many packs a run must show. Ten times as many are usual; with the
// race detector, on a busy machine, a pack takes long, and half of them are killed.
const fewest = 3

// packs keeps a process packing, and kills it now and then if it is to die.
type packs struct {
	t     testing.TB
	task  packTask
	c     *child
	done  atomic.Int64 // packs that were told
	slow  atomic.Int64 // longest lock, ns
	kills int
}

func startPacks(t testing.TB, task packTask) *packs {
	p := &packs{t: t, task: task}
	p.again()
	return p
}

func (p *packs) again() {
	p.c = start(p.t, "pack", p.task)
	go func(c *child) {
		for {
			line, err := c.out.ReadString('\n')
			if err != nil {
				return
			}
			var dropped uint64
			var lock int64
			if _, err := fmt.Sscan(line, &dropped, &lock); err == nil {
				p.done.Add(1)
				p.slow.Store(max(p.slow.Load(), lock))
			}
		}
	}(p.c)
}

func (p *packs) kill() {
	if !p.c.alive() {
		p.c.wait() // says what it died of
		return
	}
	p.c.kill()
	p.kills++
	p.again()
}

// D5, F15, F16, acceptance test 4: histories are strictly serializable while one
// process packs all the time, and is killed in the midst of it. The packs keep
// the history, so that the log can be read to its end.
func TestHistoriesWhilePacking(t *testing.T) {
	duration := lasts(4 * time.Second)
	var p *packs
	r := ring{
		writers: 4, readers: 2, goroutines: 2, workload: "mixed", duration: duration,
		require: history.Require{Committed: atLeast(20, duration), Conflicts: 1, ReadOnly: 10},
		trouble: func(r *ringRun) {
			p = startPacks(r.t, packTask{Path: r.path, Keep: true})
			for r.pause(time.Duration(50+r.rnd.IntN(300)) * time.Millisecond) {
				if r.rnd.IntN(3) == 0 { // clients die as well
					i := r.rnd.IntN(len(r.clients))
					r.clients[i].kill()
					r.kills++
					r.startClient(i)
				} else {
					p.kill()
				}
			}
			p.c.finish()
		},
	}
	r.run(t)
	t.Logf("%d packs, %d were killed, commits were held up for %v at most", p.done.Load(), p.kills, time.Duration(p.slow.Load()))
	if p.done.Load() < fewest {
		t.Errorf("only %d packs, at least %d are needed", p.done.Load(), fewest)
	}
}

// D5, F16, F17, SCENARIO 70: packers die between the moved frame and the renaming,
// and between the renaming and the sync of the directory, one after the other,
// while three processes write and two read.
func TestPackersDieAtTheSwap(t *testing.T) {
	duration := lasts(3 * time.Second)
	died := 0
	r := ring{
		writers: 3, readers: 2, goroutines: 2, workload: "mixed", duration: duration,
		require: history.Require{Committed: atLeast(20, duration), Conflicts: 1, ReadOnly: 10},
		trouble: func(r *ringRun) {
			for r.pause(time.Duration(r.rnd.IntN(40)) * time.Millisecond) {
				c := start(r.t, "pack", packTask{Path: r.path, Keep: true, Die: 1 + died%2})
				select {
				case <-c.exited:
					died++
				case <-time.After(patience):
					r.t.Error("a packer does not die")
					c.kill()
				}
			}
		},
	}
	r.run(t)
	t.Logf("%d packers have died", died)
	if died < fewest {
		t.Errorf("only %d packers have died, at least %d are needed", died, fewest)
	}
}

// D5, SCENARIO 64 66 67: four processes grow trees, cut branches off, graft them
// again, move them to each other's trees, while packs run all the time, one of
// them killed now and then. Nothing that can be reached is lost, nothing leads
// nowhere, and every state adds up.
func TestGraphWhilePacking(t *testing.T) {
	const workers = 4
	duration := lasts(5 * time.Second)
	seed := newSeed(t)
	rnd := rand.New(rand.NewPCG(seed, 7))
	path := filepath.Join(keptDir(t), "graph.durus")
	db, err := durus.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := plant(db, workers); err != nil {
		t.Fatal(err)
	}
	var gardeners [workers]*child
	for i := range gardeners {
		gardeners[i] = start(t, "graph", graphTask{path, i, seed})
	}
	p := startPacks(t, packTask{Path: path})
	views := 0
	for end := time.Now().Add(duration); time.Now().Before(end); views++ {
		if err := db.View(context.Background(), walkForest); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if rnd.IntN(4) == 0 {
			p.kill()
		}
		time.Sleep(time.Duration(rnd.IntN(60)) * time.Millisecond)
	}
	p.c.finish()
	var sum [5]int
	for _, g := range gardeners {
		if !g.alive() {
			g.wait()
			t.Fatalf("seed %d", seed)
		}
		_ = g.in.Close()
		var n [5]int
		line := g.hear()
		if _, err := fmt.Sscan(line, &n[0], &n[1], &n[2], &n[3], &n[4]); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		g.wait()
		for i := range n {
			sum[i] += n[i]
		}
	}
	r, err := db.Pack(context.Background(), pack.Options{})
	if err != nil || r.DanglingTotal > 0 {
		t.Fatalf("seed %d: the last pack: %+v, %v", seed, r, err)
	}
	if err := db.View(context.Background(), walkForest); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	st, err := openEngine(path)
	if err != nil {
		t.Fatal(err)
	}
	report, err := st.Verify(context.Background(), nil)
	if err != nil || !report.OK() {
		t.Errorf("seed %d: %v, %v", seed, report, err)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".pack") || strings.Contains(e.Name(), ".new.") {
			t.Errorf("left behind: %s", e.Name())
		}
	}
	t.Logf("%d packs, %d were killed, commits were held up for %v at most; %d branches cut, %d grafted, %d were gone, %d moved, %d walks; seed %d",
		p.done.Load(), p.kills, time.Duration(p.slow.Load()), sum[0], sum[1], sum[2], sum[3], sum[4]+views, seed)
	if p.done.Load() < fewest || sum[0] == 0 || sum[1] == 0 || sum[3] == 0 {
		t.Errorf("too little has happened")
	}
}
