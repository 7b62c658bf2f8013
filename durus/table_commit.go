package durus

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
)

var errIndexing = fmt.Errorf("%w: its function uses the session that it is called for: it must depend on nothing but the fields of its argument", ErrIndex)

type memberPending = treePending[uint64, []byte]

// completeIndexes brings the indexes in step with everything that the session
// commits.
func (c *core) completeIndexes() error {
	if err := c.keepIndexes(); err != nil {
		return err
	}
	return c.forgetUnreached()
}

// keepIndexes brings the indexes in step with what the session has changed so
// far. It may run any number of times: what the indexes have of an object is in
// the object's memberships, as the session sees them. An error that is a
// *UniqueError does not stick: the key is not in the index then, and the next
// run tries again.
func (c *core) keepIndexes() error {
	if len(c.dirty) == 0 {
		return nil
	}
	dir, _, err := c.tablesOf()
	if err != nil || dir == nil {
		return err
	}
	c.relief.off++ // dirty is walked through
	defer func() { c.relief.off-- }()
	k := indexKeeper{c: c}
	// More may be edited on the way: directories.
	for i := 0; i < len(c.dirty); i++ {
		e := c.dirty[i]
		info, value := e.info, e.value
		if e.restored != nil {
			info, value = e.restored.info, e.restored.value
		}
		if info == nil {
			continue // an Opaque is new, and in no table; or Undo has looked after it
		}
		tree, ok := dir.members(info)
		if !ok {
			continue
		}
		m, err := k.edited(e, tree)
		if err != nil {
			return c.stick(err)
		}
		if m == nil {
			continue
		}
		if _, ok := dir.Members[info.name]; !ok {
			// The object gets another class name: programs that know it only by
			// that must find its tables, too.
			if _, err := c.makeMembers(info); err != nil {
				return c.stick(err)
			}
		}
		if err := k.compare(m, info, value, func() (bool, error) { return c.differs(e) }); err != nil {
			return c.stick(err)
		}
	}
	return k.apply()
}

// indexKeeper collects what has to be done to indexes: all keys that objects
// give up are free before one is taken, so that objects may exchange theirs.
type indexKeeper struct {
	c       *core
	members []*member
	gone    []indexChange
	come    []indexChange
}

// member is an object and the tables that it is in.
type member struct {
	oid     OID
	tree    *memberPending
	list    []membership // to be changed
	changed bool
}

// indexChange is a key that an object gives up or takes.
type indexChange struct {
	m     *member
	in    map[uint32][][]byte // of the membership
	table OID
	at    indexRecord
	def   indexer
	key   []byte
}

// edited returns the member that an edited object is, nil if it is none.
func (k *indexKeeper) edited(e *edited, tree memberTree) (*member, error) {
	if e.fresh { // it is in those tables only that this session has put it into
		p, _ := k.c.containers[tree.OID()].(*memberPending)
		if p == nil {
			return nil, nil
		}
		oid := uint64(e.oid)
		if _, w := p.find(&oid, p.typ.prefix(&oid)); w == nil {
			return nil, nil
		}
	}
	return k.member(e.oid, tree)
}

// member returns the member that an object is, nil if it is none.
func (k *indexKeeper) member(oid OID, tree memberTree) (*member, error) {
	m, err := k.c.memberIn(tree, oid)
	if err != nil || len(m.list) == 0 {
		return nil, err
	}
	k.members = append(k.members, m)
	return m, nil
}

// memberIn returns an object as a member, with an empty list if it is in no table.
func (c *core) memberIn(tree memberTree, oid OID) (*member, error) {
	p, err := writeTree[uint64, []byte](coreSession{c}, tree.raw, collection.ClassBTree, "Table")
	if err != nil {
		return nil, err
	}
	return c.memberOf(p, oid)
}

func (c *core) memberOf(p *memberPending, oid OID) (*member, error) {
	id := uint64(oid)
	b, found, err := p.get(&id)
	if err != nil {
		return nil, err
	}
	m := &member{oid: oid, tree: p}
	if found {
		m.list, err = c.memberships(oid, *b)
	}
	return m, err
}

// compare finds out in what the indexes differ from an object. changed tells
// whether the object is to be stored at all.
func (k *indexKeeper) compare(m *member, info *typeInfo, v any, changed func() (bool, error)) error {
	for i := len(m.list) - 1; i >= 0; i-- {
		table := OID(m.list[i].Table)
		rec, err := k.c.tableAt(table, info)
		if errors.Is(err, ErrNotFound) { // it was packed away
			m.list, m.changed = slices.Delete(m.list, i, i+1), true
			continue
		}
		if err != nil {
			return err
		}
		if m.list[i].In == nil {
			m.list[i].In = make(map[uint32][][]byte, len(rec.Indexes))
		}
		numbers := make(map[uint32]bool, len(rec.Indexes))
		for _, name := range sortedNames(rec.Indexes) {
			at := rec.Indexes[name]
			numbers[at.Number] = true
			def, err := info.declared(table, name, at)
			if err != nil {
				stored, other := changed()
				if other != nil {
					return other
				}
				if !stored {
					continue
				}
				return fmt.Errorf("durus: object %s of class %s cannot be changed: %w", m.oid, info.name, err)
			}
			want, err := def.keys(k.c, m.oid, v)
			if err != nil {
				return err
			}
			k.difference(indexChange{m: m, in: m.list[i].In, table: table, at: at, def: def}, want)
		}
		if m.changed {
			for n := range m.list[i].In { // of indexes that were dropped or built again
				if !numbers[n] {
					delete(m.list[i].In, n)
				}
			}
		}
	}
	return nil
}

