package durus

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"unsafe"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

// Containers without their Go types. Undo brings entries back as they were
// stored, also in a program that has not registered what they are. It uses the same
// pending containers as the program: where that has used the container in this
// transaction, its own; otherwise one whose keys and values are encoded. When
// the program uses the container afterwards, that one hands its changes over.

// encodedKey is a key as it is stored.
type encodedKey string

// encodedTree is a tree in use by a session, of whatever type.
type encodedTree interface {
	pending
	// encodedValue returns what a key has, as the session sees it. It enters
	// nothing into the read set.
	encodedValue(key []byte) (value []byte, found bool, err error)
	// restore gives a key a value back, or none if it was not there.
	restore(key, value []byte, there bool, at storage.Snapshot) error
	// len enters the length into the read set.
	len() (int, error)
	// relyOnAll enters all that is stored into the read set.
	relyOnAll()
}

type (
	rawTree = treePending[encodedKey, codec.Raw]
	rawList = listPending[codec.Raw]
)

// encodedKeys is the plan of keys that are left as they are stored.
func encodedKeys(name string) *keyPlan {
	bytesOf := func(k unsafe.Pointer) []byte { return []byte(*(*encodedKey)(k)) }
	return &keyPlan{
		name:    name,
		encoded: true,
		compare: func(a, b unsafe.Pointer) int { return codec.Compare(bytesOf(a), bytesOf(b)) },
		prefix:  func(unsafe.Pointer) uint64 { return 0 },
		encode: func(b []byte, k unsafe.Pointer, _ func(uint64) (uint64, error)) ([]byte, error) {
			return append(b, *(*encodedKey)(k)...), nil
		},
		decode: func(c *codec.Cursor, k unsafe.Pointer, _ uint64) { *(*encodedKey)(k) = encodedKey(c.Skip()) },
	}
}

// encodedValues is the plan of values that are left as they are stored.
var encodedValues = func() *valuePlan {
	one, err := codec.Compile(reflect.TypeFor[codec.Raw]())
	if err != nil {
		panic(err) // our own type
	}
	return &valuePlan{one: one, size: int64(reflect.TypeFor[codec.Raw]().Size()), encoded: true}
}()

// treeOf returns the tree with this head in the session, for changes by Undo.
func (c *core) treeOf(oid OID, class, key string) (encodedTree, error) {
	if p := c.containers[oid]; p != nil {
		t, ok := p.(encodedTree)
		if !ok || p.common().class != class {
			return nil, c.wrongContainer(oid, p.common().class, class)
		}
		return t, c.handOver(oid)
	}
	typ := &treeType[encodedKey, codec.Raw]{keyOrder: keyOrder[encodedKey]{plan: encodedKeys(key), hashed: class == collection.ClassDict}, class: class}
	if class != collection.ClassSet {
		typ.values = encodedValues
	}
	t := &rawTree{container: container{oid: oid, class: class}, typ: typ, c: c}
	c.addContainer(t)
	return t, nil
}

// handOver gives the changes that were made to a container before the program
// used it to what the program uses. Going back to a savepoint may bring them
// back to where they were.
func (c *core) handOver(oid OID) error {
	raw := c.encoded[oid]
	if raw == nil || !raw.changed() {
		return nil
	}
	var err error
	switch raw := raw.(type) {
	case *rawTree:
		to := c.containers[oid].(encodedTree)
		err = raw.writes.each(func(w *treeWrite[encodedKey, codec.Raw]) error {
			if raw.logged {
				raw.log = append(raw.log, treeUndo[encodedKey, codec.Raw]{write: *w})
			}
			return to.restore([]byte(w.key), w.value, !w.deleted, w.at)
		})
		raw.writes, raw.grown, raw.blind = sorted[treeWrite[encodedKey, codec.Raw]]{}, 0, 0
	case *rawList:
		err = c.containers[oid].(encodedList).adopt(raw)
		raw.forget()
	}
	return c.stick(err)
}

