package durus

import (
	"fmt"
	"iter"
	"reflect"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
)

// List is a sequence of values, kept in objects of its own, so that it may be
// long: an Append writes one node, and reaching a value costs a step for each
// level of a tree. Transactions that append do not conflict with each other, nor
// does one that has read or set a value with those who have changed others. What
// moves values (Insert, Delete) conflicts with every change from its index on;
// indexes mean the values that are there, so a Get conflicts with an Insert before
// its index.
//
// It is a handle, 8 bytes, and lives in a field like a BTree; see there, also
// for zero handles, what may be a V, and that values are shared. An index
// outside of the list is ErrNotFound. Errors of writes stick.
type List[V any] struct {
	_   [0]*V
	raw codec.Strong
}

// NewList makes a new, empty list; see NewBTree.
func NewList[V any](s Session) (List[V], error) {
	c := s.core()
	if err := c.mayWrite(); err != nil {
		return List[V]{}, c.stick(err)
	}
	var l List[V]
	oid, err := l.create(c)
	if err != nil {
		return List[V]{}, c.stick(err)
	}
	return List[V]{raw: c.reference(oid)}, nil
}

// listUse is a list in use by a session.
type listUse[V any] struct {
	listReader[V]
	state *listPending[V] // of a writable session
	none  bool
}

func (l List[V]) open(s Session) (u listUse[V], err error) {
	u.c = s.core()
	oid, ok, err := u.c.openContainer(l.raw)
	if err != nil {
		return u, err
	}
	if u.none = !ok; u.none {
		return u, nil
	}
	return u, u.bind(oid)
}

func (u *listUse[V]) bind(oid OID) (err error) {
	u.oid = oid
	if u.c.writable {
		if p := u.c.containers[oid]; p != nil {
			if u.state, _ = p.(*listPending[V]); u.state == nil {
				if raw, ok := p.(*rawList); ok {
					return u.succeed(raw)
				}
				if have := p.common().class; have != collection.ClassList {
					return u.c.wrongContainer(oid, have, collection.ClassList)
				}
				return fmt.Errorf("%w: list %s is used with two value types in this transaction: use one", ErrType, oid)
			}
			u.typ, u.note = u.state.typ, &u.state.container
			if u.c.encoded == nil {
				return nil
			}
			return u.c.handOver(oid)
		}
	}
	if u.typ, err = listTypeOf[V](u.c.db.opts.Types); err != nil {
		return err
	}
	if u.c.writable {
		u.state = newListPending(u.c, u.typ, oid, false)
		u.note = &u.state.container
		u.c.addContainer(u.state)
	}
	return nil
}

// succeed makes the reader of a list whose changes Undo has brought back.
func (u *listUse[V]) succeed(raw *rawList) (err error) {
	if u.typ, err = listTypeOf[V](u.c.db.opts.Types); err != nil {
		return err
	}
	u.state = newListPending(u.c, u.typ, u.oid, false)
	u.note = &u.state.container
	return u.c.succeed(raw, u.state)
}

func (l List[V]) write(s Session) (*listPending[V], error) {
	u := listUse[V]{listReader: listReader[V]{c: s.core()}}
	oid, err := u.c.openToWrite(l.raw, "List")
	if err == nil {
		err = u.bind(oid)
	}
	if err == nil && !u.state.fresh && !u.state.known {
		if _, _, err = u.node(oid); err == nil {
			u.state.known = true
		}
	}
	return u.state, u.c.stick(err)
}

// Append adds a value at the end. It reads nothing and conflicts with nobody who
// appends. v is taken over.
func (l List[V]) Append(s Session, v V) error {
	p, err := l.write(s)
	if err != nil {
		return err
	}
	return p.c.stick(p.append(v))
}

