package durus

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

// A container is kept in objects of its own, its nodes (package collection). A
// session never changes a node: it keeps what it does to a container in the
// container's own terms (this key has that value, that range was read), shows
// it over the nodes of its snapshot, and applies it to the newest nodes when it
// commits. So transactions that meet in a node, but not in a key, do not
// conflict, whoever splits it in between.

// pending is a container that a session has used: what it has read, and what it
// will change. Its type parameters are those of the container.
type pending interface {
	common() *container
	// changed tells whether there is something to commit.
	changed() bool
	// pack encodes what is to be committed, and notes the references in it in
	// w. Encoders of the program's run here.
	pack(c *core, w *codec.Writer) error
	// build applies what was packed to the nodes of a state.
	build(b *collection.Builder) error
	// check tells why what was packed cannot be carried over from the states
	// that it was made for to another one: with reads because of what was read,
	// and in any case because of what both have changed.
	check(c *core, now *nodeStore, reads bool) (reason string, at OID, err error)
	// work is about how many keys check and build look at.
	work() int
	// savepoint returns a function that brings back what will be changed now; it
	// may be called several times. What was read stays read.
	savepoint() (undo func())
	// forget drops all that will be changed.
	forget()
}

// container is what every pending one has.
type container struct {
	oid   OID
	class string
	fresh bool // not stored yet: made by this session
	round int  // the last round of encoding that reached it
	kept  bool // what was packed is part of the commit
	known bool // the head was seen to be of this type

	stale   bool                // a node that it was built from, or read from, has changed
	changes []collection.Change // what build made last
}

func (p *container) common() *container { return p }

// addContainer enters a container on its first use.
func (c *core) addContainer(p pending) {
	if c.containers == nil {
		c.containers = make(map[OID]pending)
	}
	c.containers[p.common().oid] = p
	c.order = append(c.order, p)
}

// visit notes that the session depends on a node, as far as its container says.
func (c *core) visit(oid OID, p *container) {
	if !c.writable || p == nil {
		return
	}
	if c.nodes == nil {
		c.nodes = make(map[OID]*container)
	}
	if _, ok := c.nodes[oid]; !ok {
		c.nodes[oid] = p
	}
}

// openContainer checks the session and a handle, for reading. ok is false for a zero
// handle, which reads as an empty container.
func (c *core) openContainer(raw codec.Strong) (oid OID, ok bool, err error) {
	if raw&oidMask == 0 {
		return 0, false, c.usable()
	}
	oid, err = c.target(uint64(raw))
	return oid, err == nil, err
}

// openToWrite is openContainer for a change.
func (c *core) openToWrite(raw codec.Strong, what string) (OID, error) {
	if err := c.mayWrite(); err != nil {
		return 0, err
	}
	if raw&oidMask == 0 {
		return 0, fmt.Errorf("%w: a write through a zero %s: its owner has no container there yet; Edit the owner, also if it is a root, or Add it if it is new, which makes one, and write through what that returns", ErrType, what)
	}
	return c.target(uint64(raw))
}

// isContainerClass tells whether objects of the class are parts of containers.
func isContainerClass(name string) bool {
	switch name {
	case collection.ClassBTree, collection.ClassDict, collection.ClassSet, collection.ClassList, collection.ClassCounter, collection.ClassNode:
		return true
	}
	return false
}

// wrongContainer is for a handle whose object is something else.
func (c *core) wrongContainer(oid OID, class, want string) error {
	return fmt.Errorf("%w: object %s in %s is a %s, not a %s: use a handle of the container's own type", ErrType, oid, c.db.path, class, want)
}

// valuePlan is how the values of a container are stored.
type valuePlan struct {
	one     *codec.Plan
	many    *codec.Plan // of a slice of them; nil where that is not an array of them
	size    int64
	fields  bool        // there are structs in them, of which newer programs may know more
	mutable bool        // they hold memory that a program could change: slices, maps, pointers
	encoded bool        // values as they are stored, of whatever type; see encodedValues
	handles *handleWalk // nil: no containers in them
}

