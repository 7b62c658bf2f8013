package durus

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/durusdb/durus/pack"
)

// store has a container of every kind.
type store struct {
	Name   string
	Stock  BTree[string, int]
	Prices Dict[string, float64]
	Tags   Set[string]
	Log    List[string]
	Sales  Counter
	Boss   Ref[account]
}

var (
	_        = Register[store]("test.Store")
	theStore = NewRoot[store]("undo store")
)

// commit is Update that returns the transaction's id.
func commit(t testing.TB, db *DB, fn func(tx *Tx) error) (tid TID) {
	t.Helper()
	update(t, db, func(tx *Tx) error {
		tx.OnCommit(func(id TID) { tid = id })
		return fn(tx)
	})
	return tid
}

// undo is DB.Undo that fails the test.
func undo(t testing.TB, db *DB, tids ...TID) TID {
	t.Helper()
	tid, err := db.Undo(context.Background(), tids...)
	if err != nil {
		t.Fatalf("undo of %v: %v", tids, err)
	}
	return tid
}

// refuseUndo wants a conflict that names an object, and nothing changed.
func refuseUndo(t testing.TB, db *DB, oid OID, reason string, tids ...TID) *ConflictError {
	t.Helper()
	before, err := db.LastTID()
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Undo(context.Background(), tids...)
	var lost *ConflictError
	if !errors.As(err, &lost) || !errors.Is(err, ErrConflict) {
		t.Fatalf("undo of %v: %v, want a conflict", tids, err)
	}
	if i := slices.IndexFunc(lost.Objects, func(o ConflictObject) bool { return o.OID == oid }); i < 0 || !strings.Contains(lost.Objects[i].Reason, reason) {
		t.Errorf("undo of %v: %+v, want object %s because %q", tids, lost.Objects, oid, reason)
	}
	if after, _ := db.LastTID(); after != before {
		t.Errorf("a refused undo has committed %s", after)
	}
	return lost
}

// SCENARIO 77: undo of the last transaction, of an older one on which nothing
// depends, of an undo, of a creation, and of that undo.
func TestUndoObjects(t *testing.T) {
	onPackBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, rb := openAccounts(t, db, 10, 20)
		set := func(r Ref[account], n int64) TID {
			return commit(t, db, func(tx *Tx) error { Must(r.Edit(tx)).Balance = n; return nil })
		}
		t1 := set(ra, 11)
		t2 := set(rb, 21)
		t3 := undo(t, db, t1)
		if a, b := balance(t, db, "a"), balance(t, db, "b"); a != 10 || b != 21 {
			t.Errorf("after the undo of an older one: %d %d", a, b)
		}
		undo(t, db, t3)
		if a := balance(t, db, "a"); a != 11 {
			t.Errorf("after the undo of the undo: %d", a)
		}
		undo(t, db, t2)
		if b := balance(t, db, "b"); b != 20 {
			t.Errorf("after the undo of the last: %d", b)
		}
		last, err := db.LastTID()
		if err != nil {
			t.Fatal(err)
		}
		for info, err := range db.Transactions(last, last) {
			if err != nil || info.Description != "undo of "+t2.String() {
				t.Errorf("%q %v", info.Description, err)
			}
		}
		var made OID
		t4 := commit(t, db, func(tx *Tx) error {
			r := Must(Add(tx, &account{Owner: "c", Parent: ra}))
			made = r.OID()
			Must(theBank.Edit(tx)).Accounts["c"] = r
			return nil
		})
		t5 := undo(t, db, t4)
		view(t, db, func(tx *Tx) error {
			if r, err := named(tx, "c"); err == nil && !r.IsNil() {
				t.Error("c is still there")
			}
			return nil
		})
		if err := db.ViewAt(t.Context(), AtTID(t4), func(tx *Tx) error { // the object itself is there then
			_, err := RefTo[account](made).Load(tx)
			return err
		}); err != nil {
			t.Error(err)
		}
		undo(t, db, t5)
		if c := balance(t, db, "c"); c != 0 {
			t.Errorf("c holds %d", c)
		}
		// Nothing is left to do: nothing is committed.
		last, _ = db.LastTID()
		if tid := undo(t, db, t5); tid != last {
			t.Errorf("%s, want %s", tid, last)
		}
	})
}

