package durus

import (
	"maps"
	"reflect"
	"slices"

	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

// listPending is what a session has read of a list and will change in it.
//
// As long as nothing was moved, changes are values that were set, by index, and
// values at the end, and nobody has to know the length. Insert and Delete move
// values: from then on the list is pieces, each a part of the stored list or
// values of the session's own.
type listPending[V any] struct {
	listReader[V]
	container

	sets     map[int]listSet[V]
	appended []V
	pieces   []listPiece[V] // nil until something was moved; then sets and appended are empty
	stored   int            // length of the stored list that pieces are parts of
	base     storage.Snapshot

	// What was read: indexes of the stored list, and the end of it.
	reads   map[int]storage.Snapshot
	spans   []listSpan
	lengths []storage.Snapshot
	torn    bool // an index was read by a live connection twice, with another value

	splices []collection.Splice // packed
	bases   []storage.Snapshot  // parallel to splices
	tail    [][]byte            // packed
}

type listSet[V any] struct {
	value V
	at    storage.Snapshot
	whole bool // the value that it replaces leaves nothing behind; see listReader.extra
}

// listPiece is n values of the stored list from an index on, or values of the
// session's own.
type listPiece[V any] struct {
	from, n int
	own     []V // nil: of the stored list
}

func (p *listPiece[V]) len() int {
	if p.own != nil {
		return len(p.own)
	}
	return p.n
}

// listSpan is the indexes from <= i < to that were walked over; to < 0: to the
// end.
type listSpan struct {
	from, to int
	at       storage.Snapshot
}

func newListPending[V any](c *core, typ *listType[V], oid OID, fresh bool) *listPending[V] {
	p := &listPending[V]{container: container{oid: oid, class: collection.ClassList, fresh: fresh}}
	p.listReader = listReader[V]{c: c, typ: typ, oid: oid, note: &p.container}
	return p
}

func (p *listPending[V]) changed() bool {
	return len(p.sets) > 0 || len(p.appended) > 0 || p.pieces != nil
}

func (p *listPending[V]) work() int {
	return len(p.sets) + len(p.appended) + len(p.pieces) + len(p.reads) + len(p.spans)
}

// length is that of the stored list, which is not entered into the read set.
func (p *listPending[V]) length() (int, error) {
	if p.fresh {
		return 0, nil
	}
	return p.listReader.len()
}

func (p *listPending[V]) readLength() {
	if p.fresh {
		return
	}
	snap := p.c.observe()
	if p.pieces != nil {
		snap = p.base // which the pieces add up to
	}
	if n := len(p.lengths); n == 0 || p.lengths[n-1] != snap {
		p.lengths = append(p.lengths, snap)
	}
}

func (p *listPending[V]) readIndex(i int) error {
	if first, ok := p.reads[i]; ok {
		if first == p.c.snap {
			return nil
		}
		differ, err := p.differ(first, p.c.snap, i)
		p.torn = p.torn || differ
		return p.c.stick(err)
	}
	if p.reads == nil {
		p.reads = make(map[int]storage.Snapshot)
	}
	p.reads[i] = p.c.observe()
	return nil
}

// differ tells whether an index has different values in two snapshots.
func (p *listPending[V]) differ(a, b storage.Snapshot, i int) (bool, error) {
	list := p.list()
	_, differ, err := collection.DifferList(
		collection.ListView{List: list, Store: p.c.store(a, nil)},
		collection.ListView{List: list, Store: p.c.store(b, nil)}, i, i+1)
	return differ, err
}

// len is the length as the session sees it.
func (p *listPending[V]) len() (int, error) {
	p.readLength()
	return p.now()
}

// now is len without a dependence on it.
func (p *listPending[V]) now() (int, error) {
	if p.pieces != nil {
		n := 0
		for i := range p.pieces {
			n += p.pieces[i].len()
		}
		return n, nil
	}
	n, err := p.length()
	return n + len(p.appended), err
}

// look returns the value at an index as the session sees it, nil outside. index
// is that of the stored list, -1 for a value of the session's own.
func (p *listPending[V]) look(i int) (v *V, index int, err error) {
	if i < 0 {
		return nil, -1, nil
	}
	if p.pieces != nil {
		k, off := p.piece(i)
		if k == len(p.pieces) {
			return nil, -1, nil
		}
		if q := &p.pieces[k]; q.own != nil {
			return &q.own[off], -1, nil
		}
		index = p.pieces[k].from + off
		v, err = p.listReader.get(index)
		if err == nil && v == nil {
			err = p.moved()
		}
		return v, index, err
	}
	if s, ok := p.sets[i]; ok {
		return &s.value, -1, nil
	}
	if !p.fresh {
		if v, err = p.listReader.get(i); v != nil || err != nil {
			return v, i, err
		}
	}
	if len(p.appended) == 0 {
		return nil, -1, nil
	}
	// Where the session's own values begin depends on the length.
	n, err := p.length()
	if err != nil || i-n >= len(p.appended) {
		return nil, -1, err
	}
	p.readLength()
	return &p.appended[i-n], -1, nil
}

// moved is for a live connection whose list has become shorter than what it has
// begun to change.
func (p *listPending[V]) moved() error {
	return p.c.stick(&ConflictError{Objects: []ConflictObject{{OID: p.container.oid, Class: p.class, Committed: p.c.snap.TID(), Reason: "it was changed while values in it were moved"}}})
}

// get is look, and enters what was seen into the read set.
func (p *listPending[V]) get(i int) (*V, error) {
	v, index, err := p.look(i)
	switch {
	case err != nil:
		return nil, err
	case v == nil:
		p.readLength()
	case index >= 0:
		err = p.readIndex(index)
	}
	return v, err
}

// piece returns the piece with an index of the session's list, and the offset in
// it; len(pieces) at the end.
func (p *listPending[V]) piece(i int) (k, off int) {
	for k = range p.pieces {
		n := p.pieces[k].len()
		if i < n {
			return k, i
		}
		i -= n
	}
	return len(p.pieces), i
}

func (p *listPending[V]) append(v V) error {
	if err := p.fillIn(&v); err != nil {
		return err
	}
	if p.pieces == nil {
		p.appended = append(p.appended, v)
		return nil
	}
	p.readLength() // where it comes to stand depends on it, with others moved
	if n := len(p.pieces); n > 0 && p.pieces[n-1].own != nil {
		p.pieces[n-1].own = append(p.pieces[n-1].own, v)
		return nil
	}
	p.pieces = append(p.pieces, listPiece[V]{own: []V{v}})
	return nil
}

func (p *listPending[V]) fillIn(v *V) error {
	if h := p.typ.values.handles; h != nil {
		return p.c.fill(h, reflect.ValueOf(v))
	}
	return nil
}

// change replaces del values at an index; beyond is how far behind the last
// value the index may be.
func (p *listPending[V]) change(i, del, beyond int, values []V) error {
	for k := range values {
		if err := p.fillIn(&values[k]); err != nil {
			return err
		}
	}
	if del == len(values) && p.pieces == nil {
		return p.set(i, values[0])
	}
	if p.pieces == nil {
		if err := p.divide(); err != nil {
			return err
		}
	}
	n := 0
	for k := range p.pieces {
		n += p.pieces[k].len()
	}
	if i < 0 || i+del > n || i > n-1+beyond {
		p.readLength()
		return p.outside(i)
	}
	if i == n {
		p.readLength() // the end is where it is
	}
	p.cutAt(i + del)
	p.cutAt(i)
	from, _ := p.piece(i)
	to, _ := p.piece(i + del)
	var fresh []listPiece[V]
	if len(values) > 0 {
		fresh = []listPiece[V]{{own: values}}
	}
	p.pieces = slices.Replace(p.pieces, from, to, fresh...)
	return nil
}

// set replaces a value where nothing was moved.
func (p *listPending[V]) set(i int, v V) error {
	old, index, err := p.look(i)
	switch {
	case err != nil:
		return err
	case old == nil:
		p.readLength()
		return p.outside(i)
	case index < 0 && !p.isSet(i):
		*old = v // appended by this session
		return nil
	}
	at := p.c.observe()
	if s, ok := p.sets[i]; ok {
		at = s.at
	}
	if p.sets == nil {
		p.sets = make(map[int]listSet[V])
	}
	p.sets[i] = listSet[V]{value: v, at: at}
	return nil
}

func (p *listPending[V]) isSet(i int) bool { _, ok := p.sets[i]; return ok }

// divide turns the list into pieces.
func (p *listPending[V]) divide() error {
	n, err := p.length()
	if err != nil {
		return err
	}
	now := p.c.observe()
	for i, s := range p.sets {
		if s.at == now {
			continue
		}
		// The index means the value that was there.
		differ, err := p.differ(s.at, now, i)
		if err != nil {
			return err
		}
		if differ {
			return p.moved()
		}
	}
	p.stored, p.base = n, now
	p.pieces = []listPiece[V]{}
	from := 0
	for _, i := range slices.Sorted(maps.Keys(p.sets)) {
		if i > from {
			p.pieces = append(p.pieces, listPiece[V]{from: from, n: i - from})
		}
		p.pieces = append(p.pieces, listPiece[V]{own: []V{p.sets[i].value}})
		from = i + 1
	}
	if n > from {
		p.pieces = append(p.pieces, listPiece[V]{from: from, n: n - from})
	}
	if len(p.appended) > 0 {
		p.readLength()
		p.pieces = append(p.pieces, listPiece[V]{own: p.appended})
	}
	p.sets, p.appended = nil, nil
	return nil
}

// cutAt makes an index the beginning of a piece.
func (p *listPending[V]) cutAt(i int) {
	k, off := p.piece(i)
	if k == len(p.pieces) || off == 0 {
		return
	}
	a := p.pieces[k]
	b := a
	if a.own != nil {
		a.own, b.own = slices.Clip(a.own[:off]), a.own[off:]
	} else {
		a.n, b.from, b.n = off, a.from+off, a.n-off
	}
	p.pieces[k] = a
	p.pieces = slices.Insert(p.pieces, k+1, b)
}

// savepoint implements pending.
func (p *listPending[V]) savepoint() (undo func()) {
	sets, appended, stored, base := maps.Clone(p.sets), slices.Clone(p.appended), p.stored, p.base
	pieces := slices.Clone(p.pieces)
	for i := range pieces {
		pieces[i].own = slices.Clone(pieces[i].own)
	}
	return func() {
		// Cloned again: the savepoint may be rolled back to once more.
		p.sets, p.appended, p.stored, p.base = maps.Clone(sets), slices.Clone(appended), stored, base
		p.pieces = slices.Clone(pieces)
		for i := range p.pieces {
			p.pieces[i].own = slices.Clone(p.pieces[i].own)
		}
	}
}

// forget implements pending.
func (p *listPending[V]) forget() { p.sets, p.appended, p.pieces = nil, nil, nil }
