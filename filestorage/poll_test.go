package filestorage

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/mem"
)

// ops returns the operations of a process while f runs.
func (w *world) ops(process string, f func()) (kinds []mem.Kind) {
	w.disk.Hook = func(op mem.Op) mem.Action {
		if op.Process == process {
			kinds = append(kinds, op.Kind)
		}
		return mem.Proceed()
	}
	f()
	w.disk.Hook = nil
	return kinds
}

// A transaction that begins when nothing is new costs one seek to the end, and
// reads of what is known cost none. D7 D15 H12 H14
func TestBeginIsOneSeek(t *testing.T) {
	w := mustWorld(t)
	now := time.UnixMicro(w.clock.Load())
	opts := w.options(w.disk.Process("A"), storage.SyncAlways)
	opts.Now = func() time.Time { return now } // no time passes: the path is not looked at
	s, err := Open(worldPath, opts)
	if err != nil {
		t.Fatal(err)
	}
	p := &proc{name: "A", s: s}
	w.procs["A"] = p
	if _, err := w.commit(p, 40); err != nil {
		t.Fatal(err)
	}
	for _, writable := range []bool{false, true} {
		var snap storage.Snapshot
		kinds := w.ops("A", func() {
			if snap, err = s.Begin(context.Background(), writable); err != nil {
				t.Fatal(err)
			}
			for _, oid := range w.oids {
				_, _ = snap.Find(oid)
			}
		})
		if !slices.Equal(kinds, []mem.Kind{mem.OpSize}) {
			t.Errorf("Begin(writable %v) and Find took %v, want one seek", writable, kinds)
		}
		pos, err := snap.Find(w.attempt(0).oid)
		if err != nil {
			t.Fatal(err)
		}
		if kinds := w.ops("A", func() { _, err = snap.Read(w.attempt(0).oid, pos) }); err != nil || !slices.Equal(kinds, []mem.Kind{mem.OpRead}) {
			t.Errorf("one object took %v, %v: want one read", kinds, err)
		}
		snap.Release()
	}
}

// A commit appends one frame in one write, takes the lock only for that, and
// another process sees it at its next transaction. D3 D9 D11 D13
func TestCommitIsOneAppend(t *testing.T) {
	w := mustWorld(t)
	a, err := w.open("A", storage.SyncAlways)
	if err != nil {
		t.Fatal(err)
	}
	b, err := w.open("B", storage.SyncAlways)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*proc{a, b} {
		if err := w.view(p); err != nil {
			t.Fatal(err)
		}
	}
	kinds := w.ops("A", func() {
		if _, err := w.commit(a, 40); err != nil {
			t.Fatal(err)
		}
	})
	count := func(k mem.Kind) (n int) {
		for _, have := range kinds {
			if have == k {
				n++
			}
		}
		return n
	}
	if count(mem.OpAppend) != 1 || count(mem.OpSync) != 1 || count(mem.OpTruncate) != 0 || count(mem.OpRewrite) != 0 {
		t.Errorf("a commit took %v", kinds)
	}
	if u, s := slices.Index(kinds, mem.OpUnlock), slices.Index(kinds, mem.OpSync); u < 0 || u > s {
		t.Errorf("the lock was not given back before the sync: %v", kinds)
	}
	if l, e := slices.Index(kinds, mem.OpTryLock), slices.Index(kinds, mem.OpUnlock); e-l > 12 {
		t.Errorf("%d operations under the lock: %v", e-l, kinds[l:e])
	}
	snap, err := b.s.Begin(context.Background(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	if snap.TID() != w.tids[0] {
		t.Errorf("B sees %d, want %d", snap.TID(), w.tids[0])
	}
}

// A snapshot stays what it is while others commit, also to the objects that
// it looks at, and also when what was superseded is no longer remembered. D15 S82
func TestSnapshotStays(t *testing.T) {
	w := mustWorld(t)
	a, err := w.open("A", storage.SyncNever)
	if err != nil {
		t.Fatal(err)
	}
	read := func(snap storage.Snapshot) (all []string) {
		for _, oid := range w.oids {
			pos, err := snap.Find(oid)
			if err != nil {
				all = append(all, err.Error())
				continue
			}
			r, err := snap.Read(oid, pos)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, string(r.Payload))
		}
		return all
	}
	var snaps []storage.Snapshot
	var states [][]string
	for range 60 {
		if _, err := w.commit(a, 40); err != nil {
			t.Fatal(err)
		}
		snap, err := a.s.Begin(context.Background(), true)
		if err != nil {
			t.Fatal(err)
		}
		snaps, states = append(snaps, snap), append(states, read(snap))
	}
	check := func(how string) {
		for i, snap := range snaps {
			if now := read(snap); !slices.Equal(now, states[i]) {
				t.Fatalf("%s: snapshot %d has changed", how, i)
			}
		}
	}
	check("remembered")
	l := a.s.current()
	l.recent.forget(l.end()) // from now on by the chain in the file
	check("by the chain")
	for _, snap := range snaps {
		snap.Release()
		snap.Release() // idempotent
	}
}
