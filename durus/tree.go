package durus

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"sync"
	"unsafe"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

// treeType is what BTree, Dict and Set of some key and value types have in
// common. A Set has values of type struct{}, which are not stored.
type treeType[K comparable, V any] struct {
	keyOrder[K]
	class  string
	values *valuePlan // nil in a Set
}

type treeTypeKey struct {
	types      *Types
	key, value reflect.Type
	class      string
}

var treeTypes sync.Map // treeTypeKey -> *treeType[K, V]

// treeTypeOf returns the type of a tree, or why there can be none.
func treeTypeOf[K comparable, V any](ts *Types, class string) (*treeType[K, V], error) {
	key := treeTypeKey{ts, reflect.TypeFor[K](), reflect.TypeFor[V](), class}
	if t, ok := treeTypes.Load(key); ok {
		return t.(*treeType[K, V]), nil
	}
	plan, err := keyPlanOf(key.key)
	if err != nil {
		return nil, err
	}
	t := &treeType[K, V]{keyOrder: keyOrder[K]{plan: plan, hashed: class == collection.ClassDict}, class: class}
	if class != collection.ClassSet {
		if t.values, err = valuePlanOf(ts, key.value); err != nil {
			return nil, err
		}
	}
	v, _ := treeTypes.LoadOrStore(key, t)
	return v.(*treeType[K, V]), nil
}

// treeProblem says why there can be no such tree, "" if there can.
func treeProblem[K comparable, V any](forbidden func(reflect.Type) string) string {
	if _, err := keyPlanOf(reflect.TypeFor[K]()); err != nil {
		return fieldFault(err)
	}
	return valueProblem(reflect.TypeFor[V](), forbidden)
}

// valueProblem says why values of type t cannot be stored, "" if they can.
func valueProblem(t reflect.Type, forbidden func(reflect.Type) string) string {
	if problem := forbidden(t); problem != "" {
		return problem
	}
	if _, err := codec.CompileWith(t, codec.Options{Forbidden: forbidden}); err != nil {
		return fieldFault(err)
	}
	return ""
}

// treeReader finds nodes of one tree in the session's snapshot.
type treeReader[K comparable, V any] struct {
	c    *core
	typ  *treeType[K, V]
	oid  OID
	note *container // of a writable session
}

// treeNode is a node of a tree: one of these.
type treeNode[K comparable, V any] struct {
	inner *innerNode
	leaf  *treeLeaf[K, V]
	raw   *storedLeaf // a leaf of which one key is looked for
}

// node returns a node. A leaf is decoded if all of it is wanted, and otherwise
// once it is worth it.
func (r *treeReader[K, V]) node(oid OID, all bool) (treeNode[K, V], error) {
	c := r.c
	pos, err := c.snap.Find(oid)
	if err != nil {
		return treeNode[K, V]{}, r.missing(oid, err)
	}
	if r.note != nil {
		c.visit(oid, r.note)
	}
	if e := c.gen.cache.get(pos); e != nil {
		switch n := e.value.(type) {
		case *treeLeaf[K, V]:
			if n.typ == r.typ {
				c.shared.handedOutNode(oid, pos, c.gen, n)
				return treeNode[K, V]{leaf: n}, nil
			}
		case *storedLeaf:
			if r.owns(oid, n) {
				return r.use(oid, pos, n, all)
			}
		case *innerNode:
			if oid != r.oid || n.raw.Key == r.typ.plan.name && n.class == r.typ.class {
				return treeNode[K, V]{inner: n}, nil
			}
		}
	}
	return r.load(oid, pos, all)
}

func (r *treeReader[K, V]) missing(oid OID, err error) error {
	switch {
	case !errors.Is(err, storage.ErrNotFound):
		return r.c.stick(err)
	case oid == r.oid:
		return r.c.notFound(oid)
	}
	return r.c.nodeError(oid, fmt.Errorf("node %s of container %s is missing", oid, r.oid))
}

