package sharedwrite

import (
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/buildssa"
	"golang.org/x/tools/go/ssa"
)

// Analyzer finds writes to shared objects.
var Analyzer = &analysis.Analyzer{
	Name:      "sharedwrite",
	Doc:       "find writes to durus objects that were loaded, not edited\n\nWhat Load, Peek, Each and the reads of containers return belongs to every reader. Change what Edit returns.",
	URL:       "https://pkg.go.dev/github.com/durusdb/durus/cmd/durusvet/sharedwrite",
	Requires:  []*analysis.Analyzer{buildssa.Analyzer},
	FactTypes: []analysis.Fact{new(summary)},
	Run:       run,
}

// durusPath is the package whose objects are looked at. Its own code is not.
const durusPath = "github.com/durusdb/durus/durus"

func run(pass *analysis.Pass) (any, error) {
	if pass.Pkg.Path() == durusPath || !relevant(pass) {
		return nil, nil
	}
	p := &program{pass: pass, done: map[*ssa.Function]*summary{}}
	funcs := pass.ResultOf[buildssa.Analyzer].(*buildssa.SSA).SrcFuncs
	for _, fn := range funcs {
		for _, w := range p.writes(fn, nil) {
			if w.through == "" {
				pass.Reportf(w.pos, "%s an object that %s gave, which is shared: change what Edit returns", w.what, w.from)
			} else {
				pass.Reportf(w.pos, "%s writes to what it is given here, an object that %s gave, which is shared: give it what Edit returns", w.through, w.from)
			}
		}
		if s := p.summary(fn); !s.empty() && fn.Object() != nil {
			pass.ExportObjectFact(fn.Object(), s)
		}
	}
	return nil, nil
}

// relevant leaves out the standard library: what changes its arguments there
// is known (writes.go).
func relevant(pass *analysis.Pass) bool {
	first, _, _ := strings.Cut(pass.Pkg.Path(), "/")
	if pass.Module != nil || strings.Contains(first, ".") {
		return true
	}
	for _, p := range pass.Pkg.Imports() {
		if p.Path() == durusPath {
			return true
		}
	}
	return false
}

// program is one package.
type program struct {
	pass *analysis.Pass
	done map[*ssa.Function]*summary // nil: being made
}

// summary is what callers of a function must know of it.
type summary struct {
	Writes  []int // parameters, receiver first, whose memory it writes to
	Returns []int // results that are shared objects
}

// AFact implements analysis.Fact.
func (*summary) AFact() {}

func (s *summary) empty() bool { return len(s.Writes)+len(s.Returns) == 0 }

func (s *summary) writes(param int) bool { return slices.Contains(s.Writes, param) }

func (s *summary) returns(result int) bool { return slices.Contains(s.Returns, result) }

// String is for tests.
func (s *summary) String() string {
	var b strings.Builder
	for _, part := range []struct {
		name string
		list []int
	}{{"writes", s.Writes}, {"returns", s.Returns}} {
		for _, i := range part.list {
			b.WriteString(part.name)
			b.WriteByte('0' + byte(min(i, 9)))
		}
	}
	return b.String()
}