// SCENARIO 78: an undo is refused if one object of two has changed since, and
// allowed if it has become equal again; several at once go in any order.
func TestUndoDepends(t *testing.T) {
	onPackBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, rb := openAccounts(t, db, 10, 20)
		set := func(r Ref[account], n int64) func(*Tx) error {
			return func(tx *Tx) error { Must(r.Edit(tx)).Balance = n; return nil }
		}
		t1 := commit(t, db, func(tx *Tx) error { return errors.Join(set(ra, 11)(tx), set(rb, 21)(tx)) })
		t2 := commit(t, db, set(ra, 12))
		lost := refuseUndo(t, db, ra.OID(), "changed since", t1)
		if o := lost.Objects[0]; len(lost.Objects) != 1 || o.Base != t1 || o.Committed != t2 || o.Class != "test.Account" {
			t.Errorf("%+v", lost.Objects)
		}
		if b := balance(t, db, "b"); b != 21 {
			t.Errorf("half of it was undone: %d", b)
		}
		t3 := commit(t, db, set(ra, 11)) // as t1 has left it
		undo(t, db, t1)
		if a, b := balance(t, db, "a"), balance(t, db, "b"); a != 10 || b != 20 {
			t.Errorf("%d %d", a, b)
		}
		for _, order := range [][]TID{{t1, t2}, {t2, t1}} {
			commit(t, db, func(tx *Tx) error { return errors.Join(set(ra, 12)(tx), set(rb, 21)(tx)) })
			undo(t, db, order...)
			if a, b := balance(t, db, "a"), balance(t, db, "b"); a != 10 || b != 20 {
				t.Errorf("%v: %d %d", order, a, b)
			}
		}
		_ = t3
	})
}

// What is undone of a container are its keys, whatever became of others.
func TestUndoContainers(t *testing.T) {
	onPackBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		commit(t, db, func(tx *Tx) error {
			s := Must(theStore.Edit(tx))
			s.Name = "corner"
			for _, k := range strings.Fields("a b c d e f g h i j k l m n") {
				for _, n := range strings.Fields("1 2 3 4 5 6 7 8 9") {
					if err := errors.Join(s.Stock.Put(tx, k+n, 1), s.Prices.Put(tx, k+n, 0.5), s.Tags.Add(tx, k+n), s.Log.Append(tx, k+n)); err != nil {
						return err
					}
				}
			}
			return s.Sales.Add(tx, 5)
		})
		in := func(fn func(tx *Tx, s *store) error) TID {
			return commit(t, db, func(tx *Tx) error { return fn(tx, Must(theStore.Load(tx))) })
		}
		t1 := in(func(tx *Tx, s *store) error {
			if _, err := s.Stock.Delete(tx, "b2"); err != nil {
				return err
			}
			_, err := s.Tags.Delete(tx, "c3")
			return errors.Join(err, s.Stock.Put(tx, "a1", 7), s.Stock.Put(tx, "new", 1), s.Prices.Put(tx, "d4", 9), s.Log.Set(tx, 3, "changed"), s.Sales.Add(tx, 10))
		})
		in(func(tx *Tx, s *store) error {
			return errors.Join(s.Stock.Put(tx, "a2", 70), s.Prices.Put(tx, "d5", 90), s.Tags.Add(tx, "other"), s.Log.Set(tx, 4, "too"), s.Log.Append(tx, "end"), s.Sales.Add(tx, 100))
		})
		undo(t, db, t1)
		view(t, db, func(tx *Tx) error {
			s := Must(theStore.Load(tx))
			v, ok, err := s.Stock.Get(tx, "a1")
			if v != 1 || !ok || err != nil {
				t.Error("a1", v, ok, err)
			}
			if v, ok, _ := s.Stock.Get(tx, "b2"); v != 1 || !ok {
				t.Error("b2", v, ok)
			}
			if ok, _ := s.Stock.Has(tx, "new"); ok {
				t.Error("new")
			}
			if v, _, _ := s.Stock.Get(tx, "a2"); v != 70 {
				t.Error("a2", v)
			}
			if v, _, _ := s.Prices.Get(tx, "d4"); v != 0.5 {
				t.Error("d4", v)
			}
			if ok, _ := s.Tags.Has(tx, "c3"); !ok {
				t.Error("c3")
			}
			if v := Must(s.Log.Get(tx, 3)); v != "a4" {
				t.Error("log", v)
			}
			if n := Must(s.Log.Len(tx)); n != 14*9+1 {
				t.Error("length of the log", n)
			}
			if n := Must(s.Sales.Value(tx)); n != 105 {
				t.Error("sales", n)
			}
			return nil
		})
		tree := viewed(t, db, func(tx *Tx) (OID, error) { return Must(theStore.Load(tx)).Stock.OID(), nil })
		t3 := in(func(tx *Tx, s *store) error { return s.Stock.Put(tx, "a1", 8) })
		in(func(tx *Tx, s *store) error { return s.Stock.Put(tx, "a1", 9) })
		refuseUndo(t, db, tree, `key "a1"`, t3)

		log := viewed(t, db, func(tx *Tx) (OID, error) { return Must(theStore.Load(tx)).Log.OID(), nil })
		t4 := in(func(tx *Tx, s *store) error { return s.Log.Append(tx, "mine") })
		t5 := in(func(tx *Tx, s *store) error { return s.Log.Insert(tx, 0, "first") })
		refuseUndo(t, db, log, "values from index", t4)
		undo(t, db, t5, t4)
		if n := viewed(t, db, func(tx *Tx) (int, error) { return Must(theStore.Load(tx)).Log.Len(tx) }); n != 14*9+1 {
			t.Error("length of the log", n)
		}
	})
}