type valueKey struct {
	types *Types
	typ   reflect.Type
}

var valuePlans sync.Map // valueKey -> *valuePlan

// valuePlanOf returns the plan of a value type, or what is wrong with it.
func valuePlanOf(ts *Types, t reflect.Type) (*valuePlan, error) {
	key := valueKey{ts, t}
	if p, ok := valuePlans.Load(key); ok {
		return p.(*valuePlan), nil
	}
	opts := codec.Options{Forbidden: forbidding(func(t reflect.Type) string {
		if t.Kind() == reflect.Pointer && ts.of(t.Elem()) != nil {
			return pointerProblem(t.Elem())
		}
		return ""
	})}
	if problem := opts.Forbidden(t); problem != "" {
		return nil, fmt.Errorf("%w: a value of type %s cannot be stored in a container: %s", ErrType, t, problem)
	}
	one, err := codec.CompileWith(t, opts)
	if err != nil {
		return nil, fmt.Errorf("%w: a value of type %s cannot be stored in a container: %s", ErrType, t, fieldFault(err))
	}
	p := &valuePlan{one: one, size: int64(t.Size()), handles: handlesIn(t)}
	p.fields, p.mutable = contains(t, isStruct), contains(t, isMutable)
	if t.Kind() != reflect.Uint8 {
		if p.many, err = codec.CompileWith(reflect.SliceOf(t), opts); err != nil {
			return nil, err
		}
	}
	v, _ := valuePlans.LoadOrStore(key, p)
	return v.(*valuePlan), nil
}

// isStruct tells whether t is a struct that is stored field by field.
func isStruct(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != timeType && !isReference(t) && !isHandle(t) && !encodesItself(t)
}

// isMutable tells whether copies of a t share memory.
func isMutable(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return true
	}
	return false
}

// contains tells whether is holds for t or a type that its values hold.
func contains(t reflect.Type, is func(reflect.Type) bool) bool {
	seen := map[reflect.Type]bool{}
	var find func(reflect.Type) bool
	find = func(t reflect.Type) bool {
		if seen[t] || t == timeType || isHandle(t) {
			return false
		}
		seen[t] = true
		if is(t) {
			return true
		}
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array:
			return find(t.Elem())
		case reflect.Map:
			return find(t.Key()) || find(t.Elem())
		case reflect.Struct:
			for i := range t.NumField() {
				if find(t.Field(i).Type) {
					return true
				}
			}
		}
		return false
	}
	return find(t)
}

// nodeStore is a snapshot as a place that nodes are read from.
type nodeStore struct {
	c     *core
	snap  storage.Snapshot
	gen   *generation
	visit *container // notes the nodes that are found; nil: nobody
}

// store returns the nodes of a snapshot.
func (c *core) store(snap storage.Snapshot, visit *container) *nodeStore {
	gen := c.gen
	if snap != c.snap {
		gen = c.db.generation(snap)
	}
	return &nodeStore{c, snap, gen, visit}
}

// Lineage implements collection.Store.
func (s *nodeStore) Lineage() uint64 { return s.snap.Lineage() }

// Find implements collection.Store.
func (s *nodeStore) Find(oid uint64) (int64, error) {
	if s.c.bounded {
		if s.c.finds--; s.c.finds < 0 {
			return 0, storage.ErrSendBack
		}
	}
	s.c.visit(OID(oid), s.visit)
	pos, err := s.snap.Find(OID(oid))
	return int64(pos), err
}

// Node implements collection.Store.
func (s *nodeStore) Node(oid uint64, pos int64) (*collection.Node, error) {
	l, n, err := s.node(oid, pos)
	if l != nil {
		n = l.Node()
	}
	return n, err
}

// Leaf implements collection.Store.
func (s *nodeStore) Leaf(oid uint64, pos int64) (*collection.Leaf, error) {
	l, _, err := s.node(oid, pos)
	return l, err
}

