package oo7

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Operation is one of the benchmark: a traversal, a query or a structural
// modification.
type Operation struct {
	Name string
	What string
	// Run does it in a transaction, and returns its count.
	Run func(tx Tx, p *Plan, r *rand.Rand) (int, error)
	// Want is the count that the plan says.
	Want func(p *Plan, r *rand.Rand) int

	Writes bool
	Toggle bool       // an even number of runs changes nothing
	Lead   *Operation // runs first in the same transaction, and is not timed
	Before *Operation // runs before, in a transaction of its own, not timed
	After  *Operation // runs behind, in a transaction of its own, not timed
	One    bool       // is measured with all repetitions in one transaction, too
	Main   bool       // one of those that --quick runs
}

// Operations are all operations, in the order of the paper.
func Operations() []*Operation {
	t1 := traversal("T1", "visit all atomic parts", Traversal{})
	t1.One, t1.Main = true, true
	t2a := traversal("T2a", "swap x and y of one part of each composite", Traversal{Update: UpdateRoot, Times: 1})
	t2b := traversal("T2b", "swap x and y of every part", Traversal{Update: UpdateAll, Times: 1})
	t2c := traversal("T2c", "the same, four times", Traversal{Update: UpdateAll, Times: updateRepeat})
	t3a := traversal("T3a", "change the indexed date of one part of each", Traversal{Update: UpdateRoot, Times: 1, Dates: true})
	t3b := traversal("T3b", "change the indexed date of every part", Traversal{Update: UpdateAll, Times: 1, Dates: true})
	t3c := traversal("T3c", "the same, four times", Traversal{Update: UpdateAll, Times: updateRepeat, Dates: true})
	for _, o := range []*Operation{t2a, t2b, t2c, t3a, t3b, t3c} {
		o.One = true
	}
	t6 := traversal("T6", "visit the root parts only", Traversal{Sparse: true})
	t2a.Main, t6.Main = true, true
	cu := traversal("CU", "T2a after T1 in its transaction", Traversal{Update: UpdateRoot, Times: 1})
	cu.Lead = t1
	think := traversal("T1WW", "T1, and ask for the time ten times at each part", Traversal{Think: 10})

	t4 := &Operation{Name: "T4", What: "count a letter in the documents",
		Run:  func(tx Tx, p *Plan, r *rand.Rand) (int, error) { return tx.CountInDocuments(module(p, r), 'I') },
		Want: func(p *Plan, _ *rand.Rand) int { return p.visits() * p.facts().docIs }}
	replace := func(name, what, old, new string) *Operation {
		return &Operation{Name: name, What: what, Writes: true,
			Run:  func(tx Tx, p *Plan, r *rand.Rand) (int, error) { return tx.ReplaceInDocuments(module(p, r), old, new) },
			Want: func(p *Plan, r *rand.Rand) int { return p.used(module(p, r)) }}
	}
	t5do := replace("T5do", "lengthen the documents", "I am", "This is")
	t5undo := replace("T5undo", "shorten them again", "This is", "I am")
	t5do.After, t5undo.Before = t5undo, t5do

	insert := &Operation{Name: "Insert", What: "add ten composite parts, with all that belongs to them", Writes: true, Main: true,
		Run: insertComps, Want: func(*Plan, *rand.Rand) int { return newComps }}
	remove := &Operation{Name: "Delete", What: "delete them", Writes: true, Main: true,
		Run: deleteComps, Want: func(*Plan, *rand.Rand) int { return newComps }}
	insert.After, remove.Before = remove, insert

	return slices.Concat([]*Operation{t1, t2a, t2b, t2c, t3a, t3b, t3c, t4, t5do, t5undo, t6}, lookups(), []*Operation{cu, think}, queries(),
		[]*Operation{insert, remove,
			reorg("Reorg1", "make half of the atomic parts anew", func(i int) bool { return i%2 == 1 }),
			reorg("Reorg2", "make all atomic parts but the roots anew", func(i int) bool { return i > 0 })})
}

// OperationsNamed picks operations; a name is also that of a family (T2: T2a,
// T2b and T2c).
func OperationsNamed(names []string) ([]*Operation, error) {
	var picked []*Operation
	for _, name := range names {
		n := len(picked)
		for _, o := range Operations() {
			if strings.EqualFold(o.Name, name) || strings.EqualFold(strings.TrimRight(o.Name, "abc"), name) {
				picked = append(picked, o)
			}
		}
		if len(picked) == n {
			return nil, fmt.Errorf("oo7: no operation is called %q", name)
		}
	}
	return picked, nil
}

// Dice are the random numbers of one run of an operation: all runs draw the same.
func Dice() *rand.Rand { return rand.New(rand.NewPCG(1, 1)) }

func module(p *Plan, r *rand.Rand) int { return 1 + r.IntN(p.Config.Modules) }

func traversal(name, what string, t Traversal) *Operation {
	changes := t.Update != UpdateNone
	return &Operation{Name: name, What: what, Writes: changes, Toggle: changes && t.Times%2 == 1,
		Run: func(tx Tx, p *Plan, r *rand.Rand) (int, error) { return tx.Traverse(module(p, r), t) },
		Want: func(p *Plan, _ *rand.Rand) int {
			n := p.visits()
			if !t.Sparse && t.Update != UpdateRoot {
				n *= p.PartsPerComp
			}
			return n * max(t.Times, 1)
		}}
}