// SCENARIOS 79, 80: undo after packs, by ids; the state before the first
// transaction that was kept is there; what was packed away is ErrPacked; a
// state that refers to what a pack has removed does not come back.
func TestUndoAcrossPacks(t *testing.T) {
	onPackBeds(t, func(t *testing.T, b *bed) {
		db, other := b.db(), b.db()
		ra, _ := openAccounts(t, db, 0, 20)
		var tids []TID
		for n := int64(1); n <= 6; n++ {
			tids = append(tids, commit(t, db, func(tx *Tx) error { Must(ra.Edit(tx)).Balance = n; return nil }))
		}
		for n := 6; n > 2; n-- {
			packed(t, db, pack.Options{KeepFrom: tids[2]})
			handle := []*DB{db, other}[n%2]
			undo(t, handle, tids[n-1])
			if a := balance(t, handle, "a"); a != int64(n-1) {
				t.Fatalf("%d, want %d", a, n-1)
			}
		}
		if _, err := db.Undo(t.Context(), tids[1]); !errors.Is(err, ErrPacked) {
			t.Errorf("undo of what was packed: %v", err)
		}
		if _, err := db.Undo(t.Context(), tids[5]+1000000); !errors.Is(err, ErrNotFound) {
			t.Errorf("undo of what never was: %v", err)
		}
		// b goes, a pack collects it, the undo would bring the reference back.
		t1 := commit(t, db, func(tx *Tx) error { delete(Must(theBank.Edit(tx)).Accounts, "b"); return nil })
		t2 := undo(t, other, t1) // as long as it is there
		if n := balance(t, db, "b"); n != 20 {
			t.Errorf("%d", n)
		}
		undo(t, db, t2)
		packed(t, db, pack.Options{})
		t3 := commit(t, db, func(tx *Tx) error { Must(theBank.Edit(tx)).Name = "x"; return nil })
		if _, err := db.Undo(t.Context(), t2); !errors.Is(err, ErrPacked) {
			t.Errorf("%v", err)
		}
		undo(t, other, t3)
	})
}

// What has come back by chance is not taken for undone: else one who is paid 5
// and pays 5 would be left out of the undo of the first, and money made.
func TestUndoOfHalf(t *testing.T) {
	onPackBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, rb := openAccounts(t, db, 100, 100)
		var rc Ref[account]
		update(t, db, func(tx *Tx) error {
			rc = Must(Add(tx, &account{Balance: 100}))
			Must(ra.Edit(tx)).Parent = rc
			return nil
		})
		move := func(from, to Ref[account]) TID {
			return commit(t, db, func(tx *Tx) error {
				Must(from.Edit(tx)).Balance -= 5
				Must(to.Edit(tx)).Balance += 5
				return nil
			})
		}
		first, second := move(ra, rb), move(rb, rc)
		lost := refuseUndo(t, db, rb.OID(), "is what it was before", first)
		if lost.Objects[0].Committed != second {
			t.Errorf("%+v, want transaction %s", lost.Objects, second)
		}
		done := undo(t, db, first, second)
		if again := undo(t, db, first); again != done {
			t.Errorf("what is undone was undone by %s", again)
		}
		view(t, db, func(tx *Tx) error {
			for _, r := range []Ref[account]{ra, rb, rc} {
				if n := Must(r.Load(tx)).Balance; n != 100 {
					t.Errorf("%s has %d", r, n)
				}
			}
			return nil
		})
	})
}
