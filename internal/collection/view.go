package collection

import (
	"bytes"
	"fmt"
	"math"

	"github.com/durusdb/durus/storage"
)

// View is a tree in one state of the database.
type View struct {
	*Tree
	Store Store
}

// leafAt is where a descent ends: a leaf, which need not have been read.
type leafAt struct {
	oid   uint64
	pos   int64
	leaf  *Leaf  // nil if it was not read
	upper []byte // all keys of the leaf are before it; nil: it is the last leaf
}

// descend returns the leaf that key belongs to; nil is the first leaf.
func (v View) descend(key []byte) (leafAt, error) {
	var at leafAt
	if v.Fresh {
		at.leaf = v.empty()
		return at, nil
	}
	l, n, err := v.head(v.Store)
	if err != nil {
		return at, err
	}
	if l != nil {
		at.oid, at.pos, at.leaf = l.OID, l.Pos, l
		return at, nil
	}
	for level := maxLevel + 1; err == nil; n, err = v.Store.Node(at.oid, at.pos) {
		if n.Level == 0 || n.Level >= level {
			return at, torn(v.OID, n.OID)
		}
		level = n.Level
		i := 0
		if key != nil {
			var found bool
			if i, found = v.search(n.Keys, key); found {
				i++
			}
		}
		if i < len(n.Keys) {
			at.upper = n.Keys[i]
		}
		at.oid = n.Children[i]
		if at.pos, err = v.Store.Find(at.oid); err != nil || n.Level == 1 {
			return at, err
		}
	}
	return at, err
}

// read reads the leaf unless it was.
func (v View) read(at *leafAt) (err error) {
	if at.leaf == nil {
		if at.leaf, err = v.Store.Leaf(at.oid, at.pos); err == nil && at.leaf == nil {
			err = torn(v.OID, at.oid)
		}
	}
	return err
}

// Get returns the value of a key; found is false if it is not there.
func (v View) Get(key []byte) (value []byte, found bool, err error) {
	at, err := v.descend(key)
	if err == nil {
		err = v.read(&at)
	}
	if err != nil {
		return nil, false, err
	}
	i, found := v.Find(at.leaf, key)
	if found {
		value = at.leaf.ValueAt(i)
	}
	return value, found, nil
}

// Len returns the length. It reads the head and, if the tree has more nodes,
// the counters.
func (v View) Len() (int, error) {
	l, n, err := v.head(v.Store)
	if err != nil {
		return 0, err
	}
	if l != nil {
		return l.Len(), nil
	}
	var sum int64
	for _, oid := range n.Lengths {
		n, err := count(v.Store, v.OID, oid)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	if sum < 0 || sum > math.MaxInt {
		return 0, fmt.Errorf("%w: the counters of tree %d say an impossible length", storage.ErrCorrupt, v.OID)
	}
	return int(sum), nil
}

// same tells whether two views show one leaf in one state.
func same(a View, la *leafAt, b View, lb *leafAt) bool {
	return la.pos != 0 && la.oid == lb.oid && la.pos == lb.pos && a.Store.Lineage() == b.Store.Lineage()
}

// SameKey tells whether a key has the same value, or is absent, in both.
func SameKey(a, b View, key []byte) (bool, error) {
	la, err := a.descend(key)
	if err != nil {
		return false, err
	}
	lb, err := b.descend(key)
	if err != nil || same(a, &la, b, &lb) {
		return err == nil, err
	}
	va, oka, err := a.Get(key)
	if err != nil {
		return false, err
	}
	vb, okb, err := b.Get(key)
	return oka == okb && bytes.Equal(va, vb), err
}

// Range is an interval of keys, both ends included unless open; nil is no end.
type Range struct {
	From, To         []byte
	FromOpen, ToOpen bool // the end itself is not part of it
}

// Differ returns the first key of the range that has another value, or is there
// in one view only; nil if there is none.
func Differ(a, b View, r Range) (key []byte, err error) {
	ca, err := a.seek(r)
	if err != nil {
		return nil, err
	}
	cb, err := b.seek(r)
	if err != nil {
		return nil, err
	}
	for {
		if ca.i == cb.i && same(a, &ca.at, b, &cb.at) {
			// One leaf in one state: what is left of it is the same.
			if err := ca.skip(); err != nil {
				return nil, err
			}
			if err := cb.skip(); err != nil {
				return nil, err
			}
			continue
		}
		ka, va, err := ca.entry()
		if err != nil {
			return nil, err
		}
		kb, vb, err := cb.entry()
		if err != nil {
			return nil, err
		}
		switch {
		case ka == nil && kb == nil:
			return nil, nil
		case ka == nil:
			return kb, nil
		case kb == nil:
			return ka, nil
		}
		if c := a.Compare(ka, kb); c < 0 {
			return ka, nil
		} else if c > 0 {
			return kb, nil
		}
		if !bytes.Equal(va, vb) {
			return ka, nil
		}
		ca.i++
		cb.i++
	}
}

// cursor walks over the entries of a range.
type cursor struct {
	View
	r  Range
	at leafAt // at.oid and at.leaf are zero behind the last leaf
	i  int
}

func (v View) seek(r Range) (*cursor, error) {
	c := &cursor{View: v, r: r}
	var err error
	if c.at, err = v.descend(r.From); err != nil {
		return nil, err
	}
	if r.From == nil {
		return c, nil
	}
	if err := v.read(&c.at); err != nil {
		return nil, err
	}
	i, found := v.Find(c.at.leaf, r.From)
	if found && r.FromOpen {
		i++
	}
	c.i = i
	return c, nil
}

// skip goes to the next leaf.
func (c *cursor) skip() (err error) {
	upper := c.at.upper
	c.i = 0
	if upper == nil || c.r.To != nil && c.Compare(upper, c.r.To) > 0 {
		c.at = leafAt{}
		return nil
	}
	if c.at, err = c.descend(upper); err != nil {
		return err
	}
	if c.at.upper != nil && c.Compare(c.at.upper, upper) <= 0 {
		return fmt.Errorf("%w: container %d: the nodes are out of order", storage.ErrCorrupt, c.OID)
	}
	return nil
}

// torn is the error for a node whose level does not fit its place.
func torn(container, node uint64) error {
	return fmt.Errorf("%w: container %d: node %d is not where it belongs", storage.ErrCorrupt, container, node)
}

// entry returns the entry that the cursor stands at; nil behind the last one.
func (c *cursor) entry() (key, value []byte, err error) {
	for {
		if c.at.oid == 0 && c.at.leaf == nil {
			return nil, nil, nil
		}
		if err := c.read(&c.at); err != nil {
			return nil, nil, err
		}
		if l := c.at.leaf; c.i < l.Len() {
			key = l.KeyAt(c.i)
			if c.r.To != nil {
				if o := c.Compare(key, c.r.To); o > 0 || o == 0 && c.r.ToOpen {
					c.at = leafAt{}
					return nil, nil, nil
				}
			}
			return key, l.ValueAt(c.i), nil
		}
		if err := c.skip(); err != nil {
			return nil, nil, err
		}
	}
}

// Each calls f for every entry of the tree, in order, until it returns false.
func (v View) Each(f func(key, value []byte) bool) error {
	c, err := v.seek(Range{})
	for err == nil {
		var key, value []byte
		if key, value, err = c.entry(); err != nil || key == nil || !f(key, value) {
			break
		}
		c.i++
	}
	return err
}

// Leaf returns the oid of the leaf that a key belongs to, 0 if it cannot be found.
func (v View) Leaf(key []byte) uint64 {
	at, err := v.descend(key)
	if err != nil {
		return 0
	}
	return at.oid
}
