package collection

import (
	"bytes"
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
func (t *Tree) empty() *Node {
	n := &Node{OID: t.OID, Head: true, Key: t.Key, Keys: [][]byte{}}
	if t.Class != ClassSet {
		n.Values = [][]byte{}
	}
	return n
}

// head reads the head.
func (t *Tree) head(st Store) (*Node, error) {
	if t.Fresh {
		return t.empty(), nil
	}
	n, err := node(st, t.OID)
	if err != nil {
		return nil, err
	}
	if !n.Head || n.Keys == nil || n.Key != t.Key || n.Level > 0 && len(n.Lengths) == 0 || !t.fits(n) {
		return nil, fmt.Errorf("%w: object %d is no %s with keys of %s", storage.ErrCorrupt, t.OID, t.Class, t.Key)
	}
	return n, nil
}

// fits tells whether a node has values if it has to, and none otherwise.
func (t *Tree) fits(n *Node) bool {
	return n.Level > 0 || (n.Values == nil) == (t.Class == ClassSet)
}

// Apply applies operations, which are sorted by key, each key once. It returns
// by how much the length changes. The builder has the changed nodes; a fresh
// tree is stored even if it is empty.
func (t *Tree) Apply(b *Builder, ops []Op) (added int, err error) {
	head, err := t.head(b.Store)
	if err != nil {
		return 0, err
	}
	e := &treeEdit{Tree: t, b: b}
	if head.Level == 0 {
		err = e.headLeaf(head, ops)
	} else {
		err = e.headInner(head, ops)
	}
	return e.added, err
}

// treeEdit is one Apply.
type treeEdit struct {
	*Tree
	b     *Builder
	added int
}

// piece is a node that takes the place of another, or of a part of it.
type piece struct {
	sep []byte // keys before it are in the pieces before; nil for the first
	oid uint64
}

// entries are the keys and values of a leaf after operations.
type entries struct {
	keys, values [][]byte
	changed      bool
	tail         bool // what was inserted follows what was there
}

func (e *treeEdit) headLeaf(head *Node, ops []Op) error {
	m := e.merge(head, ops)
	ends := e.cutLeaf(&m)
	if len(ends) <= 1 {
		if !m.changed && !e.Fresh {
			return nil
		}
		n := *head
		n.Keys, n.Values = m.keys, m.values
		return e.b.emit(&n, e.Class)
	}
	pieces, err := e.leaves(nil, &m, ends)
	if err != nil {
		return err
	}
	return e.grow(head, pieces, 1, len(m.keys))
}

func (e *treeEdit) headInner(head *Node, ops []Op) error {
	pieces, changed, err := e.children(head, ops)
	if err != nil {
		return err
	}
	switch {
	case len(pieces) == 0:
		return e.b.emit(e.empty(), e.Class)
	case !changed:
		return e.lengthen(head.Lengths)
	}
	return e.grow(head, pieces, head.Level, 0)
}

// grow stores a head with these nodes below, at the given level, and levels in
// between if they are too many. total is the length of a tree that has no
// counters yet.
func (e *treeEdit) grow(head *Node, pieces []piece, level, total int) error {
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
	n := &Node{OID: e.OID, Head: true, Key: e.Key, Level: level, Lengths: head.Lengths}
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

// node applies operations to a node that is not the head, and returns what
// takes its place: nothing, itself, or itself and others.
func (e *treeEdit) node(n *Node, ops []Op) ([]piece, error) {
	if n.Level == 0 {
		if !e.fits(n) {
			return nil, fmt.Errorf("%w: object %d is no leaf of a %s", storage.ErrCorrupt, n.OID, e.Class)
		}
		m := e.merge(n, ops)
		switch {
		case !m.changed:
			return []piece{{oid: n.OID}}, nil
		case len(m.keys) == 0:
			return nil, nil
		}
		return e.leaves(n, &m, e.cutLeaf(&m))
	}
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
		c, err := child(e.b.Store, n, i)
		if err != nil {
			return nil, false, err
		}
		pieces, err := e.node(c, mine)
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

// merge applies operations to the entries of a leaf.
func (e *treeEdit) merge(n *Node, ops []Op) entries {
	if len(ops) <= fewOps {
		return e.mergeFew(n, ops)
	}
	set := e.Class == ClassSet
	m := entries{keys: make([][]byte, 0, len(n.Keys)+len(ops)), tail: true}
	if !set {
		m.values = make([][]byte, 0, cap(m.keys))
	}
	i := 0
	keep := func(to int) {
		m.keys = append(m.keys, n.Keys[i:to]...)
		if !set {
			m.values = append(m.values, n.Values[i:to]...)
		}
		i = to
	}
	for _, op := range ops {
		at, found := e.search(n.Keys[i:], op.Key)
		keep(i + at)
		switch {
		case op.Delete && !found:
			continue
		case op.Delete:
			e.added--
			m.changed = true
			i++
			continue
		case found && (set || bytes.Equal(n.Values[i], op.Value)):
			keep(i + 1)
			continue
		case found:
			m.keys = append(m.keys, n.Keys[i])
			i++
		default:
			e.added++
			m.keys = append(m.keys, op.Key)
			m.tail = m.tail && i == len(n.Keys)
		}
		m.changed = true
		if !set {
			m.values = append(m.values, op.Value)
		}
	}
	keep(len(n.Keys))
	return m
}

// fewOps is how many operations are better done one by one, in place.
const fewOps = 8

// mergeFew is merge for few operations: the leaf, which belongs to this edit, is
// changed itself.
func (e *treeEdit) mergeFew(n *Node, ops []Op) entries {
	m := entries{keys: n.Keys, values: n.Values, tail: true}
	set := e.Class == ClassSet
	end := len(n.Keys) // where the old entries end
	for _, op := range ops {
		i, found := e.search(m.keys, op.Key)
		switch {
		case op.Delete && !found, found && !op.Delete && (set || bytes.Equal(m.values[i], op.Value)):
			continue
		case op.Delete:
			e.added--
			end--
			m.keys = slices.Delete(m.keys, i, i+1)
			if !set {
				m.values = slices.Delete(m.values, i, i+1)
			}
		case found:
			m.values[i] = op.Value
		default:
			e.added++
			if i < end {
				m.tail = false
				end++
			}
			m.keys = slices.Insert(m.keys, i, op.Key)
			if !set {
				m.values = slices.Insert(m.values, i, op.Value)
			}
		}
		m.changed = true
	}
	return m
}

// search returns where key is, or belongs.
func (t *Tree) search(keys [][]byte, key []byte) (at int, found bool) {
	lo, hi := 0, len(keys)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		switch c := t.Compare(keys[mid], key); {
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

// leaves stores entries as leaves, the first in place of old unless that is nil.
func (e *treeEdit) leaves(old *Node, m *entries, ends []int) ([]piece, error) {
	out := make([]piece, 0, len(ends))
	start := 0
	for _, end := range ends {
		n := &Node{Of: e.OID, Keys: m.keys[start:end]}
		if m.values != nil {
			n.Values = m.values[start:end]
		}
		if old != nil && start == 0 {
			n.OID = old.OID
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
