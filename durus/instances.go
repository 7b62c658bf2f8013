package durus

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"

	"github.com/durusdb/durus/storage"
)

// Instances yields every object of the class of T, in the order of their ids:
// those that the file holds in the session's snapshot, also under an older name
// of the class (Alias) and unlinked ones that no pack has collected yet, in the
// session's own state where it has edited them; then those that the session has
// added before the loop, whether anything refers to them or not.
//
// It is for tools, and costs as much as the database has objects, of any class.
// It keeps nothing of them in memory, apart from the read set of a writable
// session, which each of them enters, and 8 bytes for each one that the session
// has added. A live Connection walks over the state at the begin of the loop.
//
// An error ends the loop and sticks: Session.Err tells it. It is ErrType if T
// is not registered, and else one of Ref.Load.
func Instances[T any](s Session) iter.Seq2[Ref[T], *T] {
	return func(yield func(Ref[T], *T) bool) {
		c := s.core()
		for oid, err := range c.instances(reflect.TypeFor[T]()) {
			var v *T
			if err == nil {
				v, err = load[T](c, c.tag<<tagShift|uint64(oid), true)
			}
			if err != nil {
				c.stick(err)
				return
			}
			if !yield(Ref[T]{raw: c.reference(oid)}, v) {
				return
			}
		}
	}
}

// instances yields the ids of the objects of a class. An error ends it.
func (c *core) instances(t reflect.Type) iter.Seq2[OID, error] {
	return func(yield func(OID, error) bool) {
		if err := c.usable(); err != nil {
			yield(0, err)
			return
		}
		info := c.db.opts.Types.of(t)
		if info == nil {
			yield(0, fmt.Errorf("%w: %s is not registered: call durus.Register[%s] with a name for its class", ErrType, t, t.Name()))
			return
		}
		if c.writable {
			if c.extents == nil {
				c.extents = map[*typeInfo]struct{}{}
				c.extentsAt = c.observe()
			}
			c.extents[info] = struct{}{}
		}
		added := c.added(info)
		snap, gen := c.snap, c.gen
		if c.conn != nil { // whose snapshot moves on with every load
			var err error
			if snap, err = c.db.st.Begin(c.ctx, false); err != nil {
				yield(0, err)
				return
			}
			defer snap.Release()
			gen = c.db.generation(snap)
		}
		for at, err := range snap.Objects(1) {
			if err == nil {
				err = errors.Join(c.usable(), c.ctx.Err())
			}
			is := false
			if err == nil {
				is, err = c.isOf(snap, gen, at, info)
			}
			if err != nil {
				yield(at.OID, err)
				return
			}
			if is && !yield(at.OID, nil) {
				return
			}
		}
		for _, oid := range added {
			if !c.has(oid) { // a rollback in the loop has undone it
				continue
			}
			if !yield(oid, nil) {
				return
			}
		}
	}
}

// isOf tells whether an object is of a class.
func (c *core) isOf(snap storage.Snapshot, gen *generation, at storage.Place, info *typeInfo) (bool, error) {
	id, err := snap.Class(at.OID, at.Position)
	if err != nil {
		return false, err
	}
	class, ok := c.db.class(gen, snap, id)
	if !ok {
		return false, &CorruptError{Path: c.db.path, OID: at.OID, Reason: fmt.Sprintf("its class number %d has no name", id)}
	}
	return class.info() == info, nil
}

// added returns the new objects of a class.
func (c *core) added(info *typeInfo) (oids []OID) {
	for _, e := range c.dirty {
		if e.fresh && e.info == info {
			oids = append(oids, e.oid)
		}
	}
	if c.spilled != nil {
		for oid, n := range c.spilled.current {
			if it := c.spilled.at(n); it.fresh && c.spilled.types[it.class] == info {
				oids = append(oids, oid)
			}
		}
	}
	slices.Sort(oids)
	return oids
}

// has tells whether the session has edited or added an object.
func (c *core) has(oid OID) bool {
	_, aside := c.spilled.lookup(oid)
	return aside || c.used[oid].edited != nil
}

// checkExtents is the part of a commit's conflict test that Instances asks for:
// the session has acted on which objects of a class there are. newOIDs are
// objects that others have stored since it began, and now is a state that holds
// them. The error is a *ConflictError if one of them is of a class whose
// instances the session has walked through. Those that were there then are left
// out: that they have changed is for the read set.
func (c *core) checkExtents(now storage.Snapshot, newOIDs []OID) error {
	if len(c.extents) == 0 || c.db.opts.Isolation == SnapshotIsolation {
		return nil
	}
	gen := c.db.generation(now)
	var found []ConflictObject
	for _, oid := range newOIDs {
		if _, err := c.extentsAt.Find(oid); err == nil {
			continue
		} else if !isNotFound(err) {
			return err
		}
		pos, err := now.Find(oid)
		if err != nil {
			return err
		}
		id, err := now.Class(oid, pos)
		if err != nil {
			return err
		}
		class, ok := c.db.class(gen, now, id)
		if !ok {
			continue
		}
		if _, walked := c.extents[class.info()]; walked {
			found = append(found, ConflictObject{OID: oid, Class: class.name, Committed: now.TID(), Reason: "Instances has walked through its class, and it is new"})
		}
	}
	if found == nil {
		return nil
	}
	slices.SortFunc(found, func(a, b ConflictObject) int { return cmp.Compare(a.OID, b.OID) })
	return &ConflictError{Objects: found}
}
