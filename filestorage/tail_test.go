package filestorage

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/mem"
)

// Several processes tail one file and write to it, in many interleavings; the
// log that they leave is the witness: it is a total order, so replaying it
// tells whether everybody saw and did what a serial execution would have.

// act is one transaction of a process and what came of it.
type act struct {
	who    string
	base   storage.TID
	floor  storage.TID // the newest transaction that was acknowledged before it began
	reads  map[storage.OID]string
	writes map[storage.OID]string
	view   bool // read-only
	tid    storage.TID
	err    error
	done   bool // it returned; false: killed
}

// stage is one run.
type stage struct {
	disk  *mem.Disk
	oids  []storage.OID
	acts  []*act
	acked storage.TID // newest acknowledged so far
	lags  bool        // the lock file was deleted: a View ends at W until somebody has raised a new mark
	err   error
}

func (st *stage) fail(format string, args ...any) {
	if st.err == nil {
		st.err = fmt.Errorf(format, args...)
	}
}

// logged is a transaction as the file has it.
type logged struct {
	tid    storage.TID
	writes map[storage.OID]string
}

// readLog reads all transactions of the newest state.
func readLog(s *Storage) ([]logged, error) {
	snap, err := s.Begin(background, true)
	if err != nil {
		return nil, err
	}
	defer snap.Release()
	sn := snap.(*snapshot)
	sc := scanner{salt: sn.l.header.Salt, win: &window{file: sn.l.file, size: sn.end}}
	var log []logged
	for pos := int64(headerSize); pos < sn.end; {
		f, v, reason, err := sc.next(chain{pos: pos}, false, true)
		if err != nil || v != verdictWhole {
			return nil, fmt.Errorf("frame at byte %d: %w %s", pos, err, reason)
		}
		pos = f.end()
		if f.kind != kindTransaction {
			continue
		}
		tx := logged{f.tid, map[storage.OID]string{}}
		for i := range f.records {
			r, err := sn.Read(f.oid(i), f.recordPos(i))
			if err != nil {
				return nil, err
			}
			tx.writes[r.OID] = string(r.Payload)
		}
		log = append(log, tx)
	}
	return log, nil
}

// run does one random transaction on s.
func (st *stage) run(s *Storage, who string, n int, rnd *rand.Rand, own []storage.OID) {
	a := &act{who: who, reads: map[storage.OID]string{}, writes: map[storage.OID]string{}, view: rnd.IntN(4) == 0}
	var hold storage.Hold
	if !a.view && rnd.IntN(8) == 0 {
		var err error
		if hold, err = s.Hold(background, time.Hour); err != nil {
			st.fail("%s: hold: %v", who, err)
			return
		}
	}
	if !a.view || !st.lags {
		a.floor = st.acked
	}
	st.acts = append(st.acts, a)
	snap, err := s.Begin(background, !a.view)
	if err != nil {
		st.fail("%s: begin: %v", who, err)
		return
	}
	a.base = snap.TID()
	c := &storage.Commit{Base: snap, Hold: hold}
	reads := storage.OIDSet{}
	for range 1 + rnd.IntN(3) {
		oid := own[rnd.IntN(len(own))]
		reads[oid] = struct{}{}
		if a.reads[oid], err = state1(snap, oid); err != nil {
			st.fail("%s: read: %v", who, err)
			return
		}
	}
	c.Reads = reads
	writes := rnd.IntN(3) // none: an empty commit
	if a.view {
		writes = 0
	}
	for k := range writes {
		oid := own[rnd.IntN(len(own))]
		if _, ok := a.writes[oid]; ok {
			continue
		}
		reads[oid] = struct{}{}
		if a.reads[oid], err = state1(snap, oid); err != nil {
			st.fail("%s: read: %v", who, err)
			return
		}
		a.writes[oid] = fmt.Sprintf("%s %d.%d", who, n, k)
		c.Records = append(c.Records, storage.Record{OID: oid, Class: 1, Codec: storage.CodecMsgpack, Payload: []byte(a.writes[oid])})
	}
	if !a.view {
		a.tid, a.err = s.Commit(background, c)
	}
	a.done = true
	// Not deferred: a killed process does nothing more.
	snap.Release()
	if hold != nil {
		hold.Release()
	}
	if a.err == nil {
		st.acked = max(st.acked, a.tid)
	}
}

