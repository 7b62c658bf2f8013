package collection

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/durusdb/durus/storage"
)

// ListChange is a part of a list that differs between two states: the values
// Before took the place that the values Now have, from index At on in the later
// state.
type ListChange struct {
	At          int
	Before, Now [][]byte
}

// Moves tells whether values behind the change have other indexes than before.
func (c *ListChange) Moves() bool { return len(c.Before) != len(c.Now) }

// DiffList returns what a transaction has changed in a list, in order; see
// DiffTree. To know the indexes, it reads all inner nodes, and of the leaves those that
// differ. Values that were replaced one by one are changes of their own.
func DiffList(before, after ListView, written []uint64) (changes []ListChange, was bool, err error) {
	w := make(map[uint64]bool, len(written))
	for _, oid := range written {
		w[oid] = true
	}
	now, err := after.spine()
	if err != nil {
		return nil, false, err
	}
	old, err := before.spine()
	switch {
	case errors.Is(err, storage.ErrNotFound):
		old = nil
	case err != nil:
		return nil, false, err
	default:
		was = true
	}
	d := listDiff{before: before, after: after}
	if err := d.align(old, now, w); err != nil {
		return nil, false, err
	}
	return d.changes, was, nil
}

// spineLeaf is a leaf and how many values it has.
type spineLeaf struct {
	oid   uint64
	count int
}

// spine returns the leaves of a list in order, without reading them, but for
// the last one.
func (v ListView) spine() ([]spineLeaf, error) {
	head, err := v.head(v.Store)
	if err != nil {
		return nil, err
	}
	s := &spine{ListView: v, seen: map[uint64]bool{}}
	err = s.below(head, -1)
	return s.leaves, err
}

// spine is the leaves of a list that were found so far.
type spine struct {
	ListView
	leaves []spineLeaf
	seen   map[uint64]bool // inner nodes: a damaged list may lead in circles
}

// below adds the leaves below a node; total is how many values they have, -1 if
// that is not known.
func (s *spine) below(n *Node, total int) error {
	if n.Level == 0 {
		s.leaves = append(s.leaves, spineLeaf{n.OID, len(n.Values)})
		return nil
	}
	if s.seen[n.OID] {
		return torn(s.OID, n.OID)
	}
	s.seen[n.OID] = true
	for i, oid := range n.Children {
		count := total // of the last child
		if i < len(n.Counts) {
			count = n.Counts[i]
			if total >= 0 {
				if total -= count; total < 0 {
					return torn(s.OID, n.OID)
				}
			}
		}
		if n.Level == 1 && count >= 0 {
			s.leaves = append(s.leaves, spineLeaf{oid, count})
			continue
		}
		c, err := child(s.Store, n, i)
		if err == nil {
			err = s.below(c, count)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// listDiff is one DiffList.
type listDiff struct {
	before, after ListView
	changes       []ListChange

	at       int // index of the part in the later state
	old, now [][]byte
}

// align walks along both states. Leaves keep their order, so those that both have divide
// them into parts that belong to each other.
func (d *listDiff) align(old, now []spineLeaf, written map[uint64]bool) error {
	inOld, inNow := make(map[uint64]bool, len(old)), make(map[uint64]bool, len(now))
	for _, l := range old {
		inOld[l.oid] = true
	}
	for _, l := range now {
		inNow[l.oid] = true
	}
	start := 0 // in the later state
	for i, j := 0, 0; i < len(old) || j < len(now); {
		var err error
		switch {
		case i < len(old) && !inNow[old[i].oid]:
			d.old, err = leafValues(d.before, d.old, old[i])
			i++
		case j < len(now) && !inOld[now[j].oid]:
			d.now, err = leafValues(d.after, d.now, now[j])
			start += now[j].count
			j++
		case i == len(old) || j == len(now) || old[i].oid != now[j].oid:
			return fmt.Errorf("%w: the leaves of list %d have changed their order", storage.ErrCorrupt, d.after.OID)
		default:
			d.flush()
			d.at = start
			if written[old[i].oid] {
				d.old, err = leafValues(d.before, d.old, old[i])
				if err == nil {
					d.now, err = leafValues(d.after, d.now, now[j])
				}
				start += now[j].count
			} else {
				start += now[j].count
				d.at = start
			}
			i++
			j++
		}
		if err != nil {
			return err
		}
	}
	d.flush()
	return nil
}

// leafValues appends the values of a leaf.
func leafValues(v ListView, out [][]byte, l spineLeaf) ([][]byte, error) {
	n, err := node(v.Store, l.oid)
	if err != nil {
		return nil, err
	}
	if n.Level > 0 || n.Keys != nil || len(n.Values) != l.count {
		return nil, torn(v.OID, n.OID)
	}
	return append(out, n.Values...), nil
}

// flush turns a part into changes: what both begin and end with is the same.
func (d *listDiff) flush() {
	old, now, at := d.old, d.now, d.at
	d.old, d.now = nil, nil
	for len(old) > 0 && len(now) > 0 && bytes.Equal(old[0], now[0]) {
		old, now, at = old[1:], now[1:], at+1
	}
	for len(old) > 0 && len(now) > 0 && bytes.Equal(old[len(old)-1], now[len(now)-1]) {
		old, now = old[:len(old)-1], now[:len(now)-1]
	}
	if len(old) != len(now) {
		d.changes = append(d.changes, ListChange{At: at, Before: old, Now: now})
		return
	}
	for i := range old {
		if !bytes.Equal(old[i], now[i]) {
			d.changes = append(d.changes, ListChange{At: at + i, Before: old[i : i+1], Now: now[i : i+1]})
		}
	}
}
