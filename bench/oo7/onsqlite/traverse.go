package onsqlite

import (
	"strings"

	"github.com/durusdb/durus/bench/oo7"
)

// visits are the composite parts that a traversal meets.
func (t *tx) visits(module int) (v []compositePart, err error) {
	var next compositePart
	err = t.each(visited, []any{module}, func() { v = append(v, next) }, next.into()...)
	return v, err
}

// walk is one Traversal.
type walk struct {
	*tx
	do    oo7.Traversal
	count int
	parts map[int][]int // by id, where their connections lead to
	todo  []int
}

func (t *tx) Traverse(module int, tr oo7.Traversal) (int, error) {
	w := &walk{tx: t, do: tr, parts: make(map[int][]int)}
	if tr.Sparse {
		var p atomicPart
		err := t.each(rootParts, []any{module}, func() { w.visit(p.id) }, p.into()...)
		return w.count, err
	}
	visits, err := t.visits(module)
	if err != nil {
		return 0, err
	}
	for _, v := range visits {
		if tr.Update == oo7.UpdateRoot {
			if err := w.update(v.root); err != nil {
				return 0, err
			}
		}
		if err := w.graph(v); err != nil {
			return 0, err
		}
	}
	return w.count, nil
}

// graph fetches the parts and connections of a composite part, and visits what
// is reached from its root part.
func (w *walk) graph(v compositePart) error {
	clear(w.parts)
	var p atomicPart
	if err := w.each(partsOf, []any{v.id}, func() { w.parts[p.id] = nil }, p.into()...); err != nil {
		return err
	}
	var c connection
	if err := w.each(connsOf, []any{v.id}, func() { w.parts[c.from] = append(w.parts[c.from], c.to) }, c.into()...); err != nil {
		return err
	}
	w.seen.Clear()
	w.todo = append(w.todo[:0], v.root)
	for len(w.todo) > 0 {
		id := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		if !w.seen.Add(id) {
			continue
		}
		if w.do.Update == oo7.UpdateAll {
			if err := w.update(id); err != nil {
				return err
			}
		}
		w.visit(id)
		w.todo = append(w.todo, w.parts[id]...)
	}
	return nil
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

func (w *walk) update(id int) error {
	query := swap
	if w.do.Dates {
		query = toggle
	}
	for range w.do.Times {
		if err := w.exec(query, id); err != nil {
			return err
		}
		w.count++
	}
	return nil
}

func (t *tx) CountInDocuments(module int, b byte) (n int, err error) {
	visits, err := t.visits(module)
	for _, v := range visits {
		var s string
		if err := t.one(text, []any{v.id}, &s); err != nil {
			return n, err
		}
		n += oo7.CountByte(s, b)
	}
	return n, err
}

func (t *tx) ReplaceInDocuments(module int, old, new string) (n int, err error) {
	visits, err := t.visits(module)
	for _, v := range visits {
		var s string
		if err := t.one(text, []any{v.id}, &s); err != nil {
			return n, err
		}
		if rest, ok := strings.CutPrefix(s, old); ok {
			if err := t.exec(setText, new+rest, v.id); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, err
}

func (t *tx) Upward(part int) (n int, err error) {
	var b baseAssembly
	var supers []int
	if err := t.each(usersOf, []any{part}, func() {
		oo7.Visit(b.id)
		n++
		supers = append(supers, b.super)
	}, b.into()...); err != nil {
		return n, err
	}
	above := make(map[int]bool)
	for _, id := range supers {
		for id != 0 && !above[id] {
			above[id] = true
			oo7.Visit(id)
			var up *int
			if err := t.one(superOf, []any{id}, &up); err != nil {
				return n, err
			}
			id = 0
			if up != nil {
				id = *up
			}
		}
	}
	return n + len(above), nil
}

func (t *tx) CountInManual(module int, b byte) (int, error) {
	var s string
	err := t.one(manual, []any{module}, &s)
	return oo7.CountByte(s, b), err
}

func (t *tx) ManualEnds(module int) (int, error) {
	var s string
	err := t.one(manual, []any{module}, &s)
	return oo7.SameEnds(s), err
}
