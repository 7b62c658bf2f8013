package durus

import (
	"bytes"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
)

// row is an object that may be in tables, whose indexes have to fit the state
// that came back: of an object, or of its entry among the members of its class.
type row struct {
	oid   OID
	class string // "": it is the key of the tree
	tree  OID
}

// noteMember notes that an entry of a tree came back, which may be one of members.
func (u *undoing) noteMember(tree OID, key []byte) {
	if len(key) > 9 {
		return // no id as a number
	}
	cur := codec.NewCursor(key)
	if oid := cur.Uint(); cur.Err() == nil && oid > 0 && oid <= oidMask {
		u.rows = append(u.rows, row{oid: OID(oid), tree: tree})
	}
}

// tables makes sure that the indexes of tables fit what came back. Undo has
// brought back their entries as it does with every tree; that is right as long
// as the object and the tables that it is in are what they were then. Where
// there was an index built since, or the object changed while it was in no
// table, the indexes are made of the object, if the program knows its class; if
// not, it is a conflict.
func (u *undoing) tables() error {
	c := u.c
	if len(u.rows) == 0 {
		return nil
	}
	dir, _, err := c.tablesOf()
	if err != nil || dir == nil {
		return err
	}
	classes := make(map[OID]string, len(dir.Members))
	for class, tree := range dir.Members {
		classes[tree.OID()] = class
	}
	for _, r := range u.rows {
		tree, ok := dir.Members[r.class]
		if r.class == "" {
			if r.class, ok = classes[r.tree]; ok {
				tree = dir.Members[r.class]
			}
		}
		if !ok {
			continue
		}
		if err := u.row(r, tree); err != nil {
			return err
		}
	}
	return nil
}

func (u *undoing) row(r row, tree memberTree) error {
	c := u.c
	m, err := c.memberIn(tree, r.oid)
	if err != nil || len(m.list) == 0 {
		return err
	}
	now, err := c.objectNow(r.oid)
	if err != nil {
		return err
	}
	if now == nil {
		u.conflict(r.oid, r.class, "it is in a table, and a pack has removed it", r.oid)
		return nil
	}
	if c.db.opts.Types.byClass(now.name()) != nil {
		if e, err := c.touched(r.oid); err != nil {
			return err
		} else if e == nil {
			if err := c.restore(r.oid, now, false); err != nil { // for the commit to look at
				return err
			}
		}
		if e := c.used[r.oid].edited; e != nil {
			if _, err := c.shown(e); err == nil {
				return nil // the commit compares it with its indexes
			}
		}
	}
	fits, err := u.fits(r, m, tree.OID(), now)
	if err == nil && !fits {
		u.conflict(r.oid, r.class, "it or the indexes of its tables have changed since, and this program does not know its class", r.oid)
	}
	return err
}

// fits tells whether the indexes of an object are those of its state without
// looking into it: it is in the same tables with the same keys as before, and
// they have no indexes that it is not in.
func (u *undoing) fits(r row, m *member, tree OID, now *objectState) (bool, error) {
	c := u.c
	was, err := c.objectAt(u.before, r.oid)
	if err != nil || was == nil || !was.equal(now) {
		return false, err
	}
	id := codec.AppendUint(nil, uint64(r.oid))
	head, err := u.nodeIn(u.before, tree)
	if err != nil {
		if isNotFound(err) {
			err = nil
		}
		return false, err
	}
	view := collection.View{
		Tree:  &collection.Tree{OID: uint64(tree), Class: collection.ClassBTree, Key: head.Key},
		Store: c.store(u.before, nil),
	}
	before, found, err := view.Get(id)
	if err != nil || !found {
		return false, err
	}
	entry, _, err := m.tree.encodedValue(id)
	if err != nil || !bytes.Equal(entry, before) {
		return false, err
	}
	for i := range m.list {
		rec, err := c.tableRecord(OID(m.list[i].Table))
		if isNotFound(err) {
			continue // it was packed away
		}
		if err != nil {
			return false, err
		}
		for _, at := range rec.Indexes {
			if _, known := m.list[i].In[at.Number]; !known && !at.Building {
				return false, nil
			}
		}
	}
	return true, nil
}
