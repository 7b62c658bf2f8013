package pack_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/pack"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
)

// SCENARIO 62: an empty database, and twice the same.
func TestEmpty(t *testing.T) {
	b := &bed{TB: t, disk: mem.NewDisk(), state: map[storage.OID]node{}}
	s := b.open("a")
	if r := b.pack(s, pack.Options{}); r.Kept.Objects != 0 || r.DanglingTotal != 0 {
		t.Errorf("%+v", r)
	}
	b.must(b.put(s, 1, node{}))
	first := b.pack(s, pack.Options{})
	second := b.pack(s, pack.Options{})
	if first.Nothing || first.Kept.Objects != 1 || !second.Nothing || second.Horizon != first.Horizon {
		t.Errorf("%+v, then %+v", first, second)
	}
	b.check(s, true)
	if g := s.Header().Generation; g != 2 {
		t.Errorf("generation %d", g)
	}
}

// SCENARIO 63: old revisions go, objects that nothing refers to go, cycles and
// self-references do not confuse it, what was created after the horizon stays.
func TestWhatIsKept(t *testing.T) {
	b, s := newBed(t)
	x := b.add(s, node{})
	y := b.add(s, node{strong: []storage.OID{x}})
	b.link(s, x, x, y) // a cycle, and itself
	b.link(s, 1, x)
	lone := b.add(s, node{})
	b.link(s, lone, lone)
	for range 20 {
		b.must(b.put(s, y, b.state[y]))
	}
	before := s.Stats().End
	r := b.pack(s, pack.Options{})
	if r.Kept.Objects != 3 || r.Dropped.Objects != 1 || r.After >= before/3 || r.Before != before || r.After != s.Stats().End {
		t.Errorf("%+v of %d bytes, now %d", r, before, s.Stats().End)
	}
	b.check(s, true)
	b.unlink(s, 1, x)
	if r := b.pack(s, pack.Options{}); r.Kept.Objects != 1 || r.Dropped.Objects != 2 {
		t.Errorf("the cycle: %+v", r)
	}
	b.check(s, true)
	young := b.add(s, node{}) // nothing refers to it, but it is younger than what is kept
	b.pack(s, pack.Options{Keep: time.Hour})
	if n, err := loadNow(s, young); err != nil || n.n != b.state[young].n {
		t.Errorf("the young one: %v, %v", n, err)
	}
}

func loadNow(s *filestorage.Storage, oid storage.OID) (node, error) {
	snap, err := s.Begin(ctx, false)
	if err != nil {
		return node{}, err
	}
	defer snap.Release()
	return load(snap, oid)
}

// SCENARIO 74: weak references keep nothing alive, and lead nowhere afterwards,
// in other processes, too.
func TestWeak(t *testing.T) {
	b, s := newBed(t)
	other := b.open("b")
	x := b.add(s, node{})
	b.must(b.put(s, 1, node{weak: []storage.OID{x}}))
	if _, err := loadNow(other, x); err != nil {
		t.Fatal(err)
	}
	if r := b.pack(s, pack.Options{}); r.Dropped.Objects != 1 || r.DanglingTotal != 0 {
		t.Errorf("%+v", r)
	}
	for _, s := range []*filestorage.Storage{s, other} {
		if _, err := loadNow(s, x); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("it is still there: %v", err)
		}
	}
}

