package collection

import (
	"fmt"
	"math"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// The classes of the objects that containers are made of. They are part of the
// file format.
const (
	ClassBTree   = "durus.BTree"
	ClassDict    = "durus.Dict"
	ClassSet     = "durus.Set"
	ClassList    = "durus.List"
	ClassCounter = "durus.Counter"
	ClassNode    = "durus.Node"
)

// Node is a node of a container, taken apart. Keys and values are encoded. It
// is immutable once others may see it.
type Node struct {
	OID uint64 // of the node
	Pos int64  // where its state begins, 0 for one that is not stored

	Head     bool
	Key      string   // of the head of a tree: what its keys are
	Lengths  []uint64 // of the head of a tree with inner nodes: its counters
	Of       uint64   // the head's oid; of the head 0
	Level    int
	Keys     [][]byte
	Values   [][]byte
	Counts   []int
	Children []uint64
}

// Len is how many entries a leaf, or children an inner node has.
func (n *Node) Len() int {
	switch {
	case n.Level > 0:
		return len(n.Children)
	case n.Keys != nil:
		return len(n.Keys)
	}
	return len(n.Values)
}

const maxLevel = 32 // a tree of that depth would hold more than there are oids

// Parse takes the payload of a node apart. The node keeps the payload. The
// error is storage.ErrCorrupt for what is no node, and storage.ErrTooNew for one
// with fields that this version does not know.
func Parse(payload []byte) (*Node, error) {
	if err := codec.Scan(payload); err != nil {
		return nil, err
	}
	n := new(Node)
	c := codec.NewCursor(payload)
	last := -1
	for range c.Map() {
		name := string(c.String())
		i := field(name)
		switch {
		case c.Err() != nil:
		case i < 0:
			return nil, fmt.Errorf("%w: a node with a field %q: use the newer program", storage.ErrTooNew, name)
		case i <= last:
			return nil, fmt.Errorf("%w: field %q of a node is out of order", storage.ErrCorrupt, name)
		}
		last = i
		n.read(name, &c)
	}
	if err := c.Err(); err != nil {
		return nil, fmt.Errorf("%w: a node: %w", storage.ErrCorrupt, err)
	}
	n.Head = n.Of == 0
	return n, n.check()
}

var fields = [...]string{"key", "lengths", "of", "level", "keys", "values", "counts", "children"}

func field(name string) int {
	for i, f := range fields {
		if f == name {
			return i
		}
	}
	return -1
}

func (n *Node) read(name string, c *codec.Cursor) {
	switch name {
	case "key":
		n.Key = string(c.String())
	case "lengths":
		n.Lengths = references(c)
	case "of":
		n.Of = c.Uint()
	case "level":
		n.Level = int(min(c.Uint(), maxLevel+1))
	case "keys":
		n.Keys = values(c)
	case "values":
		n.Values = values(c)
	case "counts":
		n.Counts = make([]int, c.Array())
		for i := range n.Counts {
			if v := c.Uint(); v <= math.MaxInt>>1 {
				n.Counts[i] = int(v)
			} else {
				n.Counts[i] = -1
			}
		}
	case "children":
		n.Children = references(c)
	}
}

func references(c *codec.Cursor) []uint64 {
	oids := make([]uint64, c.Array())
	for i := range oids {
		oids[i] = c.Reference()
	}
	return oids
}

func values(c *codec.Cursor) [][]byte {
	n := c.Array()
	list := make([][]byte, n, n+1) // mostly one is added
	for i := range list {
		list[i] = c.Skip()
	}
	return list
}

// check tells what makes a single node impossible. What holds between nodes is
// Check's.
func (n *Node) check() error {
	bad := ""
	switch {
	case n.Level > maxLevel:
		bad = "its level is impossible"
	case n.Level > 0 && (len(n.Children) == 0 || n.Values != nil):
		bad = "it is an inner node without children, or with values"
	case n.Level == 0 && (n.Children != nil || n.Counts != nil):
		bad = "it is a leaf with children"
	case n.Level > 0 && n.Keys == nil && len(n.Counts) != len(n.Children)-1:
		bad = "its counts do not fit its children"
	case n.Level > 0 && n.Keys != nil && (n.Counts != nil || len(n.Keys) != len(n.Children)-1):
		bad = "its keys do not fit its children"
	case n.Level == 0 && n.Keys != nil && n.Values != nil && len(n.Keys) != len(n.Values):
		bad = "its keys do not fit its values"
	case n.Level == 0 && n.Keys == nil && n.Values == nil:
		bad = "it is a leaf without entries"
	}
	for _, count := range n.Counts {
		if count < 0 {
			bad = "a count is impossible"
		}
	}
	for _, oid := range n.Children {
		if oid == 0 {
			bad = "a child is nil"
		}
	}
	if bad != "" {
		return fmt.Errorf("%w: a node of a container: %s", storage.ErrCorrupt, bad)
	}
	return nil
}

// Append appends the payload of the node.
func (n *Node) Append(b []byte) []byte {
	b = n.appendHead(b, n.Keys != nil, n.Values != nil)
	if n.Keys != nil {
		b = appendValues(codec.AppendString(b, "keys"), n.Keys)
	}
	if n.Values != nil {
		b = appendValues(codec.AppendString(b, "values"), n.Values)
	}
	if n.Counts != nil {
		b = codec.AppendArrayHead(codec.AppendString(b, "counts"), len(n.Counts))
		for _, c := range n.Counts {
			b = codec.AppendUint(b, uint64(c))
		}
	}
	if n.Children != nil {
		b = appendReferences(codec.AppendString(b, "children"), n.Children)
	}
	return b
}

// appendHead appends what comes before the keys, of a node that has these fields.
func (n *Node) appendHead(b []byte, keys, values bool) []byte {
	count := 1
	for _, present := range [...]bool{n.Key != "", n.Lengths != nil, n.Of != 0, keys, values, n.Counts != nil, n.Children != nil} {
		if present {
			count++
		}
	}
	b = codec.AppendMapHead(b, count)
	if n.Key != "" {
		b = codec.AppendString(codec.AppendString(b, "key"), n.Key)
	}
	if n.Lengths != nil {
		b = appendReferences(codec.AppendString(b, "lengths"), n.Lengths)
	}
	if n.Of != 0 {
		b = codec.AppendUint(codec.AppendString(b, "of"), n.Of)
	}
	return codec.AppendUint(codec.AppendString(b, "level"), uint64(n.Level))
}

func appendReferences(b []byte, oids []uint64) []byte {
	b = codec.AppendArrayHead(b, len(oids))
	for _, oid := range oids {
		b = codec.AppendReference(b, oid, false)
	}
	return b
}

// Array returns encoded values as one array.
func Array(values [][]byte) []byte {
	size := 5
	for _, v := range values {
		size += len(v)
	}
	return appendValues(make([]byte, 0, size), values)
}

func appendValues(b []byte, list [][]byte) []byte {
	b = codec.AppendArrayHead(b, len(list))
	for _, v := range list {
		b = append(b, v...)
	}
	return b
}

// ParseCounter reads the payload of a counter.
func ParseCounter(payload []byte) (int64, error) {
	if err := codec.Scan(payload); err != nil {
		return 0, err
	}
	c := codec.NewCursor(payload)
	v := c.Int()
	if c.Err() != nil {
		return 0, fmt.Errorf("%w: a counter: %w", storage.ErrCorrupt, c.Err())
	}
	return v, nil
}
