package durus

import (
	"iter"
	"reflect"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
)

// BTree is a sorted map from K to V, kept in objects of its own, so that it may
// be large and changed by many at once: transactions that change different keys
// do not conflict, in whatever process, and one that has read a key, a range or
// the length conflicts only with changes of that key, range or length.
//
// K is an integer, float or string kind, time.Time, a Ref, an array, or a struct
// whose exported fields are all of these. Keys are in the order of Go, times by
// instant, references by oid, arrays and structs element by element. V is
// anything that can be stored; values of structs that many transactions change
// are better kept as objects, with Ref[T] as V.
//
// A BTree is a handle, 8 bytes: copies of it are the same tree. A field of that
// type in a registered struct is given a new tree by Add, Edit, Put, the first
// use of a root, and Commit. Until then it is the zero handle, which reads as an
// empty tree; a write through it is an error. Like what Load returns, the values
// that it returns are shared: they must not be written, nor anything inside.
//
// Get costs a search in each of a tree's levels: two for ten thousand keys,
// three for a million. A Put of a key that exists writes one node, whatever
// the size of the tree. The errors of writes stick to the transaction.
type BTree[K comparable, V any] struct {
	_   [0]*K
	_   [0]*V
	raw codec.Strong
}

// NewBTree makes a new, empty tree. It is stored at commit if something that is
// stored holds it. Errors: ErrType for a K or V that cannot be stored, ErrReadOnly,
// ErrTxDone; they stick.
func NewBTree[K comparable, V any](s Session) (BTree[K, V], error) {
	raw, err := newTree[K, V](s, collection.ClassBTree)
	return BTree[K, V]{raw: raw}, err
}

func (t BTree[K, V]) open(s Session) (tree[K, V], error) {
	return openTree[K, V](s, t.raw, collection.ClassBTree)
}

func (t BTree[K, V]) write(s Session) (*treePending[K, V], error) {
	return writeTree[K, V](s, t.raw, collection.ClassBTree, "BTree")
}

// Get returns the value of a key; the bool is false if the key is not there.
// The value belongs to everybody: it must not be changed.
func (t BTree[K, V]) Get(s Session, k K) (V, bool, error) {
	h, err := t.open(s)
	if err != nil {
		var v V
		return v, false, err
	}
	return h.get(k)
}

// Has tells whether a key is there.
func (t BTree[K, V]) Has(s Session, k K) (bool, error) {
	_, found, err := t.Get(s, k)
	return found, err
}

// Put sets the value of a key. It reads nothing: it conflicts only with another
// transaction that has given the same key another value. v is taken over.
func (t BTree[K, V]) Put(s Session, k K, v V) error {
	h, err := t.write(s)
	if err != nil {
		return err
	}
	return h.c.stick(h.put(k, v, unknown))
}

// Insert sets the value of a key that is not there. It returns false, and
// changes nothing, if the key is there.
func (t BTree[K, V]) Insert(s Session, k K, v V) (bool, error) {
	h, err := t.write(s)
	if err != nil {
		return false, err
	}
	return h.insert(k, v)
}

func (t *treePending[K, V]) insert(k K, v V) (bool, error) {
	if err := t.reader().foreign(&k); err != nil {
		return false, t.c.stick(err)
	}
	_, found, err := t.get(&k)
	if err != nil || found {
		return false, t.c.stick(err)
	}
	if err := t.put(k, v, unknown); err != nil {
		return false, t.c.stick(err)
	}
	return true, nil
}

// Delete takes a key away and tells whether it was there.
func (t BTree[K, V]) Delete(s Session, k K) (bool, error) {
	h, err := t.write(s)
	if err != nil {
		return false, err
	}
	found, err := h.delete(k)
	return found, h.c.stick(err)
}

// Len returns the number of keys. It reads the head of the tree and, if it has
// more than one node, a few counters beside it: it does not walk, and costs about
// a microsecond. It enters the length into the read set, so it conflicts with
// those who insert and delete; they do not conflict with each other.
func (t BTree[K, V]) Len(s Session) (int, error) {
	h, err := t.open(s)
	if err != nil {
		return 0, err
	}
	return h.len()
}

// Min returns the first key and its value; the bool is false in an empty tree.
func (t BTree[K, V]) Min(s Session) (K, V, bool, error) { return t.edge(s, bounds[K]{}) }

// Max returns the last key and its value; the bool is false in an empty tree.
func (t BTree[K, V]) Max(s Session) (K, V, bool, error) { return t.edge(s, bounds[K]{back: true}) }

func (t BTree[K, V]) edge(s Session, b bounds[K]) (k K, v V, ok bool, err error) {
	h, err := t.open(s)
	if err != nil {
		return k, v, false, err
	}
	return h.first(b)
}

// All yields all keys and values in order. The loop may change the tree: what
// it deletes ahead is not visited, what it inserts ahead is, and nothing comes
// twice. Only the part that was walked over enters the read set. An error ends
// the loop and sticks.
func (t BTree[K, V]) All(s Session) iter.Seq2[K, V] { return t.seq(s, bounds[K]{}) }

// Backward is All in the opposite order.
func (t BTree[K, V]) Backward(s Session) iter.Seq2[K, V] { return t.seq(s, bounds[K]{back: true}) }

// Range yields the keys from <= k < to, in order. See All.
func (t BTree[K, V]) Range(s Session, from, to K) iter.Seq2[K, V] {
	return t.seq(s, bounds[K]{start: &from, end: &to, endOpen: true})
}

// From yields the keys from <= k, in order. See All.
func (t BTree[K, V]) From(s Session, from K) iter.Seq2[K, V] {
	return t.seq(s, bounds[K]{start: &from})
}

// Before yields the keys k < to, the greatest first. See All.
func (t BTree[K, V]) Before(s Session, to K) iter.Seq2[K, V] {
	return t.seq(s, bounds[K]{start: &to, startOpen: true, back: true})
}

func (t BTree[K, V]) seq(s Session, b bounds[K]) iter.Seq2[K, V] {
	return treeSeq[K, V](s, t.raw, collection.ClassBTree, b)
}

// OID returns the id of the tree's first object, 0 for the zero handle.
func (t BTree[K, V]) OID() OID { return OID(t.raw & oidMask) }

// EncodeMsgpack implements msgpack.CustomEncoder, for custom encoders of types
// that hold trees.
func (t BTree[K, V]) EncodeMsgpack(e *msgpack.Encoder) error {
	return codec.EncodeRef(e, uint64(t.raw), false)
}

// DecodeMsgpack implements msgpack.CustomDecoder.
func (t *BTree[K, V]) DecodeMsgpack(d *msgpack.Decoder) error { return decodeRef(&t.raw, d) }

func (t *BTree[K, V]) at() *codec.Strong           { return &t.raw }
func (t *BTree[K, V]) create(c *core) (OID, error) { return createTree[K, V](c, collection.ClassBTree) }
func (t *BTree[K, V]) problem(forbidden func(reflect.Type) string) string {
	return treeProblem[K, V](forbidden)
}
