package filestorage

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
)

// cutNow judges the crash images of this moment, those that were not judged
// before with these obligations.
func (w *world) cutNow(seen map[uint64]struct{}, samples int) error {
	key := w.obligations()
	for im := range w.disk.Images(mem.Options{Samples: samples, Sectors: 6}) {
		h := im.Hash() ^ key
		if _, ok := seen[h]; ok {
			continue
		}
		seen[h] = struct{}{}
		if err := w.judge(im); err != nil {
			return fmt.Errorf("power cut, %v: %w", im, err)
		}
	}
	return nil
}

// TestMixedPolicies lets writers that promise and writers that do not take
// turns, with Views and syncs between them and a failing sync now and then, and
// cuts the power after each step: what SyncAlways acknowledged, what Sync
// returned for and what a View showed is there. H2 F3 F5 S61
func TestMixedPolicies(t *testing.T) {
	im, base, err := baseWorld()
	if err != nil {
		t.Fatal(err)
	}
	seeds, samples := 20, 24
	if tortured() {
		seeds, samples = 2000, 200
	}
	policies := map[string]storage.SyncPolicy{"A": storage.SyncAlways, "B": storage.SyncAlways, "N": storage.SyncNever, "I": storage.SyncInterval, "V": storage.SyncNever}
	names := slices.Sorted(maps.Keys(policies))
	seen := map[uint64]struct{}{}
	for seed := range seeds {
		rnd := rand.New(rand.NewPCG(uint64(seed), 11))
		w := base.fork(im)
		for n := range 14 {
			name := names[rnd.IntN(len(names))]
			what, err := w.mixedStep(rnd, name, policies[name])
			if !expected(err) {
				t.Fatalf("seed %d, step %d, %s of %s: %v", seed, n, what, name, err)
			}
			if err := w.cutNow(seen, samples); w.err != nil || err != nil {
				t.Fatalf("seed %d, after step %d, %s of %s: %v %v", seed, n, what, name, w.err, err)
			}
		}
	}
	t.Logf("%d states", len(seen))
	if len(seen) < 1000 {
		t.Fatal("too few states")
	}
}

func (w *world) mixedStep(rnd *rand.Rand, name string, policy storage.SyncPolicy) (what string, err error) {
	p, err := w.open(name, policy)
	if err != nil {
		return "open", err
	}
	switch rnd.IntN(8) {
	case 0:
		return "view", again(func() error { return w.view(p) })
	case 1:
		err := again(func() error { return p.s.Sync(background) })
		if err == nil {
			st := p.s.current().state.Load()
			w.require(p, st.tid, st.end, "Sync of "+name+" returned")
		}
		return "sync", err
	case 2:
		delete(w.procs, name)
		return "close", p.s.Close()
	case 3:
		remove := w.disk.Inject(mem.Fault{Kinds: []mem.Kind{mem.OpSync}, Process: name, Name: worldPath, Action: mem.FailSync(syscall.EIO, nil)})
		defer remove()
		_, err := w.commit(p, 40)
		return "commit with a failing sync", err
	}
	size := 40
	if rnd.IntN(5) == 0 {
		size = 3000
	}
	return "commit", again(func() error { _, err := w.commit(p, size); return err })
}

// TestStrangeMarks gives the database marks that are missing, old, of another
// file, too high, or damaged, with everything synced and with a window of
// unsynced frames. Nothing durable is cut, nobody fails, Views show all that is
// durable as soon as somebody may sync, and the mark names a frame of the file
// again after the next commit. F8 F11 H4 S59
func TestStrangeMarks(t *testing.T) {
	im, base, err := baseWorld()
	if err != nil {
		t.Fatal(err)
	}
	salt := func(m mark) mark { m.salt++; return m }
	far := func(m mark) mark { m.start, m.end = m.end, m.end+1<<40; return m }
	next := func(m mark) mark { m.start, m.end = m.end, m.end+100; return m }
	inside := func(m mark) mark { m.end -= 10; return m }
	other := func(m mark) mark { m.sum ^= 1; return m }
	negative := func(m mark) mark { m.end = -1 << 60; return m }
	most := func(m mark) mark { m.start, m.end = 1<<63-200, 1<<63-1; return m }
	kinds := map[string]func(now mark, first []byte) []byte{
		"missing":                   func(mark, []byte) []byte { return nil },
		"old":                       func(_ mark, first []byte) []byte { return first },
		"of another file":           func(m mark, _ []byte) []byte { return written(salt(m)) },
		"far too high":              func(m mark, _ []byte) []byte { return written(far(m)) },
		"just too high":             func(m mark, _ []byte) []byte { return written(next(m)) },
		"within a frame":            func(m mark, _ []byte) []byte { return written(inside(m)) },
		"of another frame":          func(m mark, _ []byte) []byte { return written(other(m)) },
		"negative":                  func(m mark, _ []byte) []byte { return written(negative(m)) },
		"at the end of the numbers": func(m mark, _ []byte) []byte { return written(most(m)) },
		"damaged":                   func(m mark, _ []byte) []byte { b := written(m); b[20] ^= 8; return b },
		"empty":                     func(mark, []byte) []byte { return []byte{} },
		"half":                      func(m mark, _ []byte) []byte { return written(m)[:30] },
	}
	for name, kind := range kinds {
		for _, window := range []bool{false, true} {
			if window && name == "just too high" {
				continue // a mark never lies about this file; where it points there is a bad frame, then
			}
			for _, open := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/window=%v/open=%v", name, window, open), func(t *testing.T) {
					strangeMark(t, base.fork(im), kind, window, open)
				})
			}
		}
	}
}