// node returns a leaf of a tree as it is stored, any other node taken apart.
func (s *nodeStore) node(oid uint64, pos int64) (*collection.Leaf, *collection.Node, error) {
	if e := s.gen.cache.get(storage.Position(pos)); e != nil {
		switch n := e.value.(type) {
		case *storedLeaf:
			return n.Leaf, nil, nil
		case *innerNode:
			return nil, n.raw, nil
		}
	}
	rec, err := s.snap.Read(OID(oid), storage.Position(pos))
	if err != nil {
		return nil, nil, err
	}
	l, n, err := openNode(s.c, rec, pos)
	switch {
	case err != nil:
	case l != nil:
		s.gen.cache.put(storage.Position(pos), &storedLeaf{Leaf: l, class: s.c.nodeClass(s.gen, s.snap, rec.Class)}, l.Memory())
	case n.Level > 0:
		s.gen.cache.put(storage.Position(pos), &innerNode{raw: n, class: s.c.nodeClass(s.gen, s.snap, rec.Class)}, int64(len(rec.Payload)))
	}
	return l, n, err
}

// Count implements collection.Store.
func (s *nodeStore) Count(oid uint64, pos int64) (int64, error) {
	return s.c.count(s.snap, s.gen, OID(oid), storage.Position(pos))
}

// openNode returns a leaf of a tree as it is stored, any other node taken apart.
func openNode(c *core, rec storage.Record, pos int64) (*collection.Leaf, *collection.Node, error) {
	if rec.Codec != storage.CodecMsgpack {
		return nil, nil, fmt.Errorf("%w: object %s is stored with codec %d, which this program does not know: use a newer version", ErrTooNew, rec.OID, rec.Codec)
	}
	l, n, err := collection.Open(rec.Payload)
	switch {
	case err != nil:
		return nil, nil, c.nodeError(rec.OID, err)
	case l != nil:
		l.OID, l.Pos = uint64(rec.OID), pos
	default:
		n.OID, n.Pos = uint64(rec.OID), pos
	}
	return l, n, nil
}

// nodeClass is the name of the class of a node, "" if it is unknown.
func (c *core) nodeClass(gen *generation, snap storage.Snapshot, id storage.ClassID) string {
	if known, ok := c.db.class(gen, snap, id); ok {
		return known.name
	}
	return ""
}

// nodeError is for a node that cannot be what the file says.
func (c *core) nodeError(oid OID, err error) error {
	if errors.Is(err, ErrTooNew) {
		return fmt.Errorf("durus: object %s in %s: %w", oid, c.db.path, err)
	}
	return c.stick(&CorruptError{Path: c.db.path, OID: oid, Reason: err.Error()})
}

// innerNode is an inner node in the object cache.
type innerNode struct {
	raw   *collection.Node
	class string // of the object; a head's is that of the container
	// keys are a *keySet of the type that they were needed as last. Any goroutine
	// may store one: all that are made of one node and type are alike.
	keys atomic.Pointer[any]
}

// count reads the value of a counter.
func (c *core) count(snap storage.Snapshot, gen *generation, oid OID, pos storage.Position) (int64, error) {
	if e := gen.cache.get(pos); e != nil {
		if n, ok := e.value.(counterNode); ok {
			return int64(n), nil
		}
	}
	rec, err := snap.Read(oid, pos)
	if err != nil {
		return 0, err
	}
	n, err := collection.ParseCounter(rec.Payload)
	if err != nil {
		return 0, c.nodeError(oid, err)
	}
	gen.cache.put(pos, counterNode(n), 8)
	return n, nil
}

// node is what the cache holds of containers: values of this package, which a
// program never gets to see.
type node interface{ isNode() }

func (*innerNode) isNode()      {}
func (*storedLeaf) isNode()     {}
func (*treeLeaf[K, V]) isNode() {}
func (counterNode) isNode()     {}

func isNode(v any) bool {
	_, ok := v.(node)
	return ok
}

// counterNode is the value of a counter in the object cache.
type counterNode int64
