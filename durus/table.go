package durus

import (
	"fmt"
	"iter"
	"reflect"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
)

// Table is a collection of objects of the registered type T, each under a
// primary key of type K (see BTree for what a key may be), with the indexes that
// were declared with T (NewIndex, Indexes). The indexes follow the objects:
// whatever field was changed, through Table.Edit or Ref.Edit, by a transaction
// that has never heard of the table, its commit brings the indexes in step.
//
//	type Shop struct{ Customers durus.Table[string, Customer] }
//
//	ada, err := shop.Customers.Insert(tx, "ada", &Customer{Email: "ada@x"})
//	ref, ok, err := byEmail.Lookup(tx, shop.Customers, "ada@x")
//
// The primary key is what Insert was told, it does not depend on the object. An
// object may be in several tables, in each under one key. Deleting it from a
// table does not delete the object where something else leads to it.
//
// Like other containers a Table is a handle of 8 bytes, which Add, Edit, Put,
// the first use of a root, and Commit give to the zero handles in what they
// store. A zero handle reads as empty; a write through it is an error. Writers
// of different objects do not conflict, in whatever process.
//
// A method's Session belongs to one goroutine at a time, unless it is a View's.
// The errors of writes stick to the transaction.
type Table[K comparable, T any] struct {
	_   [0]*K
	_   [0]*T
	raw codec.Strong
}

// TableOf is a Table of objects of type T, whatever its primary key is.
type TableOf[T any] interface {
	OID() OID
	handle(*T) codec.Strong
}

// NewTable makes a new, empty table with all indexes that are declared with T.
// It is stored at commit if something that is stored holds it. Errors: ErrType
// (T is not registered, K cannot be a key), ErrReadOnly, ErrTxDone; they stick.
func NewTable[K comparable, T any](s Session) (Table[K, T], error) {
	var t Table[K, T]
	c := s.core()
	err := c.mayWrite()
	if err == nil {
		var oid OID
		if oid, err = t.create(c); err == nil {
			t.raw = c.reference(oid)
		}
	}
	return t, c.stick(err)
}

// Insert makes *v an object of the table under the key k. v is taken over as by
// Add; what Edit has returned is an object that exists, which joins the table
// (and is written again, although it may not have changed).
//
// A key that is taken is a *UniqueError without an Index, and an object that is
// in the table already is one, too. Whether a unique index allows the object is
// looked at when it is read next, and at commit: until then its fields may
// change. Other errors are those of Add.
func (t Table[K, T]) Insert(s Session, k K, v *T) (Ref[T], error) {
	c := s.core()
	w, err := t.write(s)
	if err != nil {
		return Ref[T]{}, err
	}
	if holder, found, err := w.primary.get(&k); err != nil || found {
		if err == nil {
			err = w.taken(k, holder.OID(), 0)
		}
		return Ref[T]{}, c.stick(err)
	}
	ref, err := Add(s, v)
	if err != nil {
		return Ref[T]{}, err
	}
	return ref, c.stick(w.insert(k, ref))
}

// Put makes v the state of the object under k: of the one that is there, which
// keeps its identity, or of a new one. All fields become those of v, a zero
// container in it a new, empty one. Errors: those of Ref.Edit and Insert.
func (t Table[K, T]) Put(s Session, k K, v T) (Ref[T], error) {
	c := s.core()
	if err := c.mayWrite(); err != nil {
		return Ref[T]{}, c.stick(err)
	}
	ref, found, err := t.Ref(s, k)
	if err != nil {
		return Ref[T]{}, c.stick(err)
	}
	if !found {
		return t.Insert(s, k, &v)
	}
	p, err := ref.Edit(s)
	if err != nil {
		return Ref[T]{}, c.stick(err)
	}
	*p = v
	return ref, nil
}

// Ref returns the reference to the object under k; the bool is false if there
// is none.
func (t Table[K, T]) Ref(s Session, k K) (Ref[T], bool, error) {
	tree, err := t.primary(s)
	if err != nil {
		return Ref[T]{}, false, err
	}
	return tree.Get(s, k)
}

// Has tells whether there is an object under k.
func (t Table[K, T]) Has(s Session, k K) (bool, error) {
	_, found, err := t.Ref(s, k)
	return found, err
}

// Get loads the object under k; see Ref.Load. The bool is false if there is none.
func (t Table[K, T]) Get(s Session, k K) (*T, bool, error) {
	ref, found, err := t.Ref(s, k)
	if err != nil || !found {
		return nil, false, err
	}
	v, err := ref.Load(s)
	return v, err == nil, err
}

// Edit returns the private copy of the object under k; see Ref.Edit. The bool
// is false if there is none.
func (t Table[K, T]) Edit(s Session, k K) (*T, bool, error) {
	if err := s.core().mayWrite(); err != nil {
		return nil, false, err
	}
	ref, found, err := t.Ref(s, k)
	if err != nil || !found {
		return nil, false, err
	}
	v, err := ref.Edit(s)
	return v, err == nil, err
}

// Delete takes the object under k out of the table and its indexes, and tells
// whether there was one. Error: ErrIndex if the table has an index that this
// program does not declare.
func (t Table[K, T]) Delete(s Session, k K) (bool, error) {
	w, err := t.write(s)
	if err != nil {
		return false, err
	}
	ref, found, err := w.primary.get(&k)
	if err != nil || !found {
		return false, w.c.stick(err)
	}
	return true, w.c.stick(w.delete(k, ref.OID()))
}

// DeleteRef is Delete of an object whose key one does not know.
func (t Table[K, T]) DeleteRef(s Session, r Ref[T]) (bool, error) {
	k, found, err := t.Key(s, r)
	if err != nil {
		return false, s.core().stick(err)
	}
	if !found {
		return false, s.core().stick(s.core().mayWrite())
	}
	return t.Delete(s, k)
}