// load reads a node.
func (r *treeReader[K, V]) load(oid OID, pos storage.Position, all bool) (n treeNode[K, V], err error) {
	c := r.c
	c.db.counters.misses.Add(1)
	rec, err := c.read(oid, pos)
	if err != nil {
		return n, err
	}
	if err := c.checkContainer(oid, r.oid, rec, r.typ.class); err != nil {
		return n, err
	}
	leaf, inner, err := openNode(c, rec, int64(pos))
	if err != nil {
		return n, err
	}
	if leaf != nil {
		if leaf.Head && leaf.Key != r.typ.plan.name {
			return n, r.wrongKeys(leaf.Key)
		}
		stored := &storedLeaf{Leaf: leaf, class: c.nodeClass(c.gen, c.snap, rec.Class)}
		if !r.owns(oid, stored) {
			return n, r.stranger(oid)
		}
		if have, ok := c.gen.cache.put(pos, stored, leaf.Memory()).(*storedLeaf); ok {
			stored = have
		}
		return r.use(oid, pos, stored, all)
	}
	if inner.Head && inner.Key != r.typ.plan.name {
		return n, r.wrongKeys(inner.Key)
	}
	if inner.Keys == nil || inner.Head != (oid == r.oid) || !inner.Head && inner.Of != uint64(r.oid) {
		return n, r.stranger(oid)
	}
	n.inner = c.cacheInner(pos, inner, rec.Class)
	return n, nil
}

// stranger is the error for a node of another container.
func (r *treeReader[K, V]) stranger(oid OID) error {
	return r.c.nodeError(oid, fmt.Errorf("it is no node of a %s", r.typ.class))
}

func (r *treeReader[K, V]) wrongKeys(have string) error {
	return fmt.Errorf("%w: the keys of %s %s in %s are %s, those of a %s would be %s: use a handle with the key type that it was made with",
		ErrType, r.typ.class, r.oid, r.c.db.path, have, reflect.TypeFor[K](), r.typ.plan.name)
}

// cacheInner puts an inner node into the cache and returns the one that is there.
func (c *core) cacheInner(pos storage.Position, n *collection.Node, class storage.ClassID) *innerNode {
	in := &innerNode{raw: n, class: c.nodeClass(c.gen, c.snap, class)}
	if cached, ok := c.gen.cache.put(pos, in, int64(64*len(n.Children))).(*innerNode); ok {
		return cached
	}
	return in
}

// checkContainer tells whether a record is the head, or a node, of a container
// of some class.
func (c *core) checkContainer(oid, head OID, rec storage.Record, class string) error {
	if rec.Codec != storage.CodecMsgpack {
		return fmt.Errorf("%w: object %s is stored with codec %d, which this program does not know: use a newer version", ErrTooNew, oid, rec.Codec)
	}
	want := class
	if oid != head {
		want = collection.ClassNode
	}
	known, ok := c.db.class(c.gen, c.snap, rec.Class)
	if !ok || known.name != want {
		name := "object of an unknown class"
		if ok {
			name = known.name
		}
		return c.wrongContainer(oid, name, want)
	}
	return nil
}

func (r *treeReader[K, V]) misfit(err error) error {
	return fmt.Errorf("durus: %s %s in %s cannot be read as one of %s to %s: %w", r.typ.class, r.oid, r.c.db.path, reflect.TypeFor[K](), reflect.TypeFor[V](), err)
}

// keys returns the keys of an inner node.
func (r *treeReader[K, V]) keys(n *innerNode) (*keySet[K], error) {
	if p := n.keys.Load(); p != nil {
		if s, ok := (*p).(*keySet[K]); ok && s.keyOrder == &r.typ.keyOrder {
			return s, nil
		}
	}
	s, err := newKeySet(&r.typ.keyOrder, len(n.raw.Keys), func(i int) []byte { return n.raw.Keys[i] }, r.c.tag)
	if err != nil {
		return nil, r.misfit(err)
	}
	if !r.typ.plan.encoded {
		var v any = s
		n.keys.Store(&v)
	}
	return s, nil
}

// seek says which leaf is looked for.
type seek uint8

const (
	seekKey    seek = iota // the one that the key belongs to
	seekFirst              // the first one
	seekLast               // the last one
	seekBefore             // the one with the greatest key before the key, if any
)

