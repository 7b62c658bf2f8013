package durus

import (
	"errors"
	"slices"

	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

// changeReader makes a Change of what a transaction has written. Only the nodes
// of containers are read for it, and of all other records the headers.
type changeReader struct {
	db  *DB
	gen *generation
	w   *storage.Written

	classes  map[OID]string // of the change
	heads    map[OID]bool   // the containers among them
	counters []OID
}

func (r *changeReader) read() (Change, error) {
	r.classes, r.heads = make(map[OID]string, len(r.w.OIDs)), map[OID]bool{}
	for i, oid := range r.w.OIDs {
		if err := r.add(oid, r.w.Positions[i]); err != nil {
			return Change{}, err
		}
	}
	if err := r.lengths(); err != nil {
		return Change{}, err
	}
	c := Change{TxInfo: infoOf(&r.w.Transaction)}
	c.OIDs = make([]OID, 0, len(r.classes))
	for oid := range r.classes {
		c.OIDs = append(c.OIDs, oid)
	}
	slices.Sort(c.OIDs)
	c.Classes = make([]string, len(c.OIDs))
	for i, oid := range c.OIDs {
		c.Classes[i] = r.classes[oid]
	}
	return c, nil
}

// add takes a record.
func (r *changeReader) add(oid OID, pos storage.Position) error {
	class, err := r.class(oid, pos)
	if err != nil {
		return err
	}
	switch class {
	case collection.ClassNode:
		n, err := r.node(oid, pos)
		if n == nil || n.Of == 0 {
			r.classes[oid] = "" // no node that could be used
			return err
		}
		return r.addHead(OID(n.Of))
	case collection.ClassBTree, collection.ClassDict, collection.ClassSet, collection.ClassList:
		r.heads[oid] = true
	case collection.ClassCounter:
		r.counters = append(r.counters, oid)
	}
	r.classes[oid] = class
	return nil
}

// addHead takes the container of a node.
func (r *changeReader) addHead(oid OID) error {
	if r.heads[oid] {
		return nil
	}
	r.heads[oid] = true
	pos, err := r.w.State.Find(oid)
	if err == nil {
		r.classes[oid], err = r.class(oid, pos)
	} else if isNotFound(err) {
		r.classes[oid], err = "", nil // the node names an object that is not there
	}
	return err
}

// lengths leaves out the counters that belong to trees: each holds part of a
// length, and changes only together with a node of its tree.
func (r *changeReader) lengths() error {
	if len(r.counters) == 0 {
		return nil
	}
	inside := map[OID]bool{}
	for oid := range r.heads {
		pos, err := r.w.State.Find(oid)
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		n, err := r.node(oid, pos)
		if err != nil {
			return err
		}
		if n != nil {
			for _, l := range n.Lengths {
				inside[OID(l)] = true
			}
		}
	}
	for _, oid := range r.counters {
		if inside[oid] {
			delete(r.classes, oid)
		}
	}
	return nil
}

// class is the name of a record's class, "" if the record is damaged.
func (r *changeReader) class(oid OID, pos storage.Position) (string, error) {
	id, err := r.w.State.Class(oid, pos)
	if err != nil {
		return "", damagedAlone(err)
	}
	class, ok := r.db.class(r.gen, r.w.State, id)
	if !ok {
		return "", nil
	}
	if info := class.info(); info != nil {
		return info.name, nil // an alias is known under the new name
	}
	return class.name, nil
}

// node reads a node of a container; nil: it is damaged.
func (r *changeReader) node(oid OID, pos storage.Position) (*collection.Node, error) {
	rec, err := r.w.State.Read(oid, pos)
	if err != nil {
		return nil, damagedAlone(err)
	}
	n, err := collection.Parse(rec.Payload)
	if err != nil {
		return nil, damagedAlone(err)
	}
	return n, nil
}

// damagedAlone leaves out what is wrong with one record only: it must not keep
// a program from all that comes behind it.
func damagedAlone(err error) error {
	if errors.Is(err, ErrCorrupt) {
		return nil
	}
	return err
}
