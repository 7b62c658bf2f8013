package durus

import (
	"fmt"
	"iter"
	"reflect"

	"github.com/durusdb/durus/internal/codec"
)

// tree is what the methods of BTree, Dict and Set have in common: a handle in
// use by a session.
type tree[K comparable, V any] struct {
	treeReader[K, V]
	state *treePending[K, V] // of a writable session
	none  bool               // a zero handle, which reads as empty
}

// openTree opens a handle for reading.
func openTree[K comparable, V any](s Session, raw codec.Strong, class string) (t tree[K, V], err error) {
	t.c = s.core()
	oid, ok, err := t.c.openContainer(raw)
	if err != nil {
		return t, err
	}
	if !ok {
		t.none = true
		return t, nil
	}
	return t, t.bind(oid, class)
}

// bind makes the reader.
func (t *tree[K, V]) bind(oid OID, class string) (err error) {
	t.oid = oid
	if t.c.writable {
		if p := t.c.containers[oid]; p != nil {
			if t.state, _ = p.(*treePending[K, V]); t.state == nil && p.common().class == class {
				if raw, ok := p.(*rawTree); ok {
					return t.succeed(raw)
				}
			}
			if t.state == nil || t.state.class != class {
				return t.mismatch(p, class)
			}
			t.typ, t.note = t.state.typ, &t.state.container
			if t.c.encoded == nil {
				return nil
			}
			return t.c.handOver(oid)
		}
	}
	if t.typ, err = treeTypeOf[K, V](t.c.db.opts.Types, class); err != nil {
		return err
	}
	if t.c.writable {
		t.use()
		t.c.addContainer(t.state)
	}
	return nil
}

func (t *tree[K, V]) use() {
	t.state = &treePending[K, V]{container: container{oid: t.oid, class: t.typ.class}, typ: t.typ, c: t.c}
	t.note = &t.state.container
}

// succeed makes the reader of a tree whose changes Undo has brought back.
func (t *tree[K, V]) succeed(raw *rawTree) (err error) {
	if t.typ, err = treeTypeOf[K, V](t.c.db.opts.Types, raw.class); err != nil {
		return err
	}
	if have := raw.typ.plan.name; have != t.typ.plan.name {
		return t.wrongKeys(have)
	}
	t.use()
	return t.c.succeed(raw, t.state)
}

func (t *tree[K, V]) mismatch(p pending, class string) error {
	if have := p.common().class; have != class {
		return t.c.wrongContainer(t.oid, have, class)
	}
	return fmt.Errorf("%w: %s %s is used with other key or value types in this transaction than %s and %s: use one type for one container",
		ErrType, class, t.oid, reflect.TypeFor[K](), reflect.TypeFor[V]())
}

// writeTree opens a handle for a change. Its errors stick.
func writeTree[K comparable, V any](s Session, raw codec.Strong, class, what string) (*treePending[K, V], error) {
	t := tree[K, V]{treeReader: treeReader[K, V]{c: s.core()}}
	oid, err := t.c.openToWrite(raw, what)
	if err == nil {
		err = t.bind(oid, class)
	}
	if err == nil && !t.state.fresh && !t.state.known {
		// A blind write must not find out at commit that it was none of ours.
		if _, err = t.node(oid, false); err == nil {
			t.state.known = true
		}
	}
	return t.state, t.c.stick(err)
}

// createTree makes a new container for a handle.
func createTree[K comparable, V any](c *core, class string) (OID, error) {
	typ, err := treeTypeOf[K, V](c.db.opts.Types, class)
	if err != nil {
		return 0, err
	}
	oid, err := c.db.st.NewOID(c.ctx)
	if err != nil {
		return 0, err
	}
	c.addContainer(&treePending[K, V]{container: container{oid: oid, class: class, fresh: true}, typ: typ, c: c})
	return oid, nil
}

