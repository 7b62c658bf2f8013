//go:build linux

package torture

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/internal/history"
)

// ring is a number of client processes on one database, and what troubles them.
type ring struct {
	writers, readers int
	goroutines       int // of each writer
	workload         string
	duration         time.Duration // 0: until Limit
	limit            int           // transactions of each goroutine
	killEvery        [2]time.Duration
	trouble          func(*ringRun) // runs beside the clients until ctx ends
	require          history.Require
	linear           bool // have porcupine look, too
	// staleViews: a View need not hold all that had returned before it began,
	// but be some state of the log. Those of readers are judged so; writers
	// read in writable transactions only, which must be fresh always.
	staleViews bool

	sync func(process int) durus.SyncPolicy // nil: SyncAlways
}

// ringRun is one run of a ring.
type ringRun struct {
	ring
	t     testing.TB
	ctx   context.Context // ends with the duration
	seed  uint64
	rnd   *rand.Rand
	dir   string // event files
	path  string // the database
	setup uint64 // transaction that made the shelves
	began time.Time

	clients []*child
	inc     []int // incarnation of each
	kills   int
	found   inspection // afterwards
}

// run runs the ring and has the checkers judge it.
func (r ring) run(t *testing.T) *ringRun {
	t.Helper()
	run := &ringRun{ring: r, t: t, seed: newSeed(t), dir: keptDir(t)}
	run.rnd = rand.New(rand.NewPCG(run.seed, 1))
	run.path = filepath.Join(run.dir, "ring.durus")
	run.makeShelves()
	ctx, cancel := context.WithCancel(context.Background())
	if r.duration > 0 {
		ctx, cancel = context.WithTimeout(ctx, r.duration)
	}
	defer cancel()
	run.ctx = ctx
	run.clients = make([]*child, r.writers+r.readers)
	run.inc = make([]int, len(run.clients))
	run.began = time.Now()
	for i := range run.clients {
		run.startClient(i)
	}
	switch {
	case r.trouble != nil:
		r.trouble(run)
	case r.killEvery[1] > 0:
		run.killAtRandom()
	case r.duration > 0:
		<-ctx.Done()
	}
	for _, c := range run.clients {
		if r.limit > 0 {
			c.wait()
		} else {
			c.finish()
		}
	}
	run.check(time.Since(run.began))
	return run
}