// SCENARIO 76: ids, times and metadata of what is kept; the rest is a clear
// error. Nothing that an earlier pack has removed is asked for.
func TestHistory(t *testing.T) {
	b, s := newBed(t)
	x := b.add(s, node{})
	b.link(s, 1, x)
	for range 10 {
		b.must(b.put(s, x, b.state[x]))
	}
	all := transactions(t, s)
	from := all[7].TID
	r := b.pack(s, pack.Options{KeepFrom: from})
	if r.Horizon != all[6].TID || r.Transactions != len(all)-7 {
		t.Errorf("%+v", r)
	}
	if got := transactions(t, s); !slices.EqualFunc(got, all[7:], same) {
		t.Errorf("%v\nwant %v", got, all[7:])
	}
	// The oldest revision that is left tells when it was written and by which
	// transaction, though that is gone.
	revisions := []storage.Revision{}
	snap, err := s.Begin(ctx, false)
	b.must(err)
	for v, err := range s.Revisions(snap, x) {
		b.must(err)
		revisions = append(revisions, v)
	}
	snap.Release()
	last := revisions[len(revisions)-1]
	if len(revisions) != len(all)-7+1 || last.TID != all[6].TID || !last.Time.Equal(all[6].Time) {
		t.Errorf("%d revisions, the last %+v; want one of %v", len(revisions), last, all[6])
	}
	if ok, err := s.Committed(all[2].TID); ok || !errors.Is(err, storage.ErrPacked) {
		t.Errorf("Committed of what is gone: %v, %v", ok, err)
	}
	if ok, err := s.Committed(all[8].TID); !ok || err != nil {
		t.Errorf("Committed of what is kept: %v, %v", ok, err)
	}
	// To an earlier time than the last pack: nothing is lost.
	if r := b.pack(s, pack.Options{KeepFrom: all[1].TID}); r.Horizon != all[6].TID {
		t.Errorf("%+v", r)
	}
	if got := transactions(t, s); !slices.EqualFunc(got, all[7:], same) {
		t.Errorf("after the second: %v", got)
	}
	// By time: the state that was current an hour ago stays readable.
	b.now = b.now.Add(time.Hour)
	b.must(b.put(s, x, b.state[x]))
	b.now = b.now.Add(time.Hour)
	if r := b.pack(s, pack.Options{Keep: 90 * time.Minute}); r.Horizon != all[len(all)-1].TID || r.Transactions != 1 {
		t.Errorf("by time: %+v", r)
	}
	b.check(s, true)
}

func same(a, b storage.Transaction) bool {
	return a.TID == b.TID && a.Time.Equal(b.Time) && a.User == b.User && a.Description == b.Description && slices.Equal(a.OIDs, b.OIDs)
}

func transactions(t testing.TB, s *filestorage.Storage) (all []storage.Transaction) {
	t.Helper()
	for tx, err := range s.Transactions(0, 1<<62) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, tx)
	}
	return all
}

// SCENARIO 66: an object that nothing refers to at the horizon, and that is
// linked before the pack is over, survives with all that it needs, in every
// state that the new file can show.
func TestLinkedAgain(t *testing.T) {
	b, s := newBed(t)
	deep := b.add(s, node{})
	x := b.add(s, node{strong: []storage.OID{deep}})
	b.link(s, 1, x)
	b.unlink(s, 1, x)
	horizon, err := s.LastTID()
	b.must(err)
	b.link(s, 1, x)
	linked, err := s.LastTID()
	b.must(err)
	r := b.pack(s, pack.Options{KeepFrom: horizon + 1})
	if r.Horizon != horizon || r.Kept.Objects != 3 || r.DanglingTotal != 0 {
		t.Errorf("%+v", r)
	}
	b.check(s, true)
	if got := transactions(t, s); len(got) != 1 || got[0].TID != linked {
		t.Errorf("%v", got)
	}
	// And the next one, of a file that holds base frames among its transactions.
	b.link(s, deep, 1)
	b.pack(s, pack.Options{KeepFrom: linked})
	b.check(s, true)
	b.pack(s, pack.Options{})
	b.check(s, true)
}

