package durus

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

// containers undoes the changes of trees and lists.
func (u *undoing) containers(f *footprint) error {
	for _, t := range f.containers {
		var err error
		switch {
		case t.isGone:
			u.conflict(t.oid, collection.ClassNode, "a pack has removed its container", t.oid)
		case t.class == collection.ClassList:
			err = u.list(t)
		default:
			err = u.tree(t)
		}
		if err != nil {
			return u.readError(t, err)
		}
	}
	return nil
}

// readError is what an error of package collection is to the session.
func (u *undoing) readError(t *touchedContainer, err error) error {
	var known *CorruptError
	if errors.Is(err, ErrCorrupt) && !errors.As(err, &known) {
		return u.c.nodeError(t.oid, err)
	}
	return err
}

// stands tells whether a container is there now. One that was made then, and is
// not there any more, needs no undo.
func (u *undoing) stands(t *touchedContainer, was bool) (bool, error) {
	_, err := u.c.snap.Find(t.oid)
	if isNotFound(err) {
		if was {
			u.conflict(t.oid, t.class, "a pack has removed it", t.oid)
		}
		return false, nil
	}
	return err == nil, err
}

// tree undoes the changes of a tree, key by key.
func (u *undoing) tree(t *touchedContainer) error {
	c := u.c
	tree := t.tree()
	changes, was, err := collection.DiffTree(
		collection.View{Tree: tree, Store: c.store(u.before, nil)},
		collection.View{Tree: tree, Store: c.store(u.after, nil)}, t.nodes)
	if err != nil {
		return err
	}
	if there, err := u.stands(t, was); !there {
		return err
	}
	p, err := c.treeOf(t.oid, t.class, t.key)
	if err != nil {
		return err
	}
	if !was {
		return u.madeTree(t, p, changes)
	}
	for i := range changes {
		ch := &changes[i]
		value, found, err := p.encodedValue(ch.Key)
		switch {
		case err != nil:
			return err
		case found == ch.Was && bytes.Equal(value, ch.Before):
			u.settle(t.oid, t.class, "key "+collection.Spell(ch.Key), u.leaf(tree, ch.Key))
		case found != ch.Is || !bytes.Equal(value, ch.Now):
			u.conflict(t.oid, t.class, "key "+collection.Spell(ch.Key)+" has changed since", u.leaf(tree, ch.Key))
			continue
		default:
			if ch.Was {
				if err := u.valuesExist(t.oid, ch.Key, ch.Before); err != nil {
					return err
				}
			}
			if err := p.restore(ch.Key, ch.Before, ch.Was, c.observe()); err != nil {
				return err
			}
			u.done(t.oid, t.class, "key "+collection.Spell(ch.Key)+restoredHow(ch.Was, ch.Is))
		}
		if ch.Was {
			u.noteMember(t.oid, ch.Key)
		}
	}
	return nil
}

// restoredHow says what becomes of an entry.
func restoredHow(was, is bool) string {
	switch {
	case !was:
		return " goes"
	case !is:
		return " comes back"
	}
	return " gets its old value back"
}

// leaf is the leaf that a key belongs to now, for messages.
func (u *undoing) leaf(tree *collection.Tree, key []byte) OID {
	return OID(collection.View{Tree: tree, Store: u.c.store(u.c.snap, nil)}.Leaf(key))
}

// madeTree is for a tree that was made then: it must be as it was made.
func (u *undoing) madeTree(t *touchedContainer, p encodedTree, made []collection.KeyChange) error {
	for i := range made {
		value, found, err := p.encodedValue(made[i].Key)
		if err != nil {
			return err
		}
		if !found || !bytes.Equal(value, made[i].Now) {
			u.conflict(t.oid, t.class, "it was made then, and key "+collection.Spell(made[i].Key)+" has changed since", u.leaf(t.tree(), made[i].Key))
			return nil
		}
	}
	n, err := p.len()
	if err == nil && n != len(made) {
		u.conflict(t.oid, t.class, "it was made then, and has got more keys since", t.oid)
	}
	p.relyOnAll()
	return err
}

// valuesExist refuses encoded values that refer to objects which are gone.
func (u *undoing) valuesExist(of OID, values ...[]byte) error {
	var to []OID
	for _, v := range values {
		if len(v) == 0 {
			continue // of a Set
		}
		if err := codec.References(v, func(oid uint64, weak bool) {
			if !weak {
				to = append(to, OID(oid))
			}
		}); err != nil {
			return err
		}
	}
	return u.exists(of, to...)
}