// makeShelves creates the database, so that no client is busy with that.
func (r *ringRun) makeShelves() {
	r.t.Helper()
	db, err := durus.Open(r.path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := db.Update(context.Background(), func(tx *durus.Tx) error {
		tx.OnCommit(func(tid durus.TID) { r.setup = uint64(tid) })
		for _, root := range shelves {
			if _, err := root.Load(tx); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		r.t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		r.t.Fatal(err)
	}
}

// startClient starts the next incarnation of a client. The writers come first.
// Clients differ in what should make no difference.
func (r *ringRun) startClient(i int) {
	r.inc[i]++
	task := clientTask{
		Dir: r.dir, Path: r.path, Process: i + 1, Incarnation: r.inc[i], Seed: r.seed,
		Workload: r.workload, Goroutines: max(r.goroutines, 1), Handles: 1, Limit: r.limit, NoViews: r.staleViews,
		Epoch:   int64(time.Since(r.began) / time.Second),
		Options: durus.Options{MustExist: true, Check: durus.CheckNothing, SyncEvery: syncEvery},
	}
	switch {
	case i >= r.writers:
		task.Reader, task.Goroutines = true, 1
		task.Options.ReadOnly = i%2 == 0
		task.Stack = []string{"cached async", "", "async"}[(i-r.writers)%3]
	case i == 1:
		task.Handles = min(2, task.Goroutines) // as good as two processes (F12)
		task.Options.CacheBytes = 4 << 10      // an object cache that forgets
		task.Stack = "cache"
	case i == 2:
		task.Options.Check = durus.CheckShared
		task.Stack = "cached async"
	case i == 3:
		task.Stack = "async"
	}
	if r.sync != nil {
		task.Options.Sync = r.sync(i)
	}
	r.clients[i] = start(r.t, "client", task)
}

// killAtRandom kills a client now and then, and starts its next incarnation.
func (r *ringRun) killAtRandom() {
	span := int64(r.killEvery[1] - r.killEvery[0])
	for r.pause(r.killEvery[0] + time.Duration(r.rnd.Int64N(span))) {
		i := r.rnd.IntN(len(r.clients))
		if !r.clients[i].alive() {
			r.clients[i].wait() // says what it died of
			return
		}
		r.clients[i].kill()
		r.kills++
		r.startClient(i)
	}
}

// pause waits; it is false when the run is over.
func (r *ringRun) pause(d time.Duration) bool {
	select {
	case <-r.ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// check has a fresh process look at the database, and then the checkers at
// what everybody was told.
func (r *ringRun) check(took time.Duration) {
	t := r.t
	t.Helper()
	r.found = inspect(t, r.dir, r.path)
	found := &r.found
	events, err := history.ReadDir(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	txns, err := history.Pair(events)
	if err != nil {
		t.Fatal(err)
	}
	if r.staleViews {
		for i := range txns {
			if p := txns[i].Process / maxGoroutines; p > r.writers && p <= len(r.clients) {
				txns[i].Call = 0 // it might have begun before all others
			}
		}
	}
	opts := history.Options{Setup: r.setup, Require: r.require}
	witness := history.Witness(txns, found.Log, opts)
	cycles := history.Cycles(txns, opts)
	reports := []*history.Report{cycles}
	if found.Whole { // without a log the witness would object to everything
		reports = append(reports, witness, history.Count(txns, counterKey, found.Counter))
	}
	if keys := r.accounts(); keys != nil {
		reports = append(reports, history.Sum(txns, keys, 0))
	}
	if r.linear {
		reports = append(reports, history.Linear(txns, opts, patience))
	}
	for _, report := range reports {
		if err := report.Err(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d processes, %v: %d kills, %d transactions, %d committed (%d read only), %d conflicts, %d of unknown outcome, %d in the log; seed %d",
		len(r.clients), took.Round(time.Millisecond), r.kills, cycles.Txns, cycles.Committed, cycles.ReadOnly, cycles.Conflicts, cycles.Infos, len(found.Log), r.seed)
}

// member is a client of the ring that is the test itself.
type member struct {
	r      *ringRun
	db     *durus.DB
	rec    *history.Recorder
	stamps *history.Stamps
	client client
}

// join lets the test take part; what it does is judged like all else.
func (r *ringRun) join(opts durus.Options) *member {
	r.t.Helper()
	opts.MustExist = true
	db, err := durus.Open(r.path, &opts)
	if err != nil {
		r.t.Fatal(err)
	}
	rec, err := history.NewRecorder(r.dir, inspector+1, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	return &member{r: r, db: db, rec: rec, stamps: rec.Stamps(), client: client{db: db, rnd: r.rnd}}
}

// increment adds one to a key that the clients do not use. It gives up on any
// error but a conflict.
func (m *member) increment() error {
	for {
		ops := []history.Op{history.I(memberKey, 1, m.stamps.Next())}
		number, err := m.rec.Call(ops)
		if err != nil {
			return err
		}
		e := history.Event{Number: number, Type: history.OK}
		if e.Vals, e.Snap, e.TID, err = m.client.Txn(ops, false); err != nil {
			e.Type = history.Fail
		}
		again := errors.Is(err, history.ErrConflict)
		if again {
			e.Type = history.Conflict
		}
		if werr := m.rec.Return(e); werr != nil || !again {
			return errors.Join(err, werr)
		}
	}
}

const memberKey = 9_000_000

func (m *member) leave() {
	m.r.t.Helper()
	if err := errors.Join(m.rec.Close(), m.db.Close()); err != nil {
		m.r.t.Error(err)
	}
}

// accounts are the keys of the bank in the workload.
func (r *ringRun) accounts() []int64 {
	n := map[string]int64{"mixed": bankAccounts, "small": 3}[r.workload]
	var keys []int64
	for i := range n {
		keys = append(keys, bankBase+i)
	}
	return keys
}

// newSeed is DURUS_SEED, or another one each time.
func newSeed(t testing.TB) uint64 {
	t.Helper()
	if s := os.Getenv("DURUS_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("DURUS_SEED: %v", err)
		}
		return seed
	}
	return rand.Uint64()
}

// keptDir is a directory of the test that stays when it fails.
func keptDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "durus-torture-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("database and event files are kept in %s", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// lasts is how long a part of the default run takes, less with -short.
func lasts(d time.Duration) time.Duration {
	if testing.Short() {
		return d / 3
	}
	return d
}
