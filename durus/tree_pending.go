package durus

import (
	"fmt"
	"reflect"
	"unsafe"

	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

// treePending is what a session has read of a tree and will change in it.
type treePending[K comparable, V any] struct {
	container
	typ *treeType[K, V]
	c   *core

	writes sorted[treeWrite[K, V]]
	grown  int // by how much the writes whose was is known change the length
	blind  int // writes whose was is not known

	// What was read, and in which snapshot (of a transaction always the same).
	keys    map[K]storage.Snapshot
	spans   []*treeSpan[K]
	lengths []storage.Snapshot
	counted []treeCount[K]
	torn    []byte // a key that a live connection has read twice, with another value

	log    []treeUndo[K, V] // what the writes were before, since the first savepoint
	logged bool

	ops   []collection.Op // the writes, packed
	bases []storage.Snapshot
	arena arena
}

// treeWrite is what becomes of one key.
type treeWrite[K comparable, V any] struct {
	prefix  uint64
	key     K
	value   V
	deleted bool
	was     presence         // of the key in the snapshot
	at      storage.Snapshot // in which the key was written first
	encoded *[]byte          // the value as it is to be stored; nil: encode value
}

type presence uint8

const (
	unknown presence = iota
	absent
	present
)

// treeSpan is a range that was walked over. nil is no end.
type treeSpan[K any] struct {
	from, to         *K
	fromOpen, toOpen bool
	at               storage.Snapshot
	reached          K // where the walk is
}

// treeCount is a key that was written blindly and then looked for because the
// length was asked for, which depends on whether the key is in the snapshot.
type treeCount[K any] struct {
	key     K
	present bool
	at      storage.Snapshot
}

// treeUndo is what a key's write was before.
type treeUndo[K comparable, V any] struct {
	write treeWrite[K, V]
	none  bool // there was none
}

func (t *treePending[K, V]) changed() bool { return t.writes.n > 0 }

func (t *treePending[K, V]) work() int {
	return t.writes.n + len(t.keys) + len(t.spans) + len(t.counted)
}

// reader reads the tree in the session's snapshot, and notes its nodes.
func (t *treePending[K, V]) reader() *treeReader[K, V] {
	return &treeReader[K, V]{c: t.c, typ: t.typ, oid: t.oid, note: &t.container}
}

// find returns the place of a key in the writes, and its write if there is one.
func (t *treePending[K, V]) find(k *K, prefix uint64) (at, *treeWrite[K, V]) {
	p := t.writes.search(func(w *treeWrite[K, V]) bool { return t.typ.compare(&w.key, w.prefix, k, prefix) < 0 })
	if w := t.writes.get(p); w != nil && t.typ.compare(&w.key, w.prefix, k, prefix) == 0 {
		return p, w
	}
	return p, nil
}

// readKey notes that the presence and value of a key were read.
func (t *treePending[K, V]) readKey(k K) error {
	if t.fresh {
		return nil
	}
	if first, ok := t.keys[k]; ok {
		if first == t.c.snap {
			return nil
		}
		return t.readAgain(&k, first)
	}
	if t.keys == nil {
		t.keys = make(map[K]storage.Snapshot)
	}
	t.keys[k] = t.c.observe()
	return nil
}

// readAgain is for a key that was read before, in another snapshot. If it has
// changed, there is no moment at which both were true.
func (t *treePending[K, V]) readAgain(k *K, first storage.Snapshot) error {
	key, err := t.typ.plan.encode(nil, unsafe.Pointer(k), t.c.own)
	if err != nil {
		return err
	}
	was := collection.View{Tree: t.tree(), Store: t.c.store(first, nil)}
	is := collection.View{Tree: t.tree(), Store: t.c.store(t.c.snap, nil)}
	same, err := collection.SameKey(was, is, key)
	if err == nil && !same {
		t.torn = key
	}
	return t.c.stick(err)
}

// get returns the value of a key as the session sees it.
func (t *treePending[K, V]) get(k *K) (v *V, found bool, err error) {
	if t.writes.n > 0 {
		if _, w := t.find(k, t.typ.prefix(k)); w != nil {
			return &w.value, !w.deleted, nil
		}
	}
	if t.fresh {
		return nil, false, nil
	}
	v, found, err = t.reader().get(k)
	if err == nil {
		err = t.readKey(*k)
	}
	return v, found, err
}

// set enters what becomes of a key. was may be unknown.
func (t *treePending[K, V]) set(w treeWrite[K, V]) {
	p, old := t.find(&w.key, w.prefix)
	if t.logged {
		u := treeUndo[K, V]{write: w, none: old == nil}
		if old != nil {
			u.write = *old
		}
		t.log = append(t.log, u)
	}
	t.enter(p, old, w)
}

func (t *treePending[K, V]) enter(p at, old *treeWrite[K, V], w treeWrite[K, V]) {
	if old != nil {
		t.account(old, -1)
		w.at = old.at
		if w.was == unknown {
			w.was = old.was
		}
		*old = w
	} else {
		t.writes.insert(p, w)
	}
	t.account(&w, 1)
}

// account adds a write to grown and blind, or takes it back.
func (t *treePending[K, V]) account(w *treeWrite[K, V], sign int) {
	switch {
	case w.was == unknown:
		t.blind += sign
	case w.was == absent && !w.deleted:
		t.grown += sign
	case w.was == present && w.deleted:
		t.grown -= sign
	}
}

// put enters a value, without looking whether the key is there.
func (t *treePending[K, V]) put(k K, v V, was presence) error {
	if err := t.checkKey(&k); err != nil {
		return err
	}
	if t.typ.values != nil && t.typ.values.handles != nil {
		if err := t.c.fill(t.typ.values.handles, reflect.ValueOf(&v)); err != nil {
			return err
		}
	}
	if t.fresh {
		was = absent
	}
	t.set(treeWrite[K, V]{prefix: t.typ.prefix(&k), key: k, value: v, was: was, at: t.c.observe()})
	return nil
}

// checkKey refuses keys that cannot be stored.
func (t *treePending[K, V]) checkKey(k *K) error {
	if t.typ.plan.text && len(str(k)) <= maxKey/2 {
		return nil
	}
	var buf [64]byte
	b, err := t.typ.plan.encode(buf[:0], unsafe.Pointer(k), t.c.own)
	if err != nil {
		return err
	}
	if len(b) > maxKey {
		return fmt.Errorf("%w: a key of %d bytes in %s %s, the limit is %d: use a hash of it as the key, or put it into the value", ErrTooLarge, len(b), t.class, t.oid, maxKey)
	}
	return nil
}

// delete takes a key away, and tells whether it was there.
func (t *treePending[K, V]) delete(k K) (bool, error) {
	if err := t.reader().foreign(&k); err != nil {
		return false, err
	}
	_, found, err := t.get(&k)
	if err != nil || !found {
		return false, err
	}
	prefix := t.typ.prefix(&k)
	was := present
	if _, w := t.find(&k, prefix); w != nil {
		was = w.was
	}
	t.set(treeWrite[K, V]{prefix: prefix, key: k, deleted: true, was: was, at: t.c.observe()})
	return true, nil
}

// len is the length as the session sees it.
func (t *treePending[K, V]) len() (int, error) {
	if t.fresh {
		return t.grown, nil
	}
	n, err := t.reader().len()
	if err != nil {
		return 0, err
	}
	t.readLength()
	if t.c.conn != nil && t.writes.n > 0 {
		// What is known of the keys may be of another snapshot.
		_ = t.writes.each(func(w *treeWrite[K, V]) error {
			t.account(w, -1)
			w.was = unknown
			t.account(w, 1)
			return nil
		})
	}
	if t.blind > 0 {
		if err := t.look(); err != nil {
			return 0, err
		}
	}
	return n + t.grown, nil
}

func (t *treePending[K, V]) readLength() {
	snap := t.c.observe()
	if n := len(t.lengths); n == 0 || t.lengths[n-1] != snap {
		t.lengths = append(t.lengths, snap)
	}
}

// look finds out which of the keys that were written blindly are in the
// snapshot. Their values are not read: whether they are there is, because the
// length that comes out of it depends on that.
func (t *treePending[K, V]) look() error {
	r := t.reader()
	return t.writes.each(func(w *treeWrite[K, V]) error {
		if w.was != unknown {
			return nil
		}
		_, found, err := r.get(&w.key)
		if err != nil {
			return err
		}
		t.account(w, -1)
		if w.was = absent; found {
			w.was = present
		}
		t.account(w, 1)
		t.counted = append(t.counted, treeCount[K]{w.key, found, t.c.observe()})
		return nil
	})
}

// savepoint implements pending.
func (t *treePending[K, V]) savepoint() (undo func()) {
	t.logged = true
	n := len(t.log)
	return func() {
		for len(t.log) > n {
			u := t.log[len(t.log)-1]
			t.log = t.log[:len(t.log)-1]
			p, old := t.find(&u.write.key, u.write.prefix)
			if old == nil { // it was handed over
				t.writes.insert(p, u.write)
				t.account(&u.write, 1)
				continue
			}
			t.account(old, -1)
			if u.none {
				t.writes.remove(p)
			} else {
				*old = u.write
				t.account(old, 1)
			}
		}
	}
}

// forget implements pending.
func (t *treePending[K, V]) forget() {
	t.writes, t.log, t.grown, t.blind = sorted[treeWrite[K, V]]{}, nil, 0, 0
}
