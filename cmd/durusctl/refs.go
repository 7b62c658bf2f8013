package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

func (a *app) refsCommand() *cobra.Command {
	limit := 0
	cmd := objectArgs(&cobra.Command{
		Use:   "refs FILE OID [-n N] [--json]",
		Short: "What an object refers to",
		Long: `The references of an object, one a line, with the field that holds each: strong
ones, which keep an object alive, and weak ones. Of a container they are those
of its entries, with their keys, not those of its nodes. A root's name, or
class@oid as references are printed, may stand in place of OID.

With --json each is one line: oid, class, field, weak, and missing if there is
no such object (any more).`,
		Example: `  durusctl refs bank.durus 17
  durusctl refs bank.durus bank --json | jq -r .oid`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 0 {
				return usageError{"-n must not be negative", cmd.CommandPath()}
			}
			if err := checkTarget(cmd, args[1]); err != nil {
				return err
			}
			return a.refs(cmd.Context(), args[0], args[1], limit)
		},
	})
	cmd.Flags().IntVarP(&limit, "number", "n", 0, "print at most `N` references; 0 prints all")
	return cmd
}

func (a *app) refs(ctx context.Context, path, target string, limit int) error {
	v, oid, err := a.viewOf(ctx, path, target)
	if err != nil {
		return err
	}
	defer v.close()
	rec, err := v.read(oid)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return v.missing(oid)
	case err != nil:
		return err
	}
	p := &linkPrinter{app: a, objects: "OBJECT", limit: limit}
	var failed error
	err = v.links(&rec, func(at field, ref codec.RefValue) bool {
		r, err := v.reference(storage.OID(ref.OID))
		more := false
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			more, err = p.print(linkJSON{reference: r, Field: at.String(), Weak: ref.Weak})
		}
		failed = err
		return more && err == nil
	})
	if err = errors.Join(failed, err); err != nil {
		return err
	}
	p.end()
	if p.n == 0 {
		a.note("object %s refers to nothing", oid)
	}
	return v.damage
}

// links calls f for each reference of an object, until it returns false: of a
// container for those of its entries.
func (v *view) links(rec *storage.Record, f func(at field, ref codec.RefValue) bool) error {
	each := func(at field, leaf any) bool {
		ref, ok := leaf.(codec.RefValue)
		return !ok || f(at, ref)
	}
	if c, ok := v.container(rec); ok {
		return c.each(func(key, value any) bool {
			return references(keyField, key, each) && references(entryField(key), value, each)
		})
	}
	if rec.Codec == storage.CodecMsgpack {
		value, err := codec.Readable(rec.Payload)
		if err != nil {
			return explain(err, "object "+rec.OID.String()+": "+err.Error()+": restore it from a backup")
		}
		leaves(nil, value, each)
		return nil
	}
	// The state cannot be read; what it refers to is listed outside of it.
	for _, oid := range rec.Strong {
		if !f(nil, codec.RefValue{OID: uint64(oid)}) {
			return nil
		}
	}
	for _, oid := range rec.Weak {
		if !f(nil, codec.RefValue{OID: uint64(oid), Weak: true}) {
			return nil
		}
	}
	return nil
}