// SCENARIO 67: who links an object that a pack has removed is refused, or, if it
// was there when his transaction began, runs again; in no case a reference leads
// nowhere, and packing goes on.
func TestLinkOfWhatIsGone(t *testing.T) {
	b, s := newBed(t)
	other := b.open("b")
	x := b.add(s, node{})
	b.link(s, 1, x)
	old, err := other.Begin(ctx, true)
	b.must(err)
	b.unlink(s, 1, x)
	y := b.add(s, node{})
	b.link(s, 1, y)
	late, err := other.Begin(ctx, true) // x is there, and nothing refers to it
	b.must(err)
	b.pack(s, pack.Options{})
	defer old.Release()
	defer late.Release()
	n := b.state[y]
	n.strong = []storage.OID{x}
	_, err = b.putOn(other, late, map[storage.OID]node{y: n})
	var conflict *storage.ConflictError
	if !errors.As(err, &conflict) || conflict.Objects[0].OID != x || !strings.Contains(err.Error(), "pack") {
		t.Errorf("a transaction that began before the pack: %v", err)
	}
	_, err = b.putOn(other, old, map[storage.OID]node{1: {strong: []storage.OID{x}}})
	if !errors.Is(err, storage.ErrConflict) {
		t.Errorf("one that saw the reference: %v", err)
	}
	err = b.put(other, y, n)
	if !errors.Is(err, storage.ErrDangling) || !strings.Contains(err.Error(), "object "+y.String()) {
		t.Errorf("a new transaction: %v", err)
	}
	// Who writes the object itself again brings it back.
	snap, err := other.Begin(ctx, true)
	b.must(err)
	defer snap.Release()
	if _, err := b.putOn(other, snap, map[storage.OID]node{x: {}, y: n}); err != nil {
		t.Errorf("with the object: %v", err)
	}
	if r := b.pack(other, pack.Options{}); r.DanglingTotal != 0 || r.Kept.Objects != 3 {
		t.Errorf("%+v", r)
	}
	b.check(s, true)
}

// SCENARIO 68, F32: a snapshot from before ten packs reads what it saw, and its
// transaction commits where that is right.
func TestOldSnapshots(t *testing.T) {
	b, s := newBed(t)
	other := b.open("b")
	x, y := b.add(s, node{}), b.add(s, node{})
	b.link(s, 1, x, y)
	old, err := other.Begin(ctx, true)
	b.must(err)
	defer old.Release()
	saw := b.reachable()
	for i := range 10 {
		if i > 0 { // nothing else has changed: the first commit may go through
			b.must(b.put(s, x, b.state[x]))
		}
		b.pack(s, pack.Options{})
		b.holds(old, saw)
		if _, err := other.LastTID(); err != nil { // notices
			t.Fatal(err)
		}
		b.holds(old, saw)
		if i == 0 {
			if _, err := b.putOn(other, old, map[storage.OID]node{y: b.state[y]}); err != nil {
				t.Fatalf("a commit across a pack: %v", err)
			}
		}
	}
	if _, err := b.putOn(other, old, map[storage.OID]node{y: b.state[y]}); !errors.Is(err, storage.ErrConflict) {
		t.Errorf("a commit over a newer one, ten packs ago: %v", err)
	}
	b.check(other, true)
}

// A conflict is found on both sides of the swap. D5
func TestConflictAcross(t *testing.T) {
	for _, when := range []string{"before the swap", "after the swap", "never"} {
		t.Run(strings.ReplaceAll(when, " ", "_"), func(t *testing.T) {
			b, s := newBed(t)
			other := b.open("b")
			x, y := b.add(s, node{}), b.add(s, node{})
			b.link(s, 1, x, y)
			snap, err := other.Begin(ctx, true)
			b.must(err)
			defer snap.Release()
			if when == "before the swap" {
				b.must(b.put(s, x, b.state[x]))
			}
			b.pack(s, pack.Options{})
			if when == "after the swap" {
				b.must(b.put(s, x, b.state[x]))
			}
			b.must(b.put(s, 1, b.state[1])) // nobody minds
			c := &storage.Commit{Base: snap, Records: []storage.Record{b.record(y, b.state[y])}, Reads: storage.OIDSet{x: {}, y: {}}}
			_, err = other.Commit(ctx, c)
			var conflict *storage.ConflictError
			if when == "never" {
				if err != nil {
					t.Error(err)
				}
			} else if !errors.As(err, &conflict) || conflict.Objects[0].OID != x {
				t.Errorf("%v", err)
			}
		})
	}
}

