package durus

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
)

// indexer is a declared index without its types.
type indexer interface {
	Name() string
	version() int
	unique() bool
	goType() reflect.Type
	// problem says why the index cannot be used.
	problem() error
	// create makes a new, empty tree for the index.
	create(c *core) (OID, error)
	// keys returns the encoded keys of *v, an object of the type, in the order
	// of their bytes.
	keys(c *core, oid OID, v any) ([][]byte, error)
	// insert enters a key of an object. In a unique index the key may be taken:
	// then nothing is changed, and holder is who has it.
	insert(c *core, tree AnyRef, key []byte, oid OID) (holder OID, err error)
	// remove takes a key of an object out, if it is there.
	remove(c *core, tree AnyRef, key []byte, oid OID) error
	// has tells whether a key of an object is there.
	has(c *core, tree AnyRef, key []byte, oid OID) (bool, error)
	// size is the number of entries.
	size(c *core, tree AnyRef) (int, error)
}

type indexDef[T any, IK comparable] struct {
	name   string
	number int
	only   bool
	one    func(*T) IK
	many   func(*T) []IK
	where  func(*T) bool
}

func (d *indexDef[T, IK]) Name() string         { return d.name }
func (d *indexDef[T, IK]) version() int         { return d.number }
func (d *indexDef[T, IK]) unique() bool         { return d.only }
func (d *indexDef[T, IK]) goType() reflect.Type { return reflect.TypeFor[T]() }

func (d *indexDef[T, IK]) problem() error {
	if d.one == nil && d.many == nil {
		return errors.New("it has no function: give NewIndex one that makes a key of an object")
	}
	_, err := keyPlanOf(reflect.TypeFor[IK]())
	return err
}

func (d *indexDef[T, IK]) create(c *core) (OID, error) {
	if d.only {
		return createTree[IK, Ref[T]](c, collection.ClassBTree)
	}
	return createTree[indexEntry[IK, T], struct{}](c, collection.ClassSet)
}

func (d *indexDef[T, IK]) keys(c *core, oid OID, v any) ([][]byte, error) {
	keys, err := d.evaluate(c, oid, v)
	if err != nil {
		return nil, c.stick(err)
	}
	out := make([][]byte, 0, len(keys))
	for i := range keys {
		b, err := encodeKey(c, &keys[i])
		if err != nil {
			return nil, c.stick(fmt.Errorf("durus: a key of object %s in index %q: %w", oid, d.name, err))
		}
		out = append(out, b)
	}
	if len(out) > 1 {
		slices.SortFunc(out, bytes.Compare)
		out = slices.CompactFunc(out, bytes.Equal)
	}
	return out, nil
}

// evaluate calls the function of the index; with CheckShared it looks whether
// the object was changed.
func (d *indexDef[T, IK]) evaluate(c *core, oid OID, v any) ([]IK, error) {
	object := v.(*T)
	before, err := d.snapshot(c, object)
	if err != nil {
		return nil, err
	}
	keys, err := d.call(c, oid, object)
	if err != nil {
		return nil, err
	}
	after, err := d.snapshot(c, object)
	if err == nil && !bytes.Equal(before, after) {
		err = fmt.Errorf("%w: the function of index %q has changed object %s in %s: it must only read it", ErrIndex, d.name, oid, c.db.path)
	}
	return keys, err
}

// call calls the function of the index. A session that writes refuses to be used
// meanwhile. A panic is an error: it would come at the end of a transaction,
// where nobody expects it.
func (d *indexDef[T, IK]) call(c *core, oid OID, object *T) (keys []IK, err error) {
	stuck := c.stuck.Load()
	if c.writable { // goroutines may share a View
		c.indexing = true
	}
	defer func() {
		if c.writable {
			c.indexing = false
		}
		if failed := recover(); failed != nil {
			if m, ok := failed.(*mustError); ok {
				failed = m.err
			}
			err = fmt.Errorf("%w: the function of index %q failed on object %s in %s: %v: it must give a key for every object, or leave it out (Where)", ErrIndex, d.name, oid, c.db.path, failed)
		}
		if c.stuck.Load() != stuck {
			err = c.err() // it has used the session
		}
	}()
	switch {
	case d.where != nil && !d.where(object):
		return nil, nil
	case d.many != nil:
		return d.many(object), nil
	}
	return []IK{d.one(object)}, nil
}

// snapshot is the object as it would be stored, when shared objects are checked.
func (d *indexDef[T, IK]) snapshot(c *core, object *T) ([]byte, error) {
	if c.shared == nil {
		return nil, nil
	}
	info, err := tableType[T](c)
	if err != nil {
		return nil, err
	}
	var w codec.Writer
	err = info.plan.Encode(&w, object, nil)
	return w.Buf, err
}

func (d *indexDef[T, IK]) insert(c *core, tree AnyRef, key []byte, oid OID) (holder OID, err error) {
	k, err := decodeKey[IK](c, key)
	if err != nil {
		return 0, err
	}
	ref := Ref[T]{raw: c.reference(oid)}
	if !d.only {
		h, err := writeTree[indexEntry[IK, T], struct{}](coreSession{c}, tree.raw, collection.ClassSet, "index")
		if err != nil {
			return 0, err
		}
		return 0, h.put(indexEntry[IK, T]{k, ref}, struct{}{}, unknown)
	}
	h, err := writeTree[IK, Ref[T]](coreSession{c}, tree.raw, collection.ClassBTree, "index")
	if err != nil {
		return 0, err
	}
	switch had, found, err := h.get(&k); {
	case err != nil:
		return 0, err
	case found && had.OID() != oid:
		return had.OID(), nil
	case found:
		return 0, nil
	}
	return 0, h.put(k, ref, unknown)
}

func (d *indexDef[T, IK]) remove(c *core, tree AnyRef, key []byte, oid OID) error {
	k, err := decodeKey[IK](c, key)
	if err != nil {
		return err
	}
	if !d.only {
		h, err := writeTree[indexEntry[IK, T], struct{}](coreSession{c}, tree.raw, collection.ClassSet, "index")
		if err == nil {
			_, err = h.delete(indexEntry[IK, T]{k, Ref[T]{raw: c.reference(oid)}})
		}
		return err
	}
	h, err := writeTree[IK, Ref[T]](coreSession{c}, tree.raw, collection.ClassBTree, "index")
	if err != nil {
		return err
	}
	if had, found, err := h.get(&k); err != nil || !found || had.OID() != oid {
		return err
	}
	_, err = h.delete(k)
	return err
}

func (d *indexDef[T, IK]) has(c *core, tree AnyRef, key []byte, oid OID) (bool, error) {
	k, err := decodeKey[IK](c, key)
	if err != nil {
		return false, err
	}
	if d.only {
		ref, found, err := BTree[IK, Ref[T]]{raw: tree.raw}.Get(coreSession{c}, k)
		return found && ref.OID() == oid, err
	}
	return Set[indexEntry[IK, T]]{raw: tree.raw}.Has(coreSession{c}, indexEntry[IK, T]{k, Ref[T]{raw: c.reference(oid)}})
}

func (d *indexDef[T, IK]) size(c *core, tree AnyRef) (int, error) {
	if d.only {
		return BTree[IK, Ref[T]]{raw: tree.raw}.Len(coreSession{c})
	}
	return Set[indexEntry[IK, T]]{raw: tree.raw}.Len(coreSession{c})
}