// difference compares the keys that an object has in an index with those that
// it should have. Both are in order.
func (k *indexKeeper) difference(ch indexChange, want [][]byte) {
	have, known := ch.in[ch.at.Number]
	if known && slices.EqualFunc(have, want, bytes.Equal) {
		return
	}
	ch.m.changed = true
	ch.in[ch.at.Number] = have // the index knows the object, even without a key
	for _, ch.key = range have {
		if _, found := slices.BinarySearchFunc(want, ch.key, bytes.Compare); !found {
			k.gone = append(k.gone, ch)
		}
	}
	for _, ch.key = range want {
		if _, found := slices.BinarySearchFunc(have, ch.key, bytes.Compare); !found {
			k.come = append(k.come, ch)
		}
	}
}

// apply does what was found out, and notes it in the members.
func (k *indexKeeper) apply() (unique error) {
	for _, ch := range k.gone {
		if err := ch.def.remove(k.c, ch.at.Tree, ch.key, ch.m.oid); err != nil {
			return k.c.stick(err)
		}
		ch.note(func(keys [][]byte, i int, found bool) [][]byte {
			if found {
				return slices.Delete(slices.Clone(keys), i, i+1)
			}
			return keys
		})
	}
	for _, ch := range k.come {
		holder, err := ch.def.insert(k.c, ch.at.Tree, ch.key, ch.m.oid)
		if err != nil {
			return k.c.stick(err)
		}
		if holder != 0 {
			if unique == nil {
				unique = &UniqueError{Table: ch.table, Index: ch.def.Name(), Key: collection.Spell(ch.key), OID: holder, Object: ch.m.oid}
			}
			continue
		}
		ch.note(func(keys [][]byte, i int, found bool) [][]byte {
			if found {
				return keys
			}
			return slices.Insert(slices.Clone(keys), i, ch.key)
		})
	}
	for _, m := range k.members {
		if err := m.store(); err != nil {
			return k.c.stick(err)
		}
	}
	return unique
}

// note changes the keys that the membership has for the index of a change.
func (ch *indexChange) note(f func(keys [][]byte, i int, found bool) [][]byte) {
	keys := ch.in[ch.at.Number]
	i, found := slices.BinarySearchFunc(keys, ch.key, bytes.Compare)
	ch.in[ch.at.Number] = f(keys, i, found)
}

// store writes the memberships of an object back.
func (m *member) store() error {
	switch {
	case !m.changed:
		return nil
	case len(m.list) > 0:
		b, err := encodeMemberships(m.list)
		if err != nil {
			return err
		}
		return m.tree.put(uint64(m.oid), b, unknown)
	}
	_, err := m.tree.delete(uint64(m.oid))
	return err
}

// differs tells whether an edited object is to be stored.
func (c *core) differs(e *edited) (bool, error) {
	if e.restored != nil { // or what its indexes have
		return true, nil
	}
	w := writers.Get().(*codec.Writer)
	defer func() {
		w.Out = nil
		writers.Put(w)
	}()
	_, changed, err := c.record(e, w, new(arena))
	return changed, err
}

// forgetUnreached takes the members of tables out that are new, and not stored
// because nothing that is stored leads to them.
func (c *core) forgetUnreached() error {
	isNew := func(m membership) bool {
		e := c.used[OID(m.Table)].edited
		return e != nil && e.fresh
	}
	// Only what this session has written can be of new tables.
	if !slices.ContainsFunc(c.dirty, func(e *edited) bool { _, table := e.value.(*tableRecord); return table && e.fresh }) {
		return nil
	}
	encoded := false
	for _, p := range c.order {
		tree, ok := p.(*memberPending)
		if !ok || !c.isMembers(tree.oid) {
			continue
		}
		var new []*member
		if err := tree.writes.each(func(w *treeWrite[uint64, []byte]) error {
			if w.deleted {
				return nil
			}
			m := &member{oid: OID(w.key), tree: tree}
			var err error
			if m.list, err = c.memberships(m.oid, w.value); err == nil && slices.ContainsFunc(m.list, isNew) {
				new = append(new, m)
			}
			return err
		}); err != nil {
			return err
		}
		if len(new) == 0 {
			continue
		}
		if !encoded { // which tells what is reached
			if _, err := c.written(); err != nil {
				return err
			}
			encoded = true
		}
		for _, m := range new {
			n := len(m.list)
			m.list = slices.DeleteFunc(m.list, func(m membership) bool {
				return isNew(m) && c.used[OID(m.Table)].edited.round != c.round
			})
			m.changed = len(m.list) != n
			if err := m.store(); err != nil {
				return c.stick(err)
			}
		}
	}
	return nil
}

// isMembers tells whether a tree is that of the members of some class.
func (c *core) isMembers(oid OID) bool {
	dir, _, err := c.tablesOf()
	if err != nil || dir == nil {
		return false
	}
	for _, tree := range dir.Members {
		if tree.OID() == oid {
			return true
		}
	}
	return false
}