// A process that has slept through three packs, with a transaction open and a
// lease: it commits if nothing has changed, or conflicts, and gives out no id
// twice. D5 H10
func TestSleeper(t *testing.T) {
	b, s := newBed(t)
	sleeper := b.open("b")
	x := b.add(s, node{})
	b.link(s, 1, x)
	given := map[storage.OID]bool{}
	id := func(s *filestorage.Storage) storage.OID {
		oid, err := s.NewOID(ctx)
		b.must(err)
		if given[oid] {
			t.Errorf("object id %s was given out twice", oid)
		}
		given[oid] = true
		return oid
	}
	id(sleeper)
	for _, quiet := range []bool{true, false} {
		snap, err := sleeper.Begin(ctx, true)
		b.must(err)
		for range 3 {
			for range 20 {
				id(s)
			}
			if !quiet {
				b.must(b.put(s, x, b.state[x]))
			}
			// Packs that have nothing to do replace nothing: keep history.
			b.must(b.put(s, id(s), node{}))
			b.pack(s, pack.Options{Keep: time.Hour})
		}
		for range 20 {
			id(sleeper)
		}
		b.holds(snap, map[storage.OID]node{1: b.state[1]})
		_, err = b.putOn(sleeper, snap, map[storage.OID]node{x: b.state[x]})
		if quiet && err != nil || !quiet && !errors.Is(err, storage.ErrConflict) {
			t.Errorf("quiet %v: %v", quiet, err)
		}
		snap.Release()
		b.check(sleeper, false)
	}
}

// SCENARIO 71, F18, N9: a second pack is refused, in this process and in others;
// one that was killed keeps nobody away, and its leftovers are collected.
func TestTwoPacks(t *testing.T) {
	b, s := newBed(t)
	other := b.open("b")
	refused := 0
	try := func(p pack.Progress) {
		if p.Phase == pack.Counting { // it is over
			return
		}
		for _, s := range []*filestorage.Storage{s, other} {
			if _, err := pack.Pack(ctx, s, pack.Options{}); errors.Is(err, storage.ErrPacking) {
				refused++
			} else {
				t.Errorf("a second pack: %v", err)
			}
			if r, err := pack.Pack(ctx, s, pack.Options{DryRun: true}); err != nil || r.Kept.Objects != 1 {
				t.Errorf("a dry run beside it: %+v, %v", r, err)
			}
		}
	}
	b.pack(s, pack.Options{Progress: try})
	if refused == 0 {
		t.Error("nothing was tried")
	}
	b.must(b.put(s, 1, b.state[1]))
	dead := b.disk.Process("dead")
	d, err := filestorage.Open(path, filestorage.Options{FS: dead, Foreground: true})
	b.must(err)
	_, err = pack.Pack(ctx, d, pack.Options{Progress: func(pack.Progress) { dead.Kill() }})
	if err == nil || len(b.names()) != 4 {
		t.Errorf("%v, and it leaves %q", err, b.names())
	}
	b.pack(other, pack.Options{})
	if got := b.names(); len(got) != 3 {
		t.Errorf("the next pack leaves %q", got)
	}
	b.check(s, true)
}

// SCENARIO 72: a pack that is cancelled, at any moment, has changed nothing and
// leaves nothing.
func TestCancel(t *testing.T) {
	for n := 1; ; n++ {
		b, s := newBed(t)
		x := b.add(s, node{})
		b.link(s, 1, x)
		b.add(s, node{})
		stop, cancel := context.WithCancel(ctx)
		ops := 0
		b.disk.Hook = func(mem.Op) mem.Action {
			if ops++; ops == n {
				cancel()
			}
			return mem.Proceed()
		}
		_, err := pack.Pack(stop, s, pack.Options{})
		b.disk.Hook = nil
		cancelled := stop.Err() != nil
		cancel()
		switch {
		case err == nil: // it came too late
		case !errors.Is(err, context.Canceled):
			t.Fatalf("operation %d: %v", n, err)
		case s.Header().Generation != 0 || len(b.names()) != 3 && len(b.names()) != 2:
			t.Fatalf("operation %d: generation %d, and it leaves %q", n, s.Header().Generation, b.names())
		}
		b.check(s, false)
		if !cancelled {
			if n < 20 {
				t.Fatalf("only %d operations", n)
			}
			return
		}
	}
}

