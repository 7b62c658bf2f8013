package main

import (
	"context"
	"fmt"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

// How many entries of a container are shown: of the one that was asked for, and of
// those that others hold.
const (
	ownEntries  = 20
	heldEntries = 5
)

// lineRest is what a line of a terminal holds besides a long value, more or less.
const lineRest = 40

// descent prints objects below the references that lead to them, each once.
type descent struct {
	*view
	ctx    context.Context
	tree   tree
	full   bool
	cuts   int                  // values and entries that are not shown
	open   map[storage.OID]bool // the object at hand and those around it
	shown  map[storage.OID]bool
	steps  int  // how many more references are followed
	inside bool // the value at hand is in a container
	err    error
}

// printState prints an object, and what it leads to; cut tells that not all is shown.
func (a *app) printState(ctx context.Context, v *view, o *object, q objectQuery) (cut bool, err error) {
	oid := o.record.OID
	f := &descent{
		view: v, ctx: ctx, full: q.full, steps: q.depth,
		open: map[storage.OID]bool{oid: true}, shown: map[storage.OID]bool{oid: true},
	}
	f.tree = tree{out: a.out, name: f.name, follow: f.follow, full: q.full, cuts: &f.cuts, most: maxString, raw: maxBytes}
	if a.width > 0 {
		f.tree.most = min(maxString, max(a.width-lineRest, shortest))
		f.tree.raw = min(maxBytes, f.tree.most/2)
	}
	if c, ok := v.container(&o.record); ok {
		f.entries(c, 0, ownEntries)
	} else {
		f.tree.value(o.value, 0)
	}
	fmt.Fprint(a.out, "\n")
	return f.cuts > 0, f.err
}

// name is class@oid, and what a container or a counter comes to.
func (f *descent) name(oid storage.OID) string {
	r, err := f.reference(oid)
	if err != nil {
		f.fail(err)
		return fmt.Sprintf("?@%s", oid)
	}
	if what := f.content(r); what != "" {
		return r.String() + what
	}
	return r.String()
}

// tableClass is the class of tables, part of the file format.
const tableClass = "durus.Table"

// content is how much is in what belongs to durus itself; "" for other objects.
func (v *view) content(r reference) string {
	if !collection.IsHead(r.Class) && r.Class != collection.ClassCounter && r.Class != tableClass {
		return ""
	}
	const damaged = ", damaged"
	rec, err := v.read(r.OID)
	if err != nil {
		return damaged
	}
	switch r.Class {
	case collection.ClassCounter:
		n, err := collection.ParseCounter(rec.Payload)
		if err != nil {
			return damaged
		}
		return fmt.Sprintf(" = %d", n)
	case tableClass:
		table, _ := v.value(&rec).(codec.Map)
		for _, e := range table {
			if primary, ok := e.Value.(codec.RefValue); ok && e.Key == "primary" {
				tree, err := v.reference(storage.OID(primary.OID))
				if err == nil && collection.IsHead(tree.Class) {
					return v.content(tree)
				}
			}
		}
		return damaged
	}
	c, ok := v.container(&rec)
	if !ok {
		return damaged
	}
	n, err := c.length()
	if err != nil {
		return damaged
	}
	return ", " + entryCount(n)
}

func (f *descent) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

// follow prints what a reference leads to. Containers that an object holds are a
// part of it, and cost no step.
func (f *descent) follow(ref codec.RefValue, depth int) {
	oid := storage.OID(ref.OID)
	if f.err != nil {
		return
	}
	rec, err := f.read(oid)
	if err != nil {
		return // the name says that it is missing, or damaged
	}
	c, isContainer := f.container(&rec)
	cost := 1
	if isContainer && !f.inside {
		cost = 0
	}
	switch {
	case f.open[oid]:
		fmt.Fprint(f.tree.out, " (cycle)")
		return
	case f.steps < cost || f.class(rec.Class) == collection.ClassCounter: // its name says all
		return
	case f.shown[oid]:
		fmt.Fprint(f.tree.out, " (shown above)")
		return
	}
	if err := f.ctx.Err(); err != nil {
		f.fail(err)
		return
	}
	f.open[oid], f.shown[oid] = true, true
	f.steps -= cost
	inside := f.inside
	f.inside = isContainer
	if isContainer {
		f.entries(c, depth, heldEntries)
	} else if v := f.value(&rec); nested(v) {
		f.tree.value(v, depth)
	} else {
		fmt.Fprint(f.tree.out, " = ")
		f.tree.value(v, depth)
	}
	f.inside = inside
	f.steps += cost
	delete(f.open, oid)
}

// entries prints the begin of a container.
func (f *descent) entries(c container, depth, most int) {
	f.inside = true
	n := 0
	err := c.each(func(key, value any) bool {
		if n == most && !f.full {
			return false
		}
		f.tree.line(n+depth > 0, depth)
		n++
		switch c.class {
		case collection.ClassList:
			fmt.Fprint(f.tree.out, "-")
			f.tree.inner(value, depth+1)
		case collection.ClassSet:
			fmt.Fprint(f.tree.out, "-")
			f.tree.inner(key, depth+1)
		default:
			fmt.Fprint(f.tree.out, keyText(key)+":")
			f.tree.inner(value, depth+1)
		}
		if err := f.ctx.Err(); err != nil {
			f.fail(err)
		}
		return f.err == nil
	})
	if err != nil {
		f.fail(err)
		return
	}
	total, err := c.length()
	switch {
	case err != nil:
		f.fail(err)
	case n < total && f.err == nil:
		f.cuts++
		f.tree.line(n+depth > 0, depth)
		fmt.Fprintf(f.tree.out, "... and %d more", total-n)
	case total == 0 && depth == 0:
		fmt.Fprint(f.tree.out, "(empty)")
	}
}
