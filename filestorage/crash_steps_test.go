package filestorage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"syscall"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/mem"
)

// step is one operation of a workload.
type step struct {
	name string
	run  func(w *world) error
}

// expected are errors that a step may end with: the outcome is unknown, or
// the file was rewound by what a failed sync lost.
func expected(err error) bool {
	return err == nil || errors.Is(err, storage.ErrUnknownOutcome) || errors.Is(err, storage.ErrRewound) || errors.Is(err, storage.ErrConflict) || errors.Is(err, syscall.EIO)
}

// again runs f once more when the file was rewound: the next transaction sees
// the new history.
func again(f func() error) error {
	err := f()
	if errors.Is(err, storage.ErrRewound) {
		err = f()
	}
	return err
}

func (w *world) commitStep(name string, policy storage.SyncPolicy, size int) error {
	return again(func() error {
		p, err := w.open(name, policy)
		if err != nil {
			return err
		}
		_, err = w.commit(p, size)
		return err
	})
}

var steps = []step{
	{"small", func(w *world) error { return w.commitStep("A", storage.SyncAlways, 40) }},
	{"9KiB", func(w *world) error { return w.commitStep("A", storage.SyncAlways, 9<<10) }},
	{"in pieces", inPieces},
	{"small of B", func(w *world) error { return w.commitStep("B", storage.SyncAlways, 40) }},
	{"two before any sync", twoBeforeSync},
	{"failed sync", func(w *world) error { return w.failedSync(false) }},
	{"failed sync, evicted", func(w *world) error { return w.failedSync(true) }},
	{"no promise", func(w *world) error { return w.commitStep("N", storage.SyncNever, 40) }},
	{"aborted", aborted},
	{"lease", lease1},
	{"reopen", reopen},
	{"view", func(w *world) error { return w.viewStep("V") }},
	{"lock file deleted", func(w *world) error {
		w.unmarked = true
		if err := w.disk.Remove(lockName(worldPath)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}},
	{"view of A", func(w *world) error { return w.viewStep("A") }},
}

func (w *world) viewStep(name string) error {
	return again(func() error {
		p, err := w.open(name, storage.SyncAlways)
		if err != nil {
			return err
		}
		return w.view(p)
	})
}

// inPieces: a commit of A whose record is not in memory, in five appends.
func inPieces(w *world) error {
	return again(func() error {
		p, err := w.open("A", storage.SyncAlways)
		if err != nil {
			return err
		}
		p.s.piece = 1000
		snap, err := p.s.Begin(context.Background(), true)
		if err != nil {
			return err
		}
		defer snap.Release()
		c := w.propose(p, snap, 4<<10)
		_, err = w.submitAs(p, c, &storage.Commit{Base: snap, Spilled: &spilledRecords{recs: c.Records}})
		return err
	})
}

// twoBeforeSync: A and B append one commit each, then A syncs, then B.
func twoBeforeSync(w *world) error {
	a, err := w.open("A", storage.SyncAlways)
	if err != nil {
		return err
	}
	b, err := w.open("B", storage.SyncAlways)
	if err != nil {
		return err
	}
	// B is ready before, so that its first sync is that of its commit.
	if err := again(func() error { return w.view(b) }); !expected(err) {
		return err
	}
	stopped := make(chan struct{})
	inner := w.asked()
	first := true
	defer w.watch(func(op mem.Op) mem.Action {
		if op.Process == "A" && op.Kind == mem.OpSync && op.Name == worldPath && first {
			first = false
			inner(op)
			close(stopped)
			return mem.Stop()
		}
		return inner(op)
	})()
	done := make(chan error, 1)
	go func() {
		_, err := w.commit(a, 40)
		done <- err
	}()
	select {
	case <-stopped:
	case err := <-done: // it ended without a sync
		return err
	}
	_, errB := w.commit(b, 40)
	a.fs.Continue()
	if errA := <-done; !expected(errA) {
		return errA
	}
	return errB
}

func (w *world) failedSync(evict bool) error {
	p, err := w.open("A", storage.SyncAlways)
	if err != nil {
		return err
	}
	remove := w.disk.Inject(mem.Fault{Kinds: []mem.Kind{mem.OpSync}, Process: "A", Name: worldPath, Action: mem.FailSync(syscall.EIO, nil)})
	_, err = w.commit(p, 40)
	remove()
	w.unsure = w.rnd != nil
	if evict {
		if err := w.disk.Evict(worldPath, 0, -1); err != nil {
			return err
		}
	}
	return err
}

// aborted: a commit that loses against another one, of the same process.
func aborted(w *world) error {
	p, err := w.open("A", storage.SyncAlways)
	if err != nil {
		return err
	}
	ctx := context.Background()
	snap, err := p.s.Begin(ctx, true)
	if err != nil {
		return err
	}
	defer snap.Release()
	if _, err := w.commit(p, 40); !expected(err) {
		return err
	} else if err != nil {
		return nil
	}
	oid := w.attempt(w.next - 1).oid
	_, err = p.s.Commit(ctx, &storage.Commit{Base: snap, Records: []storage.Record{{OID: oid, Class: w.class, Payload: payload(1<<29, 0, 16)}}})
	if !errors.Is(err, storage.ErrConflict) {
		w.broken("a commit on an old snapshot ended with %v", err)
	}
	return nil
}

func lease1(w *world) error {
	for _, name := range []string{"A", "B"} {
		if err := w.takeIDs(name, 5); err != nil {
			return err
		}
	}
	return nil
}

// takeIDs takes n object ids, which nobody else may get.
func (w *world) takeIDs(name string, n int) error {
	p, err := w.open(name, storage.SyncAlways)
	if err != nil {
		return err
	}
	for range n {
		oid, err := p.s.NewOID(context.Background())
		if err != nil {
			return err
		}
		if who, ok := w.given[oid]; ok && !w.unsure {
			w.broken("object id %d was given to %s and %s", oid, who, name)
		}
		w.given[oid] = name
	}
	return nil
}

func reopen(w *world) error {
	if err := w.close("A"); !expected(err) {
		return err
	}
	p, err := w.open("A", storage.SyncAlways)
	if err != nil {
		return err
	}
	return again(func() error { return w.view(p) })
}

// close closes the handle of a process, if it has one.
func (w *world) close(name string) error {
	p := w.procs[name]
	if p == nil {
		return nil
	}
	delete(w.procs, name)
	return p.s.Close()
}

// lastViews: whoever has it open sees by an ordinary View what others were
// told.
func (w *world) lastViews() error {
	for _, name := range slices.Sorted(maps.Keys(w.procs)) {
		if err := again(func() error { return w.view(w.procs[name]) }); !expected(err) || w.err != nil {
			return fmt.Errorf("View of %s at the end: %v %v", name, err, w.err)
		}
	}
	return nil
}
