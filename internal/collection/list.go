package collection

import (
	"fmt"

	"github.com/durusdb/durus/storage"
)

// List is a sequence: a tree whose inner nodes count what is below each child
// but the last, so that an append changes no inner node.
type List struct {
	OID   uint64 // of the head
	Fresh bool   // it is not stored yet
}

// Splice takes Delete values away at an index and puts others there.
type Splice struct {
	At, Delete int
	Insert     [][]byte
}

func (l *List) empty() *Node { return &Node{OID: l.OID, Head: true, Values: [][]byte{}} }

func (l *List) head(st Store) (*Node, error) {
	if l.Fresh {
		return l.empty(), nil
	}
	n, err := node(st, l.OID)
	if err != nil {
		return nil, err
	}
	if !n.Head || n.Keys != nil || n.Level == 0 && n.Values == nil || n.Key != "" {
		return nil, fmt.Errorf("%w: object %d is no %s", storage.ErrCorrupt, l.OID, ClassList)
	}
	return n, nil
}

// Apply applies splices, which are in order, do not overlap and count in the
// list as it is, and then appends values. A fresh list is stored even if it is
// empty.
func (l *List) Apply(b *Builder, splices []Splice, appended [][]byte) error {
	head, err := l.head(b.Store)
	if err != nil {
		return err
	}
	e := &listEdit{List: l, b: b}
	if head.Level == 0 {
		values, tail, changed, err := e.merge(head, splices, appended)
		if err != nil || !changed && !l.Fresh {
			return err
		}
		ends := e.cut(values, tail)
		if len(ends) <= 1 {
			n := l.empty()
			n.Values = values
			return b.emit(n, ClassList)
		}
		runs, err := e.leaves(nil, values, ends)
		if err != nil {
			return err
		}
		return e.grow(runs, 1)
	}
	runs, changed, err := e.children(head, splices, appended, true)
	switch {
	case err != nil || !changed:
		return err
	case len(runs) == 0:
		return b.emit(l.empty(), ClassList)
	}
	return e.grow(runs, head.Level)
}

// listEdit is one Apply.
type listEdit struct {
	*List
	b *Builder
}

// run is a node and how many values are below it; -1: not known yet.
type run struct {
	oid   uint64
	count int
}

// grow stores a head with these nodes below, at the given level, and levels in
// between if they are too many.
func (e *listEdit) grow(runs []run, level int) error {
	for ; len(runs) > e.b.Limits.Fanout; level++ {
		var up []run
		start := 0
		for _, end := range e.cutRuns(runs) {
			oid, err := e.b.NewOID()
			if err != nil {
				return err
			}
			r, err := e.inner(oid, level, runs[start:end], end == len(runs))
			if err != nil {
				return err
			}
			up = append(up, r)
			start = end
		}
		runs = up
	}
	n := &Node{OID: e.OID, Head: true, Level: level}
	if err := e.fill(n, runs); err != nil {
		return err
	}
	return e.b.emit(n, ClassList)
}

// node applies changes to a node that is not the head, and returns what takes
// its place. spine means that nothing follows the node in the list: then the
// count of the last run need not be known.
func (e *listEdit) node(n *Node, splices []Splice, appended [][]byte, spine bool) ([]run, error) {
	if n.Level == 0 {
		values, tail, _, err := e.merge(n, splices, appended)
		if err != nil || len(values) == 0 {
			return nil, err
		}
		return e.leaves(n, values, e.cut(values, tail))
	}
	runs, changed, err := e.children(n, splices, appended, spine)
	if err != nil || len(runs) == 0 {
		return nil, err
	}
	if !changed {
		total, err := e.total(runs, spine)
		return []run{{n.OID, total}}, err
	}
	var out []run
	start := 0
	for _, end := range e.cutRuns(runs) {
		oid := n.OID
		if start > 0 {
			if oid, err = e.b.NewOID(); err != nil {
				return nil, err
			}
		}
		r, err := e.inner(oid, n.Level, runs[start:end], spine && end == len(runs))
		if err != nil {
			return nil, err
		}
		out = append(out, r)
		start = end
	}
	return out, nil
}

// total is the sum of the runs, whose last one may have an unknown count. It is
// a node that this edit has not changed, then.
func (e *listEdit) total(runs []run, spine bool) (total int, err error) {
	last := runs[len(runs)-1]
	if last.count < 0 {
		if spine {
			return -1, nil
		}
		if last.count, err = e.below(last.oid); err != nil {
			return 0, err
		}
	}
	for _, r := range runs[:len(runs)-1] {
		total += r.count
	}
	return total + last.count, nil
}

