package onsqlite

import "github.com/durusdb/durus/bench/oo7"

// visitAll visits the rows of a query.
func (t *tx) visitAll(query string, args []any, id *int, into []any) (n int, err error) {
	err = t.each(query, args, func() {
		oo7.Visit(*id)
		n++
	}, into...)
	return n, err
}

func (t *tx) visitParts(query string, args ...any) (int, error) {
	var p atomicPart
	return t.visitAll(query, args, &p.id, p.into())
}

func (t *tx) visitBases(query string, args ...any) (int, error) {
	var b baseAssembly
	return t.visitAll(query, args, &b.id, b.into())
}

func (t *tx) LookUp(parts []int) (n int, err error) {
	var p atomicPart
	into := p.into()
	for _, id := range parts {
		if err := t.one(part, []any{id}, into...); err != nil {
			return n, err
		}
		oo7.Visit(p.id)
		n++
	}
	return n, nil
}

func (t *tx) Dates(lower, upper int) (int, error) { return t.visitParts(dated, lower, upper) }

func (t *tx) Titles(titles []string) (n int, err error) {
	for _, title := range titles {
		k, err := t.visitBases(titled, title)
		if err != nil {
			return n, err
		}
		n += k
	}
	return n, nil
}

func (t *tx) NewerParts() (int, error) { return t.visitBases(newer) }

func (t *tx) ScanParts() (int, error) { return t.visitParts(allParts) }

func (t *tx) JoinDocuments() (int, error) {
	var d document
	return t.visitAll(joined, nil, &d.id, d.into())
}

// assembly is a row of the complex assemblies.
type assembly struct{ id, date, super int }

func (t *tx) NewerPartsBelow() (n int, err error) {
	newest := make(map[int]int) // by complex assembly
	var a assembly
	var comp int
	check := func(a assembly, comp int) {
		if comp > a.date {
			oo7.Visit(a.id)
			n++
		}
		newest[a.super] = max(newest[a.super], comp)
	}
	if err := t.each(newestOf, nil, func() { check(a, comp) }, &a.id, &a.date, &a.super, &comp); err != nil {
		return n, err
	}
	below := make(map[int][]assembly)
	if err := t.each(complexes, nil, func() { below[a.super] = append(below[a.super], a) }, &a.id, &a.date, &a.super); err != nil {
		return n, err
	}
	var up func(super int)
	up = func(super int) {
		for _, a := range below[super] {
			up(a.id)
			check(a, newest[a.id])
		}
	}
	up(0)
	return n, nil
}

func (t *tx) Census() (c oo7.Census, err error) {
	if err := t.one(counts, nil, &c.Complex, &c.Bases, &c.Comps, &c.Documents); err != nil {
		return c, err
	}
	for _, q := range []struct {
		query string
		bag   *oo7.Pairs
	}{{allConns, &c.Conns}, {allPrivate, &c.Private}, {allShared, &c.Shared}, {dateIndex, &c.DateIndex}, {textLengths, &c.Text}} {
		var a, b int
		if err := t.each(q.query, nil, func() { q.bag.Add(a, b) }, &a, &b); err != nil {
			return c, err
		}
	}
	var id, x, y, date int
	err = t.each(allValues, nil, func() { c.Part(id, x, y, date) }, &id, &x, &y, &date)
	// One table is both ends of a relation.
	c.ConnsBack, c.PrivateBack, c.SharedBack = c.Conns, c.Private, c.Shared
	return c, err
}
