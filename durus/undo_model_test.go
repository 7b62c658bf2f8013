package durus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/durusdb/durus/pack"
)

// undoRoot is what the model of Undo has a copy of.
type undoRoot struct {
	Objects []Ref[account]
	Numbers BTree[int, string]
	Dict    Dict[int, string]
	Tags    Set[int]
	Log     List[string]
	Hits    Counter
}

var (
	_           = Register[undoRoot]("test.UndoRoot")
	theUndoRoot = NewRoot[undoRoot]("undo root")
)

// undoWorld is a state of the model. Numbers, Dict and Tags have the same keys.
type undoWorld struct {
	objects [4]int64
	numbers map[int]string
	log     []string
	hits    int64
}

func (w *undoWorld) clone() *undoWorld {
	c := *w
	c.numbers, c.log = maps.Clone(w.numbers), slices.Clone(w.log)
	return &c
}

func (w *undoWorld) equal(o *undoWorld) bool {
	return w.objects == o.objects && maps.Equal(w.numbers, o.numbers) && slices.Equal(w.log, o.log) && w.hits == o.hits
}

// undoStep is a committed transaction of the model.
type undoStep struct {
	tid         TID
	was, left   *undoWorld
	at          int // of the part of the log that differs
	before, now []string
}

func newUndoStep(tid TID, was, left *undoWorld) *undoStep {
	s := &undoStep{tid: tid, was: was.clone(), left: left.clone()}
	a, b := s.was.log, s.left.log
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b, s.at = a[1:], b[1:], s.at+1
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	s.before, s.now = a, b
	return s
}

// mixed: values of the log were set and moved. How that is told apart is not the
// model's to say.
func (s *undoStep) mixed() bool {
	return len(s.before) != len(s.now) && len(s.before) > 0 && len(s.now) > 0
}

// undo is the undo of a step in another state; ok is false if something later
// depends on it.
func (s *undoStep) undo(w *undoWorld) (ok bool) {
	changed, settled := false, false // something comes back; something is as before already
	ok = true
	for i := range w.objects {
		switch was, left, now := s.was.objects[i], s.left.objects[i], w.objects[i]; {
		case was == left:
		case now == was:
			settled = true
		default:
			ok = ok && now == left
			w.objects[i], changed = was, true
		}
	}
	keys := maps.Clone(s.was.numbers)
	maps.Copy(keys, s.left.numbers)
	for k := range keys {
		was, wasThere := s.was.numbers[k]
		left, isThere := s.left.numbers[k]
		now, there := w.numbers[k]
		switch {
		case was == left && wasThere == isThere:
			continue
		case now == was && there == wasThere:
			settled = true
			continue
		case now != left || there != isThere:
			ok = false
		case wasThere:
			w.numbers[k] = was
		default:
			delete(w.numbers, k)
		}
		changed = true
	}
	if len(s.before) == len(s.now) {
		for i := range s.before {
			k := s.at + i
			switch {
			case s.before[i] == s.now[i]:
			case k < len(w.log) && w.log[k] == s.before[i]:
				settled = true
			case k >= len(w.log) || w.log[k] != s.now[i]:
				ok = false
			default:
				w.log[k], changed = s.before[i], true
			}
		}
	} else if len(w.log) < s.at || !slices.Equal(w.log[s.at:], s.left.log[s.at:]) {
		ok = false
	} else {
		w.log, changed = slices.Replace(w.log, s.at, s.at+len(s.now), s.before...), true
	}
	delta := s.left.hits - s.was.hits
	w.hits -= delta
	return ok && !(settled && (changed || delta != 0))
}

// undoModel is a database and what it should hold.
type undoModel struct {
	*rapid.T
	open  func(Options) (*DB, error)
	db    *DB
	now   *undoWorld
	steps []*undoStep
	next  int // for values that are all different
	kept  TID // what was packed away ends here
}

func (m *undoModel) fresh() string { m.next++; return fmt.Sprint("v", m.next) }

func (m *undoModel) read(tx *Tx) *undoWorld {
	root := Must(theUndoRoot.Load(tx))
	w := &undoWorld{numbers: map[int]string{}}
	for i, r := range root.Objects {
		w.objects[i] = Must(r.Load(tx)).Balance
	}
	for k, v := range root.Numbers.All(tx) {
		w.numbers[k] = v
	}
	n := 0
	for k, v := range root.Dict.All(tx) {
		if n++; w.numbers[k] != v {
			m.Errorf("the Dict has %d = %q, the BTree %q", k, v, w.numbers[k])
		}
	}
	for k := range root.Tags.All(tx) {
		if _, ok := w.numbers[k]; !ok {
			m.Errorf("the Set has %d, the BTree not", k)
		}
	}
	for _, c := range []interface{ Len(Session) (int, error) }{root.Numbers, root.Dict, root.Tags} {
		if l := Must(c.Len(tx)); l != len(w.numbers) || n != l {
			m.Errorf("lengths %d, %d and %d", l, n, len(w.numbers))
		}
	}
	for _, v := range root.Log.All(tx) {
		w.log = append(w.log, v)
	}
	w.hits = Must(root.Hits.Value(tx))
	return w
}