// list undoes the changes of a list, index by index; where values were moved,
// everything behind must be as it was left.
func (u *undoing) list(t *touchedContainer) error {
	c := u.c
	list := &collection.List{OID: uint64(t.oid)}
	after := collection.ListView{List: list, Store: c.store(u.after, nil)}
	changes, was, err := collection.DiffList(collection.ListView{List: list, Store: c.store(u.before, nil)}, after, t.nodes)
	if err != nil {
		return err
	}
	if there, err := u.stands(t, was); !there {
		return err
	}
	p, err := c.listOf(t.oid)
	if err != nil {
		return err
	}
	if !was {
		differs, err := u.differsFrom(p, after, 0)
		if err == nil && differs {
			u.conflict(t.oid, t.class, "it was made then and has changed since", t.oid)
		}
		if err == nil {
			_, err = p.size(true)
		}
		p.relyOnAll()
		return err
	}
	for i := range changes {
		if changes[i].Moves() {
			differs, err := u.differsFrom(p, after, changes[i].At)
			if err != nil {
				return err
			}
			if differs {
				u.conflict(t.oid, t.class, fmt.Sprintf("values from index %d on have changed since, or there are more", changes[i].At), u.listLeaf(list, changes[i].At))
				return nil
			}
			break
		}
	}
	// Backwards: what is moved does not change the indexes before it.
	for i := len(changes) - 1; i >= 0; i-- {
		if err := u.listChange(t, p, &changes[i]); err != nil {
			return err
		}
	}
	return nil
}

// listLeaf is the leaf with an index, or the last one, for messages.
func (u *undoing) listLeaf(list *collection.List, i int) OID {
	return OID(collection.ListView{List: list, Store: u.c.store(u.c.snap, nil)}.Leaf(i))
}

// listChange undoes one change of a list.
func (u *undoing) listChange(t *touchedContainer, p encodedList, ch *collection.ListChange) error {
	if !ch.Moves() {
		value, ok, err := p.encodedAt(ch.At)
		if err != nil {
			return err
		}
		if ok && bytes.Equal(value, ch.Before[0]) {
			u.settle(t.oid, t.class, fmt.Sprintf("index %d", ch.At), u.listLeaf(&collection.List{OID: uint64(t.oid)}, ch.At))
			return nil
		}
		if !ok || !bytes.Equal(value, ch.Now[0]) {
			u.conflict(t.oid, t.class, fmt.Sprintf("index %d has changed since", ch.At), u.listLeaf(&collection.List{OID: uint64(t.oid)}, ch.At))
			return nil
		}
	}
	if err := u.valuesExist(t.oid, ch.Before...); err != nil {
		return err
	}
	if err := p.replace(ch.At, len(ch.Now), ch.Before); err != nil {
		return err
	}
	switch {
	case len(ch.Before) == 0:
		u.done(t.oid, t.class, fmt.Sprintf("index %d: %s goes", ch.At, spellValues(ch.Now)))
	case len(ch.Now) == 0:
		u.done(t.oid, t.class, fmt.Sprintf("index %d: %s comes back", ch.At, spellValues(ch.Before)))
	default:
		u.done(t.oid, t.class, fmt.Sprintf("index %d gets its old value back", ch.At))
	}
	return nil
}

// differsFrom tells whether a list, as the session sees it, differs from an
// earlier state from an index on, its end included.
func (u *undoing) differsFrom(p encodedList, then collection.ListView, from int) (bool, error) {
	size, err := p.size(false)
	if err != nil {
		return false, err
	}
	length, err := then.Len()
	if err != nil || size != length {
		return true, err
	}
	if !p.changed() {
		now := collection.ListView{List: then.List, Store: u.c.store(u.c.snap, p.common())}
		_, differ, err := collection.DifferList(then, now, from, -1)
		return differ, err
	}
	for i := from; i < size; i++ {
		now, _, err := p.encodedAt(i)
		if err != nil {
			return false, err
		}
		was, _, err := then.Get(i)
		if err != nil || !bytes.Equal(now, was) {
			return true, err
		}
	}
	return false, nil
}

// counters undoes what was added to counters.
func (u *undoing) counters(f *footprint) error {
	for _, oid := range f.counters {
		if err := u.counter(oid); err != nil {
			return err
		}
	}
	return nil
}

func (u *undoing) counter(oid OID) error {
	c := u.c
	left, _, err := u.count(u.after, oid)
	if err != nil {
		return err
	}
	before, was, err := u.count(u.before, oid)
	if err != nil || was && before == left {
		return err
	}
	t := &touchedContainer{oid: oid, class: collection.ClassCounter}
	if there, err := u.stands(t, was); !there {
		return err
	}
	p, err := c.counter(oid)
	if err != nil {
		return err
	}
	if !was {
		now, err := p.read()
		if err == nil && now != left {
			u.conflict(oid, t.class, "it was made then and has changed since", oid)
		}
		return err
	}
	delta := before - left
	if (delta > 0) != (before > left) { // more than an int64: one Add cannot have done it
		u.conflict(oid, t.class, "it cannot be added so much", oid)
		return nil
	}
	if err := p.add(delta); err != nil {
		return err
	}
	u.done(oid, t.class, fmt.Sprintf("%+d", delta))
	return nil
}

// count is the value of a counter in a snapshot.
func (u *undoing) count(snap storage.Snapshot, oid OID) (n int64, found bool, err error) {
	st := u.c.store(snap, nil)
	pos, err := st.Find(uint64(oid))
	if isNotFound(err) {
		return 0, false, nil
	}
	if err == nil {
		n, err = st.Count(uint64(oid), pos)
	}
	if err != nil {
		return 0, false, u.c.readError(err)
	}
	return n, true, nil
}
