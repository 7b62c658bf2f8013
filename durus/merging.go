package durus

import (
	"errors"
	"fmt"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// merging is the objects of a commit whose class has a Merge: when another
// transaction has changed one of them, the function makes one state of three.
type merging struct {
	at    map[OID]int // index of the object's record in what is written; nil if there are none
	stale map[OID]bool
}

// mergeable notes the objects that may be merged.
func (r *carrier) mergeable() {
	for i, e := range r.out.from {
		if e.info != nil && e.info.merge != nil && !e.fresh {
			if r.merging.at == nil {
				r.merging.at, r.merging.stale = map[OID]int{}, map[OID]bool{}
			}
			r.merging.at[e.oid] = i
		}
	}
}

// changed notes that another transaction has changed an object; false if that is
// no affair of a Merge.
func (m *merging) changed(oid OID) bool {
	_, ok := m.at[oid]
	if ok {
		m.stale[oid] = true
	}
	return ok
}

// merge makes the records of the objects that others have changed. It runs
// functions of the program's, so it does not run under the lock.
func (r *carrier) merge(now storage.Snapshot) error {
	for oid := range r.merging.stale {
		i := r.merging.at[oid]
		rec, err := r.mergeObject(r.out.from[i], r.mine[i], now)
		if joined, other := r.c.tablesAt(now, r.out.from[i].info); other != nil {
			return other
		} else if joined && err == nil {
			// Another program may have put the object into the first table of its
			// class, whose indexes would not follow.
			err = errors.New("objects of its class are in tables, whose indexes would not follow")
		}
		if err != nil {
			o := ConflictObject{OID: oid, Class: r.out.from[i].class(), Base: r.c.snap.TID(), Committed: now.TID(), Reason: "it could not be merged: " + err.Error()}
			if pos, err := now.Find(oid); err == nil {
				if tid, err := now.WrittenBy(oid, pos); err == nil {
					o.Committed = tid
				}
			}
			return &ConflictError{Objects: []ConflictObject{o}}
		}
		rec.Class = r.out.records[i].Class
		r.out.records[i] = rec
		delete(r.merging.stale, oid)
	}
	return nil
}

// mergeObject merges one object. mine is the record that the session made: the
// function gets a copy of it each time, since it may be asked again.
func (r *carrier) mergeObject(e *edited, mine storage.Record, now storage.Snapshot) (out storage.Record, err error) {
	c := r.c
	base, err := c.stateAt(c.snap, e.oid, c.used[e.oid].pos)
	if err != nil {
		return out, fmt.Errorf("the state that both have changed is not there any more: %w", err)
	}
	pos, err := now.Find(e.oid)
	if err != nil {
		return out, err
	}
	theirs, err := c.stateAt(now, e.oid, pos)
	if err != nil {
		return out, err
	}
	own := e.info.fresh()
	extra, err := e.info.plan.Decode(mine.Payload, c.tag, own)
	if err != nil {
		return out, err
	}
	merged, err := e.info.merge.call(base, theirs, own)
	if err != nil {
		return out, err
	}
	w := writers.Get().(*codec.Writer)
	defer func() {
		w.Out = nil
		writers.Put(w)
	}()
	var store arena
	rec, _, err := c.record(&edited{oid: e.oid, info: e.info, value: merged, extra: extra, fresh: true}, w, &store)
	return rec, err
}

// stateAt returns a private copy of an object's state.
func (c *core) stateAt(snap storage.Snapshot, oid OID, pos storage.Position) (any, error) {
	if pos == 0 {
		return nil, storage.ErrNotFound
	}
	rec, err := snap.Read(oid, pos)
	if err != nil {
		return nil, err
	}
	v, info, _, err := c.decode(rec)
	if err == nil && info == nil {
		err = errors.New("its class is not registered")
	}
	return v, err
}
