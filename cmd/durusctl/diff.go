package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

func (a *app) diffCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff FILE TID [TID] [--json]",
		Short: "What has changed between two states, field by field",
		Long: `What has changed between the states that two transactions have left; with one,
what that transaction has changed. Objects field by field, containers by their
keys. An object that was unlinked is as it was, until a pack removes it: what
referred to it has changed.`,
		Example: `  durusctl diff bank.durus 1767323048000000
  durusctl diff bank.durus 1767323046000000 1767323049000000 --json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var tids []storage.TID
			for _, arg := range args[1:] {
				tid, err := storage.ParseTID(arg)
				if err != nil || arg == "" {
					return usageError{fmt.Sprintf("%q is not a transaction id: give a decimal number such as durusctl log prints", arg), cmd.CommandPath()}
				}
				tids = append(tids, tid)
			}
			switch {
			case len(tids) == 0:
				return usageError{"diff needs a TID", cmd.CommandPath()}
			case len(tids) == 1 && tids[0] == 0:
				return usageError{"0 is no transaction", cmd.CommandPath()}
			case len(tids) == 1:
				tids = []storage.TID{tids[0] - 1, tids[0]}
			case tids[0] > tids[1]:
				return usageError{fmt.Sprintf("%s comes after %s", tids[0], tids[1]), cmd.CommandPath()}
			}
			return a.diff(cmd.Context(), args[0], tids[0], tids[1], len(args) == 2)
		},
	}
	return fileArgs(cmd, 2)
}

// diff prints what has changed between two states; with one, which the transaction
// to has left and found, it must be there.
func (a *app) diff(ctx context.Context, path string, from, to storage.TID, one bool) error {
	st, err := open(path)
	if err != nil {
		return err
	}
	defer st.Close()
	// The newer one first: what a pack takes away meanwhile is missing from the
	// older one, which then says so.
	now, err := st.BeginAt(ctx, to)
	if err != nil {
		return err
	}
	defer now.Release()
	was, err := st.BeginAt(ctx, from)
	if err != nil {
		return err
	}
	defer was.Release()
	if was.Lineage() != now.Lineage() {
		return fmt.Errorf("%s was replaced at this moment: try again", path)
	}
	d := &comparison{ctx: ctx, st: st, was: was, now: now}
	if err := d.collect(from, to); err != nil {
		return err
	}
	if one && d.transactions == 0 {
		return explain(storage.ErrNotFound, fmt.Sprintf("%s has no transaction %s: durusctl log tells which there are", path, to))
	}
	return d.each(func(c *difference) error { return a.printDifference(c) })
}

// difference is what has become of one object.
type difference struct {
	oid    storage.OID
	class  string
	added  bool
	fields []fieldChange          // what has changed in it; of an added one all that it holds
	value  any                    // of an added object that is no container
	names  map[storage.OID]string // what to call the objects that it refers to
}

// fieldChange is one place in an object, or one key of a container.
type fieldChange struct {
	path     []any // names, keys and indexes that lead there
	old, new any
	had, has bool // it was there, it is there
}

// comparison compares two states of a file.
type comparison struct {
	ctx      context.Context
	st       *filestorage.Storage
	was, now storage.Snapshot
	changed  []storage.OID        // sorted; containers once, for all their nodes
	inner    map[storage.OID]bool // counters that belong to a container

	transactions int // between the two states
}

// collect finds out what the transactions between the two states have written.
func (d *comparison) collect(from, to storage.TID) error {
	seen := map[storage.OID]bool{}
	d.inner = map[storage.OID]bool{}
	for tx, err := range d.st.History(d.now, from+1, to, false) {
		if err == nil {
			err = d.ctx.Err()
		}
		if err != nil {
			return err
		}
		d.transactions++
		for _, oid := range tx.OIDs {
			if seen[oid] {
				continue
			}
			seen[oid] = true
			owner, err := d.owner(oid)
			if err != nil {
				return err
			}
			seen[owner] = true
			d.changed = append(d.changed, owner)
		}
	}
	slices.Sort(d.changed)
	d.changed = slices.Compact(d.changed)
	return nil
}

// owner is the container that a node belongs to, or the object itself.
func (d *comparison) owner(oid storage.OID) (storage.OID, error) {
	rec, class, err := read(d.now, oid)
	if err != nil || class != collection.ClassNode && !collection.IsHead(class) {
		return oid, err
	}
	n, err := collection.Parse(rec.Payload)
	if err != nil {
		return 0, fmt.Errorf("object %s: %w", oid, err)
	}
	for _, counter := range n.Lengths {
		d.inner[storage.OID(counter)] = true
	}
	if n.Head {
		return oid, nil
	}
	// The counters of a container are told by its head, which may not have
	// changed.
	return d.owner(storage.OID(n.Of))
}

// read returns an object's record in a state.
func read(snap storage.Snapshot, oid storage.OID) (rec storage.Record, class string, err error) {
	pos, err := snap.Find(oid)
	if err != nil {
		return rec, "", err
	}
	if rec, err = snap.Read(oid, pos); err != nil {
		return rec, "", err
	}
	spelling, _ := snap.ClassName(rec.Class)
	class, _ = classOf(spelling, rec.Class)
	return rec, class, nil
}

// each calls f for every object that differs, in the order of their ids.
func (d *comparison) each(f func(*difference) error) error {
	for _, oid := range d.changed {
		if d.inner[oid] {
			continue
		}
		if err := d.ctx.Err(); err != nil {
			return err
		}
		c, err := d.compare(oid)
		if err == nil && c != nil {
			err = f(c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// compare returns nil for an object that is what it was.
func (d *comparison) compare(oid storage.OID) (*difference, error) {
	is, class, err := read(d.now, oid)
	if err != nil {
		return nil, err
	}
	had, before, err := read(d.was, oid)
	added := errors.Is(err, storage.ErrNotFound)
	if err != nil && !added {
		return nil, err
	}
	c := &difference{oid: oid, class: class, added: added}
	switch {
	case collection.IsHead(class):
		c.fields, err = d.container(oid, class, is, added)
	case added:
		c.value, err = valueOf(&is)
	case before != class:
		c.fields = []fieldChange{{path: []any{"(class)"}, old: before, new: class, had: true, has: true}}
		fallthrough
	default:
		if is.Codec == had.Codec && bytes.Equal(is.Payload, had.Payload) {
			break
		}
		var old, new any
		if old, err = valueOf(&had); err != nil {
			return nil, err
		}
		if new, err = valueOf(&is); err != nil {
			return nil, err
		}
		c.fields = compareValues(c.fields, nil, old, new)
	}
	if err != nil || len(c.fields) == 0 && !added {
		return nil, err
	}
	return c, d.name(c)
}

// name finds out what to call the objects that a difference refers to.
func (d *comparison) name(c *difference) error {
	refs := referencesIn(nil, c.value)
	for i := range c.fields {
		f := &c.fields[i]
		refs = referencesIn(referencesIn(referencesIn(refs, f.path), f.old), f.new)
	}
	v := view{st: d.st, snap: d.now, classes: make(map[storage.ClassID]string)}
	slices.Sort(refs)
	list, err := v.references(slices.Compact(refs))
	c.names = make(map[storage.OID]string, len(list))
	for _, r := range list {
		c.names[r.OID] = r.String()
	}
	return err
}

// valueOf is a state as readable data, or its bytes.
func valueOf(rec *storage.Record) (any, error) {
	if rec.Codec != storage.CodecMsgpack {
		return rec.Payload, nil
	}
	v, err := codec.Readable(rec.Payload)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w: restore it from a backup", rec.OID, err)
	}
	return v, nil
}

// container compares a container by its keys. It reads nodes that differ, and
// few others.
func (d *comparison) container(oid storage.OID, class string, head storage.Record, added bool) (fields []fieldChange, err error) {
	if class == collection.ClassList {
		l := collection.ListView{List: &collection.List{OID: uint64(oid)}, Store: collection.In(d.now)}
		var old *collection.ListView
		if !added {
			old = &collection.ListView{List: l.List, Store: collection.In(d.was)}
		}
		return compareLists(old, l)
	}
	n, err := collection.Parse(head.Payload)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", oid, err)
	}
	tree := collection.Tree{OID: uint64(oid), Class: class, Key: n.Key}
	empty := tree
	empty.Fresh = true
	now := collection.View{Tree: &tree, Store: collection.In(d.now)}
	was := collection.View{Tree: &tree, Store: collection.In(d.was)}
	if added {
		was.Tree = &empty
	}
	var r collection.Range
	for {
		key, err := collection.Differ(was, now, r)
		if err != nil || key == nil {
			return fields, err
		}
		var f fieldChange
		if f.old, f.had, err = entryOf(was, key); err != nil {
			return nil, err
		}
		if f.new, f.has, err = entryOf(now, key); err != nil {
			return nil, err
		}
		k, err := codec.Readable(key)
		if err != nil {
			return nil, fmt.Errorf("container %s: %w", oid, err)
		}
		f.path = []any{k}
		fields = append(fields, f)
		r = collection.Range{From: key, FromOpen: true}
	}
}

// entryOf is the value of a key, nil in a set.
func entryOf(v collection.View, key []byte) (value any, found bool, err error) {
	raw, found, err := v.Get(key)
	if err != nil || !found || raw == nil {
		return nil, found, err
	}
	value, err = codec.Readable(raw)
	return value, found, err
}
