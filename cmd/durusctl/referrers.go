package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

func (a *app) referrersCommand() *cobra.Command {
	limit := 0
	cmd := objectArgs(&cobra.Command{
		Use:   "referrers FILE OID [-n N] [--json]",
		Short: "What refers to an object",
		Long: `The references to an object, one a line, with the object that holds each and its
field. All objects of the database are read once for that, whether anything
leads to them or not; memory does not grow with their number. A reference in a
node of a container is shown as the container's. A root's name, or class@oid as
references are printed, may stand in place of OID.

With --json each is one line: oid, class, field, weak, and node, the node of the
container that holds the reference.`,
		Example: `  durusctl referrers bank.durus 17`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 0 {
				return usageError{"-n must not be negative", cmd.CommandPath()}
			}
			if err := checkTarget(cmd, args[1]); err != nil {
				return err
			}
			return a.referrers(cmd.Context(), args[0], args[1], limit)
		},
	})
	cmd.Flags().IntVarP(&limit, "number", "n", 0, "print at most `N` references; 0 prints all")
	return cmd
}

// errEnough ends a walk that has found what it is for.
var errEnough = errors.New("enough")

func (a *app) referrers(ctx context.Context, path, target string, limit int) error {
	v, oid, err := a.viewOf(ctx, path, target)
	if err != nil {
		return err
	}
	defer v.close()
	_, err = v.snap.Find(oid)
	there := err == nil
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	p := &linkPrinter{app: a, objects: "REFERRER", limit: limit}
	unreadable, err := v.each(ctx, a.progress("referrers"), func(rec *storage.Record) error {
		for _, l := range v.linksTo(rec, oid) {
			if more, err := p.print(l); err != nil || !more {
				return errors.Join(err, errEnough)
			}
		}
		return nil
	})
	if err != nil && (!errors.Is(err, errEnough) || p.n != limit || limit == 0) {
		return err
	}
	p.end()
	switch {
	case !there && p.n == 0:
		return v.missing(oid)
	case !there:
		a.note("there is no object %s: these references lead to nothing", oid)
	case p.n == 0 && oid == rootOID:
		a.note("nothing refers to object %s: it is the root directory", oid)
	case p.n == 0:
		a.note("nothing refers to object %s: the next pack removes it", oid)
	}
	return a.incomplete(v, unreadable)
}

// linksTo lists the references from a record to an object.
func (v *view) linksTo(rec *storage.Record, oid storage.OID) []linkJSON {
	strong, weak := slices.Contains(rec.Strong, oid), slices.Contains(rec.Weak, oid)
	if !strong && !weak {
		return nil
	}
	name, _ := storage.SplitClass(v.class(rec.Class))
	from := linkJSON{reference: reference{OID: rec.OID, Class: name}}
	var links []linkJSON
	add := func(field string, weak bool) {
		from.Field, from.Weak = field, weak
		links = append(links, from)
	}
	if name == collection.ClassNode || collection.IsHead(name) {
		if n, err := collection.Parse(rec.Payload); err == nil {
			fields := nodeFields(n, oid)
			if n.Of != 0 && !slices.Contains(fields, nodeItself) {
				from.Node = rec.OID
				from.reference, _ = v.reference(storage.OID(n.Of)) // a missing head is shown as that
			}
			for _, f := range fields {
				add(f, !strong)
			}
		}
	} else {
		leaves(nil, v.value(rec), func(at field, leaf any) bool {
			if ref, ok := leaf.(codec.RefValue); ok && storage.OID(ref.OID) == oid {
				add(at.String(), ref.Weak)
			}
			return true
		})
	}
	if len(links) == 0 { // its state does not show where
		add("", !strong)
	}
	return links
}
