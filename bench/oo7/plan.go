package oo7

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
)

// Design is what every design object has.
type Design struct {
	ID        int
	Type      string
	BuildDate int
}

// Module is a module as it is generated, with its assemblies.
type Module struct {
	Design
	Name   string
	Manual string
	Root   *Assembly
}

// Assembly is a complex assembly, or a base assembly, which has no children.
// The two have separate ids.
type Assembly struct {
	Design
	Super    *Assembly // nil at the root
	Children []*Assembly
	Private  []int // ids of composite parts, with repetitions
	Shared   []int
}

// Composite is a composite part as it is generated, with its document and parts.
// The first part is the root part.
type Composite struct {
	Design
	Title string
	Text  string
	Parts []Part
}

// Part is an atomic part.
type Part struct {
	Design
	X, Y  int
	DocID int
	To    []Link
}

// Link is a connection that leaves a part.
type Link struct {
	To     int // index in Composite.Parts
	Type   string
	Length int
}

// Uses are the ids of the base assemblies that use a composite part, one for
// each time they do.
type Uses struct{ Private, Shared []int }

// Plan is the logical content of a database: what every contender is to store,
// and what the results are computed from. The same Config always gives the same
// plan.
type Plan struct {
	Config
	Modules []*Module
	Bases   []*Assembly // by id, from 1
	uses    []Uses      // by id of the composite part, from 1
	facts   func() *facts
}

const seed = 1

// NewPlan lays out the modules and their assemblies. Composite parts are made
// one at a time, by Composite.
func NewPlan(c Config) *Plan {
	p := &Plan{Config: c, Bases: []*Assembly{nil}, uses: make([]Uses, c.Comps()+1)}
	r := rand.New(rand.NewPCG(seed, 0))
	complexes := 0
	for id := 1; id <= c.Modules; id++ {
		m := &Module{Design: design(r, id), Name: fmt.Sprintf("Module %08d", id)}
		m.Manual = fill(fmt.Sprintf("I am the manual for module #%08d.\n", id), c.ManualSize)
		m.Root = p.assembly(r, &complexes, id, nil)
		p.Modules = append(p.Modules, m)
	}
	for _, b := range p.Bases[1:] {
		for _, id := range b.Private {
			p.uses[id].Private = append(p.uses[id].Private, b.ID)
		}
		for _, id := range b.Shared {
			p.uses[id].Shared = append(p.uses[id].Shared, b.ID)
		}
	}
	p.facts = sync.OnceValue(func() *facts { return newFacts(p) })
	return p
}

func (p *Plan) assembly(r *rand.Rand, complexes *int, module int, super *Assembly) *Assembly {
	if super.level() == p.Levels-1 {
		b := &Assembly{Design: design(r, len(p.Bases)), Super: super}
		p.Bases = append(p.Bases, b)
		for range p.CompsPerBase {
			b.Private = append(b.Private, (module-1)*p.CompsPerMod+1+r.IntN(p.CompsPerMod))
			b.Shared = append(b.Shared, 1+r.IntN(p.Comps()))
		}
		return b
	}
	*complexes++
	a := &Assembly{Design: design(r, *complexes), Super: super}
	for range p.Fanout {
		a.Children = append(a.Children, p.assembly(r, complexes, module, a))
	}
	return a
}

// level counts from 1 at the root; there is nothing at 0.
func (a *Assembly) level() int {
	if a == nil {
		return 0
	}
	return a.Super.level() + 1
}

// Composite makes the composite part with an id; ids beyond Comps are those of
// Insert. Its parts have the ids (id-1)*PartsPerComp+1 and following.
func (p *Plan) Composite(id int) *Composite {
	r := rand.New(rand.NewPCG(seed, uint64(id)))
	c := &Composite{Design: design(r, id), Title: title(id)}
	c.BuildDate = r.IntN(1000)
	if id%10 == 0 { // newer than every assembly
		c.BuildDate += maxDate + 1
	}
	c.Text = fill(fmt.Sprintf("I am the documentation for composite part #%08d.\n", id), p.DocumentSize)
	for i := range p.PartsPerComp {
		part := Part{Design: design(r, (id-1)*p.PartsPerComp+1+i), X: r.IntN(xyRange), Y: r.IntN(xyRange), DocID: 1 + r.IntN(p.Comps())}
		for k := range p.ConnsPerPart {
			to := (i + 1) % p.PartsPerComp // a ring, so that all are reached
			if k > 0 {
				to = r.IntN(p.PartsPerComp)
			}
			part.To = append(part.To, Link{To: to, Type: typeName(r), Length: r.IntN(xyRange)})
		}
		c.Parts = append(c.Parts, part)
	}
	return c
}

// Uses returns who uses a generated composite part.
func (p *Plan) Uses(id int) Uses { return p.uses[id] }

func design(r *rand.Rand, id int) Design {
	return Design{ID: id, Type: typeName(r), BuildDate: minDate + r.IntN(maxDate-minDate+1)}
}

func typeName(r *rand.Rand) string { return fmt.Sprintf("type%03d", r.IntN(types)) }

func title(comp int) string { return fmt.Sprintf("Composite Part %08d", comp) }

// fill repeats line up to size bytes.
func fill(line string, size int) string {
	return strings.Repeat(line, size/len(line)+1)[:size]
}
