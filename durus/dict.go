package durus

import (
	"iter"
	"reflect"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
)

// Dict is a map from K to V without an order that means anything: everything
// else is as in a BTree, K and V, conflicts, zero handles and costs included. It
// keeps its keys in the order of their hashes. So keys that follow each other
// (numbers that are counted up, names with a common beginning) lie far apart,
// and processes that add such keys at the same time seldom meet in a node.
type Dict[K comparable, V any] struct {
	_   [0]*K
	_   [0]*V
	raw codec.Strong
}

// NewDict makes a new, empty Dict; see NewBTree.
func NewDict[K comparable, V any](s Session) (Dict[K, V], error) {
	raw, err := newTree[K, V](s, collection.ClassDict)
	return Dict[K, V]{raw: raw}, err
}

func (d Dict[K, V]) open(s Session) (tree[K, V], error) {
	return openTree[K, V](s, d.raw, collection.ClassDict)
}

func (d Dict[K, V]) write(s Session) (*treePending[K, V], error) {
	return writeTree[K, V](s, d.raw, collection.ClassDict, "Dict")
}

// Get returns the value of a key; see BTree.Get.
func (d Dict[K, V]) Get(s Session, k K) (V, bool, error) {
	h, err := d.open(s)
	if err != nil {
		var v V
		return v, false, err
	}
	return h.get(k)
}

// Has tells whether a key is there.
func (d Dict[K, V]) Has(s Session, k K) (bool, error) {
	_, found, err := d.Get(s, k)
	return found, err
}

// Put sets the value of a key; see BTree.Put.
func (d Dict[K, V]) Put(s Session, k K, v V) error {
	h, err := d.write(s)
	if err != nil {
		return err
	}
	return h.c.stick(h.put(k, v, unknown))
}

// Insert sets the value of a key that is not there; see BTree.Insert.
func (d Dict[K, V]) Insert(s Session, k K, v V) (bool, error) {
	h, err := d.write(s)
	if err != nil {
		return false, err
	}
	return h.insert(k, v)
}

// Delete takes a key away and tells whether it was there.
func (d Dict[K, V]) Delete(s Session, k K) (bool, error) {
	h, err := d.write(s)
	if err != nil {
		return false, err
	}
	found, err := h.delete(k)
	return found, h.c.stick(err)
}

// Len returns the number of keys; see BTree.Len.
func (d Dict[K, V]) Len(s Session) (int, error) {
	h, err := d.open(s)
	if err != nil {
		return 0, err
	}
	return h.len()
}

// All yields all keys and values, in an order that is always the same and means
// nothing; see BTree.All.
func (d Dict[K, V]) All(s Session) iter.Seq2[K, V] {
	return treeSeq[K, V](s, d.raw, collection.ClassDict, bounds[K]{})
}

// OID returns the id of the Dict's first object, 0 for the zero handle.
func (d Dict[K, V]) OID() OID { return OID(d.raw & oidMask) }

// EncodeMsgpack implements msgpack.CustomEncoder.
func (d Dict[K, V]) EncodeMsgpack(e *msgpack.Encoder) error {
	return codec.EncodeRef(e, uint64(d.raw), false)
}

// DecodeMsgpack implements msgpack.CustomDecoder.
func (d *Dict[K, V]) DecodeMsgpack(dec *msgpack.Decoder) error { return decodeRef(&d.raw, dec) }

func (d *Dict[K, V]) at() *codec.Strong           { return &d.raw }
func (d *Dict[K, V]) create(c *core) (OID, error) { return createTree[K, V](c, collection.ClassDict) }
func (d *Dict[K, V]) problem(forbidden func(reflect.Type) string) string {
	return treeProblem[K, V](forbidden)
}
