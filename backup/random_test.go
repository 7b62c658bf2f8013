package backup

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/mem"
)

// gambler does at random what an operator and the powers of nature do, and
// keeps account of what the directory must hold.
type gambler struct {
	*bed
	rng  *rand.Rand
	runs []account
	said storage.TID // what the last successful backup said it holds
}

// account is what a complete run holds.
type account struct {
	horizon storage.TID
	moments []moment // from the horizon on
}

// SCENARIO 86, as repozo's monte carlo test: commits, packs, full and incremental
// backups, kills and power cuts in the middle of them, restores to any
// point, also over the database itself, compared with a model.
// DURUS_BACKUP_SEED repeats one run, DURUS_BACKUP_RUNS makes more of them.
func TestMonteCarlo(t *testing.T) {
	runs := 40
	if testing.Short() {
		runs = 8
	}
	if n, err := strconv.Atoi(os.Getenv("DURUS_BACKUP_RUNS")); err == nil {
		runs = n
	}
	begin := rand.Uint64()
	if n, err := strconv.ParseUint(os.Getenv("DURUS_BACKUP_SEED"), 10, 64); err == nil {
		begin, runs = n, 1
	}
	for i := range uint64(runs) {
		seed := begin + i
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			g := &gambler{bed: newBed(t), rng: rand.New(rand.NewPCG(seed, 1))}
			g.chunk = 300 + g.rng.Int64N(4000)
			g.commit()
			for range 60 {
				g.step()
			}
			g.account(nil)
			g.restoreAll()
		})
	}
}

func (g *gambler) step() {
	g.Helper()
	switch n := g.rng.IntN(100); {
	case n < 45:
		g.commit()
	case n < 50:
		from := storage.TID(0)
		if g.rng.IntN(2) == 0 {
			from = g.past[g.rng.IntN(len(g.past))].tid
		}
		g.pack(from)
	case n < 65:
		g.backup(false)
	case n < 70:
		g.backup(true)
	case n < 80:
		g.interrupted()
	case n < 95:
		g.restoreOne()
	default:
		g.rewind()
	}
}

// backup makes one that nobody interrupts.
func (g *gambler) backup(full bool) {
	g.Helper()
	f := Incremental
	if full {
		f = Full
	}
	r, err := f(ctx, g.s, g.process(), dir, g.options())
	if errors.Is(err, storage.ErrRewound) {
		r, err = f(ctx, g.s, g.process(), dir, g.options())
	}
	g.must(err)
	g.said = r.TID
	g.account(&r)
}

// interrupted kills a backup at some operation, and cuts the power as well,
// or lets an operation fail.
func (g *gambler) interrupted() {
	g.Helper()
	p := g.process()
	act := mem.Kill()
	if g.rng.IntN(3) == 0 {
		act = mem.Fail(errors.New("broken"))
	}
	stop := g.vault.Inject(mem.Fault{Process: p.Name(), Nth: 1 + g.rng.IntN(60), Action: act})
	r, err := Incremental(ctx, g.s, p, dir, g.options())
	stop()
	p.Kill() // one whose unlocking fails holds the lock until then
	if err == nil {
		g.said = r.TID
	}
	switch {
	case g.rng.IntN(2) == 0:
		g.cutPower()
		g.account(nil)
	case err != nil:
		g.backup(false) // what it has left may not be on the disk, and nobody was told of it
	default:
		g.account(nil)
	}
}

// cutPower leaves the disk of backups in one of the states that are possible.
func (g *gambler) cutPower() {
	n := 0
	var chosen *mem.Image
	for im := range g.vault.Images(mem.Options{Samples: 32}) {
		if n++; g.rng.IntN(n) == 0 {
			chosen = im
		}
		if n == 200 {
			break
		}
	}
	g.vault = chosen.Disk()
}