// succeed puts the container that the program uses in the place of one without types.
func (c *core) succeed(raw, typed pending) error {
	if c.encoded == nil {
		c.encoded = make(map[OID]pending)
	}
	c.encoded[raw.common().oid] = raw
	c.addContainer(typed)
	return c.handOver(raw.common().oid)
}

// encodedValue implements encodedTree.
func (t *treePending[K, V]) encodedValue(key []byte) (value []byte, found bool, err error) {
	k, err := t.decodeKey(key)
	if err != nil {
		return nil, false, err
	}
	if _, w := t.find(&k, t.typ.prefix(&k)); w != nil {
		if w.deleted || t.typ.values == nil {
			return nil, !w.deleted, nil
		}
		value, err = t.encodeValue(w)
		return value, err == nil, err
	}
	if t.fresh {
		return nil, false, nil
	}
	return collection.View{Tree: t.tree(), Store: t.c.store(t.c.snap, &t.container)}.Get(key)
}

func (t *treePending[K, V]) decodeKey(key []byte) (k K, err error) {
	cur := codec.NewCursor(key)
	t.typ.plan.decode(&cur, unsafe.Pointer(&k), t.c.tag)
	if err := cur.Err(); err != nil {
		return k, t.reader().misfit(err)
	}
	return k, nil
}

// encodeValue returns the value that a write stores.
func (t *treePending[K, V]) encodeValue(e *treeWrite[K, V]) ([]byte, error) {
	if e.encoded != nil {
		return *e.encoded, nil
	}
	w := writers.Get().(*codec.Writer)
	defer func() {
		w.Out = nil
		writers.Put(w)
	}()
	w.Reset()
	w.Out = t.c.own
	if err := t.writeValue(w, e); err != nil {
		return nil, err
	}
	return bytes.Clone(w.Buf), nil
}

// restore implements encodedTree.
func (t *treePending[K, V]) restore(key, value []byte, there bool, at storage.Snapshot) error {
	k, err := t.decodeKey(key)
	if err != nil {
		return err
	}
	w := treeWrite[K, V]{prefix: t.typ.prefix(&k), key: k, deleted: !there, at: at}
	if there && t.typ.values != nil {
		if _, err := t.typ.values.one.Decode(value, t.c.tag, &w.value); err != nil {
			return t.reader().misfit(err)
		}
		w.encoded = &value
	}
	t.set(w)
	return nil
}

// relyOnAll implements encodedTree.
func (t *treePending[K, V]) relyOnAll() {
	if !t.fresh {
		t.spans = append(t.spans, &treeSpan[K]{at: t.c.observe()})
	}
}

// encodedList is a list in use by a session, of whatever type.
type encodedList interface {
	pending
	// encodedAt returns the value at an index as the session sees it, without
	// entering it into the read set; ok is false outside of the list.
	encodedAt(i int) (value []byte, ok bool, err error)
	// replace puts values in the place of del values at an index.
	replace(i, del int, values [][]byte) error
	// size is the length as the session sees it, which enters the read set only
	// with rely.
	size(rely bool) (int, error)
	// relyOnAll enters all that is stored into the read set.
	relyOnAll()
	// adopt takes over the changes of a list without types. It has none itself.
	adopt(from *rawList) error
}

// listOf returns the list with this head in the session, for changes by Undo.
func (c *core) listOf(oid OID) (encodedList, error) {
	if p := c.containers[oid]; p != nil {
		l, ok := p.(encodedList)
		if !ok {
			return nil, c.wrongContainer(oid, p.common().class, collection.ClassList)
		}
		return l, c.handOver(oid)
	}
	l := newListPending(c, &listType[codec.Raw]{encodedValues}, oid, false)
	c.addContainer(l)
	return l, nil
}

