package oo7

// facts are what the results of the operations follow from, computed from the
// plan alone.
type facts struct {
	compDates []int // by id, from 1
	partDates []int // all parts
	docIs     int   // occurrences of 'I' in a document
}

func newFacts(p *Plan) *facts {
	f := &facts{compDates: make([]int, p.Comps()+1)}
	for id := 1; id <= p.Comps(); id++ {
		c := p.Composite(id)
		f.compDates[id] = c.BuildDate
		f.docIs = CountByte(c.Text, 'I')
		for _, part := range c.Parts {
			f.partDates = append(f.partDates, part.BuildDate)
		}
	}
	return f
}

// visits is how often a traversal of a module meets a composite part.
func (p *Plan) visits() int { return p.BasesPerModule() * p.CompsPerBase }

// used is the number of composite parts that a traversal of a module meets.
func (p *Plan) used(module int) int {
	met := make(map[int]bool)
	for _, b := range p.Bases[1+(module-1)*p.BasesPerModule():][:p.BasesPerModule()] {
		for _, c := range b.Private {
			met[c] = true
		}
	}
	return len(met)
}

func (p *Plan) upward(part int) int {
	met := make(map[*Assembly]bool)
	for _, id := range p.uses[(part-1)/p.PartsPerComp+1].Private {
		for a := p.Bases[id]; a != nil; a = a.Super {
			met[a] = true
		}
	}
	return len(met)
}

func (p *Plan) dates(lower, upper int) (n int) {
	for _, d := range p.facts().partDates {
		if lower <= d && d <= upper {
			n++
		}
	}
	return n
}

func (p *Plan) newerParts() (n int) {
	for _, b := range p.Bases[1:] {
		for _, c := range b.Private {
			if p.facts().compDates[c] > b.BuildDate {
				n++
			}
		}
	}
	return n
}

func (p *Plan) newerPartsBelow() (n int) {
	for _, m := range p.Modules {
		p.newest(m.Root, &n)
	}
	return n
}

func (p *Plan) newest(a *Assembly, n *int) int {
	newest := 0
	for _, child := range a.Children {
		newest = max(newest, p.newest(child, n))
	}
	for _, c := range a.Private {
		newest = max(newest, p.facts().compDates[c])
	}
	if newest > a.BuildDate {
		*n++
	}
	return newest
}

// Census is what a database that was generated from the plan contains.
func (p *Plan) Census() Census {
	var c Census
	for _, m := range p.Modules {
		m.Root.census(&c)
	}
	c.PrivateBack, c.SharedBack = c.Private, c.Shared
	for id := 1; id <= p.Comps(); id++ {
		comp := p.Composite(id)
		c.Comps++
		c.Documents++
		c.Text.Add(id, len(comp.Text))
		for _, part := range comp.Parts {
			c.Part(part.ID, part.X, part.Y, part.BuildDate)
			for _, l := range part.To {
				c.Conns.Add(part.ID, comp.Parts[l.To].ID)
			}
		}
	}
	c.ConnsBack, c.DateIndex = c.Conns, c.DateValues
	return c
}

func (a *Assembly) census(c *Census) {
	if a.Children != nil {
		c.Complex++
		for _, child := range a.Children {
			child.census(c)
		}
		return
	}
	c.Bases++
	for _, comp := range a.Private {
		c.Private.Add(a.ID, comp)
	}
	for _, comp := range a.Shared {
		c.Shared.Add(a.ID, comp)
	}
}
