package sharedwrite

import (
	"go/token"
	"slices"

	"golang.org/x/tools/go/ssa"
)

// sources are the functions and methods of package durus that give shared
// objects, or iterators over them.
var sources = map[string]bool{
	"Load": true, "Peek": true, // Ref, AnyRef, WeakRef, Root
	"Each": true, "Instances": true,
	"Get": true, "Min": true, "Max": true, "Lookup": true, // containers
	"All": true, "Backward": true, "Range": true, "From": true, "Before": true,
}

// own tells whether a Load gives the program's own copy: its reference is
// edited in the same function, or was added there.
func own(call *ssa.CallCommon) bool {
	if len(call.Args) == 0 {
		return false
	}
	ref := call.Args[0]
	if added(ref) {
		return true
	}
	fn := parentOf(ref, call)
	if fn == nil {
		return false
	}
	for fn.Parent() != nil {
		fn = fn.Parent()
	}
	return edits(fn, ref)
}

// edits tells whether a function, or a literal in it, edits what ref refers to.
func edits(fn *ssa.Function, ref ssa.Value) bool {
	for _, b := range fn.Blocks {
		for _, i := range b.Instrs {
			call, ok := i.(*ssa.Call)
			if !ok {
				continue
			}
			if name, ok := durusCall(&call.Call); ok && name == "Edit" && len(call.Call.Args) > 0 && same(ref, call.Call.Args[0]) {
				return true
			}
		}
	}
	return slices.ContainsFunc(fn.AnonFuncs, func(inner *ssa.Function) bool { return edits(inner, ref) })
}

// parentOf returns the function that the call stands in.
func parentOf(ref ssa.Value, call *ssa.CallCommon) *ssa.Function {
	for _, v := range append([]ssa.Value{ref}, call.Args...) {
		if p := v.Parent(); p != nil {
			return p
		}
	}
	return nil
}

// added tells whether a reference comes from Add.
func added(v ssa.Value) bool {
	switch v := v.(type) {
	case *ssa.Extract:
		return added(v.Tuple)
	case *ssa.Call:
		switch name, _ := durusCall(&v.Call); name {
		case "Add":
			return true
		case "Must", "Any", "As":
			return len(v.Call.Args) > 0 && added(v.Call.Args[0])
		}
	case *ssa.UnOp:
		if v.Op != token.MUL {
			return false
		}
		if c, ok := cellOf(v.X); ok {
			stores, escapes := c.stores()
			for _, s := range stores {
				if !added(s.Val) {
					return false
				}
			}
			return !escapes && len(stores) > 0
		}
	}
	return false
}

// same tells whether two values are the same reference, as far as can be seen:
// one value, or loads of one variable, field or map entry.
func same(a, b ssa.Value) bool {
	if a == b {
		return true
	}
	if c, ok := cellOf(a); ok {
		d, ok := cellOf(b)
		return ok && c.variable == d.variable && slices.Equal(c.path, d.path)
	}
	switch a := a.(type) {
	case *ssa.UnOp:
		b, ok := b.(*ssa.UnOp)
		return ok && a.Op == b.Op && same(a.X, b.X)
	case *ssa.FieldAddr:
		b, ok := b.(*ssa.FieldAddr)
		return ok && a.Field == b.Field && same(a.X, b.X)
	case *ssa.Field:
		b, ok := b.(*ssa.Field)
		return ok && a.Field == b.Field && same(a.X, b.X)
	case *ssa.IndexAddr:
		b, ok := b.(*ssa.IndexAddr)
		return ok && same(a.X, b.X) && same(a.Index, b.Index)
	case *ssa.Lookup:
		b, ok := b.(*ssa.Lookup)
		return ok && same(a.X, b.X) && same(a.Index, b.Index)
	case *ssa.Const:
		b, ok := b.(*ssa.Const)
		return ok && a.String() == b.String()
	}
	return false
}
