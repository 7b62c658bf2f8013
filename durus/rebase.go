package durus

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

// readSet is the session as its commit's storage.ReadSet. Nothing changes the
// session while Commit runs. Everything in it was read at Commit.Base, so
// whatever is newer replaces what was read.
type readSet struct{ used map[OID]use }

// Depends implements storage.ReadSet.
func (r readSet) Depends(oid OID, _ storage.Position) bool {
	_, ok := r.used[oid]
	return ok
}

// readSet returns what the commit depends on: nil, only what it writes, under
// SnapshotIsolation.
func (c *core) readSet() storage.ReadSet {
	if c.db.opts.Isolation == SnapshotIsolation {
		return nil
	}
	return readSet{c.used}
}

// carrier is the read set of a transaction that has used containers. When a
// node that they were read from or built from has changed, it says what the
// transaction would have read in the newest state, and applies its writes there.
type carrier struct {
	c       *core
	objects storage.ReadSet // the objects that it depends on
	out     written
	classes map[string]storage.ClassID
	merging merging
	newer   []OID            // that others have written, for checkExtents
	mine    []storage.Record // the records of the objects, as the session made them
	locked  bool             // Rebase runs under the lock
	short   bool             // there it had no id for a new node
	stale   bool
}

// carry makes the records of a commit on base, and its read set.
func (c *core) carry(ctx context.Context, base storage.Snapshot, w written) (storage.ReadSet, []storage.Record, error) {
	r := &carrier{c: c, objects: c.readSet(), out: w, mine: w.records}
	r.mergeable()
	if len(c.order) == 0 && r.merging.at == nil && len(c.extents) == 0 && len(c.relied) == 0 {
		return r.objects, w.records, nil
	}
	if r.merging.at != nil {
		r.out.records = slices.Clone(w.records)
	}
	if r.objects == nil {
		written := make(storage.OIDSet, len(w.records)+len(c.relied))
		for oid := range c.relied {
			written[oid] = struct{}{}
		}
		for i := range w.records {
			written[w.records[i].OID] = struct{}{}
		}
		if c.spilled != nil {
			for _, n := range c.spilled.reached {
				written[c.spilled.at(n).oid] = struct{}{}
			}
		}
		r.objects = written
	}
	if len(w.containers) > 0 {
		r.classes = map[string]storage.ClassID{collection.ClassNode: 0, collection.ClassCounter: 0}
		for _, p := range w.containers {
			r.classes[p.common().class] = 0
		}
		for name := range r.classes {
			id, err := c.db.classID(ctx, c.gen, name)
			if err != nil {
				return nil, nil, err
			}
			r.classes[name] = id
		}
	}
	for _, p := range c.order {
		// What a live connection has used stems from different moments.
		p.common().stale = c.conn != nil
	}
	for _, p := range w.containers {
		if p.common().stale = c.conn != nil; p.common().stale {
			continue
		}
		if err := r.build(p, c.store(base, p.common())); err != nil {
			return nil, nil, err
		}
	}
	if c.conn != nil {
		for oid := range r.merging.at {
			if pos, err := base.Find(oid); err == nil && pos != c.used[oid].pos {
				r.merging.changed(oid)
			}
		}
		if err := r.sinceExtents(base); err != nil {
			return nil, nil, err
		}
		records, err := r.Rebase(base, false)
		return r, records, err
	}
	return r, r.records(), nil
}

// sinceExtents notes what others have written since a live connection has walked
// through the instances of a class.
func (r *carrier) sinceExtents(base storage.Snapshot) error {
	if len(r.c.extents) == 0 {
		return nil
	}
	for t, err := range r.c.db.st.Transactions(r.c.extentsAt.TID()+1, base.TID()) {
		if err != nil {
			return err
		}
		r.newer = append(r.newer, t.OIDs...)
	}
	return nil
}

// Depends implements storage.ReadSet.
func (r *carrier) Depends(oid OID, pos storage.Position) bool {
	if p := r.c.nodes[oid]; p != nil {
		p.stale, r.stale = true, true
		if other := r.c.encoded[p.oid]; other != nil { // two have used the nodes
			other.common().stale = true
			r.c.containers[p.oid].common().stale = true
		}
	}
	if len(r.c.extents) > 0 {
		r.newer = append(r.newer, oid)
		r.stale = true
	}
	if r.merging.changed(oid) {
		r.stale = true
		return false
	}
	return r.objects.Depends(oid, pos)
}

// Stale implements storage.Rebaser.
func (r *carrier) Stale() bool { return r.stale }

