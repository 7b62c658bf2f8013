package sharedwrite

import (
	"go/token"
	"go/types"
	"slices"

	"golang.org/x/tools/go/ssa"
)

// verdict is whether a value leads to memory of a shared object.
type verdict struct {
	is   answer
	from string // what gave the object: "Load"
}

type answer uint8

const (
	neutral answer = iota // nil, or a value that depends on the one that is asked about
	yes
	no // or perhaps not
)

// and is for a value that is one of several: it is shared if all of them are.
func (v verdict) and(w verdict) verdict {
	switch {
	case v.is == no || w.is == no:
		return verdict{is: no}
	case v.is == yes:
		return v
	}
	return w
}

var unshared = verdict{is: no}

// query asks about values. Each is looked at once.
type query struct {
	p    *program
	seed ssa.Value // taken for shared, instead of what durus gives; or nil
	seen map[ssa.Value]verdict
}

func (p *program) query(seed ssa.Value) *query {
	return &query{p, seed, map[ssa.Value]verdict{}}
}

// shared tells whether v is, or refers to, memory of a shared object.
func (q *query) shared(v ssa.Value) verdict {
	if d, ok := q.seen[v]; ok {
		return d
	}
	q.seen[v] = verdict{} // for loops
	d := q.look(v)
	q.seen[v] = d
	return d
}

func (q *query) look(v ssa.Value) verdict {
	if q.seed != nil && v == q.seed {
		return verdict{yes, "the caller"}
	}
	switch v := v.(type) {
	case *ssa.Const:
		if v.Value == nil { // nil, or a zero struct
			return verdict{}
		}
	case *ssa.Call:
		return q.result(&v.Call, 0)
	case *ssa.Extract:
		return q.extract(v)
	case *ssa.UnOp:
		if v.Op != token.MUL {
			return unshared
		}
		if c, ok := cellOf(v.X); ok {
			return q.content(c)
		}
		return q.shared(v.X)
	case *ssa.FieldAddr:
		if _, ok := cellOf(v); ok {
			return unshared // of a variable
		}
		return q.shared(v.X)
	case *ssa.IndexAddr:
		if _, ok := cellOf(v); ok {
			return unshared
		}
		return q.shared(v.X)
	case *ssa.Field:
		return q.shared(v.X)
	case *ssa.Index:
		return q.shared(v.X)
	case *ssa.Lookup:
		return q.shared(v.X)
	case *ssa.Slice:
		if _, ok := cellOf(v.X); ok { // of an array
			return unshared
		}
		return q.shared(v.X)
	case *ssa.ChangeType:
		return q.shared(v.X)
	case *ssa.ChangeInterface:
		return q.shared(v.X)
	case *ssa.MakeInterface:
		return q.shared(v.X)
	case *ssa.TypeAssert:
		return q.shared(v.X)
	case *ssa.Phi:
		var all verdict
		for _, e := range v.Edges {
			all = all.and(q.shared(e))
		}
		return all
	case *ssa.FreeVar:
		if b := binding(v); b != nil {
			return q.shared(b)
		}
	case *ssa.Parameter:
		return q.parameter(v)
	}
	return unshared
}

// extract is one of several results.
func (q *query) extract(v *ssa.Extract) verdict {
	switch t := v.Tuple.(type) {
	case *ssa.Call:
		return q.result(&t.Call, v.Index)
	case *ssa.Lookup:
		return q.shared(t.X)
	case *ssa.TypeAssert:
		return q.shared(t.X)
	case *ssa.Next:
		if r, ok := t.Iter.(*ssa.Range); ok {
			return q.shared(r.X)
		}
	}
	return unshared
}

// result is a result of a call.
func (q *query) result(call *ssa.CallCommon, i int) verdict {
	if name, ok := durusCall(call); ok {
		switch {
		case name == "Must" && i == 0 && len(call.Args) > 0:
			return q.shared(call.Args[0])
		case name == "Result" && i == 0 && len(call.Args) == 3:
			if fn := literal(call.Args[2]); fn != nil && q.seed == nil && q.p.summary(fn).returns(0) {
				return verdict{yes, "Load"}
			}
		case q.seed == nil && sources[name] && !isError(call, i) && !own(call):
			return verdict{yes, name}
		}
		return unshared
	}
	if q.seed == nil && q.p.summaryOf(call).returns(i) {
		return verdict{yes, call.StaticCallee().Name()}
	}
	return unshared
}

// isError tells whether a result of a call is an error.
func isError(call *ssa.CallCommon, i int) bool {
	return types.Identical(call.Signature().Results().At(i).Type(), types.Universe.Lookup("error").Type())
}

// parameter is a value that an iterator of durus's gives to the body of a loop.
func (q *query) parameter(v *ssa.Parameter) verdict {
	fn := v.Parent()
	if q.seed != nil || fn.Parent() == nil {
		return unshared
	}
	if !slices.Contains(fn.Params, v) || fn.Referrers() == nil {
		return unshared
	}
	var all verdict
	for _, user := range uses(fn) {
		call, ok := user.(*ssa.Call)
		if !ok || len(call.Call.Args) != 1 || literal(call.Call.Args[0]) != fn {
			return unshared
		}
		all = all.and(q.shared(call.Call.Value)) // what All returned
	}
	return all
}

// uses returns the instructions that use a function literal or its closures.
func uses(fn *ssa.Function) (list []ssa.Instruction) {
	if fn.Referrers() == nil {
		return nil
	}
	for _, r := range *fn.Referrers() {
		if c, ok := r.(*ssa.MakeClosure); ok {
			list = append(list, *c.Referrers()...)
		} else {
			list = append(list, r)
		}
	}
	return slices.DeleteFunc(list, func(i ssa.Instruction) bool { _, ok := i.(*ssa.DebugRef); return ok })
}

// literal returns the function literal that a value is, or nil.
func literal(v ssa.Value) *ssa.Function {
	switch v := v.(type) {
	case *ssa.Function:
		return v
	case *ssa.MakeClosure:
		return v.Fn.(*ssa.Function)
	case *ssa.ChangeType:
		return literal(v.X)
	}
	return nil
}

// binding returns what a closure has captured, if it is made in one place.
func binding(v *ssa.FreeVar) ssa.Value {
	fn := v.Parent()
	i := slices.Index(fn.FreeVars, v)
	if i < 0 || fn.Referrers() == nil {
		return nil
	}
	var found ssa.Value
	for _, r := range *fn.Referrers() {
		c, ok := r.(*ssa.MakeClosure)
		if !ok || i >= len(c.Bindings) || found != nil && found != c.Bindings[i] {
			return nil
		}
		found = c.Bindings[i]
	}
	return found
}

// durusCall returns the name of the function or method of package durus that
// is called.
func durusCall(call *ssa.CallCommon) (name string, ok bool) {
	fn := call.StaticCallee()
	if fn == nil {
		return "", false
	}
	if origin := fn.Origin(); origin != nil {
		fn = origin
	}
	obj, ok := fn.Object().(*types.Func)
	if !ok || obj.Pkg() == nil || obj.Pkg().Path() != durusPath {
		return "", false
	}
	return obj.Name(), true
}