// judge replays the log.
func (st *stage) judge() error {
	if st.err != nil {
		return st.err
	}
	s, err := Open(worldPath, simulated(st.disk.Process("Z")))
	if err != nil {
		return err
	}
	log, err := readLog(s)
	if err != nil {
		return err
	}
	if r, err := s.Verify(background, nil); err != nil || !r.OK() { // a tail may be left by a kill
		return fmt.Errorf("verify: %v, %w", r, err)
	}
	if err := s.Close(); err != nil {
		return err
	}
	// The states: what each object was after each transaction.
	at := map[storage.TID]map[storage.OID]string{0: {}}
	now := map[storage.OID]string{}
	last := storage.TID(0)
	index := map[storage.TID]logged{}
	before := map[storage.TID]storage.TID{}
	for _, tx := range log {
		if tx.tid <= last {
			return fmt.Errorf("transaction %s follows %s", tx.tid, last)
		}
		maps.Copy(now, tx.writes)
		at[tx.tid], before[tx.tid], index[tx.tid] = maps.Clone(now), last, tx
		last = tx.tid
	}
	claimed := map[storage.TID]bool{}
	for i, a := range st.acts {
		if err := a.judge(log, at, before, index, claimed); err != nil {
			return fmt.Errorf("transaction %d, of %s: %w", i, a.who, err)
		}
	}
	return nil
}

func (a *act) judge(log []logged, at map[storage.TID]map[storage.OID]string, before map[storage.TID]storage.TID, index map[storage.TID]logged, claimed map[storage.TID]bool) error {
	if !a.done {
		return nil
	}
	if a.base < a.floor {
		return fmt.Errorf("it began at %s, when %s had been acknowledged", a.base, a.floor)
	}
	state, ok := at[a.base]
	if !ok {
		return fmt.Errorf("it saw transaction %s, which is not in the log", a.base)
	}
	for oid, got := range a.reads { // one state, and no mixture
		if got != state[oid] {
			return fmt.Errorf("at %s it read %q in object %s, which was %q", a.base, got, oid, state[oid])
		}
	}
	var conflict *storage.ConflictError
	switch {
	case errors.As(a.err, &conflict):
		if len(conflict.Objects) == 0 {
			return errors.New("a conflict that names nothing")
		}
		for _, o := range conflict.Objects {
			if _, ok := a.reads[o.OID]; !ok {
				return fmt.Errorf("a conflict over object %s, which it did not touch", o.OID)
			}
			if _, ok := index[o.Committed].writes[o.OID]; !ok || o.Committed <= a.base {
				return fmt.Errorf("a conflict over object %s with transaction %s, which did not change it since %s", o.OID, o.Committed, a.base)
			}
		}
		for _, tx := range log {
			for oid, text := range a.writes {
				if tx.writes[oid] == text {
					return fmt.Errorf("it had a conflict, and is in the log as %s", tx.tid)
				}
			}
		}
	case a.err != nil:
		return a.err
	case len(a.writes) > 0:
		tx, ok := index[a.tid]
		if !ok || !maps.Equal(tx.writes, a.writes) || claimed[a.tid] {
			return fmt.Errorf("it was acknowledged as %s, which holds %q instead of %q", a.tid, tx.writes, a.writes)
		}
		claimed[a.tid] = true
		for oid, got := range a.reads { // nothing that it read has changed until it committed
			if got != at[before[a.tid]][oid] {
				return fmt.Errorf("it committed as %s on %q of object %s, which was %q by then", a.tid, got, oid, at[before[a.tid]][oid])
			}
		}
	}
	return nil
}

// TestSerialisable runs three processes with two handles each under a
// scheduler, with hundreds of seeds; in most runs one process is killed, or
// dies within a write, and in some the lock file is deleted. The log shows a
// serial history that contains exactly what was acknowledged, every snapshot
// is one state of it and not older than what was acknowledged before, conflicts
// name what really changed.
// D1 D12 D13 D14 D16 D18 F10 F11 F12 F21 S1 S6 S7 S8 S9 S15 S25 H4
func TestSerialisable(t *testing.T) {
	im, oids := manyObjects(t, 5)
	seeds := 300
	if tortured() {
		seeds = 30_000
	}
	var conflicts, acked, killed int
	for seed := range seeds {
		rnd := rand.New(rand.NewPCG(uint64(seed), 7))
		st := &stage{disk: im.Disk(), oids: oids}
		st.disk.Hook = st.mischief(rnd)
		policies := []storage.SyncPolicy{storage.SyncAlways, storage.SyncPolicy(rnd.IntN(3)), storage.SyncPolicy(rnd.IntN(3))}
		err := st.disk.Run(mem.Seeded(uint64(seed)), st.body(0, policies[0], seed), st.body(1, policies[1], seed), st.body(2, policies[2], seed))
		st.disk.Hook = nil
		if err == nil {
			err = st.judge()
		}
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, a := range st.acts {
			switch {
			case !a.done:
				killed++
			case errors.Is(a.err, storage.ErrConflict):
				conflicts++
			case len(a.writes) > 0:
				acked++
			}
		}
	}
	t.Logf("%d commits, %d conflicts, %d killed", acked, conflicts, killed)
	if conflicts < seeds/10 || acked < seeds || killed < seeds/20 {
		t.Fatal("too little happened")
	}
}

