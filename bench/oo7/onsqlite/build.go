package onsqlite

import (
	"errors"
	"slices"

	"github.com/durusdb/durus/bench/oo7"
)

func (t *tx) AddModule(m *oo7.Module) error {
	return errors.Join(
		t.exec(addModule, m.ID, m.Type, m.BuildDate, m.Name, m.Root.ID),
		t.exec(addManual, m.ID, m.Name, m.Manual),
		t.addAssembly(m.Root, m.ID),
	)
}

func (t *tx) addAssembly(a *oo7.Assembly, module int) error {
	var super any
	if a.Super != nil {
		super = a.Super.ID
	}
	if a.Children == nil {
		return t.exec(addBase, a.ID, a.Type, a.BuildDate, super, module)
	}
	if err := t.exec(addComplex, a.ID, a.Type, a.BuildDate, super, module); err != nil {
		return err
	}
	for _, child := range a.Children {
		if err := t.addAssembly(child, module); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) Insert(c *oo7.Composite, uses oo7.Uses) error {
	if err := errors.Join(
		t.exec(addComposite, c.ID, c.Type, c.BuildDate, c.Parts[0].ID),
		t.exec(addDocument, c.ID, c.Title, c.Text),
		t.addParts(c, slices.Repeat([]bool{true}, len(c.Parts))),
	); err != nil {
		return err
	}
	for _, id := range uses.Private {
		if err := t.exec(addPrivate, id, c.ID); err != nil {
			return err
		}
	}
	for _, id := range uses.Shared {
		if err := t.exec(addShared, id, c.ID); err != nil {
			return err
		}
	}
	return nil
}

// addParts makes the wanted parts of a composite part, and all connections from
// them and to them.
func (t *tx) addParts(c *oo7.Composite, wanted []bool) error {
	for i, p := range c.Parts {
		if wanted[i] {
			if err := t.exec(addPart, p.ID, p.Type, p.BuildDate, p.X, p.Y, p.DocID, c.ID); err != nil {
				return err
			}
		}
		for k, l := range p.To {
			if !wanted[i] && !wanted[l.To] {
				continue
			}
			if err := t.exec(addConn, c.ID, p.ID, k, c.Parts[l.To].ID, l.Type, l.Length); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tx) Delete(comp int) error {
	for _, query := range []string{deletePrivate, deleteShared, deleteConns, deleteParts, deleteDocument, deleteComposite} {
		if err := t.exec(query, comp); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) Reorganise(c *oo7.Composite, drop []bool) error {
	for i, p := range c.Parts {
		if !drop[i] {
			continue
		}
		if err := errors.Join(t.exec(deleteFrom, c.ID, p.ID), t.exec(deleteTo, p.ID), t.exec(deletePart, p.ID)); err != nil {
			return err
		}
	}
	return t.addParts(c, drop)
}
