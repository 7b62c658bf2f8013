package durus

import (
	"fmt"
	"slices"

	"github.com/durusdb/durus/internal/collection"
)

// tableWriter is a table that a session changes.
type tableWriter[K comparable, T any] struct {
	c       *core
	oid     OID
	info    *typeInfo
	rec     *tableRecord
	primary *treePending[K, Ref[T]]
}

// write opens a table for a change. Its errors stick.
func (t Table[K, T]) write(s Session) (*tableWriter[K, T], error) {
	c := s.core()
	w := &tableWriter[K, T]{c: c}
	err := func() (err error) {
		if w.oid, err = c.openToWrite(t.raw, "Table"); err != nil {
			return err
		}
		if w.info, err = tableType[T](c); err != nil {
			return err
		}
		if w.rec, err = c.tableAt(w.oid, w.info); err != nil {
			return err
		}
		w.primary, err = writeTree[K, Ref[T]](s, w.rec.Primary.raw, collection.ClassBTree, "Table")
		return err
	}()
	return w, c.stick(err)
}

// taken is the error for a primary key, or an object, that is in the table.
func (w *tableWriter[K, T]) taken(k K, holder, object OID) error {
	key, err := encodeKey(w.c, &k)
	if err != nil {
		return err
	}
	return &UniqueError{Table: w.oid, Key: collection.Spell(key), OID: holder, Object: object}
}

// insert enters a new key and its object.
func (w *tableWriter[K, T]) insert(k K, ref Ref[T]) error {
	tree, err := w.c.makeMembers(w.info)
	if err != nil {
		return err
	}
	m, err := w.c.memberIn(tree, ref.OID())
	if err != nil {
		return err
	}
	key, err := encodeKey(w.c, &k)
	if err != nil {
		return err
	}
	if i := within(m.list, w.oid); i >= 0 {
		return &UniqueError{Table: w.oid, Key: collection.Spell(m.list[i].Key), OID: ref.OID(), Object: ref.OID()}
	}
	if err := w.primary.put(k, ref, unknown); err != nil {
		return err
	}
	e, err := w.c.touched(ref.OID())
	if err != nil {
		return err
	}
	if e != nil {
		// Who edits an object that is in no table does not look for tables. So
		// the object is written, for them to conflict.
		e.force = !e.fresh
	}
	m.list, m.changed = append(m.list, membership{Table: uint64(w.oid), Key: key}), true
	return m.store()
}

// delete takes a key and its object out. What the object has in the indexes is
// known from its membership.
func (w *tableWriter[K, T]) delete(k K, oid OID) error {
	tree, ok, err := w.c.membersOf(w.info)
	if err != nil {
		return err
	}
	m, at := (*member)(nil), -1
	if ok {
		if m, err = w.c.memberIn(tree, oid); err != nil {
			return err
		}
		at = within(m.list, w.oid)
	}
	if at < 0 {
		return &CorruptError{Path: w.c.db.path, OID: oid, Reason: fmt.Sprintf("table %s lists it, and it is not known to be a member", w.oid)}
	}
	for _, name := range sortedNames(w.rec.Indexes) {
		index := w.rec.Indexes[name]
		keys := m.list[at].In[index.Number]
		if len(keys) == 0 {
			continue
		}
		def, err := w.info.declared(w.oid, name, index)
		if err != nil {
			return err
		}
		for _, key := range keys {
			if err := def.remove(w.c, index.Tree, key, oid); err != nil {
				return err
			}
		}
	}
	if _, err := w.primary.delete(k); err != nil {
		return err
	}
	m.list, m.changed = slices.Delete(m.list, at, at+1), true
	return m.store()
}