// path is where a descent ended: at a leaf, decoded or not. lower and upper are
// what separates it from its neighbours; nil at the ends of the tree.
type path[K comparable, V any] struct {
	leaf         *treeLeaf[K, V]
	raw          *storedLeaf
	lower, upper *K
}

// descend goes from the head to a leaf, which is decoded if all of it is wanted.
// Deeper than any tree can be, it is in a damaged one.
func (r *treeReader[K, V]) descend(how seek, k *K, all bool) (p path[K, V], err error) {
	oid := r.oid
	for level := -1; ; {
		n, err := r.node(oid, all)
		if err != nil {
			return p, err
		}
		inner := n.inner
		if inner == nil {
			if level > 1 {
				return p, r.displaced(oid)
			}
			p.leaf, p.raw = n.leaf, n.raw
			return p, nil
		}
		if level >= 0 && inner.raw.Level != level-1 {
			return p, r.displaced(oid)
		}
		level = inner.raw.Level
		keys, err := r.keys(inner)
		if err != nil {
			return p, err
		}
		i := 0
		switch how {
		case seekKey:
			i = keys.child(k)
		case seekBefore:
			i = keys.childBefore(k)
		case seekLast:
			i = len(inner.raw.Children) - 1
		}
		if i > 0 {
			p.lower = &keys.keys[i-1]
		}
		if i < len(keys.keys) {
			p.upper = &keys.keys[i]
		}
		oid = OID(inner.raw.Children[i])
	}
}

func (r *treeReader[K, V]) displaced(oid OID) error {
	return r.c.nodeError(oid, fmt.Errorf("it is not where it belongs in container %s", r.oid))
}

// foreign is the error for a key that is, or holds, a reference of another
// database: it must not be taken for the object with that id here.
func (r *treeReader[K, V]) foreign(k *K) error {
	if !r.typ.plan.refs || k == nil {
		return nil
	}
	var buf [64]byte
	_, err := r.typ.plan.encode(buf[:0], unsafe.Pointer(k), r.c.own)
	return err
}

// get looks a key up in the snapshot.
func (r *treeReader[K, V]) get(k *K) (v *V, found bool, err error) {
	p, err := r.descend(seekKey, k, false)
	if err != nil {
		return nil, false, err
	}
	if p.raw != nil {
		v, _, found, err = r.pick(p.raw, k)
		return v, found, err
	}
	i, found := p.leaf.search(k)
	if !found {
		return nil, false, nil
	}
	return &p.leaf.vals[i], true, nil
}

// extra is what is unknown in the value of a key: fields that a newer program has
// stored, which a Put of this one keeps, as in a map.
func (r *treeReader[K, V]) extra(k *K) (extra codec.Extra, err error) {
	p, err := r.descend(seekKey, k, false)
	if err != nil {
		return nil, err
	}
	if p.raw != nil {
		_, extra, _, err = r.pick(p.raw, k)
		return extra, err
	}
	if p.leaf.extra == nil {
		return nil, nil
	}
	i, found := p.leaf.search(k)
	if !found {
		return nil, nil
	}
	return codec.Element(p.leaf.extra, i), nil
}

// len is the length in the snapshot.
func (r *treeReader[K, V]) len() (int, error) {
	n, err := r.node(r.oid, false)
	switch {
	case err != nil:
		return 0, err
	case n.leaf != nil:
		return len(n.leaf.keys), nil
	case n.raw != nil:
		return n.raw.Len(), nil
	}
	var sum int64
	for _, oid := range n.inner.raw.Lengths {
		pos, err := r.c.snap.Find(OID(oid))
		if err != nil {
			return 0, r.missing(OID(oid), err)
		}
		if r.note != nil {
			r.c.visit(OID(oid), r.note)
		}
		n, err := r.c.count(r.c.snap, r.c.gen, OID(oid), pos)
		if err != nil {
			return 0, r.c.stick(err)
		}
		sum += n
	}
	if sum < 0 || sum > math.MaxInt {
		return 0, r.c.nodeError(r.oid, errors.New("its counters say an impossible length"))
	}
	return int(sum), nil
}