func (m *undoModel) check() {
	if err := m.db.View(context.Background(), func(tx *Tx) error {
		if w := m.read(tx); !w.equal(m.now) {
			m.Fatalf("the database holds\n%+v, the model\n%+v", w, m.now)
		}
		return nil
	}); err != nil {
		m.Fatal(err)
	}
}

// commit runs a transaction that makes the state next.
func (m *undoModel) commit(next *undoWorld, fn func(tx *Tx) error) {
	var tid TID
	if err := m.db.Update(context.Background(), func(tx *Tx) error {
		tx.OnCommit(func(t TID) { tid = t })
		return fn(tx)
	}); err != nil {
		m.Fatalf("update: %v", err)
	}
	if !next.equal(m.now) {
		m.steps = append(m.steps, newUndoStep(tid, m.now, next))
	}
	m.now = next
}

// change commits a few changes.
func (m *undoModel) change() {
	next := m.now.clone()
	m.commit(next, func(tx *Tx) error {
		root := Must(theUndoRoot.Load(tx))
		for range rapid.IntRange(1, 3).Draw(m.T, "changes") {
			switch rapid.IntRange(0, 4).Draw(m.T, "of") {
			case 0:
				i := rapid.IntRange(0, 3).Draw(m.T, "object")
				next.objects[i] = int64(rapid.IntRange(0, 3).Draw(m.T, "balance"))
				Must(root.Objects[i].Edit(tx)).Balance = next.objects[i]
			case 1, 2:
				k, n := rapid.IntRange(0, 300).Draw(m.T, "key"), rapid.SampledFrom([]int{1, 1, 1, 90}).Draw(m.T, "keys")
				gone := rapid.Bool().Draw(m.T, "gone")
				for ; n > 0; k, n = k+1, n-1 {
					if err := m.key(tx, root, next, k, gone); err != nil {
						return err
					}
				}
			case 3:
				d := int64(rapid.IntRange(-5, 5).Draw(m.T, "delta"))
				next.hits += d
				if err := root.Hits.Add(tx, d); err != nil {
					return err
				}
			}
		}
		return m.list(tx, root, next)
	})
}

func (m *undoModel) key(tx *Tx, root *undoRoot, next *undoWorld, k int, gone bool) error {
	if gone {
		delete(next.numbers, k)
		_, a := root.Numbers.Delete(tx, k)
		_, b := root.Dict.Delete(tx, k)
		_, c := root.Tags.Delete(tx, k)
		return errors.Join(a, b, c)
	}
	v := m.fresh()
	next.numbers[k] = v
	return errors.Join(root.Numbers.Put(tx, k, v), root.Dict.Put(tx, k, v), root.Tags.Add(tx, k))
}

// list makes changes of one kind.
func (m *undoModel) list(tx *Tx, root *undoRoot, next *undoWorld) error {
	n := len(next.log)
	i := rapid.IntRange(0, max(n-1, 0)).Draw(m.T, "index")
	switch kind := rapid.IntRange(0, 7).Draw(m.T, "list"); {
	case kind < 2 && n > 0:
		for k := i; k < min(n, i+1+kind); k++ {
			next.log[k] = m.fresh()
			if err := root.Log.Set(tx, k, next.log[k]); err != nil {
				return err
			}
		}
	case kind == 2 || kind == 3:
		for range []int{1, 70}[kind-2] {
			v := m.fresh()
			next.log = append(next.log, v)
			if err := root.Log.Append(tx, v); err != nil {
				return err
			}
		}
	case kind == 4:
		v := m.fresh()
		next.log = slices.Insert(next.log, i, v)
		return root.Log.Insert(tx, i, v)
	case kind == 5 && n > 0:
		for range min(n-i, 70) {
			next.log = slices.Delete(next.log, i, i+1)
			if err := root.Log.Delete(tx, i); err != nil {
				return err
			}
		}
	}
	return nil
}

