package collection

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/durusdb/durus/storage"
)

// A transaction that changes a container writes the nodes that it changes, and
// no others. So what it did to the container, in the container's own terms, is
// found by comparing these nodes before and after: what lies in nodes that it has not
// written is the same in both states.

// KeyChange is a key that differs between two states of a tree.
type KeyChange struct {
	Key         []byte
	Before, Now []byte // its values; nil in a Set, and where it is not there
	Was, Is     bool   // it is there before, and now
}

// DiffTree returns what a transaction has changed in a tree, in the order of the
// keys. before and after are the states around it, written the nodes of the tree
// that it wrote. Before it was made, a tree is empty; was tells whether it existed.
func DiffTree(before, after View, written []uint64) (changes []KeyChange, was bool, err error) {
	d := &differ{of: after.OID, before: before.Store, after: after.Store, kept: map[uint64]bool{}, seen: map[uint64]bool{}}
	if err := d.collect(written); err != nil {
		return nil, false, err
	}
	old, now := after.entriesOf(d.old), after.entriesOf(d.now)
	for i, j := 0, 0; i < len(old) || j < len(now); {
		c := 0
		switch {
		case i == len(old):
			c = 1
		case j == len(now):
			c = -1
		default:
			c = after.Compare(old[i].key, now[j].key)
		}
		switch {
		case c < 0:
			changes = append(changes, KeyChange{Key: old[i].key, Before: old[i].value, Was: true})
			i++
		case c > 0:
			changes = append(changes, KeyChange{Key: now[j].key, Now: now[j].value, Is: true})
			j++
		default:
			if !bytes.Equal(old[i].value, now[j].value) {
				changes = append(changes, KeyChange{Key: old[i].key, Before: old[i].value, Now: now[j].value, Was: true, Is: true})
			}
			i++
			j++
		}
	}
	return changes, d.existed, nil
}

// differ finds the leaves in which two states of a container differ.
type differ struct {
	of            uint64 // the head
	before, after Store
	existed       bool
	old, now      []*Node // leaves before and after
	kept          map[uint64]bool
	seen          map[uint64]bool // written, or looked at
}

// nodeIn returns a node of the container, nil if that state does not have it.
func (d *differ) nodeIn(st Store, oid uint64) (*Node, error) {
	n, err := node(st, oid)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err == nil && n.Head != (oid == d.of) {
		err = fmt.Errorf("%w: object %d is no node of container %d", storage.ErrCorrupt, oid, d.of)
	}
	return n, err
}

// collect fills in old and now.
func (d *differ) collect(written []uint64) error {
	var parents []*Node // inner nodes before
	for _, oid := range written {
		d.seen[oid] = true
		old, err := d.nodeIn(d.before, oid)
		if err != nil {
			return err
		}
		now, err := d.nodeIn(d.after, oid)
		if err != nil {
			return err
		}
		switch {
		case old == nil:
		case old.Level == 0:
			d.old = append(d.old, old)
		default:
			parents = append(parents, old)
		}
		switch {
		case now == nil:
		case now.Level == 0:
			d.now = append(d.now, now)
		default:
			for _, c := range now.Children {
				d.kept[c] = true
			}
		}
		d.existed = d.existed || old != nil && old.Head
	}
	if !slices.Contains(written, d.of) {
		d.existed = true // its head is older
	}
	// What hung below them and hangs nowhere now is gone.
	for _, p := range parents {
		if err := d.lost(p); err != nil {
			return err
		}
	}
	return nil
}

// lost adds the leaves below a node that do not belong to the container any more.
func (d *differ) lost(parent *Node) error {
	for i, oid := range parent.Children {
		if d.kept[oid] || d.seen[oid] {
			continue
		}
		d.seen[oid] = true
		n, err := child(d.before, parent, i)
		if err != nil {
			return err
		}
		if n.Level == 0 {
			d.old = append(d.old, n)
		} else if err := d.lost(n); err != nil {
			return err
		}
	}
	return nil
}

type entry struct{ key, value []byte }

// entriesOf returns the entries of leaves in order.
func (t *Tree) entriesOf(leaves []*Node) []entry {
	var list []entry
	for _, n := range leaves {
		for i, k := range n.Keys {
			e := entry{key: k}
			if n.Values != nil {
				e.value = n.Values[i]
			}
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b entry) int { return t.Compare(a.key, b.key) })
	return list
}