// encodedAt implements encodedList.
func (p *listPending[V]) encodedAt(i int) (value []byte, ok bool, err error) {
	v, index, err := p.look(i)
	if err != nil || v == nil {
		return nil, false, err
	}
	if index >= 0 { // as it is, with all that the program does not know of it
		value, ok, err = collection.ListView{List: p.list(), Store: p.c.store(p.c.snap, &p.container)}.Get(index)
		return value, ok, err
	}
	value, err = p.encodeValue(v, nil)
	return value, err == nil, err
}

func (p *listPending[V]) encodeValue(v *V, extra codec.Extra) ([]byte, error) {
	w := writers.Get().(*codec.Writer)
	defer func() {
		w.Out = nil
		writers.Put(w)
	}()
	w.Reset()
	w.Out = p.c.own
	if err := p.typ.values.one.Encode(w, v, extra); err != nil {
		return nil, fmt.Errorf("a value of list %s in %s: %w", p.container.oid, p.c.db.path, err)
	}
	return bytes.Clone(w.Buf), nil
}

// decodeAll makes values of the program's from stored ones. What would not be
// stored again as it was is refused.
func (p *listPending[V]) decodeAll(raw [][]byte) ([]V, error) {
	out := make([]V, len(raw))
	for i, b := range raw {
		if _, err := p.typ.values.one.Decode(b, p.c.tag, &out[i]); err != nil {
			return nil, fmt.Errorf("durus: list %s in %s cannot be read as one of %s: %w", p.container.oid, p.c.db.path, typeFor[V](), err)
		}
		again, err := p.encodeValue(&out[i], nil)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(again, b) {
			return nil, fmt.Errorf("%w: list %s in %s holds values with more than %s knows: undo its changes in a transaction that does not use it otherwise, with DB.Undo",
				ErrType, p.container.oid, p.c.db.path, typeFor[V]())
		}
	}
	return out, nil
}

// replace implements encodedList.
func (p *listPending[V]) replace(i, del int, values [][]byte) error {
	own, err := p.decodeAll(values)
	if err != nil {
		return err
	}
	if err := p.change(i, del, 1, own); err != nil {
		return err
	}
	if s, ok := p.sets[i]; ok && del == len(values) {
		s.whole = true
		p.sets[i] = s
	}
	return nil
}

// size implements encodedList.
func (p *listPending[V]) size(rely bool) (int, error) {
	if rely {
		return p.len()
	}
	return p.now()
}

// relyOnAll implements encodedList.
func (p *listPending[V]) relyOnAll() {
	if !p.fresh {
		p.spans = append(p.spans, listSpan{from: 0, to: -1, at: p.c.observe()})
	}
}

// adopt implements encodedList.
func (p *listPending[V]) adopt(from *rawList) error {
	for i, s := range from.sets {
		v, err := p.decodeAll([][]byte{s.value})
		if err != nil {
			return err
		}
		if p.sets == nil {
			p.sets = make(map[int]listSet[V])
		}
		p.sets[i] = listSet[V]{value: v[0], at: s.at, whole: true}
	}
	var err error
	if p.appended, err = p.decodeAll(asBytes(from.appended)); err != nil {
		return err
	}
	p.stored, p.base = from.stored, from.base
	if from.pieces != nil {
		p.pieces = []listPiece[V]{}
	}
	for _, q := range from.pieces {
		own := listPiece[V]{from: q.from, n: q.n}
		if q.own != nil {
			if own.own, err = p.decodeAll(asBytes(q.own)); err != nil {
				return err
			}
		}
		p.pieces = append(p.pieces, own)
	}
	return nil
}

func asBytes(raw []codec.Raw) [][]byte {
	out := make([][]byte, len(raw))
	for i := range raw {
		out[i] = raw[i]
	}
	return out
}

// spellValues is values for people.
func spellValues(values [][]byte) string {
	words := make([]string, 0, 3)
	for i, v := range values {
		if i == 3 {
			words = append(words, fmt.Sprintf("and %d more", len(values)-i))
			break
		}
		words = append(words, collection.Spell(v))
	}
	return strings.Join(words, ", ")
}
