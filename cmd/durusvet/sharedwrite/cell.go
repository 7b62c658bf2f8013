package sharedwrite

import (
	"slices"

	"golang.org/x/tools/go/ssa"
)

// cell is a variable of a function that has an address, or a part of it: what
// a closure has captured, or a struct whose fields are written.
type cell struct {
	variable *ssa.Alloc
	path     []int // of fields; -1 for an element
}

// cellOf returns the cell that an address is of.
func cellOf(addr ssa.Value) (cell, bool) {
	switch a := addr.(type) {
	case *ssa.Alloc:
		return cell{variable: a}, true
	case *ssa.FreeVar:
		if b := binding(a); b != nil {
			return cellOf(b)
		}
	case *ssa.FieldAddr:
		if c, ok := cellOf(a.X); ok {
			return cell{c.variable, append(slices.Clone(c.path), a.Field)}, true
		}
	case *ssa.IndexAddr:
		if c, ok := cellOf(a.X); ok {
			return cell{c.variable, append(slices.Clone(c.path), -1)}, true
		}
	}
	return cell{}, false
}

// overlaps tells whether one of two paths leads to a part of the other.
func overlaps(a, b []int) bool {
	n := min(len(a), len(b))
	return slices.Equal(a[:n], b[:n])
}

// stores returns what is stored in a cell anywhere, and whether somebody else
// may store something, too.
func (c cell) stores() (list []*ssa.Store, escapes bool) {
	var visit func(addr ssa.Value, path []int)
	visit = func(addr ssa.Value, path []int) {
		if addr.Referrers() == nil {
			escapes = true
			return
		}
		for _, r := range *addr.Referrers() {
			switch r := r.(type) {
			case *ssa.Store:
				if r.Val == addr {
					escapes = true
				} else if overlaps(path, c.path) {
					list = append(list, r)
				}
			case *ssa.UnOp, *ssa.DebugRef:
			case *ssa.FieldAddr:
				visit(r, append(slices.Clone(path), r.Field))
			case *ssa.IndexAddr:
				visit(r, append(slices.Clone(path), -1))
			case *ssa.MakeClosure:
				fn := r.Fn.(*ssa.Function)
				for i, b := range r.Bindings {
					if b == addr {
						visit(fn.FreeVars[i], path)
					}
				}
			default:
				escapes = true
			}
		}
	}
	visit(c.variable, nil)
	return list, escapes
}

// content is what a cell holds: shared if everything that is ever stored there
// is.
func (q *query) content(c cell) verdict {
	stores, escapes := c.stores()
	if escapes {
		return unshared
	}
	var all verdict
	for _, s := range stores {
		all = all.and(q.shared(s.Val))
	}
	return all
}
