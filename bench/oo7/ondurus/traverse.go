package ondurus

import (
	"strings"

	"github.com/durusdb/durus/bench/oo7"
	"github.com/durusdb/durus/durus"
)

// composites calls f for each private composite part of each base assembly below
// an assembly.
func (t *tx) composites(ref durus.Ref[ComplexAssembly], f func(*CompositePart)) {
	for _, sub := range durus.Must(ref.Load(t)).SubAssemblies {
		switch a := durus.Must(sub.Load(t)).(type) {
		case *ComplexAssembly:
			t.composites(durus.As[ComplexAssembly](sub), f)
		case *BaseAssembly:
			for _, c := range a.ComponentsPriv {
				f(durus.Must(c.Load(t)))
			}
		}
	}
}

// walk is one Traversal.
type walk struct {
	*tx
	do    oo7.Traversal
	count int
}

func (t *tx) Traverse(module int, tr oo7.Traversal) (int, error) {
	w := &walk{tx: t, do: tr}
	t.composites(t.module(module).DesignRoot, func(c *CompositePart) {
		if tr.Sparse {
			w.visit(durus.Must(c.RootPart.Load(t)).ID)
			return
		}
		if tr.Update == oo7.UpdateRoot {
			w.update(c.RootPart)
		}
		t.seen.Clear()
		w.part(c.RootPart)
	})
	return w.count, nil
}

// part visits an atomic part and those that its connections lead to.
func (w *walk) part(ref durus.Ref[AtomicPart]) {
	if !w.seen.Add(int(ref.OID())) {
		return
	}
	if w.do.Update == oo7.UpdateAll {
		w.update(ref)
	}
	p := durus.Must(ref.Load(w.tx))
	w.visit(p.ID)
	for _, conn := range p.To {
		w.part(durus.Must(conn.Load(w.tx)).To)
	}
}

func (w *walk) visit(id int) {
	if w.do.Think > 0 {
		oo7.Think(id, w.do.Think)
	} else {
		oo7.Visit(id)
	}
	if w.do.Update == oo7.UpdateNone {
		w.count++
	}
}

func (w *walk) update(ref durus.Ref[AtomicPart]) {
	for range w.do.Times {
		p := durus.Must(ref.Edit(w.tx))
		w.count++
		if !w.do.Dates {
			p.X, p.Y = p.Y, p.X
			continue
		}
		deleted(w.tx, w.lib.Dates, dated{p.BuildDate, p.ID})
		p.BuildDate = oo7.Toggle(p.BuildDate)
		durus.Must(0, w.lib.Dates.Put(w, dated{p.BuildDate, p.ID}, ref))
	}
}

func (t *tx) CountInDocuments(module int, b byte) (n int, err error) {
	t.composites(t.module(module).DesignRoot, func(c *CompositePart) {
		n += oo7.CountByte(durus.Must(c.Documentation.Load(t)).Text, b)
	})
	return n, nil
}

func (t *tx) ReplaceInDocuments(module int, old, new string) (n int, err error) {
	t.composites(t.module(module).DesignRoot, func(c *CompositePart) {
		if rest, ok := strings.CutPrefix(durus.Must(c.Documentation.Load(t)).Text, old); ok {
			durus.Must(c.Documentation.Edit(t)).Text = new + rest
			n++
		}
	})
	return n, nil
}

func (t *tx) Upward(part int) (int, error) {
	p := durus.Must(find(t, t.lib.Parts, part).Load(t))
	bases := make(map[durus.Ref[BaseAssembly]]bool)
	above := make(map[durus.Ref[ComplexAssembly]]bool)
	for _, ref := range durus.Must(p.PartOf.Load(t)).UsedInPriv {
		if bases[ref] {
			continue
		}
		bases[ref] = true
		b := durus.Must(ref.Load(t))
		oo7.Visit(b.ID)
		for up := b.Super; !up.IsNil() && !above[up]; {
			above[up] = true
			a := durus.Must(up.Load(t))
			oo7.Visit(a.ID)
			up = a.Super
		}
	}
	return len(bases) + len(above), nil
}

func (t *tx) manual(module int) string {
	return durus.Must(t.module(module).Manual.Load(t)).Text
}

func (t *tx) CountInManual(module int, b byte) (int, error) {
	return oo7.CountByte(t.manual(module), b), nil
}

func (t *tx) ManualEnds(module int) (int, error) {
	return oo7.SameEnds(t.manual(module)), nil
}
