package collection

import (
	"errors"
	"fmt"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// Store is a state of the database that nodes are read from.
type Store interface {
	// Lineage tells states apart whose positions have nothing to do with each
	// other.
	Lineage() uint64
	// Find returns where an object's state begins; storage.ErrNotFound if there
	// is none.
	Find(oid uint64) (pos int64, err error)
	// Node returns the node at a position that Find returned. A leaf belongs to
	// the caller, an inner node to everybody.
	Node(oid uint64, pos int64) (*Node, error)
	// Leaf is Node for a leaf of a tree, as it is stored; nil for any other node.
	Leaf(oid uint64, pos int64) (*Leaf, error)
	// Count returns the value of a counter at a position that Find returned.
	Count(oid uint64, pos int64) (int64, error)
}

// Limits say when a node is split.
type Limits struct {
	Leaf      int // entries of a leaf
	LeafBytes int // their size; one entry may be larger
	Fanout    int // children of an inner node
	Counters  int // of the length
}

// Default are the limits of the databases. They may change: no reader relies on
// them. See docs/decisions for how they were chosen.
var Default = Limits{Leaf: 64, LeafBytes: 4096, Fanout: 256, Counters: 16}

// Change is a state of an object that an operation made.
type Change struct {
	OID     uint64
	Class   string
	Payload []byte
	Strong  []uint64
	Weak    []uint64
	Leaf    *Leaf // Payload, of a leaf that was changed in place; else nil
}

// Builder collects what operations on one container change. It is used once.
type Builder struct {
	Store   Store // the state that is changed
	Limits  Limits
	NewOID  func() (uint64, error)
	Stripe  int           // which of the counters of a length is changed
	Writer  *codec.Writer // memory to encode in
	Changes []Change
}

// emit adds the state of a node.
func (b *Builder) emit(n *Node, class string) error {
	b.Writer.Reset()
	b.Writer.Buf = n.Append(b.Writer.Buf)
	return b.noted(n.OID, class)
}

// emitCounter adds the state of a counter.
func (b *Builder) emitCounter(oid uint64, value int64) error {
	b.Writer.Reset()
	b.Writer.Buf = codec.AppendInt(b.Writer.Buf, value)
	return b.noted(oid, ClassCounter)
}

// noted adds the state that the writer holds, and notes its references.
func (b *Builder) noted(oid uint64, class string) error {
	if err := b.Writer.NoteAll(); err != nil {
		return err
	}
	b.finish(oid, class)
	return nil
}

// finish adds the state that the writer holds, whose references it has noted.
func (b *Builder) finish(oid uint64, class string) *Change {
	c := Change{OID: oid, Class: class, Payload: append([]byte(nil), b.Writer.Buf...)}
	if len(b.Writer.Strong) > 0 {
		c.Strong = append([]uint64(nil), b.Writer.Strong...)
	}
	if len(b.Writer.Weak) > 0 {
		c.Weak = append([]uint64(nil), b.Writer.Weak...)
	}
	b.Changes = append(b.Changes, c)
	return &b.Changes[len(b.Changes)-1]
}

// node reads a node of the state.
func node(st Store, oid uint64) (*Node, error) {
	pos, err := st.Find(oid)
	if err != nil {
		return nil, err
	}
	return st.Node(oid, pos)
}

// count reads a counter of the length of a tree.
func count(st Store, tree, oid uint64) (int64, error) {
	pos, err := st.Find(oid)
	if errors.Is(err, storage.ErrNotFound) {
		return 0, fmt.Errorf("%w: object %d, a counter of tree %d, is missing", storage.ErrCorrupt, oid, tree)
	}
	if err != nil {
		return 0, err
	}
	return st.Count(oid, pos)
}

// child reads a child of a node.
func child(st Store, parent *Node, i int) (*Node, error) {
	oid := parent.Children[i]
	n, err := node(st, oid)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, fmt.Errorf("%w: object %d, child of object %d, is missing", storage.ErrCorrupt, oid, parent.OID)
	}
	if err != nil {
		return nil, err
	}
	head := parent.OID
	if !parent.Head {
		head = parent.Of
	}
	if n.Head || n.Level != parent.Level-1 || n.Of != head || (n.Keys == nil) != (parent.Keys == nil) {
		return nil, fmt.Errorf("%w: object %d is no child of object %d", storage.ErrCorrupt, oid, parent.OID)
	}
	return n, nil
}

// cut divides n entries into nodes: it returns where each of them ends. size is
// that of an entry. tail means that the new entries are the last ones: they are
// likely to be followed by more, so the nodes before are left full. Otherwise
// the nodes get equal shares.
func cut(n, most, mostBytes int, size func(i int) int, tail bool) []int {
	share := n
	if n > most {
		share = most
		if !tail {
			parts := (n + most - 1) / most
			share = (n + parts - 1) / parts
		}
	}
	var ends []int
	for start := 0; start < n; {
		end, bytes := start, 0
		for end < n && end-start < share && (end == start || bytes+size(end) <= mostBytes) {
			bytes += size(end)
			end++
		}
		ends = append(ends, end)
		start = end
	}
	// A share that did not fit by its bytes leaves a small rest: give it half
	// of the node before.
	if k := len(ends); !tail && k > 1 && n <= most {
		first := 0
		if k > 2 {
			first = ends[k-3]
		}
		ends[k-2] = max(first+1, (first+n)/2)
	}
	return ends
}

// AddCounter adds to a counter; a fresh one is not stored yet.
func AddCounter(b *Builder, oid uint64, delta int64, fresh bool) error {
	if fresh {
		return b.emitCounter(oid, delta)
	}
	pos, err := b.Store.Find(oid)
	if err != nil {
		return err
	}
	value, err := b.Store.Count(oid, pos)
	if err != nil {
		return err
	}
	if sum := value + delta; (sum > value) == (delta > 0) {
		return b.emitCounter(oid, sum)
	}
	return fmt.Errorf("%w: counter %d leaves the range of an int64", storage.ErrTooLarge, oid)
}
