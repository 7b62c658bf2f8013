package durus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/durusdb/durus/storage"
)

// Connection is a live session, as in the original proposal: each retrieve
// looks for new records first and gives the newest durable state of the
// object, unless the connection is paused. So two objects that are loaded one
// after the other may stem from different moments; Pause, or a transaction,
// gives one moment.
//
// What Edit gave and Add took is written at Commit, which conflicts if
// anything that was loaded or written since the last Commit or Abort has been
// changed since it was first accessed. A connection that only reads should
// call Abort now and then: it remembers what it has read.
//
// A Connection belongs to one goroutine at a time. It does not keep DB.Close
// waiting.
type Connection struct {
	c      core
	paused int   // how often, less the Continues
	failed error // of the last Commit; cleared by Abort
	closed bool
	since  TID                // Snapshot when the read set began
	pinned bool               // something depends on the snapshot
	pins   []storage.Snapshot // older ones that something depends on
	moved  bool               // the file was restored since something was accessed
}

// Connect opens a live session. ctx is good for all that it reads.
func (db *DB) Connect(ctx context.Context) (*Connection, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := db.running.enter(); err != nil {
		return nil, err
	}
	defer db.running.leave()
	snap, err := db.st.Begin(ctx, false)
	if err != nil {
		return nil, err
	}
	k := &Connection{since: snap.TID()}
	k.c = core{
		work:     new(work),
		db:       db,
		snap:     snap,
		gen:      db.generation(snap),
		ctx:      ctx,
		tag:      db.tag,
		conn:     k,
		writable: !db.opts.ReadOnly,
	}
	if db.opts.Check >= CheckShared {
		k.c.shared = newSharedCheck()
	}
	return k, nil
}

func (k *Connection) core() *core { return &k.c }

// Context is the context given to Connect.
func (k *Connection) Context() context.Context { return k.c.ctx }

// Err is the first error since the last Abort that sticks, as Session says. While
// there is one, Commit fails with it.
func (k *Connection) Err() error { return k.c.err() }

// Snapshot is the newest transaction that the connection has seen.
func (k *Connection) Snapshot() TID { return k.c.snapshot() }

// usable tells whether the connection may be used.
func (k *Connection) usable() error {
	if k.c.work == nil {
		return errNever
	}
	if k.closed {
		return fmt.Errorf("%w: the connection: make another one with DB.Connect", ErrClosed)
	}
	return k.c.db.running.open()
}

// look looks for new records before a retrieve.
func (k *Connection) look() error {
	if k.paused > 0 {
		return nil
	}
	return k.refresh()
}

// refresh moves the connection to the newest durable state.
func (k *Connection) refresh() error {
	if err := k.c.ctx.Err(); err != nil {
		return err
	}
	snap, err := k.c.db.st.Begin(k.c.ctx, false)
	if err != nil {
		return k.c.stick(err)
	}
	if snap.TID() == k.c.snap.TID() && snap.Lineage() == k.c.snap.Lineage() {
		snap.Release() // the state is the same: what was found in it stays valid
		return nil
	}
	if len(k.c.used) > 0 {
		kept, err := k.carry(k.c.snap, snap)
		if err != nil {
			snap.Release()
			return k.c.stick(err)
		}
		k.moved = k.moved || !kept
	}
	k.leave()
	k.c.snap, k.c.gen = snap, k.c.db.generation(snap)
	return nil
}

// leave gives the snapshot back, or keeps it for what depends on it.
func (k *Connection) leave() {
	if k.pinned {
		k.pins = append(k.pins, k.c.snap)
		k.pinned = false
		return
	}
	k.c.snap.Release()
}

// Pause looks for new records once and then holds that state: all that is
// loaded until Continue stems from one moment. Pauses nest; only the outermost
// one looks.
func (k *Connection) Pause() error {
	if err := k.usable(); err != nil {
		return err
	}
	if k.paused == 0 {
		if err := k.refresh(); err != nil {
			return err
		}
	}
	k.paused++
	return nil
}

// Continue ends one Pause. It is an error without one.
func (k *Connection) Continue() error {
	if err := k.usable(); err != nil {
		return err
	}
	if k.paused == 0 {
		return errors.New("durus: Continue without Pause: call it once for each Pause")
	}
	k.paused--
	return nil
}

// Sync looks for new records once, also while the connection is paused: the
// state that it holds moves on.
func (k *Connection) Sync() error {
	if err := k.usable(); err != nil {
		return err
	}
	return k.refresh()
}

// Commit writes what was edited and added, all or nothing, if what the
// connection has accessed since the last Commit or Abort is unchanged;
// otherwise the error is a *ConflictError. After an error nothing is
// committed, and the connection must be aborted before it can commit again.
// After success the connection sees its own changes, paused or not. For other
// errors see Tx.Commit.
func (k *Connection) Commit() error {
	if err := k.usable(); err != nil {
		return err
	}
	if k.failed != nil {
		return fmt.Errorf("durus: the last Commit failed: call Abort before the next one: %w", k.failed)
	}
	if k.failed = k.commit(); k.failed != nil {
		return k.failed
	}
	k.c.committed()
	k.forget()
	return k.refresh()
}