// F6, SCENARIO 71: any operation of a pack fails, a full disk among them. The
// database is what it was, or packed, and goes on.
func TestFailures(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EIO} {
		for n := 1; ; n++ {
			b, s := newBed(t)
			x := b.add(s, node{})
			b.link(s, 1, x)
			b.add(s, node{})
			ops := 0
			b.disk.Hook = func(op mem.Op) mem.Action {
				if ops++; ops != n || op.Kind == mem.OpUnlock { // which the kernel does not refuse
					return mem.Proceed()
				}
				if op.Kind == mem.OpSync {
					return mem.FailSync(cause, nil)
				}
				return mem.Fail(cause)
			}
			_, err := pack.Pack(ctx, s, pack.Options{})
			b.disk.Hook = nil
			if ops < n {
				b.check(s, true)
				break
			}
			if err != nil && !errors.Is(err, cause) {
				t.Fatalf("%v at operation %d: %v", cause, n, err)
			}
			b.check(s, false)
			b.link(s, x, 1)
			b.pack(s, pack.Options{})
			b.check(s, true)
			if got := b.names(); len(got) != 3 {
				t.Fatalf("%v at operation %d, and then a pack leave %q", cause, n, got)
			}
		}
	}
}

// F14: a file with two names is refused, also when it gets the second one while
// the pack runs.
func TestHardLink(t *testing.T) {
	b, s := newBed(t)
	p := b.disk.Process("ln")
	b.must(p.Link(path, "/other"))
	if _, err := pack.Pack(ctx, s, pack.Options{}); !errors.Is(err, vfs.ErrNotSupported) || !strings.Contains(err.Error(), "hard link") {
		t.Errorf("%v", err)
	}
	b.must(p.Remove("/other"))
	once := true
	_, err := pack.Pack(ctx, s, pack.Options{Progress: func(pr pack.Progress) {
		if once && pr.Phase == pack.Swapping {
			once = false
			b.must(p.Link(path, "/other"))
		}
	}})
	if !errors.Is(err, vfs.ErrNotSupported) {
		t.Errorf("linked while it ran: %v", err)
	}
	b.must(p.Remove("/other"))
	b.pack(s, pack.Options{})
	b.check(s, true)
}

// What a dry run tells is what a pack does.
func TestDryRun(t *testing.T) {
	for seed := range uint64(20) {
		b, s := newBed(t)
		rnd := rand.New(rand.NewPCG(seed, 1))
		oids := []storage.OID{1}
		for range 60 {
			oids = append(oids, b.add(s, node{}))
			b.link(s, oids[rnd.IntN(len(oids))], oids[rnd.IntN(len(oids))])
		}
		o := pack.Options{}
		if all := transactions(t, s); seed%2 == 0 {
			o.KeepFrom = all[rnd.IntN(len(all))].TID
		}
		before := fmt.Sprint(b.names(), s.Stats().End)
		o.DryRun = true
		dry := b.pack(s, o)
		if now := fmt.Sprint(b.names(), s.Stats().End); now != before || s.Header().Generation != 0 {
			t.Fatalf("a dry run has changed %s to %s", before, now)
		}
		o.DryRun = false
		wet := b.pack(s, o)
		dry.DryRun, dry.Took, wet.Took, wet.Lock = false, 0, 0, 0
		if fmt.Sprintf("%+v", dry) != fmt.Sprintf("%+v", wet) {
			t.Errorf("seed %d: a dry run says\n%+v, the pack\n%+v", seed, dry, wet)
		}
		if wet.After != s.Stats().End {
			t.Errorf("seed %d: %d bytes, and the file has %d", seed, wet.After, s.Stats().End)
		}
		b.check(s, false)
	}
}

