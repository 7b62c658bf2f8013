package durus

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// Savepoint is a moment in a transaction to which it can go back. It belongs to
// the goroutine of its transaction.
type Savepoint struct {
	tx     *Tx
	gone   bool // an earlier savepoint was rolled back
	states []savedState

	at spilledMark // how far core.spilled was

	undo       []func() // of the containers that were in use
	containers int
	meta       storage.Meta
	onCommit   int
	undone     int
}

// savedState is the state of an object that was in memory.
type savedState struct {
	oid    OID
	item   uint32
	opaque *edited // of an *Opaque, which never changes; then item is not set
	was    edited  // what opaque was: Undo puts another state there, and Edit a value
}

// ErrSavepointGone is the error of Savepoint.Rollback after an earlier
// savepoint of the transaction was rolled back: the moment that it marks never
// was.
var ErrSavepointGone = errors.New("durus: the savepoint is gone, because an earlier one was rolled back: take a new one")

// Savepoint marks this moment of the transaction, for Savepoint.Rollback to go
// back to. It does not look for what others have committed: the transaction
// sees the same state as before.
//
// It encodes every object that was edited or added and is in memory, and so
// costs about as much as a commit without its sync. When those objects take
// more than Options.CacheBytes, the ones that the program does not hold any more leave memory.
// They come back when they are used. (Without savepoints that happens, too.)
//
// Errors: the error that sticks (Err), the one of an object that cannot be
// stored, ErrTxDone, ErrReadOnly. After an error nothing has changed.
func (tx *Tx) Savepoint() (*Savepoint, error) {
	c := &tx.c
	if err := c.mayWrite(); err != nil {
		return nil, err
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	if c.spilled == nil {
		c.spilled = newSpilled(c.db)
	}
	s := c.spilled
	s.keeping = true
	sp := &Savepoint{
		tx: tx, meta: tx.meta, onCommit: len(tx.onCommit), containers: len(c.order), undone: len(tx.undone),
	}
	if err := c.save(sp); err != nil {
		return nil, err
	}
	sp.at = s.mark()
	for _, p := range c.order {
		sp.undo = append(sp.undo, p.savepoint())
	}
	tx.savepoints = append(tx.savepoints, sp)
	c.relief.next = 0 // what was held at the last look may have been let go
	c.relieve(c.db.opts.CacheBytes)
	return sp, nil
}

// save puts the states of all objects aside that are in memory.
func (c *core) save(sp *Savepoint) error {
	c.relief.off++
	defer func() { c.relief.off-- }()
	w := writers.Get().(*codec.Writer)
	defer func() {
		w.Out = nil
		writers.Put(w)
	}()
	// An encoder of the program's may edit and add objects: they are saved, too.
	for i := 0; i < len(c.dirty); i++ {
		e := c.dirty[i]
		if e.info == nil {
			sp.states = append(sp.states, savedState{oid: e.oid, opaque: e, was: *e})
			continue
		}
		if err := c.encode(e, w); err != nil {
			return fmt.Errorf("durus: savepoint: object %s of class %s cannot be stored in %s: %w", e.oid, e.class(), c.db.path, err)
		}
		if !e.hasItem || !c.spilled.holds(e.item, w.Buf) {
			e.item, e.hasItem = c.spilled.add(e, w.Buf, w.Strong, w.Weak), true
		}
		sp.states = append(sp.states, savedState{oid: e.oid, item: e.item})
	}
	return c.err() // an encoder of the program's may have used the session
}

// Rollback makes the transaction what it was at the savepoint. It may be called
// again: the savepoint stays, those after it are gone.
//
//   - An object that had been edited or added at the savepoint gets its value
//     back, in place: the pointers that Edit, Add and Load have given for it
//     show the old state, and it stays the session's edited object. Where the
//     value has changed, its slices, maps and pointers are new ones; fields that are
//     not stored keep what they have.
//   - An object that was edited first after the savepoint is as if it had not
//     been: Load returns the shared one, Edit a new copy.
//   - An object that was added after the savepoint does not exist any more, and
//     its reference leads nowhere. Its value keeps its fields and is the
//     program's again; Add makes a new object of it.
//   - What Describe and OnCommit were told after the savepoint is forgotten.
//   - What was read stays read: the program acted on it, so the commit conflicts
//     if somebody changed it.
//   - A failed write that made the transaction's Err after the savepoint is
//     forgiven. Errors of the disk and of the context are not.
//
// Errors: ErrTxDone after the end of the transaction, ErrSavepointGone after
// the Rollback of an earlier savepoint, and I/O errors, which stick.
func (sp *Savepoint) Rollback() error {
	tx := sp.tx
	if tx == nil {
		return errNever
	}
	c := &tx.c
	if err := c.usable(); err != nil {
		return err
	}
	if sp.gone {
		return ErrSavepointGone
	}
	if c.relief.off > 0 {
		return c.stick(errors.New("durus: Rollback of a savepoint while objects are encoded: an encoder must not do this"))
	}
	c.relief.off++
	defer func() { c.relief.off-- }()
	for i := len(tx.savepoints) - 1; tx.savepoints[i] != sp; i-- {
		tx.savepoints[i].gone = true
		tx.savepoints = tx.savepoints[:i]
	}
	if err := sp.restore(c); err != nil {
		return c.stick(err)
	}
	tx.meta = sp.meta
	clear(tx.onCommit[sp.onCommit:])
	tx.onCommit = tx.onCommit[:sp.onCommit]
	tx.undone = tx.undone[:sp.undone]
	for _, undo := range sp.undo {
		undo()
	}
	for _, p := range c.order[sp.containers:] {
		p.forget()
	}
	c.stuck.Store(c.hard.Load())
	return nil
}

// restore makes the objects what they were.
func (sp *Savepoint) restore(c *core) error {
	s := c.spilled
	s.back(sp.at)
	after := c.dirty
	c.dirty, c.ptrs = make([]*edited, 0, len(sp.states)), nil
	c.round++ // marks what stays
	for _, st := range sp.states {
		if err := c.restoreSaved(st); err != nil {
			c.dirty = after
			return err
		}
	}
	for _, e := range after {
		if e.round == c.round {
			continue
		}
		if n, ok := s.lookup(e.oid); ok { // it was aside then, and came back since
			if err := c.restoreValue(e, n); err != nil {
				c.dirty = after
				return err
			}
			s.remove(e.oid)
			c.keep(e)
			continue
		}
		if u := c.used[e.oid]; u.edited == e {
			if e.fresh && e.oid != directoryOID {
				delete(c.used, e.oid)
			} else {
				c.used[e.oid] = use{pos: u.pos}
			}
		}
	}
	for _, e := range c.dirty {
		if e.hasItem && int(e.item) >= sp.at.items {
			e.hasItem = false
		}
	}
	s.cut(sp.at)
	c.relief.bytes, c.relief.next = 0, 0
	for _, e := range c.dirty {
		c.weigh(e)
	}
	return nil
}

// keep makes e one of the session's edited objects.
func (c *core) keep(e *edited) {
	e.round = c.round
	c.use(e.oid, use{pos: c.used[e.oid].pos, edited: e})
	c.dirty = append(c.dirty, e)
}

// restoreSaved restores an object that was in memory at the savepoint.
func (c *core) restoreSaved(st savedState) error {
	if st.opaque != nil {
		*st.opaque = st.was
		c.keep(st.opaque)
		return nil
	}
	if e := c.used[st.oid].edited; e != nil {
		if err := c.restoreValue(e, st.item); err != nil {
			return err
		}
		c.keep(e)
		return nil
	}
	// It was put aside since. Nobody holds it: it need not come back.
	c.spilled.set(st.oid, st.item)
	return nil
}

// restoreValue makes the value of e, in place, what an item holds. A value that
// is that already is left alone, with all that is in it.
func (c *core) restoreValue(e *edited, n uint32) error {
	payload, err := c.spilled.payload(n)
	if err != nil {
		return err
	}
	w := writers.Get().(*codec.Writer)
	defer func() {
		w.Out = nil
		writers.Put(w)
	}()
	if c.encode(e, w) == nil && bytes.Equal(w.Buf, payload) {
		return nil
	}
	v := e.info.fresh()
	extra, err := e.info.plan.Decode(payload, c.tag, v)
	if err != nil {
		return fmt.Errorf("durus: object %s of class %s cannot be read back as it was encoded: %w", e.oid, e.class(), err)
	}
	e.info.restoreInto(e.value, v)
	e.extra, e.item, e.hasItem = extra, n, true
	return nil
}

// forgivable tells whether an error is one of a write that left nothing
// behind, so that going back undoes it.
func forgivable(err error) bool {
	for _, unforgivable := range []error{ErrCorrupt, ErrRewound, ErrClosed, ErrTxDone, ErrLocked, ErrPacked, ErrSharedWrite, errManaged} {
		if errors.Is(err, unforgivable) {
			return false
		}
	}
	for _, mistake := range []error{ErrType, ErrNotFound, ErrForeign, ErrTooLarge, ErrConflict, errWrite} {
		if errors.Is(err, mistake) {
			return true
		}
	}
	return false
}

// errWrite marks errors of failed writes that are none of the sentinels.
var errWrite = errors.New("durus: a write failed")
