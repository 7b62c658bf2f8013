package sharedwrite

import (
	"go/types"

	"golang.org/x/tools/go/ssa"
)

var nothing = new(summary)

// summaryOf returns what is known of the function that a call calls.
func (p *program) summaryOf(call *ssa.CallCommon) *summary {
	fn := call.StaticCallee()
	if fn == nil {
		return nothing
	}
	if origin := fn.Origin(); origin != nil {
		fn = origin
	}
	if fn.Pkg != nil && fn.Pkg.Pkg == p.pass.Pkg {
		return p.summary(fn)
	}
	obj, ok := fn.Object().(*types.Func)
	if !ok || obj.Pkg() == nil || obj.Pkg().Path() == durusPath {
		return nothing
	}
	s := new(summary)
	if !p.pass.ImportObjectFact(obj.Origin(), s) {
		return nothing
	}
	return s
}

// summary makes what is to be known of a function of this package. While one
// calls itself, nothing is known of it.
func (p *program) summary(fn *ssa.Function) *summary {
	if s, ok := p.done[fn]; ok {
		if s == nil {
			return nothing
		}
		return s
	}
	p.done[fn] = nil
	s := new(summary)
	if fn.Parent() == nil { // literals are looked at where they stand
		for i, param := range fn.Params {
			if reaches(param.Type()) && len(p.writes(fn, param)) > 0 {
				s.Writes = append(s.Writes, i)
			}
		}
	}
	for i := range fn.Signature.Results().Len() {
		if p.returns(fn, i) {
			s.Returns = append(s.Returns, i)
		}
	}
	p.done[fn] = s
	return s
}

// returns tells whether a result is a shared object, if it is not nil.
func (p *program) returns(fn *ssa.Function, result int) bool {
	if !reaches(fn.Signature.Results().At(result).Type()) {
		return false
	}
	q := p.query(nil)
	all := verdict{}
	for _, b := range fn.Blocks {
		if len(b.Instrs) == 0 {
			continue
		}
		if ret, ok := b.Instrs[len(b.Instrs)-1].(*ssa.Return); ok && result < len(ret.Results) {
			all = all.and(q.shared(ret.Results[result]))
		}
	}
	return all.is == yes
}

// reaches tells whether writing through a value of the type can change what
// others see.
func reaches(t types.Type) bool {
	switch t := t.Underlying().(type) {
	case *types.Pointer, *types.Slice, *types.Map, *types.Interface:
		return true
	case *types.Struct:
		for i := range t.NumFields() {
			if reaches(t.Field(i).Type()) {
				return true
			}
		}
	case *types.Array:
		return reaches(t.Elem())
	}
	return false
}