func written(m mark) []byte {
	var p [vfs.MarkSize]byte
	m.put(&p)
	return p[:]
}

// strangeMark replaces the mark. With window the last commits are not synced;
// with open other processes have the database open meanwhile.
func strangeMark(t *testing.T, w *world, kind func(mark, []byte) []byte, window, open bool) {
	a, err := w.open("A", storage.SyncAlways)
	if err != nil {
		t.Fatal(err)
	}
	first, err := w.disk.ReadFile(lockName(worldPath))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := w.commit(a, 40); err != nil {
			t.Fatal(err)
		}
	}
	if open {
		for name, policy := range map[string]storage.SyncPolicy{"B": storage.SyncAlways, "N": storage.SyncNever} {
			p, err := w.open(name, policy)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.view(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	if window {
		n, err := w.open("N", storage.SyncNever)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := w.commit(n, 40); err != nil {
				t.Fatal(err)
			}
		}
	}
	now := parseMark((*[vfs.MarkSize]byte)(mustRead(t, w.disk, lockName(worldPath))))
	if now.end == 0 {
		t.Fatal("there is no mark")
	}
	if b := kind(now, first); b == nil {
		if err := w.disk.Remove(lockName(worldPath)); err != nil {
			t.Fatal(err)
		}
	} else if err := w.disk.WriteFile(lockName(worldPath), b); err != nil {
		t.Fatal(err)
	}
	seen := map[uint64]struct{}{}
	check := func(where string, err error) {
		t.Helper()
		if err == nil {
			err = w.err
		}
		if err == nil {
			err = w.cutNow(seen, 32)
		}
		if err != nil {
			t.Fatalf("%s: %v", where, err)
		}
	}
	check("before", nil)
	for _, name := range []string{"A", "C", "B", "N"} {
		policy := storage.SyncAlways
		if name == "N" {
			policy = storage.SyncNever
		}
		p, err := w.open(name, policy)
		if err != nil {
			t.Fatal(err)
		}
		check("a View of "+name, w.view(p))
		_, err = w.commit(p, 40)
		check("a commit of "+name, err)
		check("another View of "+name, w.view(p))
	}
	m := parseMark((*[vfs.MarkSize]byte)(mustRead(t, w.disk, lockName(worldPath))))
	l := w.procs["B"].s.current()
	l.mu.Lock()
	r, err := l.relationOf(m)
	l.mu.Unlock()
	if err != nil || r != markOnChain {
		t.Fatalf("at the end the mark is %+v: relation %d, %v", m, r, err)
	}
	if err := clean(w.procs["A"].s); err != nil {
		t.Fatal(err)
	}
}

func mustRead(t *testing.T, d *mem.Disk, name string) []byte {
	t.Helper()
	b, err := d.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestLockFileDeletedAnywhere deletes the lock file before each operation of
// two processes that increment a counter, and puts a stranger's in its place:
// both go on, no increment is lost, and whatever was acknowledged survives a
// power cut. H4 F11 D3 D15
func TestLockFileDeletedAnywhere(t *testing.T) {
	im, oids := manyObjects(t, 3)
	seeds := 3
	if tortured() {
		seeds = 100
	}
	count := func(text string) (n int) { fmt.Sscan(text, &n); return n }
	runs := 0
	for seed := range seeds {
		for _, strange := range []bool{false, true} {
			for n := 1; ; n++ {
				d := im.Disk()
				ops := 0
				d.Hook = func(mem.Op) mem.Action {
					if ops++; ops == n {
						_ = d.Remove(lockName(worldPath)) // it may not be there yet
						if strange {
							_ = d.WriteFile(lockName(worldPath), written(mark{salt: 1, start: headerSize, end: 1 << 20, tid: 5, sum: 9}))
						}
					}
					return mem.Proceed()
				}
				var errs []error
				done := 0
				body := func(p *mem.Process) {
					s, err := Open(worldPath, simulated(p))
					for i := 0; i < 3 && err == nil; i++ {
						if err = increment(s, oids[1], oids[2], count, false); err == nil {
							done++
						}
					}
					errs = append(errs, err)
				}
				errs = append(errs, d.Run(mem.Seeded(uint64(seed)), body, body))
				d.Hook = nil
				if err := errors.Join(errs...); err != nil {
					t.Fatalf("seed %d, operation %d: %v", seed, n, err)
				}
				for im := range d.Images(mem.Options{Models: mem.M1 | mem.M2}) {
					s, err := Open(worldPath, simulated(im.Disk().Process("Z")))
					if err != nil {
						t.Fatalf("seed %d, operation %d: %v", seed, n, err)
					}
					got, err := look(s, oids[2])
					if err := errors.Join(err, clean(s), s.Close()); err != nil || count(got) != done || done != 6 {
						t.Fatalf("seed %d, operation %d, %v: the counter is %q after %d increments; %v", seed, n, im, got, done, err)
					}
				}
				if ops < n {
					break
				}
				runs++
			}
		}
	}
	t.Logf("%d runs", runs)
	if runs < 100 {
		t.Fatal("too few runs")
	}
}

// TestFailedSyncBesideOthers: a sync of A fails and loses what it covered, at
// each of its syncs in turn, while B commits, C opens and views, in many
// interleavings; then the cache is dropped. What B and C were told holds; A is
// told that the outcome is unknown. F5 F26 S60
func TestFailedSyncBesideOthers(t *testing.T) {
	im, oids := manyObjects(t, 3)
	seeds := 120
	if tortured() {
		seeds = 5000
	}
	unknown := 0
	for seed := range seeds {
		d := im.Disk()
		evict := seed%2 == 0
		d.Inject(mem.Fault{Kinds: []mem.Kind{mem.OpSync}, Name: worldPath, Process: "A", Nth: 1 + seed/2%3, Action: mem.FailSync(syscall.EIO, nil)})
		var failed error
		acked := map[string]storage.OID{} // by state; the newest of an object counts
		shown := map[storage.OID]string{}
		last := map[storage.OID]string{}
		body := func(k int, rounds int) func(*mem.Process) {
			return func(p *mem.Process) {
				s, err := Open(worldPath, simulated(p))
				for i := 0; i < rounds && err == nil; i++ {
					text := fmt.Sprintf("%s %d", p.Name(), i)
					_, err = edit(s, oids[k], text)
					switch {
					case err == nil:
						acked[text], last[oids[k]] = oids[k], text
					case errors.Is(err, storage.ErrUnknownOutcome):
						unknown++
						last[oids[k]] = "" // may be this or the one before
						err = nil
					case errors.Is(err, storage.ErrRewound), errors.Is(err, syscall.EIO):
						err = nil
					}
				}
				if err != nil && failed == nil {
					failed = fmt.Errorf("%s: %w", p.Name(), err)
				}
			}
		}
		viewer := func(p *mem.Process) {
			s, err := Open(worldPath, simulated(p))
			for i := 0; i < 5 && err == nil; i++ {
				for _, oid := range oids {
					var got string
					if got, err = look(s, oid); err == nil {
						shown[oid] = got
					}
					if errors.Is(err, storage.ErrRewound) || errors.Is(err, syscall.EIO) {
						err = nil
					}
				}
			}
			if err != nil && failed == nil {
				failed = fmt.Errorf("the viewer: %w", err)
			}
		}
		err := d.Run(mem.Seeded(uint64(seed)), body(1, 3), body(2, 3), viewer)
		if evict {
			if err := d.Evict(worldPath, 0, -1); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(err, failed); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for im := range d.Images(mem.Options{Samples: 64, Sectors: 6}) {
			s, err := Open(worldPath, simulated(im.Disk().Process("Z")))
			if err != nil {
				t.Fatalf("seed %d, %v: %v", seed, im, err)
			}
			for _, oid := range oids {
				got, err := look(s, oid)
				if err != nil {
					t.Fatalf("seed %d, %v: %v", seed, im, err)
				}
				if want := last[oid]; want != "" && got != want && acked[want] == oid && !newer(got, want) {
					t.Fatalf("seed %d, %v: object %s is %q, %q was acknowledged", seed, im, oid, got, want)
				}
				if want := shown[oid]; want != got && !newer(got, want) {
					t.Fatalf("seed %d, %v: object %s is %q, a View showed %q", seed, im, oid, got, want)
				}
			}
			if _, err := edit(s, oids[0], "Z"); err != nil {
				t.Fatalf("seed %d, %v: %v", seed, im, err)
			}
			if err := errors.Join(clean(s), s.Close()); err != nil {
				t.Fatalf("seed %d, %v: %v", seed, im, err)
			}
		}
	}
	if unknown == 0 {
		t.Fatal("nobody was told that the outcome is unknown")
	}
}

// newer reports whether a state of one writer follows another one of his.
func newer(got, than string) bool { return got > than }
