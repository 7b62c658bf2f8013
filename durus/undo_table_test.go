package durus

import (
	"context"
	"errors"
	"testing"
)

// An undone change of a row leaves the indexes right, in a program that knows
// the class and in one that does not.
func TestUndoTable(t *testing.T) {
	for _, kind := range []string{"memory", "unchecked", "file"} {
		for name, knows := range map[string]bool{"typed": true, "without types": false} {
			t.Run(kind+", "+name, func(t *testing.T) {
				b := beds[kind](t)
				db := b.shopDB()
				by := db
				if !knows {
					by = b.db(Options{Types: NewTypes()})
				}
				threeCustomers(t, db)
				do := func(fn func(tx *Tx, s *shop)) TID {
					return commit(t, db, func(tx *Tx) error { fn(tx, Must(theShop.Load(tx))); return nil })
				}
				cities := func(want ...string) {
					t.Helper()
					checkShop(t, db)
					view(t, db, func(tx *Tx) error {
						s := Must(theShop.Load(tx))
						wantNames(t, "Bonn", names(tx, byCity.Equal(tx, s.Customers, "Bonn")), want...)
						return nil
					})
				}
				moved := do(func(tx *Tx, s *shop) {
					c, _ := Must2(s.Customers.Edit(tx, "ada"))
					c.City, c.Email = "Bonn", "new@x"
				})
				cities("ada", "bob")
				do(func(tx *Tx, s *shop) { // of other rows in the same nodes
					c, _ := Must2(s.Customers.Edit(tx, "cyd"))
					c.Age = 99
					Must(s.Customers.Insert(tx, "dan", &customer{Name: "dan", City: "Bonn"}))
				})
				redo := undo(t, by, moved)
				cities("bob", "dan")
				redo = undo(t, by, redo)
				cities("ada", "bob", "dan")
				undo(t, by, redo)

				gone := do(func(tx *Tx, s *shop) { Must(s.Customers.Delete(tx, "bob")) })
				cities("dan")
				undo(t, by, gone)
				cities("bob", "dan")
				added := do(func(tx *Tx, s *shop) {
					Must(s.Customers.Insert(tx, "eve", &customer{Name: "eve", City: "Bonn", Email: "eve@x"}))
				})
				undo(t, by, added)
				cities("bob", "dan")

				// The key of a unique index is taken: the row cannot come back.
				gone = do(func(tx *Tx, s *shop) { Must(s.Customers.Delete(tx, "bob")) })
				do(func(tx *Tx, s *shop) {
					Must(s.Customers.Insert(tx, "rob", &customer{Name: "rob", Email: "bob@x"}))
				})
				if _, err := by.Undo(t.Context(), gone); !errors.Is(err, ErrConflict) {
					t.Errorf("a unique key would be there twice: %v", err)
				}
				cities("dan")
			})
		}
	}
}

// Indexes that came later, and objects that changed outside of the table, are
// brought in step, or stand against the undo.
func TestUndoTableLater(t *testing.T) {
	b := beds["memory"](t)
	db := b.shopDB(byEmail, byCity)
	plain := b.db(Options{Types: NewTypes()})
	threeCustomers(t, db)
	do := func(fn func(tx *Tx, s *shop)) TID {
		return commit(t, db, func(tx *Tx) error { fn(tx, Must(theShop.Load(tx))); return nil })
	}
	var bob Ref[customer]
	edited := do(func(tx *Tx, s *shop) { // before it joins another table
		bob, _ = Must2(s.Customers.Ref(tx, "bob"))
		Must(bob.Edit(tx)).City = "Ulm"
	})
	do(func(tx *Tx, s *shop) {
		Must(theShop.Edit(tx)).Others = []Ref[customer]{bob}
		Must(s.Numbers.Insert(tx, 1, Must(bob.Edit(tx))))
	})
	refuseUndo(t, plain, membersOfShop(t, db), "has changed since", edited)
	if _, err := db.Undo(t.Context(), edited); !errors.Is(err, ErrConflict) {
		t.Errorf("its entry among the members has changed: %v", err)
	}
	gone := do(func(tx *Tx, s *shop) { Must(s.Customers.Delete(tx, "bob")) })
	do(func(tx *Tx, s *shop) { Must(s.Numbers.Delete(tx, 1)) })
	gone2 := do(func(tx *Tx, s *shop) { Must(s.Customers.Delete(tx, "cyd")) })
	do(func(tx *Tx, s *shop) { Must(s.Others[0].Edit(tx)).City = "Rom" }) // bob, who is in no table now
	if _, err := plain.Undo(t.Context(), gone); !errors.Is(err, ErrConflict) {
		t.Errorf("%v", err)
	}
	checkShop(t, db)
	// An index that the row that comes back is not in.
	more := b.shopDB(byEmail, byCity, byAge)
	var customers Table[string, customer]
	view(t, more, func(tx *Tx) error { customers = Must(theShop.Load(tx)).Customers; return nil })
	if err := Reindex(context.Background(), more, customers, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := plain.Undo(t.Context(), gone2); !errors.Is(err, ErrConflict) {
		t.Errorf("the index by age would lack cyd: %v", err)
	}
	undo(t, more, gone2)
	checkShop(t, more)
	view(t, more, func(tx *Tx) error {
		wantNames(t, "by age", names(tx, byAge.All(tx, Must(theShop.Load(tx)).Customers)), "ada", "cyd")
		return nil
	})
	// The definition of indexes is not undone.
	last, err := more.LastTID()
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for info, err := range more.Transactions(gone2+1, last) {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := more.Undo(t.Context(), info.TID); errors.Is(err, ErrConflict) {
			refused++
		}
		checkShop(t, more)
	}
	if refused == 0 {
		t.Error("the building of an index was undone")
	}
}

// membersOfShop is the tree of the members of customers.
func membersOfShop(t testing.TB, db *DB) (oid OID) {
	t.Helper()
	view(t, db, func(tx *Tx) error {
		dir, _, err := tx.c.tablesOf()
		if err == nil {
			oid = dir.Members["test.Customer"].OID()
		}
		return err
	})
	return oid
}
