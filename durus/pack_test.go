package durus

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/durusdb/durus/pack"
)

// packBeds are the storages with a file.
func onPackBeds(t *testing.T, test func(t *testing.T, b *bed)) {
	onBeds(t, func(t *testing.T, b *bed) {
		if b.mem != nil {
			t.Skip("there is no file")
		}
		test(t, b)
	})
}

func packed(t testing.TB, db *DB, o pack.Options) pack.Report {
	t.Helper()
	r, err := db.Pack(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// D5: transactions that began before a pack see what they saw, and commit; what
// conflicts is run again by Update.
func TestTransactionsAcrossAPack(t *testing.T) {
	onPackBeds(t, func(t *testing.T, b *bed) {
		db, other := b.db(), b.db()
		ra, _ := openAccounts(t, db, 10, 20)
		a := RefTo[account](ra.OID()) // for the other handle
		tx := begin(t, other, true)
		if v := Must(a.Load(tx)); v.Balance != 10 {
			t.Fatalf("%d", v.Balance)
		}
		if r := packed(t, db, pack.Options{}); r.Kept.Objects == 0 {
			t.Errorf("%+v", r)
		}
		Must(a.Edit(tx)).Balance = 11
		if err := tx.Commit(); err != nil {
			t.Errorf("nothing has changed: %v", err)
		}
		if n := balance(t, db, "a"); n != 11 {
			t.Errorf("a holds %d", n)
		}
		runs := 0
		if err := other.Update(context.Background(), func(tx *Tx) error {
			runs++
			v := Must(a.Edit(tx))
			if runs == 1 {
				update(t, db, func(tx *Tx) error { Must(ra.Edit(tx)).Balance = 100; return nil })
				packed(t, db, pack.Options{})
			}
			v.Balance++
			return nil
		}); err != nil || runs != 2 {
			t.Errorf("%v after %d runs", err, runs)
		}
		if n := balance(t, db, "a"); n != 101 {
			t.Errorf("a holds %d", n)
		}
	})
}

// D5: what a live connection has used is known across packs: unchanged, it
// commits; changed, it conflicts; and reading goes on in the new file.
func TestConnectionAcrossAPack(t *testing.T) {
	onPackBeds(t, func(t *testing.T, b *bed) {
		db, other := b.db(), b.db()
		ra, rb := openAccounts(t, db, 10, 20)
		k, err := other.Connect(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		a, c := RefTo[account](ra.OID()), RefTo[account](rb.OID())
		Must(a.Load(k))
		for range 2 { // two packs, one of which it notices by a read, the other at Commit
			update(t, db, func(tx *Tx) error {
				_, err := Add(tx, &account{})
				return err
			})
			packed(t, db, pack.Options{})
			if v := Must(c.Load(k)); v.Balance != 20 {
				t.Errorf("%d", v.Balance)
			}
		}
		Must(a.Edit(k)).Balance = 11
		packed(t, db, pack.Options{Keep: time.Hour})
		if err := k.Commit(); err != nil {
			t.Errorf("nothing has changed: %v", err)
		}
		if n := balance(t, db, "a"); n != 11 {
			t.Errorf("a holds %d", n)
		}

		Must(a.Load(k))
		Must(c.Edit(k)).Balance = 21
		update(t, db, func(tx *Tx) error { Must(ra.Edit(tx)).Balance = 12; return nil })
		packed(t, db, pack.Options{})
		var conflict *ConflictError
		if err := k.Commit(); !errors.As(err, &conflict) || conflict.Objects[0].OID != ra.OID() {
			t.Errorf("a was changed: %v", err)
		}
		if err := k.Abort(); err != nil {
			t.Error(err)
		}
		if v := Must(a.Load(k)); v.Balance != 12 {
			t.Errorf("%d", v.Balance)
		}

		// An object that a pack has removed has changed for whoever used it.
		Must(c.Load(k))
		Must(a.Edit(k)).Balance = 13
		update(t, db, func(tx *Tx) error { delete(Must(theBank.Edit(tx)).Accounts, "b"); return nil })
		packed(t, db, pack.Options{})
		wantErr(t, k.Commit(), ErrConflict)
		if err := k.Abort(); err != nil {
			t.Error(err)
		}
		_, err = c.Load(k)
		wantErr(t, err, ErrNotFound)
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
}

// SCENARIO 67: a reference that a program has kept to an object that is gone.
func TestReferenceToWhatAPackRemoved(t *testing.T) {
	onPackBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		_, rb := openAccounts(t, db, 10, 20)
		update(t, db, func(tx *Tx) error { delete(Must(theBank.Edit(tx)).Accounts, "b"); return nil })
		if r := packed(t, db, pack.Options{}); r.Dropped.Objects != 1 {
			t.Errorf("%+v", r)
		}
		err := db.Update(context.Background(), func(tx *Tx) error {
			Must(theBank.Edit(tx)).Accounts["b"] = rb
			return nil
		})
		wantErr(t, err, ErrDangling)
		wantWay(t, err, rb.OID(), `root "bank" > test.Bank@`)
		err = db.Update(context.Background(), func(tx *Tx) error { // a new referrer
			p := Must(Add(tx, &account{Owner: "p", Parent: rb}))
			Must(theBank.Edit(tx)).Accounts["p"] = p
			return nil
		})
		wantErr(t, err, ErrDangling)
		wantWay(t, err, rb.OID(), `root "bank" > test.Bank@`, " > test.Account@")
		if r := packed(t, db, pack.Options{}); r.DanglingTotal != 0 {
			t.Errorf("%+v", r)
		}
	})
}

// wantWay looks for steps of the way to the object that would refer to nothing.
func wantWay(t *testing.T, err error, to OID, steps ...string) {
	t.Helper()
	var d *DanglingError
	if !errors.As(err, &d) || d.To != to {
		t.Fatalf("got %v, want a DanglingError about object %s", err, to)
	}
	for _, step := range steps {
		if !strings.Contains(d.Way, step) || !strings.Contains(err.Error(), d.Way) {
			t.Errorf("got the way %q in %q, want %q in it", d.Way, err, step)
		}
	}
}

// What Pack refuses, and what it does inside of a transaction.
func TestPackRefuses(t *testing.T) {
	onPackBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		openAccounts(t, db, 1, 2)
		r := b.db(Options{ReadOnly: true})
		_, err := r.Pack(context.Background(), pack.Options{})
		wantErr(t, err, ErrReadOnly)
		if dry, err := r.Pack(context.Background(), pack.Options{DryRun: true}); err != nil || dry.Kept.Objects != 4 {
			t.Errorf("a dry run of a reader: %+v, %v", dry, err)
		}
		_, err = db.Pack(context.Background(), pack.Options{Progress: func(p pack.Progress) {
			if p.Phase == pack.CatchingUp {
				_, err := db.Pack(context.Background(), pack.Options{})
				wantErr(t, err, ErrPacking)
			}
		}})
		if err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		update(t, db, func(tx *Tx) error { Must(theBank.Edit(tx)).Name = "another"; return nil })
		_, err = db.Pack(ctx, pack.Options{})
		wantErr(t, err, context.Canceled)
		update(t, db, func(tx *Tx) error {
			packed(t, db, pack.Options{})
			Must(theBank.Edit(tx)).Name = "a third"
			return nil
		})
	})
	db := memBed(t).db()
	if _, err := db.Pack(context.Background(), pack.Options{}); err == nil {
		t.Error("a storage that cannot be packed was")
	}
}