// Get returns the value at an index, from 0 on. It belongs to everybody.
func (l List[V]) Get(s Session, i int) (v V, err error) {
	u, err := l.open(s)
	if err != nil {
		return v, err
	}
	var p *V
	switch {
	case u.none:
	case u.state != nil:
		p, err = u.state.get(i)
	default:
		p, err = u.listReader.get(i)
	}
	if u.c.over.Load() {
		err = ErrTxDone
	}
	if err != nil {
		return v, err
	}
	if p == nil {
		return v, u.outside(i)
	}
	return *p, nil
}

// outside is the error for an index that the list does not have.
func (r *listReader[V]) outside(i int) error {
	return fmt.Errorf("%w: list %d in %s has no index %d: indexes go from 0 to the one before Len", ErrNotFound, r.oid, r.c.db.path, i)
}

// Set replaces the value at an index. v is taken over.
func (l List[V]) Set(s Session, i int, v V) error { return l.change(s, i, 1, 0, []V{v}) }

// Insert puts a value before the one at an index, or, at the length, at the end.
// v is taken over.
func (l List[V]) Insert(s Session, i int, v V) error { return l.change(s, i, 0, 1, []V{v}) }

// Delete takes the value at an index away.
func (l List[V]) Delete(s Session, i int) error { return l.change(s, i, 1, 0, nil) }

// change replaces del values at an index; beyond is how far behind the last
// value the index may be.
func (l List[V]) change(s Session, i, del, beyond int, values []V) error {
	p, err := l.write(s)
	if err != nil {
		return err
	}
	return p.c.stick(p.change(i, del, beyond, values))
}

// Len returns the number of values. It reads one node of each level of the list's
// tree, and enters the length into the read set.
func (l List[V]) Len(s Session) (int, error) {
	u, err := l.open(s)
	if err != nil || u.none {
		return 0, err
	}
	var n int
	if u.state != nil {
		n, err = u.state.len()
	} else {
		n, err = u.listReader.len()
	}
	if u.c.over.Load() {
		return 0, ErrTxDone
	}
	return n, err
}

// All yields all indexes and values. The loop may change the list: what it
// appends is visited, and the loop goes on at the index behind the current one.
// Only the part that was walked over enters the read set. An error ends the loop
// and sticks.
func (l List[V]) All(s Session) iter.Seq2[int, V] { return l.seq(s, false) }

// Backward is All from the last value to the first.
func (l List[V]) Backward(s Session) iter.Seq2[int, V] { return l.seq(s, true) }

func (l List[V]) seq(s Session, back bool) iter.Seq2[int, V] {
	return func(yield func(int, V) bool) {
		u, err := l.open(s)
		if err != nil {
			u.c.stick(err)
			return
		}
		if u.none {
			return
		}
		w := &listWalk[V]{listUse: u}
		if back {
			err = w.backward(yield)
		} else {
			err = w.forward(yield)
		}
		u.c.stick(err)
	}
}

// OID returns the id of the list's first object, 0 for the zero handle.
func (l List[V]) OID() OID { return OID(l.raw & oidMask) }

// EncodeMsgpack implements msgpack.CustomEncoder.
func (l List[V]) EncodeMsgpack(e *msgpack.Encoder) error {
	return codec.EncodeRef(e, uint64(l.raw), false)
}

// DecodeMsgpack implements msgpack.CustomDecoder.
func (l *List[V]) DecodeMsgpack(d *msgpack.Decoder) error { return decodeRef(&l.raw, d) }

func (l *List[V]) at() *codec.Strong { return &l.raw }
func (l *List[V]) problem(forbidden func(reflect.Type) string) string {
	return valueProblem(typeFor[V](), forbidden)
}
func (l *List[V]) create(c *core) (OID, error) {
	typ, err := listTypeOf[V](c.db.opts.Types)
	if err != nil {
		return 0, err
	}
	oid, err := c.db.st.NewOID(c.ctx)
	if err == nil {
		c.addContainer(newListPending(c, typ, oid, true))
	}
	return oid, err
}
