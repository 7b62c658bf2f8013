package durus

import (
	"github.com/durusdb/durus/storage"
)

// bounds is what an iterator walks over: from its start to its end, in its
// direction. nil is no bound.
type bounds[K any] struct {
	start, end         *K
	startOpen, endOpen bool // the bound itself is not part of it
	back               bool
}

// treeWalk is an iterator over a tree as the session sees it: the nodes of the
// snapshot, and over them what the session has written. It looks at the writes
// anew at each step, so the body of the loop may change the tree.
type treeWalk[K comparable, V any] struct {
	treeReader[K, V]
	bounds[K]
	state *treePending[K, V] // nil in a session that does not write

	last    K // the key before, once started
	started bool
	leapt   bool // it goes on with the loop of another walk
	done    bool

	path path[K, V] // the leaf of the next key of the snapshot
	i    int        // and its index there
	snap storage.Snapshot
	span *treeSpan[K]
}

// next goes to the next entry.
func (w *treeWalk[K, V]) next() (k *K, v *V, err error) {
	if w.done {
		return nil, nil, nil
	}
	if w.started || w.leapt {
		if err := w.goOn(); err != nil {
			return nil, nil, err
		}
	}
	for {
		k, v, deleted, err := w.step()
		if err != nil {
			return nil, nil, err
		}
		if k == nil || w.beyond(k) {
			w.done = true
			w.walked(nil)
			return nil, nil, nil
		}
		w.last, w.started = *k, true
		w.walked(&w.last)
		if !deleted {
			return k, v, nil
		}
	}
}

// goOn is for what the body of the loop may have done to the session.
func (w *treeWalk[K, V]) goOn() error {
	if err := w.c.usable(); err != nil || w.c.conn == nil {
		return err
	}
	if err := w.c.conn.look(); err != nil {
		return err
	}
	if w.state == nil || w.c.containers[w.oid] == pending(w.state) {
		return nil
	}
	// It was committed or aborted: what was pending is not, and what comes now
	// is read by the next commit.
	t := tree[K, V]{treeReader: w.treeReader}
	if err := t.bind(w.oid, w.state.class); err != nil {
		return err
	}
	w.treeReader, w.state, w.span = t.treeReader, t.state, nil
	if w.started {
		last := w.last
		w.start, w.startOpen = &last, true
	}
	return nil
}

// beyond tells whether a key lies behind the end.
func (w *treeWalk[K, V]) beyond(k *K) bool {
	if w.end == nil {
		return false
	}
	o := w.order(k, w.end)
	return o > 0 || o == 0 && w.endOpen
}

// order compares two keys in the direction of the walk.
func (w *treeWalk[K, V]) order(a, b *K) int {
	o := w.typ.compare(a, w.typ.prefix(a), b, w.typ.prefix(b))
	if w.back {
		return -o
	}
	return o
}

// step returns the next key of the snapshot or of the writes.
func (w *treeWalk[K, V]) step() (k *K, v *V, deleted bool, err error) {
	if k, v, err = w.stored(); err != nil {
		return nil, nil, false, err
	}
	if w.state == nil || w.state.writes.n == 0 {
		w.i += w.direction()
		return k, v, false, nil
	}
	e := w.written()
	if e == nil {
		w.i += w.direction()
		return k, v, false, nil
	}
	o := -1
	if k != nil {
		o = w.order(&e.key, k)
	}
	if o >= 0 {
		w.i += w.direction()
	}
	if o > 0 {
		return k, v, false, nil
	}
	key, value := e.key, e.value // the body may move the writes
	return &key, &value, e.deleted, nil
}

func (w *treeWalk[K, V]) direction() int {
	if w.back {
		return -1
	}
	return 1
}

// written returns the first write behind what was walked over.
func (w *treeWalk[K, V]) written() *treeWrite[K, V] {
	from, open := w.start, w.startOpen
	if w.started {
		from, open = &w.last, true
	}
	var prefix uint64
	if from != nil {
		prefix = w.typ.prefix(from)
	}
	writes := &w.state.writes
	p := writes.search(func(e *treeWrite[K, V]) bool {
		if from == nil {
			return w.back
		}
		o := w.typ.compare(&e.key, e.prefix, from, prefix)
		if w.back {
			return o < 0 || o == 0 && !open
		}
		return o < 0 || o == 0 && open
	})
	if !w.back {
		return writes.get(p)
	}
	p, ok := writes.before(p)
	if !ok {
		return nil
	}
	return writes.get(p)
}

// stored returns the next entry of the snapshot, without going on.
func (w *treeWalk[K, V]) stored() (*K, *V, error) {
	if w.state != nil && w.state.fresh {
		return nil, nil, nil
	}
	if w.path.leaf == nil || w.snap != w.c.snap {
		if err := w.enter(); err != nil {
			return nil, nil, err
		}
	}
	for {
		if l := w.path.leaf; w.i >= 0 && w.i < len(l.keys) {
			return &l.keys[w.i], &l.vals[w.i], nil
		}
		var err error
		switch {
		case !w.back && w.path.upper != nil:
			bound := w.path.upper
			if w.path, err = w.descend(seekKey, bound, true); err == nil && w.path.upper != nil && w.order(w.path.upper, bound) <= 0 {
				err = w.displaced(w.oid)
			}
			w.i = 0
		case w.back && w.path.lower != nil:
			bound := w.path.lower
			if w.path, err = w.descend(seekBefore, bound, true); err == nil && w.path.lower != nil && w.order(w.path.lower, bound) <= 0 {
				err = w.displaced(w.oid)
			}
			if err == nil {
				w.i = len(w.path.leaf.keys) - 1
			}
		default:
			return nil, nil, nil
		}
		if err != nil {
			w.path.leaf = nil
			return nil, nil, err
		}
	}
}

// enter finds the place where the walk begins, or goes on in a newer snapshot.
func (w *treeWalk[K, V]) enter() (err error) {
	w.snap = w.c.snap
	from, open := w.start, w.startOpen
	if w.started {
		from, open = &w.last, true
	}
	how := seekKey
	switch {
	case from == nil && w.back:
		how = seekLast
	case from == nil:
		how = seekFirst
	}
	if w.path, err = w.descend(how, from, true); err != nil {
		w.path.leaf = nil
		return err
	}
	l := w.path.leaf
	if from == nil {
		if w.i = 0; w.back {
			w.i = len(l.keys) - 1
		}
		return nil
	}
	i, found := l.search(from)
	switch {
	case w.back && (!found || open):
		i--
	case !w.back && found && open:
		i++
	}
	w.i = i
	return nil
}

// walked notes that the walk has come to a key, or with nil to its end.
func (w *treeWalk[K, V]) walked(to *K) {
	if w.state == nil || w.state.fresh {
		return
	}
	if w.span == nil || w.span.at != w.c.snap {
		s := &treeSpan[K]{at: w.c.observe()}
		from, open := w.start, w.startOpen
		if w.span != nil { // the snapshot is another one: the rest is read there
			from, open = &w.span.reached, true
		}
		if w.back {
			s.to, s.toOpen = from, open
		} else {
			s.from, s.fromOpen = from, open
		}
		w.span = s
		w.state.spans = append(w.state.spans, s)
	}
	bound, open := w.end, w.endOpen
	if to != nil {
		w.span.reached = *to // one allocation for the whole walk
		bound, open = &w.span.reached, false
	}
	if w.back {
		w.span.from, w.span.fromOpen = bound, open
	} else {
		w.span.to, w.span.toOpen = bound, open
	}
}
