package durus

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/durusdb/durus/storage"
)

// objects undoes the changes of objects that are no containers.
func (u *undoing) objects(f *footprint) error {
	for _, oid := range f.objects {
		if err := u.object(oid); err != nil {
			return err
		}
	}
	return nil
}

func (u *undoing) object(oid OID) error {
	c := u.c
	left, err := c.objectAt(u.after, oid)
	if err != nil || left == nil {
		return err
	}
	was, err := c.objectAt(u.before, oid)
	if err != nil || was != nil && was.equal(left) {
		return err // it was stored as it was
	}
	now, err := c.objectNow(oid)
	if err != nil {
		return err
	}
	switch {
	case was == nil: // it was made then, and stays until the next pack
		if now != nil && !now.equal(left) {
			u.conflict(oid, left.name(), "it was made then and has changed since", oid)
		}
		return nil
	case now == nil:
		u.conflict(oid, left.name(), "a pack has removed it", oid)
		return nil
	case left.name() == tableClass || left.name() == tablesClass:
		u.conflict(oid, left.name(), "which tables and indexes there are is not undone: build or drop them instead", oid)
		return nil
	case now.equal(was):
		u.settle(oid, left.name(), "it", oid)
	case now.equal(left):
		if err := u.exists(oid, added(was.strong, now.strong)...); err != nil {
			return err
		}
		if err := c.restore(oid, was, false); err != nil {
			return err
		}
		u.done(oid, was.name(), "")
	default:
		err := u.merge(oid, left, now, was)
		var fault *mergeFault
		if errors.As(err, &fault) {
			u.conflict(oid, left.name(), fault.reason, oid)
			return nil
		}
		if err != nil {
			return err
		}
		u.done(oid, was.name(), "merged with later changes")
	}
	u.rows = append(u.rows, row{oid: oid, class: was.name()})
	return nil
}

// added returns the elements of a that b does not have.
func added(a, b []OID) []OID {
	return slices.DeleteFunc(slices.Clone(a), func(oid OID) bool { return slices.Contains(b, oid) })
}

// mergeFault tells why the Merge of a class cannot settle the difference.
type mergeFault struct{ reason string }

func (f *mergeFault) Error() string { return "durus: " + f.reason }

// merge asks the Merge of the class, if there is one, for a state without what
// is undone and with what came later.
func (u *undoing) merge(oid OID, left, now, was *objectState) error {
	c := u.c
	info := c.db.opts.Types.byClass(now.name())
	if info == nil || info.merge == nil {
		return &mergeFault{"it has changed since"}
	}
	if joined, err := c.tablesAt(c.snap, info); err != nil || joined {
		return errors.Join(err, &mergeFault{"it has changed since, and is of a class that is in tables, which is not merged"})
	}
	var states [3]any // base, theirs, mine
	for i, s := range []*objectState{left, now, was} {
		v, got, _, err := c.decodeState(oid, s)
		if err == nil && got != info {
			err = errors.New("its class has changed")
		}
		if err != nil {
			return &mergeFault{"it has changed since, and cannot be merged: " + err.Error()}
		}
		states[i] = v
	}
	merged, err := info.merge.call(states[0], states[1], states[2])
	if err != nil {
		return &mergeFault{"it has changed since, and its Merge does not settle that: " + err.Error()}
	}
	v, err := c.edit(uint64(oid), info.goType)
	if err != nil {
		return err
	}
	info.assign(v, merged)
	return nil
}

// roots undoes the changes of the root directory, name by name: a name that came later
// does not depend on others.
func (u *undoing) roots(f *footprint) error {
	if !f.roots {
		return nil
	}
	c := u.c
	left, err := u.directory(u.after)
	if err != nil {
		return err
	}
	was, err := u.directory(u.before)
	if err != nil {
		return err
	}
	names := maps.Clone(left)
	maps.Copy(names, was)
	for _, name := range sortedNames(names) {
		if left[name].OID() == was[name].OID() {
			continue
		}
		dir, err := c.editDirectory()
		if err != nil {
			return err
		}
		switch now := (*dir)[name].OID(); {
		case now == was[name].OID():
			u.settle(directoryOID, directoryClass, fmt.Sprintf("root %q", name), directoryOID)
			continue
		case now != left[name].OID():
			u.conflict(directoryOID, directoryClass, fmt.Sprintf("root %q has become another one since", name), directoryOID)
			continue
		}
		if oid := was[name].OID(); oid != 0 {
			if err := u.exists(directoryOID, oid); err != nil {
				return err
			}
			(*dir)[name] = AnyRef{c.reference(oid)}
		} else {
			delete(*dir, name)
			// Whoever finds a root does not depend on the directory, because names
			// do not go otherwise: let him depend on the root's object.
			if err := c.writeAgain(left[name].OID()); err != nil {
				return err
			}
		}
		u.done(directoryOID, directoryClass, fmt.Sprintf("root %q", name))
	}
	return nil
}

// directory is the root directory in a snapshot; it is empty before the first root.
func (u *undoing) directory(snap storage.Snapshot) (directory, error) {
	s, err := u.c.objectAt(snap, directoryOID)
	if err != nil || s == nil {
		return directory{}, err
	}
	v, _, _, err := u.c.decodeState(directoryOID, s)
	dir, err := asDirectory(v, err)
	if err != nil {
		return nil, err
	}
	return *dir, nil
}

// writeAgain stores an object as it is, for others to conflict.
func (c *core) writeAgain(oid OID) error {
	e, err := c.touched(oid)
	if err != nil {
		return err
	}
	if e != nil && e.info != nil {
		e.force = true
		return nil
	}
	s, err := c.objectNow(oid)
	if err != nil || s == nil {
		return err
	}
	return c.restore(oid, s, true)
}
