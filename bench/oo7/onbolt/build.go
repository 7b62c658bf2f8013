package onbolt

import (
	"errors"
	"slices"

	"github.com/durusdb/durus/bench/oo7"
)

func (t *tx) AddModule(m *oo7.Module) error {
	mod := &module{Design: Design(m.Design), DesignRoot: m.Root.ID}
	if err := t.complex(m.Root, 0, mod); err != nil {
		return err
	}
	return errors.Join(
		put(t.modules, key(m.ID), mod),
		put(t.manuals, key(m.ID), &manual{Title: m.Name, ID: m.ID, Text: m.Manual}),
		t.moduleNames.Put([]byte(m.Name), key(m.ID)),
	)
}

func (t *tx) complex(a *oo7.Assembly, super int, mod *module) error {
	v := &complexAssembly{Design: Design(a.Design), Super: super, Module: mod.ID}
	for _, child := range a.Children {
		if child.Children != nil {
			v.Complex = append(v.Complex, child.ID)
			if err := t.complex(child, a.ID, mod); err != nil {
				return err
			}
			continue
		}
		v.Base = append(v.Base, child.ID)
		mod.AllBases = append(mod.AllBases, child.ID)
		if err := put(t.bases, key(child.ID), &baseAssembly{Design: Design(child.Design), Super: a.ID, Module: mod.ID}); err != nil {
			return err
		}
	}
	return put(t.complexes, key(a.ID), v)
}

func (t *tx) Insert(c *oo7.Composite, uses oo7.Uses) error {
	v := &compositePart{Design: Design(c.Design), UsedInPriv: uses.Private, UsedInShar: uses.Shared, RootPart: c.Parts[0].ID}
	for _, p := range c.Parts {
		v.Parts = append(v.Parts, p.ID)
	}
	for _, id := range uses.Private {
		if err := change(t.bases, key(id), func(b *baseAssembly) { b.ComponentsPriv = append(b.ComponentsPriv, c.ID) }); err != nil {
			return err
		}
	}
	for _, id := range uses.Shared {
		if err := change(t.bases, key(id), func(b *baseAssembly) { b.ComponentsShar = append(b.ComponentsShar, c.ID) }); err != nil {
			return err
		}
	}
	return errors.Join(
		t.addParts(c, slices.Repeat([]bool{true}, len(c.Parts))),
		put(t.composites, key(c.ID), v),
		put(t.documents, key(c.ID), &document{Title: c.Title, ID: c.ID, Text: c.Text}),
		t.titles.Put([]byte(c.Title), key(c.ID)),
	)
}

// addParts makes the wanted parts of a composite part, and all connections from
// them and to them.
func (t *tx) addParts(c *oo7.Composite, wanted []bool) error {
	made := make([]*atomicPart, len(c.Parts))
	for i, p := range c.Parts {
		if wanted[i] {
			made[i] = &atomicPart{Design: Design(p.Design), X: p.X, Y: p.Y, DocID: p.DocID, PartOf: c.ID}
			if err := t.dates.Put(key(p.BuildDate, p.ID), nil); err != nil {
				return err
			}
			continue
		}
		var err error
		if made[i], err = get[atomicPart](t.parts, key(p.ID)); err != nil {
			return err
		}
	}
	for i, p := range c.Parts {
		for k, l := range p.To {
			if !wanted[i] && !wanted[l.To] {
				continue
			}
			to := made[l.To]
			to.From = append(to.From, p.ID)
			if err := put(t.conns, key(p.ID, k), &connection{Type: l.Type, Length: l.Length, From: p.ID, To: to.ID}); err != nil {
				return err
			}
		}
	}
	for _, p := range made {
		if err := put(t.parts, key(p.ID), p); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) Delete(comp int) error {
	c, err := get[compositePart](t.composites, key(comp))
	if err != nil {
		return err
	}
	is := func(id int) bool { return id == comp }
	for _, id := range c.UsedInPriv {
		if err := change(t.bases, key(id), func(b *baseAssembly) { b.ComponentsPriv = slices.DeleteFunc(b.ComponentsPriv, is) }); err != nil {
			return err
		}
	}
	for _, id := range c.UsedInShar {
		if err := change(t.bases, key(id), func(b *baseAssembly) { b.ComponentsShar = slices.DeleteFunc(b.ComponentsShar, is) }); err != nil {
			return err
		}
	}
	d, err := get[document](t.documents, key(comp))
	if err != nil {
		return err
	}
	gone := make(map[int]bool)
	for _, id := range c.Parts {
		gone[id] = true
	}
	return errors.Join(
		t.deleteParts(c, gone),
		t.titles.Delete([]byte(d.Title)),
		t.documents.Delete(key(comp)),
		t.composites.Delete(key(comp)),
	)
}

// deleteParts deletes parts of a composite part, and all connections from them
// and to them.
func (t *tx) deleteParts(c *compositePart, gone map[int]bool) error {
	for _, id := range c.Parts {
		var dead [][]byte
		if err := t.leaving(id, func(k []byte, conn *connection) {
			if gone[id] || gone[conn.To] {
				dead = append(dead, slices.Clone(k))
			}
		}); err != nil {
			return err
		}
		for _, k := range dead {
			if err := t.conns.Delete(k); err != nil {
				return err
			}
		}
		p, err := get[atomicPart](t.parts, key(id))
		if err != nil {
			return err
		}
		if gone[id] {
			err = errors.Join(t.parts.Delete(key(id)), t.dates.Delete(key(p.BuildDate, id)))
		} else {
			p.From = slices.DeleteFunc(p.From, func(from int) bool { return gone[from] })
			err = put(t.parts, key(id), p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) Reorganise(c *oo7.Composite, drop []bool) error {
	v, err := get[compositePart](t.composites, key(c.ID))
	if err != nil {
		return err
	}
	gone := make(map[int]bool)
	for i, id := range v.Parts {
		if drop[i] {
			gone[id] = true
		}
	}
	if err := t.deleteParts(v, gone); err != nil {
		return err
	}
	return t.addParts(c, drop)
}
