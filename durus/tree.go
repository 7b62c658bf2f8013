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

// treeLeaf is a leaf of a tree in the object cache. It is shared and immutable.
type treeLeaf[K comparable, V any] struct {
	*keySet[K]
	typ   *treeType[K, V]
	vals  []V
	extra codec.Extra // what is unknown in vals
}

func (l *treeLeaf[K, V]) values() (*valuePlan, any) { return l.typ.values, &l.vals }

// treeReader finds nodes of one tree in the session's snapshot.
type treeReader[K comparable, V any] struct {
	c    *core
	typ  *treeType[K, V]
	oid  OID
	note *container // of a writable session
}

// node returns an inner node or a leaf.
func (r *treeReader[K, V]) node(oid OID) (*innerNode, *treeLeaf[K, V], error) {
	c := r.c
	pos, err := c.snap.Find(oid)
	if err != nil {
		return nil, nil, r.missing(oid, err)
	}
	if r.note != nil {
		c.visit(oid, r.note)
	}
	if e := c.gen.cache.get(pos); e != nil {
		switch n := e.value.(type) {
		case *treeLeaf[K, V]:
			if n.typ == r.typ {
				c.shared.handedOutNode(oid, pos, c.gen, n)
				return nil, n, nil
			}
		case *innerNode:
			if oid != r.oid || n.raw.Key == r.typ.plan.name && n.class == r.typ.class {
				return n, nil, nil
			}
		}
	}
	return r.load(oid, pos)
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
func (r *treeReader[K, V]) load(oid OID, pos storage.Position) (*innerNode, *treeLeaf[K, V], error) {
	c := r.c
	c.db.counters.misses.Add(1)
	rec, err := c.read(oid, pos)
	if err != nil {
		return nil, nil, err
	}
	if err := c.checkContainer(oid, r.oid, rec, r.typ.class); err != nil {
		return nil, nil, err
	}
	n, err := parseNode(c, rec, int64(pos))
	if err != nil {
		return nil, nil, err
	}
	if n.Head && n.Key != r.typ.plan.name {
		return nil, nil, r.wrongKeys(n.Key)
	}
	if n.Keys == nil || n.Head != (oid == r.oid) || !n.Head && n.Of != uint64(r.oid) || n.Level == 0 && (n.Values == nil) != (r.typ.values == nil) {
		return nil, nil, c.nodeError(oid, fmt.Errorf("it is no node of a %s", r.typ.class))
	}
	if n.Level > 0 {
		return c.cacheInner(pos, n, rec.Class), nil, nil
	}
	leaf, err := r.leaf(n)
	if err != nil {
		return nil, nil, err
	}
	if r.typ.plan.encoded { // the cache is for leaves of the program's types
		return nil, leaf, nil
	}
	if cached, ok := c.gen.cache.put(pos, leaf, r.memory(leaf, len(rec.Payload))).(*treeLeaf[K, V]); ok && cached.typ == r.typ {
		leaf = cached
	}
	c.shared.handedOutNode(oid, pos, c.gen, leaf)
	return nil, leaf, nil
}

func (r *treeReader[K, V]) wrongKeys(have string) error {
	return fmt.Errorf("%w: the keys of %s %s in %s are %s, those of a %s would be %s: use a handle with the key type that it was made with",
		ErrType, r.typ.class, r.oid, r.c.db.path, have, reflect.TypeFor[K](), r.typ.plan.name)
}

// memory is about what a leaf takes in the cache.
func (r *treeReader[K, V]) memory(l *treeLeaf[K, V], payload int) int64 {
	size := l.memory()
	if r.typ.values != nil {
		size += int64(len(l.vals))*r.typ.values.size + int64(payload)/2
	}
	return size
}

// cacheInner puts an inner node into the cache and returns the one that is there.
func (c *core) cacheInner(pos storage.Position, n *collection.Node, class storage.ClassID) *innerNode {
	in := &innerNode{raw: n}
	if known, ok := c.db.class(c.gen, c.snap, class); ok {
		in.class = known.name
	}
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

// leaf decodes a leaf.
func (r *treeReader[K, V]) leaf(n *collection.Node) (*treeLeaf[K, V], error) {
	l := &treeLeaf[K, V]{typ: r.typ}
	var err error
	if l.keySet, err = newKeySet(&r.typ.keyOrder, n.Keys, r.c.tag); err != nil {
		return nil, r.misfit(err)
	}
	l.vals, l.extra, err = decodeValues[V](r.typ.values, n.Values, len(n.Keys), r.c.tag)
	if err != nil {
		return nil, r.misfit(err)
	}
	return l, nil
}

func (r *treeReader[K, V]) misfit(err error) error {
	return fmt.Errorf("durus: %s %s in %s cannot be read as one of %s to %s: %w", r.typ.class, r.oid, r.c.db.path, reflect.TypeFor[K](), reflect.TypeFor[V](), err)
}

// decodeValues decodes n values; without a plan there are none. extra is what is
// unknown in them.
func decodeValues[V any](plan *valuePlan, raw [][]byte, n int, tag uint64) (vals []V, extra codec.Extra, err error) {
	if plan == nil || n == 0 {
		return make([]V, n), nil, nil
	}
	if plan.many == nil {
		vals = make([]V, n)
		for i := range vals {
			if _, err := plan.one.Decode(raw[i], tag, &vals[i]); err != nil {
				return nil, nil, err
			}
		}
		return vals, nil, nil
	}
	size := 5
	for _, r := range raw {
		size += len(r)
	}
	b := codec.AppendArrayHead(make([]byte, 0, size), n)
	for _, r := range raw {
		b = append(b, r...)
	}
	extra, err = plan.many.Decode(b, tag, &vals)
	return vals, extra, err
}

// keys returns the keys of an inner node.
func (r *treeReader[K, V]) keys(n *innerNode) (*keySet[K], error) {
	if p := n.keys.Load(); p != nil {
		if s, ok := (*p).(*keySet[K]); ok && s.keyOrder == &r.typ.keyOrder {
			return s, nil
		}
	}
	s, err := newKeySet(&r.typ.keyOrder, n.raw.Keys, r.c.tag)
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

// path is where a descent ended. lower and upper are what separates the leaf
// from its neighbours; nil at the ends of the tree.
type path[K comparable, V any] struct {
	leaf         *treeLeaf[K, V]
	lower, upper *K
}

// descend goes from the head to a leaf. Deeper than any tree can be, it is in a
// damaged one.
func (r *treeReader[K, V]) descend(how seek, k *K) (p path[K, V], err error) {
	oid := r.oid
	for level := -1; ; {
		inner, leaf, err := r.node(oid)
		if err != nil {
			return p, err
		}
		if leaf != nil {
			if level > 1 {
				return p, r.displaced(oid)
			}
			p.leaf = leaf
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
	p, err := r.descend(seekKey, k)
	if err != nil {
		return nil, false, err
	}
	i, found := p.leaf.search(k)
	if !found {
		return nil, false, nil
	}
	return &p.leaf.vals[i], true, nil
}

// extra is what is unknown in the value of a key: fields that a newer program has
// stored, which a Put of this one keeps, as in a map.
func (r *treeReader[K, V]) extra(k *K) (codec.Extra, error) {
	p, err := r.descend(seekKey, k)
	if err != nil || p.leaf.extra == nil {
		return nil, err
	}
	i, found := p.leaf.search(k)
	if !found {
		return nil, nil
	}
	return codec.Element(p.leaf.extra, i), nil
}

// len is the length in the snapshot.
func (r *treeReader[K, V]) len() (int, error) {
	inner, leaf, err := r.node(r.oid)
	if err != nil {
		return 0, err
	}
	if leaf != nil {
		return len(leaf.keys), nil
	}
	var sum int64
	for _, oid := range inner.raw.Lengths {
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
