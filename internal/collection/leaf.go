package collection

import (
	"errors"
	"fmt"
	"slices"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// Leaf is a leaf of a tree as it is stored, with the places of its entries: a
// key is found in it, and some are changed, without taking the others apart. It
// is immutable.
type Leaf struct {
	OID uint64 // of the node
	Pos int64  // where its state begins; of a Change's, the state that it was built from; 0: none is stored

	Head    bool
	Key     string   // of a head: what its keys are
	Lengths []uint64 // of a head that has counters, though it does not need them
	Of      uint64   // the head's oid; of the head 0
	Set     bool     // it has no values

	payload      []byte
	keys, values places
	refers       bool // there are references in it
}

// places tell where the elements of an array lie in a payload.
type places struct {
	head uint32 // where the array begins
	at   uint32 // where the first one begins; the others begin where the one before ends
	ends []uint32
}

// len is the number of elements.
func (p *places) len() int { return len(p.ends) }

// start is where element i begins; behind the last one, where that ends.
func (p *places) start(i int) uint32 {
	if i == 0 {
		return p.at
	}
	return p.ends[i-1]
}

// Open is Parse for who can use a leaf of a tree as it is stored. It returns
// that, or any other node taken apart. Both keep the payload.
func Open(payload []byte) (*Leaf, *Node, error) {
	l := &Leaf{payload: payload}
	if err := codec.References(payload, func(uint64, bool) { l.refers = true }); err != nil {
		return nil, nil, err
	}
	if l.read() {
		return l, nil, nil
	}
	n, err := Parse(payload) // which also says what is wrong
	return nil, n, err
}

// read finds the places in a payload that Scan has accepted; false: it is no leaf
// of a tree.
func (l *Leaf) read() bool {
	c := codec.NewCursor(l.payload)
	level, last := uint64(0), -1
	l.Set = true
	for range c.Map() {
		name := c.String()
		i := field(string(name))
		if c.Err() != nil || i <= last {
			return false
		}
		switch last = i; string(name) {
		case "key":
			l.Key = string(c.String())
		case "lengths":
			l.Lengths = references(&c)
		case "of":
			l.Of = c.Uint()
		case "level":
			level = c.Uint()
		case "keys":
			l.keys = place(&c)
		case "values":
			l.values, l.Set = place(&c), false
		default:
			return false
		}
		if level > 0 {
			return false
		}
	}
	l.Head = l.Of == 0
	return c.Err() == nil && l.keys.ends != nil && (l.Set || len(l.values.ends) == len(l.keys.ends))
}

// place reads an array.
func place(c *codec.Cursor) places {
	p := places{head: uint32(c.Pos())}
	p.ends = make([]uint32, c.Array()) // Scan has seen that many
	p.at = uint32(c.Pos())
	c.Ends(p.ends)
	return p
}

// Len is the number of entries.
func (l *Leaf) Len() int { return l.keys.len() }

// KeyAt returns key i. It belongs to the leaf.
func (l *Leaf) KeyAt(i int) []byte { return l.element(&l.keys, i) }

// ValueAt returns value i, nil in a Set. It belongs to the leaf.
func (l *Leaf) ValueAt(i int) []byte {
	if l.Set {
		return nil
	}
	return l.element(&l.values, i)
}

func (l *Leaf) element(p *places, i int) []byte {
	start, end := p.start(i), p.ends[i]
	return l.payload[start:end:end]
}

// Values returns the values as one array; nil in a Set.
func (l *Leaf) Values() []byte {
	return l.payload[l.values.head:l.values.start(l.values.len())]
}

// Memory is about what the leaf takes, in bytes.
func (l *Leaf) Memory() int64 {
	const itself = 192
	return int64(itself + len(l.payload) + 4*(l.keys.len()+l.values.len()))
}

// Find returns where key is in a leaf of the tree, or belongs.
func (t *Tree) Find(l *Leaf, key []byte) (at int, found bool) {
	return t.find(l.Len(), l.KeyAt, key)
}

// edit is what an operation does to a leaf.
type edit struct {
	op   *Op
	at   int  // the entry that it is about, or in front of which the new one goes
	here bool // the key is there
}

// edits finds out what operations, sorted by key, change in a leaf, and how many
// entries it has afterwards. size is what they take.
func (e *treeEdit) edits(l *Leaf, ops []Op) (list []edit, count, size int) {
	list = e.scratch[:0]
	count = l.Len()
	size = int(l.keys.start(count)-l.keys.at) + int(l.values.start(l.values.len())-l.values.at)
	for i := range ops {
		op := &ops[i]
		at, found := e.Find(l, op.Key)
		switch {
		case op.Delete && !found, found && !op.Delete && (l.Set || string(l.ValueAt(at)) == string(op.Value)):
			continue
		case op.Delete:
			count--
			size -= len(l.KeyAt(at)) + len(l.ValueAt(at))
		case found:
			size += len(op.Value) - len(l.ValueAt(at))
		default:
			count++
			size += len(op.Key) + len(op.Value)
		}
		list = append(list, edit{op, at, found})
	}
	e.scratch = list
	return list, count, size
}

// entries are the keys and values of a leaf after operations.
type entries struct {
	keys, values [][]byte
	tail         bool // what was inserted follows what was there
}

// after returns the entries of a leaf after edits.
func (l *Leaf) after(edits []edit) entries {
	n := l.Len() + len(edits)
	m := entries{keys: make([][]byte, 0, n), tail: true}
	if !l.Set {
		m.values = make([][]byte, 0, n)
	}
	add := func(key, value []byte) {
		m.keys = append(m.keys, key)
		if !l.Set {
			m.values = append(m.values, value)
		}
	}
	next := 0
	keep := func(to int) {
		for ; next < to; next++ {
			add(l.KeyAt(next), l.ValueAt(next))
		}
	}
	for i := range edits {
		d := &edits[i]
		keep(d.at)
		switch {
		case d.op.Delete:
			next++
		case d.here:
			add(l.KeyAt(d.at), d.op.Value)
			next++
		default:
			add(d.op.Key, d.op.Value)
			m.tail = m.tail && d.at == l.Len()
		}
	}
	keep(l.Len())
	return m
}

// splice adds the state of a leaf after edits that leave it one: the bytes of what
// they do not touch are copied. It is what emit makes of the same entries.
func (b *Builder) splice(l *Leaf, edits []edit, count int, class string) error {
	w := b.Writer
	w.Reset()
	n := &Leaf{OID: l.OID, Pos: l.Pos, Head: l.Head, Key: l.Key, Lengths: l.Lengths, Of: l.Of, Set: l.Set}
	buf := (&Node{Key: l.Key, Lengths: l.Lengths, Of: l.Of}).appendHead(w.Buf, true, !l.Set)
	buf, n.keys = l.spliced(codec.AppendString(buf, "keys"), &l.keys, edits, count, false)
	if !l.Set {
		buf, n.values = l.spliced(codec.AppendString(buf, "values"), &l.values, edits, count, true)
	}
	w.Buf = buf
	if err := l.note(w, edits); err != nil {
		return err
	}
	c := b.finish(l.OID, class)
	n.payload, n.refers = c.Payload, len(c.Strong)+len(c.Weak) > 0
	c.Leaf = n
	return nil
}

// spliced appends the count keys, or values, of a leaf after edits.
func (l *Leaf) spliced(b []byte, old *places, edits []edit, count int, values bool) ([]byte, places) {
	p := places{head: uint32(len(b)), ends: make([]uint32, 0, count)}
	b = codec.AppendArrayHead(b, count)
	p.at = uint32(len(b))
	next := 0
	keep := func(to int) {
		from := old.start(next)
		shift := uint32(len(b)) - from
		b = append(b, l.payload[from:old.start(to)]...)
		for _, end := range old.ends[next:to] {
			p.ends = append(p.ends, end+shift)
		}
		next = to
	}
	for i := range edits {
		d := &edits[i]
		if d.here && !d.op.Delete && !values {
			continue // the key stays
		}
		keep(d.at)
		if d.here {
			next++
		}
		if d.op.Delete {
			continue
		}
		if values {
			b = append(b, d.op.Value...)
		} else {
			b = append(b, d.op.Key...)
		}
		p.ends = append(p.ends, uint32(len(b)))
	}
	keep(old.len())
	return b, p
}

// note notes the references of the leaf that w holds, which edits have made of l:
// if there were none, those of the edits.
func (l *Leaf) note(w *codec.Writer, edits []edit) error {
	if l.refers {
		return w.NoteAll()
	}
	for i := range edits {
		if d := &edits[i]; !d.op.Delete && !d.here {
			if err := w.Note(d.op.Key, inLeaf); err != nil {
				return err
			}
		}
	}
	for i := range edits {
		if d := &edits[i]; !d.op.Delete && !l.Set {
			if err := w.Note(d.op.Value, inLeaf); err != nil {
				return err
			}
		}
	}
	return nil
}

// inLeaf is how deep keys and values lie in the payload of a leaf: in a map, in
// an array.
const inLeaf = 2

// childLeaf reads a child of an inner node of a tree whose children are leaves.
func (t *Tree) childLeaf(st Store, parent *Node, i int) (*Leaf, error) {
	oid := parent.Children[i]
	pos, err := st.Find(oid)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, fmt.Errorf("%w: object %d, child of object %d, is missing", storage.ErrCorrupt, oid, parent.OID)
	}
	if err != nil {
		return nil, err
	}
	l, err := st.Leaf(oid, pos)
	if err == nil && (l == nil || l.Head || l.Of != t.OID || !t.fits(l)) {
		err = fmt.Errorf("%w: object %d is no leaf of object %d, a %s", storage.ErrCorrupt, oid, t.OID, t.Class)
	}
	return l, err
}

// Node returns the leaf taken apart. It belongs to the caller.
func (l *Leaf) Node() *Node {
	m := l.after(nil)
	return &Node{OID: l.OID, Pos: l.Pos, Head: l.Head, Key: l.Key, Lengths: slices.Clone(l.Lengths), Of: l.Of, Keys: m.keys, Values: m.values}
}