// lookups are T7 to T10.
func lookups() []*Operation {
	part := func(p *Plan, r *rand.Rand) int { return 1 + r.IntN(p.Parts()) }
	return []*Operation{
		{Name: "T7", What: "from a part up to the root", Main: true,
			Run:  func(tx Tx, p *Plan, r *rand.Rand) (int, error) { return tx.Upward(part(p, r)) },
			Want: func(p *Plan, r *rand.Rand) int { return p.upward(part(p, r)) }},
		{Name: "T8", What: "count a letter in the manual",
			Run:  func(tx Tx, p *Plan, r *rand.Rand) (int, error) { return tx.CountInManual(module(p, r), 'I') },
			Want: func(p *Plan, r *rand.Rand) int { return CountByte(p.Modules[module(p, r)-1].Manual, 'I') }},
		{Name: "T9", What: "compare both ends of the manual",
			Run:  func(tx Tx, p *Plan, r *rand.Rand) (int, error) { return tx.ManualEnds(module(p, r)) },
			Want: func(p *Plan, r *rand.Rand) int { return SameEnds(p.Modules[module(p, r)-1].Manual) }},
		{Name: "T10", What: "T1 on all modules",
			Run: func(tx Tx, p *Plan, _ *rand.Rand) (n int, err error) {
				for id := 1; id <= p.Config.Modules && err == nil; id++ {
					var k int
					k, err = tx.Traverse(id, Traversal{})
					n += k
				}
				return n, err
			},
			Want: func(p *Plan, _ *rand.Rand) int { return p.Config.Modules * p.visits() * p.PartsPerComp }},
	}
}

// draw is n random numbers from 1 to limit.
func draw(r *rand.Rand, n, limit int) []int {
	v := make([]int, n)
	for i := range v {
		v[i] = 1 + r.IntN(limit)
	}
	return v
}

func queries() []*Operation {
	dates := func(name, what string, percent int) *Operation {
		lower := maxDate - percent*(maxDate-minDate)/100
		return &Operation{Name: name, What: what, Main: true,
			Run:  func(tx Tx, _ *Plan, _ *rand.Rand) (int, error) { return tx.Dates(lower, maxDate) },
			Want: func(p *Plan, _ *rand.Rand) int { return p.dates(lower, maxDate) }}
	}
	all := func(name, what string, run func(Tx) (int, error), want func(*Plan) int) *Operation {
		return &Operation{Name: name, What: what, Main: true,
			Run:  func(tx Tx, _ *Plan, _ *rand.Rand) (int, error) { return run(tx) },
			Want: func(p *Plan, _ *rand.Rand) int { return want(p) }}
	}
	return []*Operation{
		{Name: "Q1", What: "look up ten parts by id", Main: true,
			Run:  func(tx Tx, p *Plan, r *rand.Rand) (int, error) { return tx.LookUp(draw(r, queryRepeat, p.Parts())) },
			Want: func(*Plan, *rand.Rand) int { return queryRepeat }},
		dates("Q2", "the most recent 1 % of the parts", 1),
		dates("Q3", "the most recent 10 %", 10),
		{Name: "Q4", What: "ten documents by title, and who uses them", Main: true,
			Run: func(tx Tx, p *Plan, r *rand.Rand) (int, error) {
				var titles []string
				for _, id := range draw(r, queryRepeat, p.Comps()) {
					titles = append(titles, title(id))
				}
				return tx.Titles(titles)
			},
			Want: func(p *Plan, r *rand.Rand) (n int) {
				for _, id := range draw(r, queryRepeat, p.Comps()) {
					n += len(p.uses[id].Private)
				}
				return n
			}},
		all("Q5", "base assemblies older than a part of theirs", Tx.NewerParts, (*Plan).newerParts),
		all("Q6", "assemblies older than a part below", Tx.NewerPartsBelow, (*Plan).newerPartsBelow),
		all("Q7", "all parts", Tx.ScanParts, func(p *Plan) int { return p.Parts() }),
		all("Q8", "join parts and documents", Tx.JoinDocuments, func(p *Plan) int { return p.Parts() }),
	}
}

func insertComps(tx Tx, p *Plan, r *rand.Rand) (int, error) {
	for i := range newComps {
		bases := draw(r, newCompUses, len(p.Bases)-1)
		if err := tx.Insert(p.Composite(p.Comps()+1+i), Uses{Private: bases}); err != nil {
			return i, err
		}
	}
	return newComps, nil
}

func deleteComps(tx Tx, p *Plan, _ *rand.Rand) (int, error) {
	for i := range newComps {
		if err := tx.Delete(p.Comps() + 1 + i); err != nil {
			return i, err
		}
	}
	return newComps, nil
}

// reorg makes those parts of each composite part anew that drop tells.
func reorg(name, what string, drop func(i int) bool) *Operation {
	chosen := func(p *Plan) (v []bool, n int) {
		for i := range p.PartsPerComp {
			v = append(v, drop(i))
			if drop(i) {
				n++
			}
		}
		return v, n
	}
	return &Operation{Name: name, What: what, Writes: true,
		Run: func(tx Tx, p *Plan, _ *rand.Rand) (int, error) {
			v, n := chosen(p)
			for id := 1; id <= p.Comps(); id++ {
				if err := tx.Reorganise(p.Composite(id), v); err != nil {
					return 0, err
				}
			}
			return n * p.Comps(), nil
		},
		Want: func(p *Plan, _ *rand.Rand) int {
			_, n := chosen(p)
			return n * p.Comps()
		}}
}
