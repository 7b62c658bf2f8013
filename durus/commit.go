package durus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// commit hands the session's changes to the storage, as made on base. retry
// tells that the transaction may succeed on a new snapshot.
func (c *core) commit(ctx context.Context, base storage.Snapshot, meta storage.Meta, conflicts int, hold storage.Hold) (tid TID, retry bool, err error) {
	edits := len(c.dirty)
	w, err := c.written()
	if err == nil && len(c.dirty) > edits {
		// Encoders of the program's have edited objects, which may be in tables.
		if err = c.prepare(); err == nil {
			w, err = c.written()
		}
	}
	if err == nil {
		err = c.err() // an encoder of the program's may have used the session
	}
	if err != nil {
		return 0, false, err
	}
	for i, e := range w.from {
		if w.records[i].Class, err = c.storedClass(ctx, e); err != nil {
			return 0, mayRetry(err), err
		}
	}
	spilled, err := c.spilled.toStore(ctx, c)
	if err != nil {
		return 0, mayRetry(err), err
	}
	reads, records, err := c.carry(ctx, base, w)
	if err != nil {
		return 0, mayRetry(err), err
	}
	if len(records) > 0 || spilled != nil {
		meta = meta.WithConflicts(conflicts)
	}
	tid, err = c.db.st.Commit(ctx, &storage.Commit{
		Base:    base,
		Reads:   reads,
		Records: records,
		Spilled: spilled,
		Meta:    meta,
		Hold:    hold,
		Placed:  c.placed(w.containers),
	})
	err = c.byContainer(err)
	c.showWay(err, base, records)
	return tid, mayRetry(err), err
}

// prepare completes what was edited, before a state to commit it on is chosen.
func (c *core) prepare() error {
	if err := c.fillAll(); err != nil {
		return err
	}
	return c.completeIndexes()
}

// fillAll makes the containers that are still missing in what was edited.
func (c *core) fillAll() error {
	for i := 0; i < len(c.dirty); i++ {
		if e := c.dirty[i]; e.info != nil && e.info.handles != nil {
			if err := c.fill(e.info.handles, reflect.ValueOf(e.value)); err != nil {
				return err
			}
		}
	}
	return nil
}

// mayRetry: only a conflict is run again. Whoever meets a restored file is told
// so once, and decides: what it knows from before is void.
func mayRetry(err error) bool { return errors.Is(err, storage.ErrConflict) }

// written is what a session has to commit. What was put aside and is to be
// stored is noted in core.spilled.
type written struct {
	records    []storage.Record
	from       []*edited // parallel to records
	containers []pending // with something to apply, packed
}

// written encodes what the session has changed: the edited objects whose bytes
// differ from what they were decoded from, the changes of containers, and every
// new object and container to which one of these refers, directly or through
// others. The records have no class numbers yet. Encoders of the program's may
// call Edit and Add on the way: they only ever append to what is still to be
// done.
func (c *core) written() (out written, err error) {
	if len(c.dirty) == 0 && len(c.order) == 0 && c.spilled == nil {
		return out, nil
	}
	w := writers.Get().(*codec.Writer)
	defer func() {
		w.Out = nil // holds the session
		writers.Put(w)
	}()
	var store arena
	c.relief.off++
	defer func() { c.relief.off-- }()
	c.round++
	c.reached, c.found = c.reached[:0], c.found[:0]
	c.spilled.begin(c.round)
	for i, j, k, l, m := 0, 0, 0, 0, 0; ; {
		switch {
		case i < len(c.dirty):
			e := c.dirty[i]
			i++
			if e.fresh && e.oid != directoryOID {
				continue // stored when it is reached
			}
			err = c.writeObject(e, w, &store, &out)
		case j < len(c.reached):
			j++
			err = c.writeObject(c.reached[j-1], w, &store, &out)
		case k < len(c.order):
			p := c.order[k]
			k++
			if p.common().kept = false; p.common().fresh || !p.changed() {
				continue
			}
			err = c.writeContainer(p, w, &store, &out)
		case l < len(c.found):
			l++
			err = c.writeContainer(c.found[l-1], w, &store, &out)
		default:
			strong, ok := c.spilled.strongOf(m)
			if !ok {
				return out, nil
			}
			m++
			c.reach(strong)
		}
		if err != nil {
			return out, err
		}
	}
}

// reach notes the new objects and containers among those that something stored
// refers to.
func (c *core) reach(strong []OID) {
	for _, oid := range strong {
		if n := c.used[oid].edited; n != nil {
			if n.fresh && n.round != c.round && oid != directoryOID {
				n.round = c.round
				c.reached = append(c.reached, n)
			}
		} else if c.spilled != nil {
			c.spilled.reach(oid, c.round)
		}
		if p := c.containers[oid]; p != nil && p.common().fresh && p.common().round != c.round {
			p.common().round = c.round
			c.found = append(c.found, p)
		}
	}
}

func (c *core) writeObject(e *edited, w *codec.Writer, store *arena, out *written) error {
	rec, changed, err := c.record(e, w, store)
	if err != nil {
		return fmt.Errorf("durus: object %s of class %s cannot be stored in %s: %w", e.oid, e.class(), c.db.path, err)
	}
	if changed {
		out.records, out.from = append(out.records, rec), append(out.from, e)
		c.reach(rec.Strong)
	}
	return nil
}

func (c *core) writeContainer(p pending, w *codec.Writer, store *arena, out *written) error {
	w.Reset()
	w.Out = c.own
	if err := p.pack(c, w); err != nil {
		return fmt.Errorf("durus: %s %s cannot be stored in %s: %w", p.common().class, p.common().oid, c.db.path, err)
	}
	p.common().kept = true
	out.containers = append(out.containers, p)
	c.reach(store.oids(w.Strong))
	return nil
}

// writers are encoders that are not in use.
var writers = sync.Pool{New: func() any { return new(codec.Writer) }}

// record encodes one object. changed is false when it is what the file holds.
func (c *core) record(e *edited, w *codec.Writer, store *arena) (rec storage.Record, changed bool, err error) {
	if err = c.encode(e, w); err != nil || !e.fresh && !e.force && bytes.Equal(w.Buf, e.base) {
		return rec, false, err
	}
	return storage.Record{
		OID:     e.oid,
		Codec:   storage.CodecMsgpack,
		Payload: store.bytes(w.Buf),
		Strong:  store.oids(w.Strong),
		Weak:    store.oids(w.Weak),
	}, true, nil
}

// arena gives out memory for the records of one commit: few allocations for
// many small payloads, one of the right size for a single one.
type arena struct {
	free []byte
	refs []OID
	next int // size of the next piece of free
}

const maxPiece = 64 << 10

// bytes returns a copy of p.
func (a *arena) bytes(p []byte) []byte {
	if len(a.free) < len(p) {
		a.free = make([]byte, max(a.next, len(p)))
		a.next = min(max(2*a.next, 4*len(p)), maxPiece)
	}
	out := a.free[:len(p):len(p)]
	a.free = a.free[len(p):]
	copy(out, p)
	return out
}

// oids returns a copy of raw, nil for none.
func (a *arena) oids(raw []uint64) []OID {
	if len(raw) == 0 {
		return nil
	}
	if len(a.refs) < len(raw) {
		a.refs = make([]OID, max(min(a.next/8, 1024), len(raw)))
	}
	out := a.refs[:len(raw):len(raw)]
	a.refs = a.refs[len(raw):]
	for i, oid := range raw {
		out[i] = OID(oid)
	}
	return out
}
