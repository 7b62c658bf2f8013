package durus

import (
	"context"
	"fmt"
	"reflect"

	"github.com/durusdb/durus/storage"
)

// Diff calls fn for each object of type T that the transaction of a change has
// written, in the order of their ids, with what it was before and what it is
// behind it. was is nil for an object that is new, or was of another class; is is
// nil for one that is of another class now. Both are shared values, to be read
// only; one that was stored anew with equal bytes is among them.
//
// It reads from the file, so it may be called at any time as long as no pack has
// removed one of the two states. Containers in an object are handles: the entries
// that they had are read with ViewAt, at c.TID and at c.TID-1. An error of fn
// ends it and comes back, as from View; Must works in it.
//
// Errors: ErrPacked when one of the states was packed away, ErrRewound when the
// file does not hold the transaction any more, ErrType when T is not registered,
// those of Ref.Load and of ViewAt.
func Diff[T any](ctx context.Context, db *DB, c Change, fn func(ref Ref[T], was, is *T) error) error {
	info := db.opts.Types.of(reflect.TypeFor[T]())
	if info == nil {
		return fmt.Errorf("%w: %s is not registered: call durus.Register[%s] with a name for its class", ErrType, reflect.TypeFor[T](), reflect.TypeFor[T]().Name())
	}
	return db.around(ctx, c.TID, func(before, behind *Tx) error {
		for _, oid := range c.OIDs {
			was, err := instance[T](&before.c, info, oid)
			if err != nil {
				return err
			}
			is, err := instance[T](&behind.c, info, oid)
			if err != nil {
				return err
			}
			if was == nil && is == nil {
				continue
			}
			if err := fn(Ref[T]{raw: behind.c.reference(oid)}, was, is); err != nil {
				return err
			}
		}
		return nil
	})
}

// around calls fn with the states before and behind a transaction.
func (db *DB) around(ctx context.Context, tid TID, fn func(before, behind *Tx) error) error {
	if tid == 0 {
		return fmt.Errorf("%w: the change is of no transaction: take one that Watch has yielded", ErrNotFound)
	}
	return db.viewAt(ctx, tid-1, func(before *Tx) error {
		return db.viewAt(ctx, tid, func(behind *Tx) error {
			if behind.Snapshot() != tid {
				return fmt.Errorf("%w: %s holds no transaction %s", ErrRewound, db.path, tid)
			}
			return fn(before, behind)
		})
	})
}

// instance loads an object; nil if it is not there, or is none of that type.
func instance[T any](c *core, info *typeInfo, oid OID) (*T, error) {
	pos, err := c.find(oid)
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	class, err := c.classAt(storage.Place{OID: oid, Position: pos})
	if err != nil || class.info() != info {
		return nil, err
	}
	return load[T](c, uint64(c.reference(oid)), false)
}
