package durus

import (
	"iter"
	"reflect"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
)

// Set is a sorted set of K. It is a BTree without values: K, order, conflicts,
// zero handles and costs are as there. Union, Intersection and Difference
// combine sets.
type Set[K comparable] struct {
	_   [0]*K
	raw codec.Strong
}

// NewSet makes a new, empty Set; see NewBTree.
func NewSet[K comparable](s Session) (Set[K], error) {
	raw, err := newTree[K, struct{}](s, collection.ClassSet)
	return Set[K]{raw: raw}, err
}

func (t Set[K]) open(s Session) (tree[K, struct{}], error) {
	return openTree[K, struct{}](s, t.raw, collection.ClassSet)
}

func (t Set[K]) write(s Session) (*treePending[K, struct{}], error) {
	return writeTree[K, struct{}](s, t.raw, collection.ClassSet, "Set")
}

// Add puts a key into the set. It reads nothing: two transactions that add the
// same key do not conflict.
func (t Set[K]) Add(s Session, k K) error {
	h, err := t.write(s)
	if err != nil {
		return err
	}
	return h.c.stick(h.put(k, struct{}{}, unknown))
}

// Has tells whether a key is there.
func (t Set[K]) Has(s Session, k K) (bool, error) {
	h, err := t.open(s)
	if err != nil {
		return false, err
	}
	_, found, err := h.get(k)
	return found, err
}

// Delete takes a key away and tells whether it was there.
func (t Set[K]) Delete(s Session, k K) (bool, error) {
	h, err := t.write(s)
	if err != nil {
		return false, err
	}
	found, err := h.delete(k)
	return found, h.c.stick(err)
}

// Len returns the number of keys; see BTree.Len.
func (t Set[K]) Len(s Session) (int, error) {
	h, err := t.open(s)
	if err != nil {
		return 0, err
	}
	return h.len()
}

// Min returns the first key; the bool is false in an empty set.
func (t Set[K]) Min(s Session) (K, bool, error) { return t.edge(s, bounds[K]{}) }

// Max returns the last key; the bool is false in an empty set.
func (t Set[K]) Max(s Session) (K, bool, error) { return t.edge(s, bounds[K]{back: true}) }

func (t Set[K]) edge(s Session, b bounds[K]) (k K, found bool, err error) {
	h, err := t.open(s)
	if err != nil {
		return k, false, err
	}
	k, _, found, err = h.first(b)
	return k, found, err
}

// All yields all keys in order; see BTree.All.
func (t Set[K]) All(s Session) iter.Seq[K] { return t.seq(s, bounds[K]{}) }

// Backward is All in the opposite order.
func (t Set[K]) Backward(s Session) iter.Seq[K] { return t.seq(s, bounds[K]{back: true}) }

// Range yields the keys from <= k < to, in order.
func (t Set[K]) Range(s Session, from, to K) iter.Seq[K] {
	return t.seq(s, bounds[K]{start: &from, end: &to, endOpen: true})
}

// From yields the keys from <= k, in order.
func (t Set[K]) From(s Session, from K) iter.Seq[K] { return t.seq(s, bounds[K]{start: &from}) }

// Before yields the keys k < to, the greatest first.
func (t Set[K]) Before(s Session, to K) iter.Seq[K] {
	return t.seq(s, bounds[K]{start: &to, startOpen: true, back: true})
}

func (t Set[K]) seq(s Session, b bounds[K]) iter.Seq[K] {
	return func(yield func(K) bool) {
		for k := range treeSeq[K, struct{}](s, t.raw, collection.ClassSet, b) {
			if !yield(k) {
				return
			}
		}
	}
}

// OID returns the id of the set's first object, 0 for the zero handle.
func (t Set[K]) OID() OID { return OID(t.raw & oidMask) }

// EncodeMsgpack implements msgpack.CustomEncoder.
func (t Set[K]) EncodeMsgpack(e *msgpack.Encoder) error {
	return codec.EncodeRef(e, uint64(t.raw), false)
}

// DecodeMsgpack implements msgpack.CustomDecoder.
func (t *Set[K]) DecodeMsgpack(d *msgpack.Decoder) error { return decodeRef(&t.raw, d) }

func (t *Set[K]) at() *codec.Strong { return &t.raw }
func (t *Set[K]) create(c *core) (OID, error) {
	return createTree[K, struct{}](c, collection.ClassSet)
}
func (t *Set[K]) problem(forbidden func(reflect.Type) string) string {
	return treeProblem[K, struct{}](forbidden)
}