// children applies changes to the children of a node. changed tells whether the
// node itself is another one afterwards.
func (e *listEdit) children(n *Node, splices []Splice, appended [][]byte, spine bool) (out []run, changed bool, err error) {
	start, last := 0, len(n.Children)-1
	for i, oid := range n.Children {
		count := -1
		if i < last {
			count = n.Counts[i]
		}
		var mine []Splice
		mine, splices = divide(splices, start, count)
		var add [][]byte
		if i == last {
			add = appended
		}
		if len(mine) == 0 && len(add) == 0 {
			out = append(out, run{oid, count})
		} else {
			c, err := child(e.b.Store, n, i)
			if err != nil {
				return nil, false, err
			}
			runs, err := e.node(c, mine, add, spine && i == last)
			if err != nil {
				return nil, false, err
			}
			changed = changed || len(runs) != 1 || i < last && runs[0].count != count
			out = append(out, runs...)
		}
		start += max(count, 0)
	}
	return out, changed, nil
}

// divide takes the splices that concern the count values from start on, and
// makes their indexes relative to start; count < 0 means all that follow. A
// deletion that reaches beyond is divided.
func divide(splices []Splice, start, count int) (mine, rest []Splice) {
	for i, s := range splices {
		if count >= 0 && s.At >= start+count {
			return mine, splices[i:]
		}
		over := 0
		if count >= 0 {
			over = s.At + s.Delete - (start + count)
		}
		if over > 0 {
			mine = append(mine, Splice{s.At - start, s.Delete - over, s.Insert})
			rest = append([]Splice{{At: start + count, Delete: over}}, splices[i+1:]...)
			return mine, rest
		}
		mine = append(mine, Splice{s.At - start, s.Delete, s.Insert})
	}
	return mine, nil
}

// merge applies changes to the values of a leaf.
func (e *listEdit) merge(n *Node, splices []Splice, appended [][]byte) (values [][]byte, tail, changed bool, err error) {
	values = make([][]byte, 0, len(n.Values)+len(appended)+len(splices))
	from := 0
	for _, s := range splices {
		if s.At < from || s.Delete < 0 || s.At+s.Delete > len(n.Values) {
			return nil, false, false, fmt.Errorf("%w: the list %d has no values %d to %d", storage.ErrCorrupt, e.OID, s.At, s.At+s.Delete)
		}
		values = append(append(values, n.Values[from:s.At]...), s.Insert...)
		from = s.At + s.Delete
	}
	values = append(append(values, n.Values[from:]...), appended...)
	return values, len(splices) == 0, len(splices) > 0 || len(appended) > 0, nil
}

func (e *listEdit) cut(values [][]byte, tail bool) []int {
	return cut(len(values), e.b.Limits.Leaf, e.b.Limits.LeafBytes, func(i int) int { return len(values[i]) }, tail)
}

// cutRuns divides children into inner nodes. The ones at the end of a list are
// left full, as its leaves are.
func (e *listEdit) cutRuns(runs []run) []int {
	return cut(len(runs), e.b.Limits.Fanout, 4*e.b.Limits.LeafBytes, func(int) int { return 9 }, true)
}

// leaves stores values as leaves, the first in place of old unless that is nil.
func (e *listEdit) leaves(old *Node, values [][]byte, ends []int) ([]run, error) {
	out := make([]run, 0, len(ends))
	start := 0
	for _, end := range ends {
		n := &Node{Of: e.OID, Values: values[start:end]}
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
		out = append(out, run{n.OID, end - start})
		start = end
	}
	return out, nil
}

// inner stores an inner node.
func (e *listEdit) inner(oid uint64, level int, runs []run, spine bool) (run, error) {
	total, err := e.total(runs, spine)
	if err != nil {
		return run{}, err
	}
	n := &Node{OID: oid, Of: e.OID, Level: level}
	if err := e.fill(n, runs); err != nil {
		return run{}, err
	}
	return run{oid, total}, e.b.emit(n, ClassNode)
}

// fill sets the children of an inner node. Where the count of one that is not
// the last one is not known, it is looked up.
func (e *listEdit) fill(n *Node, runs []run) error {
	n.Counts = []int{}
	for i, r := range runs {
		n.Children = append(n.Children, r.oid)
		if i == len(runs)-1 {
			break
		}
		if r.count < 0 { // it was the last one, and now others follow
			var err error
			if r.count, err = e.below(r.oid); err != nil {
				return err
			}
		}
		n.Counts = append(n.Counts, r.count)
	}
	return nil
}

// below returns how many values are below a node that this edit has not changed.
func (e *listEdit) below(oid uint64) (int, error) {
	n, err := node(e.b.Store, oid)
	if err != nil {
		return 0, err
	}
	return countBelow(e.b.Store, n)
}

func countBelow(st Store, n *Node) (total int, err error) {
	for n.Level > 0 {
		for _, c := range n.Counts {
			if total += c; total < 0 { // no count is: an overflow
				return 0, fmt.Errorf("%w: node %d counts more values than there can be", storage.ErrCorrupt, n.OID)
			}
		}
		if n, err = child(st, n, len(n.Children)-1); err != nil {
			return 0, err
		}
	}
	return total + len(n.Values), nil
}
