package durus

import (
	"fmt"
	"unsafe"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

// pack implements pending.
func (t *treePending[K, V]) pack(c *core, w *codec.Writer) error {
	t.ops = make([]collection.Op, 0, t.writes.n)
	t.bases = t.bases[:0]
	return t.writes.each(func(e *treeWrite[K, V]) error {
		op := collection.Op{Delete: e.deleted}
		mark := len(w.Buf)
		var err error
		if w.Buf, err = t.typ.plan.encode(w.Buf, unsafe.Pointer(&e.key), c.own); err != nil {
			return err
		}
		op.Key = t.arena.bytes(w.Buf[mark:])
		w.Buf = w.Buf[:mark]
		if t.typ.plan.refs && !e.deleted {
			if err := codec.References(op.Key, func(oid uint64, _ bool) { w.Strong = append(w.Strong, oid) }); err != nil {
				return err
			}
		}
		if !e.deleted && t.typ.values != nil {
			if err := t.writeValue(w, e); err != nil {
				return fmt.Errorf("the value of key %s: %w", collection.Spell(op.Key), err)
			}
			op.Value = t.arena.bytes(w.Buf[mark:])
			w.Buf = w.Buf[:mark]
		}
		t.ops = append(t.ops, op)
		t.bases = append(t.bases, e.at)
		return nil
	})
}

// writeValue appends the value that a write stores.
func (t *treePending[K, V]) writeValue(w *codec.Writer, e *treeWrite[K, V]) error {
	if e.encoded != nil {
		w.Buf = append(w.Buf, *e.encoded...) // it refers to what is stored
		return nil
	}
	var extra codec.Extra
	if t.typ.values.fields && !t.fresh {
		var err error
		if extra, err = t.reader().extra(&e.key); err != nil {
			return err
		}
	}
	return t.typ.values.one.Encode(w, &e.value, extra)
}

func (t *treePending[K, V]) tree() *collection.Tree {
	return &collection.Tree{OID: uint64(t.oid), Class: t.class, Key: t.typ.plan.name, Fresh: t.fresh}
}

// build implements pending.
func (t *treePending[K, V]) build(b *collection.Builder) error {
	_, err := t.tree().Apply(b, t.ops)
	return err
}

// check implements pending.
func (t *treePending[K, V]) check(c *core, now *nodeStore, reads bool) (reason string, at OID, err error) {
	if t.fresh {
		return "", 0, nil
	}
	tree := t.tree()
	is := collection.View{Tree: tree, Store: now}
	was := func(snap storage.Snapshot) collection.View {
		return collection.View{Tree: tree, Store: c.store(snap, nil)}
	}
	for i := range t.ops {
		op := &t.ops[i]
		same, err := collection.SameKey(was(t.bases[i]), is, op.Key)
		if err != nil {
			return "", 0, err
		}
		if same {
			continue
		}
		value, found, err := is.Get(op.Key)
		if err != nil {
			return "", 0, err
		}
		if found == op.Delete || found && string(value) != string(op.Value) {
			return "both wrote key " + collection.Spell(op.Key), OID(is.Leaf(op.Key)), nil
		}
	}
	if !reads {
		return "", 0, nil
	}
	if t.torn != nil {
		return "key " + collection.Spell(t.torn) + " was read, and read again after it had changed", OID(is.Leaf(t.torn)), nil
	}
	encode := func(k *K) ([]byte, error) { return t.typ.plan.encode(nil, unsafe.Pointer(k), c.own) }
	for k, snap := range t.keys {
		key, err := encode(&k)
		if err != nil {
			return "", 0, err
		}
		same, err := collection.SameKey(was(snap), is, key)
		if err != nil {
			return "", 0, err
		}
		if !same {
			return "key " + collection.Spell(key) + " was read", OID(is.Leaf(key)), nil
		}
	}
	for _, s := range t.spans {
		r := collection.Range{FromOpen: s.fromOpen, ToOpen: s.toOpen}
		if s.from != nil {
			if r.From, err = encode(s.from); err != nil {
				return "", 0, err
			}
		}
		if s.to != nil {
			if r.To, err = encode(s.to); err != nil {
				return "", 0, err
			}
		}
		key, err := collection.Differ(was(s.at), is, r)
		if err != nil {
			return "", 0, err
		}
		if key != nil {
			return "a range with key " + collection.Spell(key) + " was read", OID(is.Leaf(key)), nil
		}
	}
	return t.checkLength(was, is, encode)
}

func (t *treePending[K, V]) checkLength(was func(storage.Snapshot) collection.View, is collection.View, encode func(*K) ([]byte, error)) (string, OID, error) {
	for i := range t.counted {
		n := &t.counted[i]
		key, err := encode(&n.key)
		if err != nil {
			return "", 0, err
		}
		same, err := collection.SameKey(was(n.at), is, key)
		if err != nil {
			return "", 0, err
		}
		if same {
			continue
		}
		_, found, err := is.Get(key)
		if err != nil {
			return "", 0, err
		}
		if found != n.present {
			return "its length was read, which counts key " + collection.Spell(key), OID(is.Leaf(key)), nil
		}
	}
	for _, snap := range t.lengths {
		before, err := was(snap).Len()
		if err != nil {
			return "", 0, err
		}
		after, err := is.Len()
		if err != nil {
			return "", 0, err
		}
		if before != after {
			return "its length was read", t.oid, nil
		}
	}
	return "", 0, nil
}
