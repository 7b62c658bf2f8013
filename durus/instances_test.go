package durus

import (
	"maps"
	"slices"
	"testing"
)

func owners(s Session) []string {
	var names []string
	for r, a := range Instances[account](s) {
		if got, err := r.Load(s); err != nil || got != a {
			names = append(names, "not what Load gives")
		}
		names = append(names, a.Owner)
	}
	slices.Sort(names)
	return names
}

func want(t *testing.T, got []string, names ...string) {
	t.Helper()
	if !slices.Equal(got, names) {
		t.Errorf("got %q, want %q", got, names)
	}
}

// Every object of the class in the snapshot, unlinked ones too, and what the
// session has edited and added.
func TestInstances(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, 1, 2)
		old := begin(t, db, false)
		update(t, db, func(tx *Tx) error {
			root := Must(theBank.Edit(tx))
			delete(root.Accounts, "a")
			root.Accounts["c"] = Must(Add(tx, &account{Owner: "c"}))
			return nil
		})
		want(t, owners(old), "a", "b")
		view(t, db, func(tx *Tx) error { want(t, owners(tx), "a", "b", "c"); return nil })
		update(t, db, func(tx *Tx) error {
			Must(ra.Edit(tx)).Owner = "A"
			_ = Must(Add(tx, &account{Owner: "new"}))
			want(t, owners(tx), "A", "b", "c", "new")
			if n := len(maps.Collect(Instances[bank](tx))); n != 1 {
				t.Errorf("%d banks", n)
			}
			for range Instances[page](tx) {
				t.Error("a page")
			}
			// What the body adds is not part of the loop.
			for _, a := range Instances[account](tx) {
				_ = Must(Add(tx, &account{Owner: a.Owner + "'"}))
			}
			return nil
		})
		k, err := db.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want(t, owners(k), "A", "b", "c")
		if err := k.Abort(); err != nil {
			t.Fatal(err)
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// An object under an older name of its class counts.
func TestInstancesOfAnAlias(t *testing.T) {
	type old struct{ N int }
	type renamed struct{ N int }
	b := beds["memory"](t)
	before, after := NewTypes(), NewTypes()
	RegisterIn[old](before, "inst.Old")
	RegisterIn[renamed](after, "inst.New", Alias("inst.Old"))
	type root struct{ All []AnyRef }
	RegisterIn[root](before, "inst.Root")
	RegisterIn[root](after, "inst.Root")
	r := NewRoot[root]("inst")
	update(t, b.db(Options{Types: before}), func(tx *Tx) error {
		Must(r.Edit(tx)).All = []AnyRef{Must(Add(tx, &old{1})).Any()}
		return nil
	})
	db := b.db(Options{Types: after})
	update(t, db, func(tx *Tx) error {
		e := Must(r.Edit(tx))
		e.All = append(e.All, Must(Add(tx, &renamed{2})).Any())
		return nil
	})
	view(t, db, func(tx *Tx) error {
		sum := 0
		for _, v := range Instances[renamed](tx) {
			sum = 10*sum + v.N
		}
		if sum != 12 {
			t.Errorf("got %d", sum)
		}
		return nil
	})
	err := db.View(t.Context(), func(tx *Tx) error {
		for range Instances[old](tx) {
			t.Error("a class that is not registered")
		}
		return nil
	})
	wantErr(t, err, ErrType)
}

// Errors end the loop and stick, wherever they are met.
func TestInstancesFail(t *testing.T) {
	b := memBed(t)
	db := b.db()
	openAccounts(t, db, 1, 2)
	failing := false
	b.mem.fail = func(op string) error {
		if failing && op == "read" {
			return ErrCorrupt
		}
		return nil
	}
	failing = true
	err := db.View(t.Context(), func(tx *Tx) error {
		for range Instances[account](tx) {
			t.Error("an object")
		}
		return nil
	})
	wantErr(t, err, ErrCorrupt)
	failing = false

	tx, err := db.Begin(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	for range Instances[account](tx) {
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, tx.Err(), ErrTxDone)
}

// The extent of a class is part of the read set, for whoever tests it.
func TestExtents(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, 1, 2)
		tx := begin(t, db, true)
		want(t, owners(tx), "a", "b")
		var page, other OID
		update(t, db, func(tx *Tx) error {
			page = Must(thePages.Edit(tx)).Back.OID() // 0
			r := Must(thePages.ref(tx))
			page = r.OID()
			return nil
		})
		update(t, db, func(tx *Tx) error {
			root := Must(theBank.Edit(tx))
			r := Must(Add(tx, &account{Owner: "c"}))
			root.Accounts["c"], other = r, r.OID()
			return nil
		})
		now := begin(t, db, false)
		check := func(oids ...OID) error { return tx.c.checkExtents(now.c.snap, oids) }
		if err := check(page, ra.OID()); err != nil {
			t.Error(err)
		}
		wantErr(t, check(page, other, ra.OID()), ErrConflict)
	})
}
