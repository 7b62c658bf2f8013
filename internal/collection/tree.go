package collection

import (
	"fmt"
	"slices"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// Tree is a sorted container: a BTree, a Set, or a Dict, whose order is that of
// the keys' hashes.
type Tree struct {
	OID   uint64 // of the head
	Class string // ClassBTree, ClassDict or ClassSet
	Key   string // what its keys are
	Fresh bool   // it is not stored yet
}

// Op is what becomes of one key.
type Op struct {
	Key    []byte
	Value  []byte // nil in a Set
	Delete bool
}

// Compare orders two keys of the tree.
func (t *Tree) Compare(a, b []byte) int {
	if t.Class == ClassDict {
		return compareHashed(a, b)
	}
	return codec.Compare(a, b)
}

// empty is the head of a tree without entries.
func (t *Tree) empty() *Leaf {
	return &Leaf{OID: t.OID, Head: true, Key: t.Key, Set: t.Class == ClassSet}
}

// head reads the head: a leaf or an inner node.
func (t *Tree) head(st Store) (*Leaf, *Node, error) {
	if t.Fresh {
		return t.empty(), nil, nil
	}
	pos, err := st.Find(t.OID)
	if err != nil {
		return nil, nil, err
	}
	l, err := st.Leaf(t.OID, pos)
	if l != nil {
		if !l.Head || l.Key != t.Key || !t.fits(l) {
			err = t.noHead()
		}
		return l, nil, err
	}
	var n *Node
	if err == nil {
		n, err = st.Node(t.OID, pos)
	}
	if err == nil && (!n.Head || n.Keys == nil || n.Key != t.Key || n.Level == 0 || len(n.Lengths) == 0) {
		err = t.noHead()
	}
	return nil, n, err
}

func (t *Tree) noHead() error {
	return fmt.Errorf("%w: object %d is no %s with keys of %s", storage.ErrCorrupt, t.OID, t.Class, t.Key)
}

// fits tells whether a leaf has values if it has to, and none otherwise.
func (t *Tree) fits(l *Leaf) bool { return l.Set == (t.Class == ClassSet) }

// Apply applies operations, which are sorted by key, each key once. It returns
// by how much the length changes. The builder has the changed nodes; a fresh
// tree is stored even if it is empty.
func (t *Tree) Apply(b *Builder, ops []Op) (added int, err error) {
	leaf, inner, err := t.head(b.Store)
	if err != nil {
		return 0, err
	}
	e := &treeEdit{Tree: t, b: b}
	if leaf != nil {
		err = e.headLeaf(leaf, ops)
	} else {
		err = e.headInner(inner, ops)
	}
	return e.added, err
}

// treeEdit is one Apply.
type treeEdit struct {
	*Tree
	b       *Builder
	added   int
	scratch []edit // memory for the next leaf
}

// piece is a node that takes the place of another, or of a part of it.
type piece struct {
	sep []byte // keys before it are in the pieces before; nil for the first
	oid uint64
}

func (e *treeEdit) headLeaf(head *Leaf, ops []Op) error {
	edits, count, size := e.edits(head, ops)
	e.added += count - head.Len()
	switch {
	case len(edits) == 0 && !e.Fresh:
		return nil
	case e.fit(count, size):
		return e.b.splice(head, edits, count, e.Class)
	}
	m := head.after(edits)
	ends := e.cutLeaf(&m)
	if len(ends) <= 1 {
		return e.b.emit(&Node{OID: e.OID, Head: true, Key: e.Key, Lengths: head.Lengths, Keys: m.keys, Values: m.values}, e.Class)
	}
	pieces, err := e.leaves(0, &m, ends)
	if err != nil {
		return err
	}
	return e.grow(head.Lengths, pieces, 1, count)
}

func (e *treeEdit) headInner(head *Node, ops []Op) error {
	pieces, changed, err := e.children(head, ops)
	if err != nil {
		return err
	}
	switch {
	case len(pieces) == 0:
		return e.b.splice(e.empty(), nil, 0, e.Class)
	case !changed:
		return e.lengthen(head.Lengths)
	}
	return e.grow(head.Lengths, pieces, head.Level, 0)
}

// grow stores a head with these nodes below, at the given level, and levels in
// between if they are too many. total is the length of a tree that has no
// counters yet.
func (e *treeEdit) grow(counters []uint64, pieces []piece, level, total int) error {
	for ; len(pieces) > e.b.Limits.Fanout; level++ {
		var up []piece
		start := 0
		for _, end := range e.cutInner(pieces) {
			oid, err := e.b.NewOID()
			if err != nil {
				return err
			}
			if err := e.inner(oid, level, pieces[start:end]); err != nil {
				return err
			}
			up = append(up, piece{pieces[start].sep, oid})
			start = end
		}
		pieces = up
	}
	n := &Node{OID: e.OID, Head: true, Key: e.Key, Level: level, Lengths: counters}
	n.Keys, n.Children = split(pieces)
	if n.Lengths == nil {
		for i := range e.b.Limits.Counters {
			oid, err := e.b.NewOID()
			if err != nil {
				return err
			}
			n.Lengths = append(n.Lengths, oid)
			value := 0
			if i == 0 {
				value = total
			}
			if err := e.b.emitCounter(oid, int64(value)); err != nil {
				return err
			}
		}
	} else if err := e.lengthen(n.Lengths); err != nil {
		return err
	}
	return e.b.emit(n, e.Class)
}

// lengthen changes one of the counters of the length.
func (e *treeEdit) lengthen(counters []uint64) error {
	if e.added == 0 {
		return nil
	}
	if len(counters) == 0 {
		return fmt.Errorf("%w: the tree %d has no counters", storage.ErrCorrupt, e.OID)
	}
	oid := counters[e.b.Stripe%len(counters)]
	value, err := count(e.b.Store, e.OID, oid)
	if err != nil {
		return err
	}
	return e.b.emitCounter(oid, value+int64(e.added))
}

// leaf applies operations to a leaf that is not the head, and returns what takes
// its place: nothing, itself, or itself and others.
func (e *treeEdit) leaf(l *Leaf, ops []Op) ([]piece, error) {
	edits, count, size := e.edits(l, ops)
	e.added += count - l.Len()
	switch {
	case len(edits) == 0:
		return []piece{{oid: l.OID}}, nil
	case count == 0:
		return nil, nil
	case e.fit(count, size):
		return []piece{{oid: l.OID}}, e.b.splice(l, edits, count, ClassNode)
	}
	m := l.after(edits)
	return e.leaves(l.OID, &m, e.cutLeaf(&m))
}

// fit tells whether entries are one leaf: what cutLeaf does not divide.
func (e *treeEdit) fit(count, size int) bool {
	return count <= e.b.Limits.Leaf && size <= e.b.Limits.LeafBytes
}

// node is leaf for an inner node.
func (e *treeEdit) node(n *Node, ops []Op) ([]piece, error) {
	pieces, changed, err := e.children(n, ops)
	if err != nil || len(pieces) == 0 {
		return nil, err
	}
	if !changed {
		return []piece{{oid: n.OID}}, nil
	}
	var out []piece
	start := 0
	for _, end := range e.cutInner(pieces) {
		oid := n.OID
		if start > 0 {
			if oid, err = e.b.NewOID(); err != nil {
				return nil, err
			}
		}
		if err := e.inner(oid, n.Level, pieces[start:end]); err != nil {
			return nil, err
		}
		out = append(out, piece{pieces[start].sep, oid})
		start = end
	}
	out[0].sep = nil
	return out, nil
}

// children applies operations to the children of a node. changed tells whether
// the node has other children, or other separators, than before; only then out
// is all of them. Of a node that has lost all its children, out is empty.
func (e *treeEdit) children(n *Node, ops []Op) (out []piece, changed bool, err error) {
	next := 0 // the first child that is not in out yet
	for len(ops) > 0 {
		i, found := e.search(n.Keys, ops[0].Key)
		if found {
			i++
		}
		mine := ops
		if i < len(n.Keys) {
			mine = ops[:e.before(ops, n.Keys[i])]
		}
		if len(mine) == 0 {
			return nil, false, fmt.Errorf("%w: the keys of node %d are out of order", storage.ErrCorrupt, n.OID)
		}
		ops = ops[len(mine):]
		pieces, err := e.child(n, i, mine)
		if err != nil {
			return nil, false, err
		}
		if len(pieces) == 1 {
			continue // the child is what it was, as far as n goes
		}
		changed = true
		out = n.pieces(out, next, i)
		next = i + 1
		for j, p := range pieces {
			if j == 0 {
				p.sep = n.separator(i)
			}
			out = append(out, p)
		}
	}
	if !changed {
		return []piece{{oid: n.OID}}, false, nil
	}
	return n.pieces(out, next, len(n.Children)), true, nil
}

// child applies operations to a child of a node.
func (e *treeEdit) child(n *Node, i int, ops []Op) ([]piece, error) {
	if n.Level == 1 {
		l, err := e.childLeaf(e.b.Store, n, i)
		if err != nil {
			return nil, err
		}
		return e.leaf(l, ops)
	}
	c, err := child(e.b.Store, n, i)
	if err != nil {
		return nil, err
	}
	return e.node(c, ops)
}

// separator is what child i begins with; nil for the first.
func (n *Node) separator(i int) []byte {
	if i == 0 {
		return nil
	}
	return n.Keys[i-1]
}

// pieces appends the children from <= i < to.
func (n *Node) pieces(out []piece, from, to int) []piece {
	out = slices.Grow(out, to-from+1)
	for i := from; i < to; i++ {
		out = append(out, piece{n.separator(i), n.Children[i]})
	}
	return out
}

// before counts the operations on keys before sep.
func (e *treeEdit) before(ops []Op, sep []byte) int {
	lo, hi := 0, len(ops)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if e.Compare(ops[mid].Key, sep) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// search returns where key is, or belongs.
func (t *Tree) search(keys [][]byte, key []byte) (at int, found bool) {
	return t.find(len(keys), func(i int) []byte { return keys[i] }, key)
}

// find is search in n keys.
func (t *Tree) find(n int, at func(int) []byte, key []byte) (i int, found bool) {
	lo, hi := 0, n
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		switch c := t.Compare(at(mid), key); {
		case c == 0:
			return mid, true
		case c < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return lo, false
}

func (e *treeEdit) cutLeaf(m *entries) []int {
	size := func(i int) int {
		n := len(m.keys[i])
		if m.values != nil {
			n += len(m.values[i])
		}
		return n
	}
	return cut(len(m.keys), e.b.Limits.Leaf, e.b.Limits.LeafBytes, size, m.tail)
}

func (e *treeEdit) cutInner(pieces []piece) []int {
	// The separators of an inner node may take four times what a leaf may.
	return cut(len(pieces), e.b.Limits.Fanout, 4*e.b.Limits.LeafBytes, func(i int) int { return len(pieces[i].sep) + 9 }, false)
}

// leaves stores entries as leaves, the first in place of old unless that is 0.
func (e *treeEdit) leaves(old uint64, m *entries, ends []int) ([]piece, error) {
	out := make([]piece, 0, len(ends))
	start := 0
	for _, end := range ends {
		n := &Node{Of: e.OID, Keys: m.keys[start:end]}
		if m.values != nil {
			n.Values = m.values[start:end]
		}
		if old != 0 && start == 0 {
			n.OID = old
		} else {
			var err error
			if n.OID, err = e.b.NewOID(); err != nil {
				return nil, err
			}
		}
		if err := e.b.emit(n, ClassNode); err != nil {
			return nil, err
		}
		p := piece{oid: n.OID}
		if start > 0 {
			p.sep = m.keys[start]
		}
		out = append(out, p)
		start = end
	}
	return out, nil
}

// inner stores an inner node.
func (e *treeEdit) inner(oid uint64, level int, pieces []piece) error {
	n := &Node{OID: oid, Of: e.OID, Level: level}
	n.Keys, n.Children = split(pieces)
	return e.b.emit(n, ClassNode)
}

// split makes the separators and children of an inner node. The first piece's
// separator is the parent's affair.
func split(pieces []piece) (keys [][]byte, children []uint64) {
	keys = make([][]byte, 0, len(pieces))
	for i, p := range pieces {
		if i > 0 {
			keys = append(keys, p.sep)
		}
		children = append(children, p.oid)
	}
	return keys, children
}