// undo undoes one step or several, in one transaction, and looks at what that
// transaction sees.
func (m *undoModel) undo() {
	if len(m.steps) == 0 {
		return
	}
	var picked []*undoStep
	for range rapid.SampledFrom([]int{1, 1, 2, 3}).Draw(m.T, "how many") {
		back := rapid.IntRange(0, min(5, len(m.steps)-1)).Draw(m.T, "how far back")
		s := m.steps[len(m.steps)-1-back]
		if !slices.Contains(picked, s) && !s.mixed() {
			picked = append(picked, s)
		}
	}
	if len(picked) == 0 {
		return
	}
	tids := make([]TID, len(picked))
	for i, s := range picked {
		tids[i] = s.tid
	}
	next, ok, packed := m.now.clone(), true, slices.Min(tids) <= m.kept
	slices.SortFunc(picked, func(a, b *undoStep) int { return int(b.tid) - int(a.tid) })
	for _, s := range picked {
		ok = s.undo(next) && ok
	}
	if !ok || packed {
		_, err := m.db.Undo(context.Background(), tids...)
		var lost *ConflictError
		if !(packed && errors.Is(err, ErrPacked)) && !(!ok && errors.As(err, &lost)) {
			m.Fatalf("undo of %v: %v; packed away up to %s", tids, err, m.kept)
		}
		return
	}
	used, saved := rapid.Bool().Draw(m.T, "used before"), rapid.Bool().Draw(m.T, "savepoint")
	m.commit(next, func(tx *Tx) error {
		if used {
			if w := m.read(tx); !w.equal(m.now) {
				m.Fatalf("before the undo it sees\n%+v, not\n%+v", w, m.now)
			}
		}
		if saved {
			sp := Must(tx.Savepoint())
			if err := tx.Undo(tids...); err != nil {
				return err
			}
			if rapid.Bool().Draw(m.T, "read") {
				m.read(tx)
			}
			if err := sp.Rollback(); err != nil {
				return err
			}
			if w := m.read(tx); !w.equal(m.now) {
				m.Fatalf("after the rollback it sees\n%+v, not\n%+v", w, m.now)
			}
		}
		if err := tx.Undo(tids...); err != nil {
			return err
		}
		if rapid.Bool().Draw(m.T, "savepoint after") {
			sp := Must(tx.Savepoint())
			root := Must(theUndoRoot.Load(tx))
			if err := m.key(tx, root, next.clone(), 7, false); err != nil {
				return err
			}
			if err := root.Log.Append(tx, "x"); err != nil {
				return err
			}
			if err := sp.Rollback(); err != nil {
				return err
			}
		}
		if rapid.Bool().Draw(m.T, "read after") {
			if w := m.read(tx); !w.equal(next) {
				m.Fatalf("after the undo of %v it sees\n%+v, not\n%+v", tids, w, next)
			}
		}
		return nil
	})
}

func (m *undoModel) pack() {
	o := pack.Options{}
	if n := len(m.steps); n > 0 && rapid.IntRange(0, 4).Draw(m.T, "keep") > 0 {
		o.KeepFrom = m.steps[rapid.IntRange(max(0, n-6), n-1).Draw(m.T, "from")].tid
	}
	r, err := m.db.Pack(context.Background(), o)
	if err != nil {
		m.Fatal(err)
	}
	if !r.Nothing {
		m.kept = r.Horizon
	}
}

func (m *undoModel) reopen() {
	if m.db != nil {
		if err := m.db.Close(); err != nil {
			m.Fatal(err)
		}
	}
	var err error
	if m.db, err = m.open(Options{}); err != nil {
		m.Fatal(err)
	}
}

// SCENARIOS 77 to 80: whatever was committed, undone, redone, packed and
// reopened, an undo succeeds when nothing later depends on what it undoes, and
// leaves the state that the model has; otherwise it changes nothing.
func TestUndoModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := beds["memory"](t)
		m := &undoModel{T: rt, open: b.open, now: &undoWorld{numbers: map[int]string{}}}
		m.reopen()
		defer func() {
			if err := m.db.Close(); err != nil {
				rt.Error(err)
			}
		}()
		first := m.now.clone()
		m.commit(first, func(tx *Tx) error {
			root := Must(theUndoRoot.Edit(tx))
			for range first.objects {
				root.Objects = append(root.Objects, Must(Add(tx, &account{})))
			}
			for k := range 150 {
				if err := m.key(tx, root, first, 2*k, false); err != nil {
					return err
				}
			}
			for range 100 {
				v := m.fresh()
				first.log = append(first.log, v)
				if err := root.Log.Append(tx, v); err != nil {
					return err
				}
			}
			return nil
		})
		m.steps = nil // the root itself stays
		for range rapid.IntRange(2, 20).Draw(rt, "steps") {
			switch rapid.IntRange(0, 11).Draw(rt, "step") {
			case 0:
				m.pack()
			case 1:
				m.reopen()
			case 2, 3, 4, 5:
				m.change()
			default:
				m.undo()
			}
			m.check()
		}
		verify(t, m.db)
	})
}
