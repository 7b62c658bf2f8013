package durus

import (
	"sync/atomic"
	"unsafe"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

// storedLeaf is a leaf of a tree in the object cache as it is stored. Commits
// build the next state of the leaf from it. Who looks a key up decodes that entry
// alone, until the leaf has been used so often that a treeLeaf takes its place.
type storedLeaf struct {
	*collection.Leaf
	class string // of the object; a head's is that of the container
	// uses counts lookups. Any goroutine may add; a count that is a few off decodes
	// the leaf a little sooner or later.
	uses atomic.Uint32
}

// isStoredLeaf tells what of the cache gives way, see givesWay.
func isStoredLeaf(v any) bool {
	_, ok := v.(*storedLeaf)
	return ok
}

// worth is how many keys are looked up in a leaf as it is stored before it is
// decoded. Decoding costs as much as ten lookups of integers, or twenty of structs
// (see BenchmarkTreeGetCold): whoever stops just after it has lost about half.
const worth = 12

// treeLeaf is a leaf of a tree in the object cache, decoded. It is shared and
// immutable.
type treeLeaf[K comparable, V any] struct {
	*keySet[K]
	typ   *treeType[K, V]
	vals  []V
	extra codec.Extra // what is unknown in vals
}

func (l *treeLeaf[K, V]) values() (*valuePlan, any) { return l.typ.values, &l.vals }

// owns tells whether a leaf is one of this tree, and of this type.
func (r *treeReader[K, V]) owns(oid OID, l *storedLeaf) bool {
	if l.Head != (oid == r.oid) || l.Set != (r.typ.values == nil) {
		return false
	}
	if l.Head {
		return l.Key == r.typ.plan.name && l.class == r.typ.class
	}
	return l.Of == uint64(r.oid) && l.class == collection.ClassNode
}

// use returns a leaf of the tree: decoded if all of it is wanted, if that is worth
// it by now, and where checks want to see what was handed out.
func (r *treeReader[K, V]) use(oid OID, pos storage.Position, l *storedLeaf, all bool) (treeNode[K, V], error) {
	c := r.c
	checked := c.shared != nil && r.typ.values != nil && r.typ.values.mutable
	if !all && !checked && (r.typ.plan.encoded || l.uses.Add(1) <= worth) {
		return treeNode[K, V]{raw: l}, nil
	}
	leaf, err := r.decode(l.Leaf)
	if err != nil && !all {
		// Something in it is not of the program's type: an error for who looks it
		// up, however often others were before.
		l.uses.Store(0)
		return treeNode[K, V]{raw: l}, nil
	}
	if err != nil {
		return treeNode[K, V]{}, err
	}
	if r.typ.plan.encoded { // the cache is for leaves of the program's types
		return treeNode[K, V]{leaf: leaf}, nil
	}
	if cached, ok := c.gen.cache.put(pos, leaf, r.memory(leaf, len(l.Values()))).(*treeLeaf[K, V]); ok && cached.typ == r.typ {
		leaf = cached
	}
	c.shared.handedOutNode(oid, pos, c.gen, leaf)
	return treeNode[K, V]{leaf: leaf}, nil
}

// pick decodes the value of one key of a leaf, and what is unknown in it.
func (r *treeReader[K, V]) pick(l *storedLeaf, k *K) (v *V, extra codec.Extra, found bool, err error) {
	key, err := r.typ.plan.encode(make([]byte, 0, 32), unsafe.Pointer(k), r.c.own)
	if err != nil {
		return nil, nil, false, err
	}
	tree := collection.Tree{Class: r.typ.class}
	i, found := tree.Find(l.Leaf, key)
	if !found {
		return nil, nil, false, nil
	}
	v = new(V)
	if r.typ.values != nil {
		if extra, err = r.typ.values.one.Decode(l.ValueAt(i), r.c.tag, v); err != nil {
			return nil, nil, false, r.misfit(err)
		}
	}
	return v, extra, true, nil
}

// decode decodes a leaf.
func (r *treeReader[K, V]) decode(raw *collection.Leaf) (*treeLeaf[K, V], error) {
	l := &treeLeaf[K, V]{typ: r.typ}
	var err error
	if l.keySet, err = newKeySet(&r.typ.keyOrder, raw.Len(), raw.KeyAt, r.c.tag); err != nil {
		return nil, r.misfit(err)
	}
	l.vals, l.extra, err = decodeValues[V](r.typ.values, raw.Len(), raw.Values(), r.c.tag)
	if err != nil {
		return nil, r.misfit(err)
	}
	return l, nil
}

// decodeValues decodes an array of n values; without a plan there are none. extra
// is what is unknown in them.
func decodeValues[V any](plan *valuePlan, n int, array []byte, tag uint64) (vals []V, extra codec.Extra, err error) {
	if plan == nil || n == 0 {
		return make([]V, n), nil, nil
	}
	if plan.many == nil {
		vals = make([]V, n)
		c := codec.NewCursor(array)
		c.Array()
		for i := range vals {
			if _, err := plan.one.Decode(c.Skip(), tag, &vals[i]); err != nil {
				return nil, nil, err
			}
		}
		return vals, nil, nil
	}
	extra, err = plan.many.Decode(array, tag, &vals)
	return vals, extra, err
}

// memory is about what a leaf takes in the cache.
func (r *treeReader[K, V]) memory(l *treeLeaf[K, V], payload int) int64 {
	size := l.memory()
	if r.typ.values != nil {
		size += int64(len(l.vals))*r.typ.values.size + int64(payload)/2
	}
	return size
}

// placed returns what puts the leaves that a commit has built into the cache, at
// their new positions and in place of those that they were built from. They are
// immutable, like all that a builder makes, and found by position only: who has an
// older snapshot does not see them.
func (c *core) placed(containers []pending) func(uint64, func(OID) storage.Position) {
	if len(containers) == 0 {
		return nil
	}
	return func(lineage uint64, position func(OID) storage.Position) {
		if lineage != c.gen.lineage {
			return // a pack has changed the file meanwhile
		}
		for _, p := range containers {
			for i := range p.common().changes {
				ch := &p.common().changes[i]
				if ch.Leaf == nil {
					continue
				}
				pos := position(OID(ch.OID))
				if pos == 0 {
					continue
				}
				c.gen.cache.retire(storage.Position(ch.Leaf.Pos))
				ch.Leaf.Pos = int64(pos) // nobody else has it yet
				c.gen.cache.put(pos, &storedLeaf{Leaf: ch.Leaf, class: ch.Class}, ch.Leaf.Memory())
			}
		}
	}
}