func (k *Connection) commit() error {
	c := &k.c
	if err := join(c.err(), c.shared.verify(c)); err != nil {
		return err
	}
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if !c.writable {
		return nil
	}
	if err := c.prepare(); err != nil {
		return err
	}
	// The objects were read at different moments. They are compared with one
	// newer state here; if none has changed, all of them could have been read
	// from that state, and the storage checks what comes after it.
	base, err := c.db.st.Begin(c.ctx, true)
	if err != nil {
		return err
	}
	for base.Lineage() != c.snap.Lineage() { // packed meanwhile: what was used is known by other positions
		base.Release()
		if err := k.refresh(); err != nil {
			return err
		}
		if base, err = c.db.st.Begin(c.ctx, true); err != nil {
			return err
		}
	}
	defer base.Release()
	if err := k.validate(base); err != nil {
		return err
	}
	_, _, err = c.commit(c.ctx, base, storage.Meta{}, 0, nil)
	return err
}

// validate returns a *ConflictError if an object that the connection has
// accessed is not the same in now.
func (k *Connection) validate(now storage.Snapshot) error {
	c := &k.c
	var changed []ConflictObject
	for oid, u := range c.used {
		if _, relied := c.relied[oid]; !relied && u.edited == nil && c.db.opts.Isolation == SnapshotIsolation {
			continue
		}
		pos, err := now.Find(oid)
		if err != nil && !isNotFound(err) {
			return err
		}
		same, reason := pos == u.pos, ""
		if !same && !k.moved && u.edited != nil && u.edited.info != nil && u.edited.info.merge != nil && u.pos > 0 && pos != 0 {
			continue // it is merged
		}
		if k.moved && u.pos != 0 { // positions of two lineages cannot be compared
			same, reason = false, "the file was restored since it was read"
		}
		if !same {
			changed = append(changed, k.conflict(oid, pos, now, reason))
		}
	}
	if changed == nil {
		return nil
	}
	slices.SortFunc(changed, func(a, b ConflictObject) int { return cmp.Compare(a.OID, b.OID) })
	k.winners(changed, now)
	return &ConflictError{Objects: changed}
}

// conflict describes an object that has changed.
func (k *Connection) conflict(oid OID, pos storage.Position, now storage.Snapshot, reason string) ConflictObject {
	o := ConflictObject{OID: oid, Committed: now.TID(), Reason: reason}
	if pos == 0 {
		return o
	}
	if id, err := now.Class(oid, pos); err == nil {
		spelling, _ := now.ClassName(id)
		o.Class, _ = storage.SplitClass(spelling)
	}
	return o
}

// winners finds out which transactions changed the objects: the last ones that
// wrote them. What is not found keeps the newest transaction.
func (k *Connection) winners(changed []ConflictObject, now storage.Snapshot) {
	at := make(map[OID]int, len(changed))
	for i, o := range changed {
		at[o.OID] = i
	}
	for t, err := range k.c.db.st.Transactions(k.since+1, now.TID()) {
		if err != nil {
			return // the conflict is what matters
		}
		for _, oid := range t.OIDs {
			if i, ok := at[oid]; ok {
				changed[i].Committed = t.TID
			}
		}
	}
}

// Abort forgets what was edited and added, and what was read. It returns
// ErrSharedWrite if CheckShared found something.
func (k *Connection) Abort() error {
	if err := k.usable(); err != nil {
		return err
	}
	shared := k.c.shared.verify(&k.c)
	k.failed = nil
	k.c.stuck.Store(nil)
	k.c.empty()
	k.c.hard.Store(nil)
	k.forget()
	return join(k.look(), shared)
}

// forget begins a new read and write set.
func (k *Connection) forget() {
	k.c.used, k.c.dirty, k.c.ptrs, k.c.extents, k.c.relief = nil, nil, nil, nil, relief{}
	k.c.containers, k.c.order, k.c.nodes = nil, nil, nil
	k.c.relied = nil
	for _, snap := range k.pins {
		snap.Release()
	}
	k.pins, k.pinned = nil, false
	k.since, k.moved = k.c.snap.TID(), false
	k.c.shared.take()
}

// Close ends the connection. With uncommitted changes it is an error and the
// connection stays open: Commit or Abort first.
func (k *Connection) Close() error {
	if k.c.work == nil {
		return errNever
	}
	if k.closed {
		return nil
	}
	n, err := k.uncommitted()
	if err != nil {
		return err
	}
	if n > 0 {
		return fmt.Errorf("durus: the connection has %d uncommitted objects: call Commit or Abort before Close", n)
	}
	shared := k.c.shared.verify(&k.c)
	k.closed = true
	k.c.over.Store(true)
	k.forget()
	k.c.snap.Release()
	return shared
}

// uncommitted counts the objects that Commit would write. Those that cannot be
// encoded count too.
func (k *Connection) uncommitted() (int, error) {
	if k.c.db.running.open() != nil {
		return 0, nil // the database is closed: there is nothing left to do about them
	}
	w, err := k.c.written()
	if err != nil {
		return 0, err
	}
	return len(w.records) + len(w.containers), nil
}