// account brings the model up to what the directory says that it holds, and
// checks that it may say so.
func (g *gambler) account(r *Report) {
	g.Helper()
	if !slices.Contains(g.names(), manifestName) {
		if len(g.runs) > 0 {
			g.Fatal("the manifest is gone")
		}
		return
	}
	v := g.verify()
	var complete []RunInfo
	for _, info := range v.Runs {
		if info.Complete {
			complete = append(complete, info)
		}
	}
	switch len(complete) {
	case len(g.runs):
	case len(g.runs) + 1:
		g.runs = append(g.runs, account{horizon: g.horizon})
		if r == nil { // it was interrupted behind its last step
			g.said = 0
		}
	default:
		g.Fatalf("%d complete runs, and %d were known", len(complete), len(g.runs))
	}
	if len(complete) == 0 {
		return
	}
	last, info := &g.runs[len(g.runs)-1], complete[len(complete)-1]
	if info.From != last.horizon || info.To < g.said {
		g.Fatalf("the last run goes from %s to %s; want %s, and to %s at least", info.From, info.To, last.horizon, g.said)
	}
	if n := len(last.moments); n > 0 && last.moments[n-1].tid == info.To {
		return
	}
	last.moments = nil
	for _, m := range g.past {
		if m.tid >= last.horizon && m.tid <= info.To {
			last.moments = append(last.moments, m)
		}
	}
	if n := len(last.moments); n == 0 || last.moments[n-1].tid != info.To {
		g.Fatalf("the last run ends at %s, which was no transaction", info.To)
	}
	if r != nil && r.TID != info.To {
		g.Fatalf("%+v, and it ends at %s", r, info.To)
	}
}

// wanted is what a restore must bring; ok is false if nothing is as old.
func (g *gambler) wanted(tid storage.TID) (m moment, ok bool) {
	for _, r := range slices.Backward(g.runs) {
		if tid < r.horizon {
			continue
		}
		for _, x := range r.moments {
			if x.tid <= tid {
				m, ok = x, true
			}
		}
		return m, ok
	}
	return m, false
}

func (g *gambler) check(tid storage.TID, byTime bool) {
	g.Helper()
	o := RestoreOptions{AtTID: tid}
	if byTime { // in this test ids are times
		o = RestoreOptions{AtTime: time.UnixMicro(int64(tid))}
	}
	m, ok := g.wanted(tid)
	r, s, err := g.restore(o)
	if !ok {
		if !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrPacked) {
			g.Fatalf("nothing is as old as %s: %v", tid, err)
		}
		return
	}
	g.must(err)
	if r.TID != m.tid {
		g.Fatalf("at %s: %+v, want %s", tid, r, m.tid)
	}
	g.holds(s, m)
	g.must(s.Close())
	g.must(g.vault.Remove(r.Path))
}

func (g *gambler) restoreOne() {
	g.Helper()
	if len(g.runs) == 0 {
		return
	}
	r := g.runs[g.rng.IntN(len(g.runs))]
	m := r.moments[g.rng.IntN(len(r.moments))]
	g.check(m.tid+storage.TID(g.rng.IntN(3))-1, g.rng.IntN(2) == 0)
}

func (g *gambler) restoreAll() {
	g.Helper()
	for _, r := range g.runs {
		for _, m := range r.moments {
			g.check(m.tid, false)
		}
	}
}

// rewind restores the database itself, under the handle that has it open.
func (g *gambler) rewind() {
	g.Helper()
	if len(g.runs) == 0 {
		return
	}
	last := g.runs[len(g.runs)-1]
	m := last.moments[g.rng.IntN(len(last.moments))]
	// The directory is carried to the disk of the database.
	for _, name := range g.names() {
		data, err := g.vault.ReadFile(dir + "/" + name)
		g.must(err)
		g.must(g.disk.WriteFile(dir+"/"+name, data))
	}
	g.procs++
	_, err := Restore(ctx, g.disk.Process(fmt.Sprint("r", g.procs)), dir, dbPath, RestoreOptions{AtTID: m.tid, Overwrite: true, Run: g.lastRun()})
	g.must(err)
	g.horizon = last.horizon
	i := slices.IndexFunc(last.moments, func(x moment) bool { return x.tid == m.tid })
	g.past = slices.Clone(last.moments[:i+1])
	g.holdsNow(m)
}

// lastRun is the number of the last complete run.
func (g *gambler) lastRun() (n int) {
	for _, info := range g.verify().Runs {
		if info.Complete {
			n = info.Number
		}
	}
	return n
}

// holdsNow wants the handle that has the database open to be told, and then to
// see what was restored.
func (g *gambler) holdsNow(m moment) {
	g.Helper()
	told := func() error {
		snap, err := g.s.Begin(ctx, true)
		if err == nil {
			snap.Release()
		}
		return err
	}()
	if told != nil && !errors.Is(told, storage.ErrRewound) {
		g.Fatal(told)
	}
	g.holds(g.s, m)
}
