package durus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// commit hands the session's changes to the storage, as made on base. retry
// tells that the transaction may succeed on a new snapshot.
func (c *core) commit(ctx context.Context, base storage.Snapshot, meta storage.Meta, hold storage.Hold) (tid TID, retry bool, err error) {
	records, from, err := c.records()
	if err == nil {
		err = c.err() // an encoder of the program's may have used the session
	}
	if err != nil {
		return 0, false, err
	}
	for i, e := range from {
		if records[i].Class, err = c.db.classID(ctx, c.gen, e.class()); err != nil {
			return 0, mayRetry(err), err
		}
	}
	spilled, err := c.spilled.toStore(ctx, c.db, c.gen)
	if err != nil {
		return 0, mayRetry(err), err
	}
	tid, err = c.db.st.Commit(ctx, &storage.Commit{
		Base:    base,
		Reads:   c.readSet(),
		Records: records,
		Spilled: spilled,
		Meta:    meta,
		Hold:    hold,
	})
	return tid, mayRetry(err), err
}

// mayRetry: only a conflict is run again. Whoever meets a restored file is told
// so once, and decides: what it knows from before is void.
func mayRetry(err error) bool { return errors.Is(err, storage.ErrConflict) }

// records encodes what the session has changed: the edited objects whose bytes
// differ from what they were decoded from, and every new object to which one
// of the records refers, directly or through others. from is parallel to out,
// whose classes have no numbers yet. Encoders of the program's may call Edit
// and Add on the way: they only ever append to what is still to be done. What
// was put aside and is to be stored is noted in c.spilled.
func (c *core) records() (out []storage.Record, from []*edited, err error) {
	if len(c.dirty) == 0 && c.spilled == nil {
		return nil, nil, nil
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
	c.reached = c.reached[:0]
	c.spilled.begin(c.round)
	for i, j, k := 0, 0, 0; ; {
		var e *edited
		switch {
		case i < len(c.dirty):
			e = c.dirty[i]
			i++
			if e.fresh && e.oid != directoryOID {
				continue // stored when it is reached
			}
		case j < len(c.reached):
			e = c.reached[j]
			j++
		default:
			strong, ok := c.spilled.strongOf(k)
			if !ok {
				return out, from, nil
			}
			k++
			c.reach(strong)
			continue
		}
		rec, changed, err := c.record(e, w, &store)
		if err != nil {
			return nil, nil, fmt.Errorf("durus: object %s of class %s cannot be stored in %s: %w", e.oid, e.class(), c.db.path, err)
		}
		if !changed {
			continue
		}
		out, from = append(out, rec), append(from, e)
		c.reach(rec.Strong)
	}
}

// reach notes the new objects among those that something stored refers to.
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
	}
}

// writers are encoders that are not in use.
var writers = sync.Pool{New: func() any { return new(codec.Writer) }}

// record encodes one object. changed is false when it is what the file holds.
func (c *core) record(e *edited, w *codec.Writer, store *arena) (rec storage.Record, changed bool, err error) {
	if err = c.encode(e, w); err != nil || !e.fresh && bytes.Equal(w.Buf, e.base) {
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
