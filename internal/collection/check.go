package collection

import (
	"fmt"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// Shape is what Check found out about a container.
type Shape struct {
	Length int
	Nodes  int // head included
	Leaves int
	Depth  int // levels
	Fill   float64
}

// Check reads a whole container, of any class but a counter, and returns
// storage.ErrCorrupt, saying where, unless every invariant holds: the order of
// the keys, each key found where a search looks for it, one depth, no empty or
// shared node, counts and length right. It needs no Go type.
func Check(st Store, oid uint64, class string) (Shape, error) {
	head, err := node(st, oid)
	if err != nil {
		return Shape{}, err
	}
	c := &checker{store: st, tree: Tree{OID: oid, Class: class, Key: head.Key}, seen: map[uint64]bool{}}
	c.shape.Depth = head.Level + 1
	list := class == ClassList
	if !head.Head || list != (head.Keys == nil) || head.Level == 0 && head.Lengths != nil || !list && head.Level > 0 && len(head.Lengths) == 0 {
		return c.shape, c.fault(head, "it is no head of a %s", class)
	}
	if c.shape.Length, err = c.node(head, nil, nil); err != nil {
		return c.shape, err
	}
	if !list {
		n, err := View{&c.tree, st}.Len()
		if err != nil {
			return c.shape, err
		}
		if n != c.shape.Length {
			return c.shape, c.fault(head, "its counters say %d entries, it has %d", n, c.shape.Length)
		}
	}
	c.shape.Fill = float64(c.shape.Length) / float64(c.shape.Leaves*Default.Leaf)
	return c.shape, nil
}

type checker struct {
	store Store
	tree  Tree
	seen  map[uint64]bool
	shape Shape
}

func (c *checker) fault(n *Node, format string, args ...any) error {
	return fmt.Errorf("%w: node %d of container %d: %s", storage.ErrCorrupt, n.OID, c.tree.OID, fmt.Sprintf(format, args...))
}

// node checks a node whose keys must be from lower on and before upper, and
// returns how many entries are below it.
func (c *checker) node(n *Node, lower, upper []byte) (count int, err error) {
	if c.seen[n.OID] {
		return 0, c.fault(n, "it has two parents")
	}
	c.seen[n.OID] = true
	c.shape.Nodes++
	if !n.Head && n.Len() == 0 {
		return 0, c.fault(n, "it is empty")
	}
	if (c.tree.Class == ClassList) != (n.Keys == nil) || n.Level == 0 && (n.Values == nil) != (c.tree.Class == ClassSet) {
		return 0, c.fault(n, "it is no node of a %s", c.tree.Class)
	}
	last := lower
	for i, k := range n.Keys {
		if last != nil {
			if o := c.tree.Compare(last, k); o > 0 || o == 0 && (i > 0 || n.Level > 0) {
				return 0, c.fault(n, "key %d, %s, is out of order", i, Spell(k))
			}
		}
		if upper != nil && c.tree.Compare(k, upper) >= 0 {
			return 0, c.fault(n, "key %d, %s, belongs to another node", i, Spell(k))
		}
		last = k
	}
	if n.Level == 0 {
		c.shape.Leaves++
		return n.Len(), nil
	}
	for i := range n.Children {
		m, err := child(c.store, n, i)
		if err != nil {
			return 0, err
		}
		low, up := lower, upper
		if n.Keys != nil && i > 0 {
			low = n.Keys[i-1]
		}
		if i < len(n.Keys) {
			up = n.Keys[i]
		}
		below, err := c.node(m, low, up)
		if err != nil {
			return 0, err
		}
		if i < len(n.Counts) && n.Counts[i] != below {
			return 0, c.fault(n, "it counts %d values below child %d, there are %d", n.Counts[i], i, below)
		}
		count += below
	}
	return count, nil
}

// Spell returns an encoded key for people.
func Spell(key []byte) string {
	v, err := codec.Readable(key)
	if err != nil {
		return "(malformed)"
	}
	if s, ok := v.(string); ok {
		return fmt.Sprintf("%q", s)
	}
	if r, ok := v.(codec.RefValue); ok {
		return fmt.Sprintf("object %d", r.OID)
	}
	return fmt.Sprint(v)
}