func (st *stage) body(i int, policy storage.SyncPolicy, seed int) func(*mem.Process) {
	return func(p *mem.Process) {
		rnd := rand.New(rand.NewPCG(uint64(seed), uint64(100+i)))
		var handles []*Storage
		for range 2 {
			opts := simulated(p)
			opts.Sync = policy
			s, err := Open(worldPath, opts)
			if err != nil {
				st.fail("%s: open: %v", p.Name(), err)
				return
			}
			handles = append(handles, s)
		}
		for n := range 6 {
			st.run(handles[rnd.IntN(2)], p.Name(), n, rnd, st.oids)
		}
		for _, s := range handles {
			if err := s.Close(); err != nil {
				st.fail("%s: close: %v", p.Name(), err)
			}
		}
	}
}

// mischief kills at most one process, at a random operation, perhaps within a
// write, and deletes the lock file now and then. It does not tear a mark: a
// kill never tears 64 bytes, and a mark that is gone lets Views lag.
func (st *stage) mischief(rnd *rand.Rand) func(mem.Op) mem.Action {
	victim, at := string(rune('A'+rnd.IntN(4))), rnd.IntN(250) // there is no D
	remove := -1
	if rnd.IntN(2) == 0 {
		remove = rnd.IntN(400)
	}
	n, all := 0, 0
	return func(op mem.Op) mem.Action {
		if all++; all == remove {
			_ = st.disk.Remove(lockName(worldPath)) // it may not be there
			st.lags = true
		}
		if op.Process != victim {
			return mem.Proceed()
		}
		if n++; n < at {
			return mem.Proceed()
		}
		if op.Len > 1 && (op.Kind == mem.OpAppend || op.Kind == mem.OpRewrite) {
			return mem.KillAfter(rnd.IntN(op.Len))
		}
		if n > at+rnd.IntN(40) {
			return mem.Kill()
		}
		return mem.Proceed()
	}
}