// The stack is bounded: a root with more objects than it holds, and a chain
// longer than it is deep.
func TestWideAndDeep(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 300,000 objects")
	}
	b, s := newBed(t)
	const n = 300_000
	var wide []storage.OID
	nodes := map[storage.OID]node{}
	last := storage.OID(0)
	for range n {
		oid, err := s.NewOID(ctx)
		b.must(err)
		nodes[oid] = node{}
		if last != 0 && oid%2 == 0 {
			nodes[oid] = node{strong: []storage.OID{last}}
		} else {
			wide = append(wide, oid)
		}
		last = oid
	}
	nodes[1] = node{strong: append(wide, last)}
	snap, err := s.Begin(ctx, true)
	b.must(err)
	_, err = b.putOn(s, snap, nodes)
	snap.Release()
	b.must(err)
	r := b.pack(s, pack.Options{})
	if want := uint64(len(b.reachable())); r.Kept.Objects != want {
		t.Errorf("%d objects, want %d", r.Kept.Objects, want)
	}
	b.check(s, true)
}

// The first transaction comes while the empty file is packed: it is not missed,
// and not taken for objects that nothing leads to.
func TestFirstCommitMeanwhile(t *testing.T) {
	b := &bed{TB: t, disk: mem.NewDisk(), state: map[storage.OID]node{}}
	s, other := b.open("a"), b.open("b")
	done := false
	r := b.pack(s, pack.Options{Progress: func(p pack.Progress) {
		if p.Phase == pack.CatchingUp && !done {
			done = true
			b.must(b.put(other, 1, node{}))
		}
	}})
	if !done || r.Kept.Objects != 1 {
		t.Errorf("first commit %v, kept %d objects", done, r.Kept.Objects)
	}
	b.check(s, true)
}

// A file that has objects and no root directory would be empty afterwards.
func TestNoRoot(t *testing.T) {
	for _, dry := range []bool{false, true} {
		b := &bed{TB: t, disk: mem.NewDisk(), state: map[storage.OID]node{}}
		s := b.open("a")
		b.add(s, node{})
		if _, err := pack.Pack(ctx, s, pack.Options{DryRun: dry}); err == nil || !strings.Contains(err.Error(), "1 objects and no root directory") {
			t.Errorf("dry run %v: %v", dry, err)
		}
		b.check(s, false)
	}
}

// Progress goes up, and the rate is kept.
func TestProgressAndRate(t *testing.T) {
	b, s := newBed(t)
	nodes := map[storage.OID]node{}
	root := node{}
	for range 5000 {
		oid, err := s.NewOID(ctx)
		b.must(err)
		nodes[oid] = node{}
		root.strong = append(root.strong, oid)
	}
	nodes[1] = root
	snap, err := s.Begin(ctx, true)
	b.must(err)
	_, err = b.putOn(s, snap, nodes)
	b.must(err)
	snap.Release()
	var phases []pack.Phase
	written := int64(0)
	begun := time.Now()
	r := b.pack(s, pack.Options{BytesPerSecond: 2 << 20, Progress: func(p pack.Progress) {
		if p.Written < written || p.Before == 0 {
			t.Errorf("%+v after %d bytes", p, written)
		}
		written = p.Written
		if len(phases) == 0 || phases[len(phases)-1] != p.Phase {
			phases = append(phases, p.Phase)
		}
	}})
	if took, least := time.Since(begun), time.Duration(float64(r.After)/(2<<20)*0.8*float64(time.Second)); took < least {
		t.Errorf("%d bytes in %v", r.After, took)
	}
	if len(phases) < 3 || !slices.Contains(phases, pack.Copying) || phases[len(phases)-1] != pack.Counting {
		t.Errorf("phases %q", phases)
	}
}
