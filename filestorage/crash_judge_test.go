package filestorage

import (
	"fmt"
	"maps"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/mem"
)

// judge is the oracle: on the disk as a power cut left it, a process that
// opens the database finds all that must be there and nothing in part, can
// commit, and leaves a file that verifies.
func (w *world) judge(im *mem.Image) error { return w.after(im).recover(nil) }

// after returns the world in which the machine starts again: nobody runs, and
// what had to survive still has to. It shares all that it knows with w; a world
// that goes on by itself has to make that its own first.
func (w *world) after(im *mem.Image) *world {
	n := &world{
		disk: im.Disk(), over: w.over, next: w.next, class: w.class, oids: w.oids,
		made: w.made, tids: w.tids, must: w.must, given: w.given, recoveries: w.recoveries + 1,
	}
	// One time for all, so that equal recoveries end with equal bytes.
	const step = 1_000_000_000_000
	n.clock.Store((w.clock.Load()/step + 1) * step)
	return n
}

// own makes what the world knows its own: it may note more.
func (w *world) own() {
	w.noting = true
	w.made, w.tids, w.must, w.given = maps.Clone(w.made), maps.Clone(w.tids), maps.Clone(w.must), maps.Clone(w.given)
}

// recoveryNumber is added to the number of power cuts before: so the commits of
// recoveries are told apart from all others.
const recoveryNumber = 1 << 30

// recover is what the first process does after a power cut, with all that it
// has to find. What another fresh process finds at the end is decided by the
// bytes of the database and its lock file: ends that are in verified, unless
// that is nil, were looked at before.
func (w *world) recover(verified *hashes) error {
	p := &proc{name: "R", fs: w.disk.Process("R"), sync: storage.SyncAlways}
	if err := w.start(p); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	shown, err := w.survivors(p)
	if err != nil {
		return err
	}
	tid, err := w.resume(p, shown)
	if err != nil {
		return err
	}
	if err := p.s.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	end := mixed(w.disk.FileHash(worldPath), w.disk.FileHash(lockName(worldPath)), uint64(tid))
	if verified != nil && !verified.add(end) {
		return nil
	}
	return w.reopened(tid)
}

// survivors is the first View: what must be there is.
func (w *world) survivors(p *proc) ([]txn, error) {
	snap, err := p.s.Begin(background, false)
	if err != nil {
		return nil, fmt.Errorf("view: %w", err)
	}
	defer snap.Release()
	shown, err := w.read(snap.(*snapshot))
	if err != nil {
		return nil, err
	}
	if err := w.missing(shown); err != nil {
		return nil, err
	}
	if w.noting {
		w.require(p, snap.TID(), snap.(*snapshot).end, "a View of "+p.name+" showed it after the power cut")
	}
	return shown, w.err
}

// missing tells which transaction should be there and is not.
func (w *world) missing(shown []txn) error {
	found := 0
	for _, t := range shown {
		if _, ok := w.must[t.TID]; ok {
			found++
		}
	}
	if found == len(w.must) {
		return nil
	}
	seen := map[storage.TID]bool{}
	for _, t := range shown {
		seen[t.TID] = true
	}
	for tid, why := range w.must {
		if !seen[tid] {
			return fmt.Errorf("transaction %d is lost: %s", tid, why)
		}
	}
	return nil
}

// resume is the first transaction: ids are given out once, and it commits.
func (w *world) resume(p *proc, shown []txn) (storage.TID, error) {
	snap, err := p.s.Begin(background, true)
	if err != nil {
		return 0, fmt.Errorf("begin: %w", err)
	}
	defer snap.Release()
	oid, err := p.s.NewOID(background)
	if err != nil {
		return 0, fmt.Errorf("new oid: %w", err)
	}
	if who, ok := w.given[oid]; ok && w.used(shown, oid) {
		return 0, fmt.Errorf("object id %d is given out twice, before to %s", oid, who)
	}
	n := recoveryNumber + w.recoveries
	a := &attempt{number: n, promise: true, base: snap.TID(), oid: w.oids[0], class: className}
	a.payload = payload(n, a.base, 16)
	if w.noting {
		w.given[oid] = p.name
		w.made[n] = a
	}
	tid, err := p.s.Commit(background, &storage.Commit{Base: snap, Records: []storage.Record{a.record(w.class)}})
	if err != nil {
		return 0, fmt.Errorf("commit: %w", err)
	}
	if w.noting {
		w.require(p, tid, p.s.current().state.Load().end, "the first commit after the power cut was acknowledged")
	}
	return tid, w.err
}

// reopened is what another fresh process finds after all that.
func (w *world) reopened(tid storage.TID) error {
	p := &proc{name: "R", fs: w.disk.Process("R"), sync: storage.SyncAlways}
	if err := w.start(p); err != nil {
		return fmt.Errorf("open again: %w", err)
	}
	if last, err := p.s.LastTID(); err != nil || last != tid {
		return fmt.Errorf("after reopening the last transaction is %d, %v; want %d", last, err, tid)
	}
	r, err := p.s.Verify(background, nil)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if !r.OK() || r.Tail != 0 {
		return fmt.Errorf("verify: %v, tail %d", r.Problems, r.Tail)
	}
	if err := p.s.Close(); err != nil {
		return fmt.Errorf("close again: %w", err)
	}
	return nil
}

// used reports whether an object id stands in a transaction that survived. An
// id whose lease was lost with everything that used it may come again.
func (w *world) used(shown []txn, oid storage.OID) bool {
	for _, t := range shown {
		if a := w.attempt(t.number); a != nil && a.oid == oid {
			return true
		}
	}
	return w.given[oid] == "base"
}
