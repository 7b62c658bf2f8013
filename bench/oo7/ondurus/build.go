package ondurus

import (
	"errors"
	"fmt"
	"slices"

	"github.com/durusdb/durus/bench/oo7"
	"github.com/durusdb/durus/durus"
)

func (t *tx) AddModule(m *oo7.Module) error {
	mod := &Module{Design: Design(m.Design)}
	ref := durus.Must(durus.Add(t, mod))
	mod.Manual = durus.Must(durus.Add(t, &Manual{Title: m.Name, ID: m.ID, Text: m.Manual, Mod: ref}))
	mod.DesignRoot = t.complex(m.Root, durus.Ref[ComplexAssembly]{}, ref, mod)
	return t.lib.Modules.Put(t, m.Name, ref)
}

func (t *tx) complex(a *oo7.Assembly, super durus.Ref[ComplexAssembly], ref durus.Ref[Module], mod *Module) durus.Ref[ComplexAssembly] {
	v := &ComplexAssembly{Design: Design(a.Design), Super: super, Module: ref}
	self := durus.Must(durus.Add(t, v))
	for _, child := range a.Children {
		if child.Children != nil {
			v.SubAssemblies = append(v.SubAssemblies, t.complex(child, self, ref, mod).Any())
			continue
		}
		base := durus.Must(durus.Add(t, &BaseAssembly{Design: Design(child.Design), Super: self, Module: ref}))
		v.SubAssemblies = append(v.SubAssemblies, base.Any())
		mod.AllBases = append(mod.AllBases, base)
		durus.Must(0, t.lib.Bases.Put(t, child.ID, base))
	}
	return self
}

func (t *tx) Insert(c *oo7.Composite, uses oo7.Uses) error {
	v := &CompositePart{Design: Design(c.Design), Parts: make([]durus.Ref[AtomicPart], len(c.Parts))}
	ref := durus.Must(durus.Add(t, v))
	v.Documentation = durus.Must(durus.Add(t, &Document{Title: c.Title, ID: c.ID, Text: c.Text, Part: ref}))
	all := slices.Repeat([]bool{true}, len(c.Parts))
	if err := t.addParts(c, ref, v, all); err != nil {
		return err
	}
	v.RootPart = v.Parts[0]
	for _, id := range uses.Private {
		base := find(t, t.lib.Bases, id)
		b := durus.Must(base.Edit(t))
		b.ComponentsPriv = append(b.ComponentsPriv, ref)
		v.UsedInPriv = append(v.UsedInPriv, base)
	}
	for _, id := range uses.Shared {
		base := find(t, t.lib.Bases, id)
		b := durus.Must(base.Edit(t))
		b.ComponentsShar = append(b.ComponentsShar, ref)
		v.UsedInShar = append(v.UsedInShar, base)
	}
	return errors.Join(
		t.lib.Comps.Put(t, c.ID, ref),
		t.lib.Titles.Put(t, c.Title, v.Documentation),
		t.lib.Documents.Put(t, c.ID, v.Documentation),
	)
}

// addParts makes the wanted parts of a composite part, and all connections from
// them and to them. Parts that belong together are added together: durus stores
// them in that order.
func (t *tx) addParts(c *oo7.Composite, ref durus.Ref[CompositePart], v *CompositePart, wanted []bool) error {
	parts := make([]*AtomicPart, len(c.Parts))
	for i, p := range c.Parts {
		if !wanted[i] {
			parts[i] = durus.Must(v.Parts[i].Edit(t))
			continue
		}
		parts[i] = &AtomicPart{Design: Design(p.Design), X: p.X, Y: p.Y, DocID: p.DocID, PartOf: ref}
		v.Parts[i] = durus.Must(durus.Add(t, parts[i]))
		if err := errors.Join(
			t.lib.Parts.Put(t, p.ID, v.Parts[i]),
			t.lib.Dates.Put(t, dated{p.BuildDate, p.ID}, v.Parts[i]),
		); err != nil {
			return err
		}
	}
	for i, p := range c.Parts {
		for _, l := range p.To {
			if !wanted[i] && !wanted[l.To] {
				continue
			}
			conn := durus.Must(durus.Add(t, &Connection{Type: l.Type, Length: l.Length, From: v.Parts[i], To: v.Parts[l.To]}))
			parts[i].To = append(parts[i].To, conn)
			parts[l.To].From = append(parts[l.To].From, conn)
		}
	}
	return nil
}

func (t *tx) Delete(comp int) error {
	ref := find(t, t.lib.Comps, comp)
	c := durus.Must(ref.Load(t))
	is := func(r durus.Ref[CompositePart]) bool { return r == ref }
	for _, base := range c.UsedInPriv {
		b := durus.Must(base.Edit(t))
		b.ComponentsPriv = slices.DeleteFunc(b.ComponentsPriv, is)
	}
	for _, base := range c.UsedInShar {
		b := durus.Must(base.Edit(t))
		b.ComponentsShar = slices.DeleteFunc(b.ComponentsShar, is)
	}
	for _, p := range c.Parts {
		t.forgetPart(durus.Must(p.Load(t)))
	}
	doc := durus.Must(c.Documentation.Load(t))
	deleted(t, t.lib.Titles, doc.Title)
	deleted(t, t.lib.Documents, doc.ID)
	deleted(t, t.lib.Comps, comp)
	return nil // nothing leads to it and its parts any more
}

func (t *tx) forgetPart(p *AtomicPart) {
	deleted(t, t.lib.Parts, p.ID)
	deleted(t, t.lib.Dates, dated{p.BuildDate, p.ID})
}

// deleted takes a key out of an index that has it.
func deleted[K comparable, T any](t *tx, tree durus.BTree[K, durus.Ref[T]], k K) {
	found, err := tree.Delete(t, k)
	if err == nil && !found {
		err = fmt.Errorf("oo7: the index of %T has no %v", *new(T), k)
	}
	durus.Must(0, err)
}

func (t *tx) Reorganise(c *oo7.Composite, drop []bool) error {
	ref := find(t, t.lib.Comps, c.ID)
	v := durus.Must(ref.Edit(t))
	gone := make(map[durus.Ref[AtomicPart]]bool)
	for i, p := range v.Parts {
		if drop[i] {
			gone[p] = true
			t.forgetPart(durus.Must(p.Load(t)))
		}
	}
	for i, p := range v.Parts {
		if drop[i] {
			continue
		}
		kept := durus.Must(p.Edit(t))
		kept.To = slices.DeleteFunc(kept.To, func(r durus.Ref[Connection]) bool { return gone[durus.Must(r.Load(t)).To] })
		kept.From = slices.DeleteFunc(kept.From, func(r durus.Ref[Connection]) bool { return gone[durus.Must(r.Load(t)).From] })
	}
	return t.addParts(c, ref, v, drop)
}
