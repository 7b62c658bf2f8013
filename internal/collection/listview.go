package collection

import "slices"

// ListView is a list in one state of the database.
type ListView struct {
	*List
	Store Store
}

// Len returns the length. It reads one node of each level.
func (v ListView) Len() (int, error) {
	n, err := v.head(v.Store)
	if err != nil {
		return 0, err
	}
	return countBelow(v.Store, n)
}

// listLeaf is a leaf and the index of its first value.
type listLeaf struct {
	oid   uint64
	pos   int64
	start int
	next  int   // index of the first value behind it; -1: it is the last leaf
	node  *Node // nil if it was not read
}

// descend returns the leaf with the value at an index, or the last leaf.
func (v ListView) descend(i int) (at listLeaf, err error) {
	n, err := v.head(v.Store)
	at.next = -1
	for level := maxLevel + 1; err == nil && n.Level > 0; n, err = v.Store.Node(at.oid, at.pos) {
		if n.Level >= level {
			return at, torn(v.OID, n.OID)
		}
		level = n.Level
		k := 0
		for k < len(n.Counts) && i >= at.start+n.Counts[k] {
			at.start += n.Counts[k]
			k++
		}
		if k < len(n.Counts) {
			if at.next = at.start + n.Counts[k]; at.next <= i { // an overflow
				return at, torn(v.OID, n.OID)
			}
		}
		at.oid = n.Children[k]
		if at.pos, err = v.Store.Find(at.oid); err != nil || n.Level == 1 {
			return at, err
		}
	}
	if err == nil {
		at.oid, at.pos, at.node = n.OID, n.Pos, n
	}
	return at, err
}

func (v ListView) read(at *listLeaf) (err error) {
	if at.node == nil {
		at.node, err = v.Store.Node(at.oid, at.pos)
	}
	return err
}

// Get returns the value at an index; found is false outside of the list.
func (v ListView) Get(i int) (value []byte, found bool, err error) {
	if i < 0 {
		return nil, false, nil
	}
	at, err := v.descend(i)
	if err == nil {
		err = v.read(&at)
	}
	if err != nil || i-at.start >= len(at.node.Values) {
		return nil, false, err
	}
	return at.node.Values[i-at.start], true, nil
}

// Leaf returns the oid of the leaf with an index, or of the last one; 0 if it
// cannot be found.
func (v ListView) Leaf(i int) uint64 {
	at, err := v.descend(i)
	if err != nil {
		return 0
	}
	return at.oid
}

// DifferList tells whether the values [from, to) are the same in both; to < 0
// means to the end.
func DifferList(a, b ListView, from, to int) (index int, differ bool, err error) {
	for i := from; to < 0 || i < to; {
		la, err := a.descend(i)
		if err != nil {
			return 0, false, err
		}
		lb, err := b.descend(i)
		if err != nil {
			return 0, false, err
		}
		if la.pos != 0 && la.oid == lb.oid && la.pos == lb.pos && la.start == lb.start && a.Store.Lineage() == b.Store.Lineage() {
			switch {
			case la.next < 0 && lb.next < 0:
				return 0, false, nil
			case la.next == lb.next:
				i = la.next
				continue
			}
		}
		if err := a.read(&la); err != nil {
			return 0, false, err
		}
		if err := b.read(&lb); err != nil {
			return 0, false, err
		}
		va, vb := la.node.Values, lb.node.Values
		va, vb = va[min(i-la.start, len(va)):], vb[min(i-lb.start, len(vb)):]
		n := min(len(va), len(vb))
		if to >= 0 {
			n = min(n, to-i)
		}
		for j := range n {
			if !slices.Equal(va[j], vb[j]) {
				return i + j, true, nil
			}
		}
		i += n
		if n == 0 {
			return i, len(va) != len(vb), nil // one of them ends here, or both
		}
	}
	return 0, false, nil
}

// Each calls f for every value, in order, until it returns false.
func (v ListView) Each(f func(value []byte) bool) error {
	for i := 0; i >= 0; {
		at, err := v.descend(i)
		if err == nil {
			err = v.read(&at)
		}
		if err != nil {
			return err
		}
		for _, value := range at.node.Values {
			if !f(value) {
				return nil
			}
		}
		i = at.next
	}
	return nil
}

// SameOrEqual tells whether the values that a splice replaces one by one are the
// same in both views, or what the splice would make of them.
func SameOrEqual(a, b ListView, s Splice) (bool, error) {
	for k, value := range s.Insert {
		i := s.At + k
		_, differ, err := DifferList(a, b, i, i+1)
		if err != nil {
			return false, err
		}
		if !differ {
			continue
		}
		at, err := b.descend(i)
		if err == nil {
			err = b.read(&at)
		}
		if err != nil {
			return false, err
		}
		if i-at.start >= len(at.node.Values) || !slices.Equal(at.node.Values[i-at.start], value) {
			return false, nil
		}
	}
	return true, nil
}