// Key returns the key of an object; the bool is false if it is not in the table.
func (t Table[K, T]) Key(s Session, r Ref[T]) (k K, found bool, err error) {
	c := s.core()
	oid, ok, err := c.openContainer(t.raw)
	if err != nil || !ok {
		return k, false, err
	}
	info, err := tableType[T](c)
	if err != nil {
		return k, false, err
	}
	members, ok, err := c.membersOf(info)
	if err != nil || !ok {
		return k, false, err
	}
	b, _, err := members.Get(s, uint64(r.OID()))
	if err != nil {
		return k, false, err
	}
	list, err := c.memberships(r.OID(), b)
	if err != nil {
		return k, false, err
	}
	i := within(list, oid)
	if i < 0 {
		return k, false, nil
	}
	k, err = decodeKey[K](c, list[i].Key)
	return k, err == nil, err
}

// Len returns the number of objects; see BTree.Len.
func (t Table[K, T]) Len(s Session) (int, error) {
	tree, err := t.primary(s)
	if err != nil {
		return 0, err
	}
	return tree.Len(s)
}

// Min returns the first key and its object; the bool is false in an empty table.
func (t Table[K, T]) Min(s Session) (K, Ref[T], bool, error) { return t.edge(s, bounds[K]{}) }

// Max returns the last key and its object; the bool is false in an empty table.
func (t Table[K, T]) Max(s Session) (K, Ref[T], bool, error) {
	return t.edge(s, bounds[K]{back: true})
}

func (t Table[K, T]) edge(s Session, b bounds[K]) (k K, ref Ref[T], found bool, err error) {
	tree, err := t.primary(s)
	if err != nil {
		return k, ref, false, err
	}
	return tree.edge(s, b)
}

// All yields all keys and objects in the order of the keys. Each loads the
// objects on the way. What the loop may do is what it may in BTree.All.
func (t Table[K, T]) All(s Session) iter.Seq2[K, Ref[T]] { return t.seq(s, bounds[K]{}) }

// Backward is All in the opposite order.
func (t Table[K, T]) Backward(s Session) iter.Seq2[K, Ref[T]] {
	return t.seq(s, bounds[K]{back: true})
}

// Range yields the keys from <= k < to, in order. See All.
func (t Table[K, T]) Range(s Session, from, to K) iter.Seq2[K, Ref[T]] {
	return t.seq(s, bounds[K]{start: &from, end: &to, endOpen: true})
}

// From yields the keys from <= k, in order. See All.
func (t Table[K, T]) From(s Session, from K) iter.Seq2[K, Ref[T]] {
	return t.seq(s, bounds[K]{start: &from})
}

// Before yields the keys k < to, the greatest first. See All.
func (t Table[K, T]) Before(s Session, to K) iter.Seq2[K, Ref[T]] {
	return t.seq(s, bounds[K]{start: &to, startOpen: true, back: true})
}

func (t Table[K, T]) seq(s Session, b bounds[K]) iter.Seq2[K, Ref[T]] {
	return func(yield func(K, Ref[T]) bool) {
		tree, err := t.primary(s)
		if err != nil {
			_ = s.core().stick(err)
			return
		}
		tree.seq(s, b)(yield)
	}
}

// OID returns the id of the table's object, 0 for the zero handle.
func (t Table[K, T]) OID() OID { return OID(t.raw & oidMask) }

func (t Table[K, T]) handle(*T) codec.Strong { return t.raw }

// EncodeMsgpack implements msgpack.CustomEncoder, for custom encoders of types
// that hold tables.
func (t Table[K, T]) EncodeMsgpack(e *msgpack.Encoder) error {
	return codec.EncodeRef(e, uint64(t.raw), false)
}

// DecodeMsgpack implements msgpack.CustomDecoder.
func (t *Table[K, T]) DecodeMsgpack(d *msgpack.Decoder) error { return decodeRef(&t.raw, d) }

func (t *Table[K, T]) at() *codec.Strong { return &t.raw }

func (t *Table[K, T]) create(c *core) (OID, error) {
	info, err := tableType[T](c)
	if err != nil {
		return 0, err
	}
	primary, err := createTree[K, Ref[T]](c, collection.ClassBTree)
	if err != nil {
		return 0, err
	}
	return c.createTable(info, primary)
}

func (t *Table[K, T]) problem(func(reflect.Type) string) string {
	if _, err := keyPlanOf(reflect.TypeFor[K]()); err != nil {
		return fieldFault(err)
	}
	if e := reflect.TypeFor[T](); e.Kind() != reflect.Struct {
		return fmt.Sprintf("a table holds objects of a registered struct type, %s is none: use a BTree", e)
	}
	return ""
}

// tableType returns the type of the objects of a table.
func tableType[T any](c *core) (*typeInfo, error) {
	t := reflect.TypeFor[T]()
	if info := c.db.opts.Types.of(t); info != nil {
		return info, nil
	}
	return nil, fmt.Errorf("%w: a table of %s, which is not registered: call durus.Register[%s] with a name for its class", ErrType, t, t.Name())
}

// primary returns the tree of the keys, the zero handle for a zero table.
func (t Table[K, T]) primary(s Session) (BTree[K, Ref[T]], error) {
	c := s.core()
	oid, ok, err := c.openContainer(t.raw)
	if err != nil || !ok {
		return BTree[K, Ref[T]]{}, err
	}
	info, err := tableType[T](c)
	if err != nil {
		return BTree[K, Ref[T]]{}, err
	}
	rec, err := c.tableAt(oid, info)
	if err != nil {
		return BTree[K, Ref[T]]{}, err
	}
	return BTree[K, Ref[T]]{raw: rec.Primary.raw}, nil
}