// manyObjects is two with n objects.
func manyObjects(t testing.TB, n int) (*mem.Image, []storage.OID) {
	t.Helper()
	d := mem.NewDisk()
	s := opened(t, worldPath, simulated(d.Process("A")))
	if _, err := s.ClassID(background, "tail.Thing"); err != nil {
		t.Fatal(err)
	}
	var oids []storage.OID
	for range n {
		oid, err := s.NewOID(background)
		if err != nil {
			t.Fatal(err)
		}
		oids = append(oids, oid)
	}
	if _, err := edit(s, oids[0], "begin"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	d.SyncAll()
	for im := range d.Images(mem.Options{Models: mem.M2}) {
		return im, oids
	}
	t.Fatal("no image")
	return nil, nil
}

// TestDisjointNeverConflict: processes that touch objects of their own only
// never meet a conflict. D11 D12 D13
func TestDisjointNeverConflict(t *testing.T) {
	im, oids := manyObjects(t, 3)
	seeds := 100
	if tortured() {
		seeds = 5000
	}
	for seed := range seeds {
		st := &stage{disk: im.Disk(), oids: oids}
		body := func(i int) func(*mem.Process) {
			return func(p *mem.Process) {
				s, err := Open(worldPath, simulated(p))
				if err != nil {
					st.fail("open: %v", err)
					return
				}
				rnd := rand.New(rand.NewPCG(uint64(seed), uint64(i)))
				for n := range 8 {
					st.run(s, p.Name(), n, rnd, oids[i:i+1])
				}
			}
		}
		err := st.disk.Run(mem.Seeded(uint64(seed)), body(0), body(1), body(2))
		if err == nil {
			err = st.judge()
		}
		for _, a := range st.acts {
			if err == nil {
				err = a.err
			}
		}
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// TestManyGoroutines: goroutines of two handles in one process increment two
// counters, with and without holds, and move units between them; nothing is
// lost, and Views always see the sum that belongs to their state.
// D1 D18 F12 S1 S24 H15
func TestManyGoroutines(t *testing.T) {
	im, oids := manyObjects(t, 3)
	d := im.Disk()
	p := d.Process("A")
	var handles []*Storage
	var clock sync.Mutex
	now := simulated(nil).Now
	for range 2 {
		opts := simulated(p)
		opts.Foreground, opts.LockTimeout = false, 10*time.Second
		opts.Now = func() time.Time { clock.Lock(); defer clock.Unlock(); return now() }
		handles = append(handles, opened(t, worldPath, opts))
	}
	const workers, rounds = 6, 30
	var wg sync.WaitGroup
	count := func(text string) (n int) { fmt.Sscan(text, &n); return n }
	for w := range workers {
		wg.Go(func() {
			s := handles[w%2]
			for range rounds {
				if err := increment(s, oids[1], oids[2], count, w == 0); err != nil {
					t.Error(err)
					return
				}
			}
		})
		wg.Go(func() {
			for range rounds {
				snap, err := handles[w%2].Begin(background, false)
				if err != nil {
					t.Error(err)
					return
				}
				x, err1 := state1(snap, oids[1])
				y, err2 := state1(snap, oids[2])
				snap.Release()
				if err1 != nil || err2 != nil || count(x) != 2*count(y) {
					t.Errorf("a View sees %s and %s: %v %v", x, y, err1, err2)
					return
				}
			}
		})
	}
	wg.Wait()
	if got, err := look(handles[0], oids[2]); err != nil || count(got) != workers*rounds {
		t.Fatalf("the counter is %s, %v; want %d", got, err, workers*rounds)
	}
	for _, s := range handles {
		if err := clean(s); err != nil {
			t.Fatal(err)
		}
	}
}

// increment adds 2 to x and 1 to y, and tries again after a conflict.
func increment(s *Storage, x, y storage.OID, count func(string) int, polite bool) error {
	for try := 0; ; try++ {
		var hold storage.Hold
		if polite && try > 3 {
			var err error
			if hold, err = s.Hold(background, time.Second); err != nil {
				return err
			}
		}
		snap, err := s.Begin(background, true)
		if err != nil {
			return err
		}
		c := &storage.Commit{Base: snap, Hold: hold}
		for i, oid := range []storage.OID{x, y} {
			text, err := state1(snap, oid)
			if err != nil {
				return err
			}
			c.Records = append(c.Records, storage.Record{OID: oid, Class: 1, Codec: storage.CodecMsgpack, Payload: fmt.Append(nil, count(text)+2-i)})
		}
		_, err = s.Commit(background, c)
		snap.Release()
		if hold != nil {
			hold.Release()
		}
		if err == nil || !errors.Is(err, storage.ErrConflict) {
			return err
		}
	}
}

// TestClock sets the clock back, stops it and moves it far ahead between
// commits of two processes: transaction ids grow strictly, times never fall.
// F20 S47
func TestClock(t *testing.T) {
	im, oid := two(t)
	const year = 365 * 24 * time.Hour
	start := time.UnixMicro(1_800_000_000_000_000)
	clocks := map[string]func(n int) time.Time{
		"an hour back":      func(n int) time.Time { return start.Add(-time.Duration(n) * time.Hour) },
		"frozen":            func(int) time.Time { return start },
		"a century ahead":   func(n int) time.Time { return start.Add(time.Duration(n%2) * 100 * year) },
		"before 1970":       func(int) time.Time { return time.Unix(-5, 0) },
		"the zero time":     func(int) time.Time { return time.Time{} },
		"to and fro":        func(n int) time.Time { return start.Add(time.Duration(n*7919%13-6) * time.Hour) },
		"ends of the range": func(n int) time.Time { return time.UnixMicro([]int64{1<<63 - 1, -1 << 63}[n%2]) },
	}
	for name, clock := range clocks {
		t.Run(name, func(t *testing.T) {
			d := im.Disk()
			n := 0
			opts := simulated(nil)
			opts.Now = func() time.Time { n++; return clock(n) }
			var handles []*Storage
			for _, p := range []string{"A", "B"} {
				opts.FS = d.Process(p)
				handles = append(handles, opened(t, worldPath, opts))
			}
			var tids []storage.TID
			for i := range 20 {
				tid, err := edit(handles[i%2], oid, fmt.Sprint(i))
				if err != nil {
					t.Fatal(err)
				}
				tids = append(tids, tid)
			}
			if !slices.IsSortedFunc(tids, func(a, b storage.TID) int {
				if a < b {
					return -1
				}
				return 1
			}) {
				t.Fatalf("transaction ids do not grow: %v", tids)
			}
			var last time.Time
			for tx, err := range handles[0].Transactions(0, 1<<64-1) {
				if err != nil || tx.Time.Before(last) {
					t.Fatalf("%v after %v: %v", tx.Time, last, err)
				}
				last = tx.Time
			}
			for _, s := range handles {
				if err := clean(s); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
