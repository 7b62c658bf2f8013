package sharedwrite

import (
	"go/token"
	"go/types"

	"golang.org/x/tools/go/ssa"
)

// write is a place where a shared object is changed.
type write struct {
	pos     token.Pos
	what    string // "assignment to"
	through string // the function that does it, "" if it is done here
	from    string // what gave the object
}

// mutators are the functions of the standard library that change their first
// argument in place, whatever it is.
var mutators = map[string]bool{
	"slices.Sort": true, "slices.SortFunc": true, "slices.SortStableFunc": true, "slices.Reverse": true,
	"slices.Delete": true, "slices.DeleteFunc": true, "slices.Compact": true, "slices.CompactFunc": true,
	"maps.Copy": true, "maps.DeleteFunc": true, "maps.Insert": true,
	"sort.Strings": true, "sort.Ints": true, "sort.Float64s": true, "sort.Slice": true, "sort.SliceStable": true,
	"sort.Sort": true, "sort.Stable": true,
}

// writes returns the writes of a function to shared objects, or, with a seed,
// to memory that the seed, one of its parameters, leads to; then those of the
// function literals in it as well.
func (p *program) writes(fn *ssa.Function, seed ssa.Value) (list []write) {
	q := p.query(seed)
	for _, b := range fn.Blocks {
		for _, i := range b.Instrs {
			list = append(list, q.writesOf(i)...)
		}
	}
	if seed != nil {
		for _, inner := range fn.AnonFuncs {
			list = append(list, p.writes(inner, seed)...)
		}
	}
	return list
}

func (q *query) writesOf(i ssa.Instruction) []write {
	one := func(v ssa.Value, pos token.Pos, what string) []write {
		if d := q.shared(v); d.is == yes {
			return []write{{pos: pos, what: what, from: d.from}}
		}
		return nil
	}
	switch i := i.(type) {
	case *ssa.Store:
		if _, ok := cellOf(i.Addr); ok {
			return nil // a variable
		}
		return one(i.Addr, i.Pos(), "assignment to")
	case *ssa.MapUpdate:
		return one(i.Map, i.Pos(), "assignment to a map of")
	case ssa.CallInstruction:
		call := i.Common()
		if b, ok := call.Value.(*ssa.Builtin); ok {
			switch b.Name() {
			case "delete", "clear", "copy":
				return one(call.Args[0], i.Pos(), b.Name()+" changes")
			}
			return nil
		}
		return q.writesOfCall(call, i.Pos())
	}
	return nil
}

// takes returns which argument of a call of package durus becomes an object of the
// transaction, which it then may change; 0 if none does.
func takes(call *ssa.CallCommon) (name string, arg int) {
	name, ok := durusCall(call)
	if !ok {
		return "", 0
	}
	recv := call.StaticCallee().Signature.Recv()
	switch {
	case name == "Add" && recv == nil: // Add(s, v)
		return name, 1
	case name == "Insert" && recv != nil && typeName(recv.Type()) == "Table": // t.Insert(s, k, v)
		return "Table.Insert", 3
	}
	return "", 0
}

// typeName is the name of a named type, or of what a pointer leads to.
func typeName(t types.Type) string {
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem()
	}
	if n, ok := t.(*types.Named); ok {
		return n.Obj().Name()
	}
	return ""
}

// writesOfCall are the writes of what is called.
func (q *query) writesOfCall(call *ssa.CallCommon, pos token.Pos) (list []write) {
	fn := call.StaticCallee()
	if fn == nil {
		return nil
	}
	if origin := fn.Origin(); origin != nil {
		fn = origin
	}
	if name, i := takes(call); i > 0 {
		if d := q.shared(call.Args[i]); d.is == yes {
			return []write{{pos: pos, what: name + " takes over", from: d.from}}
		}
		return nil
	}
	if obj, ok := fn.Object().(*types.Func); ok && obj.Pkg() != nil && mutators[obj.Pkg().Path()+"."+obj.Name()] && obj.Signature().Recv() == nil {
		if d := q.shared(call.Args[0]); d.is == yes {
			return []write{{pos: pos, what: obj.Pkg().Name() + "." + obj.Name() + " changes", from: d.from}}
		}
		return nil
	}
	s := q.p.summaryOf(call)
	for i, arg := range call.Args {
		if !s.writes(i) {
			continue
		}
		if d := q.shared(arg); d.is == yes {
			list = append(list, write{pos: pos, through: fn.Name(), from: d.from})
		}
	}
	return list
}