// maxLocked is how many keys a Rebase looks at under the commit lock: some
// microseconds each. A range counts as one, and may be long: maxFinds is how many
// nodes it looks for on the whole.
const (
	maxLocked = 256
	maxFinds  = 8 * maxLocked
)

// Rebase implements storage.Rebaser.
func (r *carrier) Rebase(now storage.Snapshot, locked bool) ([]storage.Record, error) {
	if locked {
		if len(r.merging.stale) > 0 {
			return nil, storage.ErrSendBack
		}
		work := len(r.newer)
		for _, p := range r.c.order {
			if p.common().stale {
				work += p.work()
			}
		}
		if work > maxLocked {
			return nil, storage.ErrSendBack
		}
	}
	if r.short && !locked {
		if err := r.c.gen.spare.fill(r.c.ctx, r.c.db.st); err != nil {
			return nil, err
		}
		r.short = false
	}
	if err := r.c.checkExtents(now, r.newer); err != nil {
		return nil, err
	}
	r.newer = r.newer[:0]
	r.locked, r.c.finds = locked, maxFinds
	r.c.bounded = locked
	defer func() { r.locked, r.c.bounded = false, false }()
	for _, p := range r.c.order {
		if !p.common().stale {
			continue
		}
		store := r.c.store(now, p.common())
		reason, at, err := p.check(r.c, store, r.c.db.opts.Isolation == Serializable)
		if err != nil {
			return nil, err
		}
		if reason != "" {
			return nil, r.conflict(p, store, reason, at)
		}
		if p.common().kept {
			if err := r.build(p, store); err != nil {
				return nil, err
			}
		}
		p.common().stale = false
	}
	if err := r.merge(now); err != nil {
		return nil, err
	}
	r.stale = false
	return r.records(), nil
}

// build applies what a container has to commit to the nodes of a state.
func (r *carrier) build(p pending, store *nodeStore) error {
	w := writers.Get().(*codec.Writer)
	defer writers.Put(w)
	b := &collection.Builder{Store: store, Limits: collection.Default, NewOID: r.newOID, Stripe: rand.N(1 << 16), Writer: w}
	if err := p.build(b); err != nil {
		return err
	}
	p.common().changes = b.Changes
	return nil
}

// newOID returns an id for a new node. The storage may need the lock for one, so
// under the lock there are only spare ones.
func (r *carrier) newOID() (uint64, error) {
	if !r.locked {
		oid, err := r.c.db.st.NewOID(r.c.ctx)
		return uint64(oid), err
	}
	if oid := r.c.gen.spare.take(); oid != 0 {
		return uint64(oid), nil
	}
	r.short = true
	return 0, storage.ErrSendBack
}

// records are those of the objects, and of the containers as they were built last.
func (r *carrier) records() []storage.Record {
	out := slices.Clip(r.out.records)
	for _, p := range r.out.containers {
		for i := range p.common().changes {
			ch := &p.common().changes[i]
			out = append(out, storage.Record{
				OID:     OID(ch.OID),
				Class:   r.classes[ch.Class],
				Codec:   storage.CodecMsgpack,
				Payload: ch.Payload,
				Strong:  asOIDs(ch.Strong),
				Weak:    asOIDs(ch.Weak),
			})
		}
	}
	return out
}

func asOIDs(raw []uint64) []OID {
	if len(raw) == 0 {
		return nil
	}
	oids := make([]OID, len(raw))
	for i, oid := range raw {
		oids[i] = OID(oid)
	}
	return oids
}

// conflict describes what could not be carried over. at is the node where it
// was found.
func (r *carrier) conflict(p pending, now *nodeStore, reason string, at OID) error {
	o := ConflictObject{OID: p.common().oid, Class: p.common().class, Base: r.c.snap.TID(), Committed: now.snap.TID(), Reason: reason}
	if pos, err := now.snap.Find(at); err == nil {
		if tid, err := now.snap.WrittenBy(at, pos); err == nil {
			o.Committed = tid
		}
	}
	return &ConflictError{Objects: []ConflictObject{o}}
}

// byContainer names the container of a node in place of the node: the storage
// knows nothing of containers.
func (c *core) byContainer(err error) error {
	if err == nil { // what As is given is allocated
		return nil
	}
	var lost *ConflictError
	if errors.As(err, &lost) {
		for i := range lost.Objects {
			if p := c.nodes[lost.Objects[i].OID]; p != nil {
				lost.Objects[i].OID, lost.Objects[i].Class = p.oid, p.class
			}
		}
	}
	return err
}
