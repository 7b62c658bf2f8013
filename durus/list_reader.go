package durus

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

func typeFor[V any]() reflect.Type { return reflect.TypeFor[V]() }

// listType is what the lists of one value type have in common.
type listType[V any] struct{ values *valuePlan }

func listTypeOf[V any](ts *Types) (*listType[V], error) {
	plan, err := valuePlanOf(ts, typeFor[V]())
	return &listType[V]{plan}, err
}

// listLeaf is a leaf of a list in the object cache. It is shared and immutable.
type listLeaf[V any] struct {
	vals  []V
	extra codec.Extra // what is unknown in vals
	plan  *valuePlan
}

func (*listLeaf[V]) isNode() {}

func (l *listLeaf[V]) values() (*valuePlan, any) { return l.plan, &l.vals }

// listReader finds nodes of one list in the session's snapshot.
type listReader[V any] struct {
	c    *core
	typ  *listType[V]
	oid  OID
	note *container // of a writable session
}

// node returns an inner node or a leaf.
func (r *listReader[V]) node(oid OID) (*innerNode, *listLeaf[V], error) {
	c := r.c
	pos, err := c.snap.Find(oid)
	switch {
	case errors.Is(err, storage.ErrNotFound) && oid == r.oid:
		return nil, nil, c.notFound(oid)
	case errors.Is(err, storage.ErrNotFound):
		return nil, nil, c.nodeError(oid, fmt.Errorf("node %s of list %s is missing", oid, r.oid))
	case err != nil:
		return nil, nil, c.stick(err)
	}
	if r.note != nil {
		c.visit(oid, r.note)
	}
	if e := c.gen.cache.get(pos); e != nil {
		switch n := e.value.(type) {
		case *listLeaf[V]:
			c.shared.handedOutNode(oid, pos, c.gen, n)
			return nil, n, nil
		case *innerNode:
			if n.raw.Keys == nil {
				return n, nil, nil
			}
		}
	}
	return r.load(oid, pos)
}

func (r *listReader[V]) load(oid OID, pos storage.Position) (*innerNode, *listLeaf[V], error) {
	c := r.c
	c.db.counters.misses.Add(1)
	rec, err := c.read(oid, pos)
	if err != nil {
		return nil, nil, err
	}
	if err := c.checkContainer(oid, r.oid, rec, collection.ClassList); err != nil {
		return nil, nil, err
	}
	tree, n, err := openNode(c, rec, int64(pos))
	if err != nil {
		return nil, nil, err
	}
	if tree != nil || n.Keys != nil || n.Head != (oid == r.oid) || !n.Head && n.Of != uint64(r.oid) {
		return nil, nil, c.nodeError(oid, errors.New("it is no node of a list"))
	}
	if n.Level > 0 {
		return c.cacheInner(pos, n, rec.Class), nil, nil
	}
	vals, extra, err := decodeValues[V](r.typ.values, len(n.Values), collection.Array(n.Values), c.tag)
	if err != nil {
		return nil, nil, fmt.Errorf("durus: list %s in %s cannot be read as one of %s: %w", r.oid, c.db.path, typeFor[V](), err)
	}
	leaf := &listLeaf[V]{vals, extra, r.typ.values}
	if r.typ.values.encoded { // the cache is for leaves of the program's type
		return nil, leaf, nil
	}
	size := int64(len(vals))*r.typ.values.size + int64(len(rec.Payload))/2
	if cached, ok := c.gen.cache.put(pos, leaf, size).(*listLeaf[V]); ok {
		leaf = cached
	}
	c.shared.handedOutNode(oid, pos, c.gen, leaf)
	return nil, leaf, nil
}

// listPlace is a leaf and the indexes of its values: from start on. next is the
// first index behind it, -1 for the last leaf.
type listPlace[V any] struct {
	leaf        *listLeaf[V]
	start, next int
}

// descend returns the leaf with an index, or the last one.
func (r *listReader[V]) descend(i int) (p listPlace[V], err error) {
	p.next = -1
	oid := r.oid
	for level := -1; ; {
		inner, leaf, err := r.node(oid)
		if err != nil {
			return p, err
		}
		if leaf != nil {
			if p.leaf = leaf; level > 1 || p.next >= 0 && len(leaf.vals) != p.next-p.start {
				return p, r.displaced(oid)
			}
			return p, nil
		}
		n := inner.raw
		if level >= 0 && n.Level != level-1 {
			return p, r.displaced(oid)
		}
		level = n.Level
		k := 0
		for k < len(n.Counts) && i >= p.start+n.Counts[k] {
			p.start += n.Counts[k]
			k++
		}
		if k < len(n.Counts) {
			if p.next = p.start + n.Counts[k]; p.next <= i {
				return p, r.displaced(oid)
			}
		}
		oid = OID(n.Children[k])
	}
}

func (r *listReader[V]) displaced(oid OID) error {
	return r.c.nodeError(oid, fmt.Errorf("it is not where it belongs in list %s", r.oid))
}

// get returns the value at an index of the snapshot, nil outside.
func (r *listReader[V]) get(i int) (*V, error) {
	if i < 0 {
		return nil, nil
	}
	p, err := r.descend(i)
	if err != nil || i-p.start >= len(p.leaf.vals) {
		return nil, err
	}
	return &p.leaf.vals[i-p.start], nil
}

// extra is what is unknown in the value at an index; see treeReader.extra.
func (r *listReader[V]) extra(i int) (codec.Extra, error) {
	p, err := r.descend(i)
	if err != nil || p.leaf.extra == nil || i-p.start >= len(p.leaf.vals) {
		return nil, err
	}
	return codec.Element(p.leaf.extra, i-p.start), nil
}

// len is the length in the snapshot.
func (r *listReader[V]) len() (int, error) {
	total, oid := 0, r.oid
	for level := -1; ; {
		inner, leaf, err := r.node(oid)
		if err != nil {
			return 0, err
		}
		if leaf != nil {
			return total + len(leaf.vals), nil
		}
		if level >= 0 && inner.raw.Level != level-1 {
			return 0, r.displaced(oid)
		}
		level = inner.raw.Level
		for _, n := range inner.raw.Counts {
			if total += n; total < 0 { // no count is: an overflow
				return 0, r.displaced(oid)
			}
		}
		oid = OID(inner.raw.Children[len(inner.raw.Children)-1])
	}
}