// newTree makes a new container for the program.
func newTree[K comparable, V any](s Session, class string) (codec.Strong, error) {
	c := s.core()
	if err := c.mayWrite(); err != nil {
		return 0, c.stick(err)
	}
	oid, err := createTree[K, V](c, class)
	if err != nil {
		return 0, c.stick(err)
	}
	return c.reference(oid), nil
}

// get looks a key up.
func (t *tree[K, V]) get(k K) (v V, found bool, err error) {
	if t.none {
		return v, false, nil
	}
	if err := t.foreign(&k); err != nil {
		return v, false, err
	}
	var p *V
	if t.state != nil {
		p, found, err = t.state.get(&k)
	} else {
		p, found, err = t.treeReader.get(&k)
	}
	if err = t.after(err); err == nil && found {
		v = *p
	}
	return v, found && err == nil, err
}

// after looks whether the View has ended meanwhile; see core.hot.
func (t *tree[K, V]) after(err error) error {
	if t.c.over.Load() {
		return ErrTxDone
	}
	return err
}

func (t *tree[K, V]) len() (n int, err error) {
	switch {
	case t.none:
		return 0, nil
	case t.state != nil:
		n, err = t.state.len()
	default:
		n, err = t.treeReader.len()
	}
	return n, t.after(err)
}

// foreignBounds is foreign for the bounds of a walk.
func (t *tree[K, V]) foreignBounds(b bounds[K]) error {
	if t.none {
		return nil
	}
	if err := t.foreign(b.start); err != nil {
		return err
	}
	return t.foreign(b.end)
}

// walk returns an iterator.
func (t *tree[K, V]) walk(b bounds[K]) *treeWalk[K, V] {
	return &treeWalk[K, V]{treeReader: t.treeReader, bounds: b, state: t.state, done: t.none}
}

// first returns the first entry of a walk.
func (t *tree[K, V]) first(b bounds[K]) (k K, v V, ok bool, err error) {
	pk, pv, err := t.walk(b).next()
	if err = t.after(err); err == nil && pk != nil {
		k, v, ok = *pk, *pv, true
	}
	return k, v, ok, err
}

// treeSeq is an iterator for the program. An error ends the loop and sticks.
func treeSeq[K comparable, V any](s Session, raw codec.Strong, class string, b bounds[K]) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		t, err := openTree[K, V](s, raw, class)
		if err != nil {
			t.c.stick(err)
			return
		}
		if err := t.foreignBounds(b); err != nil {
			t.c.stick(err)
			return
		}
		w := t.walk(b)
		if w.state == nil && t.c.conn == nil {
			w.scan(yield)
			return
		}
		for {
			k, v, err := w.next()
			if err = t.after(err); err != nil {
				t.c.stick(err)
				return
			}
			if k == nil || !yield(*k, *v) {
				return
			}
		}
	}
}

// scan is a walk of a session whose snapshot does not change and that writes
// nothing: leaf by leaf.
func (w *treeWalk[K, V]) scan(yield func(K, V) bool) {
	for n := 0; !w.done; n++ {
		k, v, err := w.next()
		if err != nil {
			w.c.stick(err)
			return
		}
		if w.c.over.Load() {
			w.c.stick(ErrTxDone)
			return
		}
		if k == nil || !yield(*k, *v) {
			return
		}
		// The rest of the leaf, as far as it is within the bounds as a whole.
		l := w.path.leaf
		if w.end != nil {
			edge := w.path.upper
			if w.back {
				edge = w.path.lower
			}
			if edge == nil || w.order(edge, w.end) >= 0 {
				continue // the end may lie in this leaf
			}
		}
		if n%16 == 0 {
			if err := w.c.ctx.Err(); err != nil {
				w.c.stick(err)
				return
			}
		}
		if w.back {
			for ; w.i >= 0; w.i-- {
				if !yield(l.keys[w.i], l.vals[w.i]) {
					return
				}
			}
			continue
		}
		for ; w.i < len(l.keys); w.i++ {
			if !yield(l.keys[w.i], l.vals[w.i]) {
				return
			}
		}
	}
}
