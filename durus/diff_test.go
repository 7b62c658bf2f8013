package durus

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/pack"
)

// What a change says of containers is their own id, once, however many of their
// nodes, and of the counters that hold the length of a tree, were written.
func TestWatchContainers(t *testing.T) {
	db := openAt(t, filepath.Join(t.TempDir(), "a.durus"), nil)
	heads := map[string]OID{}
	update := func(fn func(tx *Tx, w *workplace) error) {
		t.Helper()
		if err := db.Update(t.Context(), func(tx *Tx) error {
			w, err := theWorkplace.Load(tx)
			if err != nil {
				return err
			}
			heads = map[string]OID{
				collection.ClassBTree: w.Ordered.OID(), collection.ClassDict: w.Spread.OID(), collection.ClassSet: w.Names.OID(),
				collection.ClassList: w.Log.OID(), collection.ClassCounter: w.Done.OID(), "random": w.Random.OID(),
			}
			return fn(tx, w)
		}); err != nil {
			t.Fatal(err)
		}
	}
	w := watch(t, t.Context(), db, 0)
	const many = 3000 // so that there are inner nodes, and counters of the length
	update(func(tx *Tx, w *workplace) error {
		for i := range many {
			_ = w.Ordered.Put(tx, 2*i, i)
			_ = w.Spread.Put(tx, fmt.Sprint(i), i)
			_ = w.Names.Add(tx, fmt.Sprint(i))
			_ = w.Log.Append(tx, fmt.Sprint(i))
		}
		return w.Done.Add(tx, 1)
	})
	c := w.change(t)
	for class, oid := range heads {
		if class == "random" {
			class = collection.ClassBTree
		}
		i := slices.Index(c.OIDs, oid)
		if i < 0 || c.Classes[i] != class {
			t.Errorf("the first change does not show a %s", class)
		}
	}
	if len(c.OIDs) != len(heads)+2 { // the root, and the directory of roots
		t.Errorf("the first change is of %d objects: %v %v", len(c.OIDs), c.OIDs, c.Classes)
	}
	one := func(class string, fn func(tx *Tx, w *workplace) error) {
		t.Helper()
		update(fn)
		c := w.change(t)
		if !slices.Equal(c.OIDs, []OID{heads[class]}) || !slices.Equal(c.Classes, []string{class}) {
			t.Errorf("a change of a %s, %s, shows %v %v", class, heads[class], c.OIDs, c.Classes)
		}
	}
	one(collection.ClassBTree, func(tx *Tx, w *workplace) error { return w.Ordered.Put(tx, 4, 44) })
	one(collection.ClassBTree, func(tx *Tx, w *workplace) error { return w.Ordered.Put(tx, 5, 5) }) // its length changes
	one(collection.ClassBTree, func(tx *Tx, w *workplace) error {
		for i := range many { // leaves go
			if _, err := w.Ordered.Delete(tx, i); err != nil {
				return err
			}
		}
		return nil
	})
	one(collection.ClassDict, func(tx *Tx, w *workplace) error { return w.Spread.Put(tx, "new", 1) })
	one(collection.ClassSet, func(tx *Tx, w *workplace) error { return w.Names.Add(tx, "new") })
	one(collection.ClassList, func(tx *Tx, w *workplace) error { return w.Log.Append(tx, "new") })
	one(collection.ClassCounter, func(tx *Tx, w *workplace) error { return w.Done.Add(tx, 1) })
	update(func(tx *Tx, w *workplace) error {
		_ = w.Ordered.Put(tx, 7, 7)
		return w.Done.Add(tx, 1)
	})
	want := []OID{heads[collection.ClassBTree], heads[collection.ClassCounter]}
	slices.Sort(want)
	if c := w.change(t); !slices.Equal(c.OIDs, want) {
		t.Errorf("a change of a tree and a counter shows %v %v, want %v", c.OIDs, c.Classes, want)
	}
}

func TestDiff(t *testing.T) {
	db := openAt(t, filepath.Join(t.TempDir(), "a.durus"), nil)
	openAccounts(t, db, 500, 500)
	w := watch(t, t.Context(), db, last(t, db))
	deposit(t, db, "a", 7)
	var fresh, a Ref[account]
	if err := db.Update(t.Context(), func(tx *Tx) error {
		b := Must(theBank.Edit(tx))
		fresh, a = Must(Add(tx, &account{Owner: "new", Balance: 1})), b.Accounts["a"]
		b.Accounts["c"] = fresh
		Must(a.Edit(tx)).Balance = 1
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	first, second := w.change(t), w.change(t)
	deposit(t, db, "a", 100) // what comes later is not looked at

	var got []string
	collect := func(ref Ref[account], was, is *account) error {
		s := fmt.Sprint(ref.OID() == fresh.OID(), " ")
		if was != nil {
			s += fmt.Sprint(was.Balance)
		}
		got = append(got, fmt.Sprint(s, ">", is.Balance))
		return nil
	}
	for _, c := range []Change{first, second} {
		if err := Diff(t.Context(), db, c, collect); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"false 500>507", "false 507>1", "true >1"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	n := 0
	if err := Diff(t.Context(), db, second, func(ref Ref[bank], was, is *bank) error {
		n++
		if len(was.Accounts) != 2 || len(is.Accounts) != 3 || ref.IsNil() {
			t.Errorf("the bank had %d accounts and has %d", len(was.Accounts), len(is.Accounts))
		}
		return nil
	}); err != nil || n != 1 {
		t.Errorf("%d banks, %v", n, err)
	}

	mine := errors.New("mine")
	if err := Diff(t.Context(), db, first, func(Ref[account], *account, *account) error { return mine }); !errors.Is(err, mine) {
		t.Errorf("an error of the function comes back as %v", err)
	}
	type stranger struct{ X int }
	if err := Diff(t.Context(), db, first, func(Ref[stranger], *stranger, *stranger) error { return nil }); !errors.Is(err, ErrType) {
		t.Errorf("of a type that is not registered: %v", err)
	}
	if err := Diff(t.Context(), db, Change{}, collect); !errors.Is(err, ErrNotFound) {
		t.Errorf("of no change: %v", err)
	}
	other := first
	other.TID = second.TID - 1
	if other.TID > first.TID {
		if err := Diff(t.Context(), db, other, collect); !errors.Is(err, ErrRewound) {
			t.Errorf("of a transaction that is not there: %v", err)
		}
	}
	if _, err := db.Pack(t.Context(), pack.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := Diff(t.Context(), db, first, collect); !errors.Is(err, ErrPacked) {
		t.Errorf("of a transaction that was packed away: %v", err)
	}
}
