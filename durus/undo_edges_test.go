package durus

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durusdb/durus/pack"
	"github.com/durusdb/durus/storage"
)

// Writers of other keys, in other goroutines and handles, lose nothing to an
// undo, and the undo nothing to them.
func TestUndoAmongWriters(t *testing.T) {
	b := beds["file"](t)
	db, other := b.db(), b.db(Options{MaxRetries: 1000})
	const keys = 40
	root := func(tx *Tx) *undoRoot { return Must(theUndoRoot.Load(tx)) }
	commit(t, db, func(tx *Tx) error {
		for k := range keys {
			if err := root(tx).Numbers.Put(tx, k, "first"); err != nil {
				return err
			}
		}
		return nil
	})
	var tids []TID
	for k := 0; k < keys; k += 2 { // the even ones are undone
		tids = append(tids, commit(t, db, func(tx *Tx) error {
			return errors.Join(root(tx).Numbers.Put(tx, k, "mistake"), root(tx).Hits.Add(tx, 1000))
		}))
	}
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for i := range 60 {
				if err := other.Update(context.Background(), func(tx *Tx) error {
					k := 1 + 2*((w*60+i)%(keys/2))
					v, _, err := root(tx).Numbers.Get(tx, k)
					return errors.Join(err, root(tx).Numbers.Put(tx, k, v+"+"), root(tx).Hits.Add(tx, 1), root(tx).Numbers.Put(tx, 1000+w*100+i, "new"))
				}); err != nil {
					t.Errorf("writer: %v", err)
				}
			}
		})
	}
	for _, tid := range tids {
		undo(t, db, tid)
	}
	wg.Wait()
	view(t, db, func(tx *Tx) error {
		pluses := 0
		for k, v := range root(tx).Numbers.All(tx) {
			if k < keys && k%2 == 0 && v != "first" {
				t.Errorf("key %d holds %q", k, v)
			}
			pluses += strings.Count(v, "+")
		}
		if n, h := Must(root(tx).Numbers.Len(tx)), Must(root(tx).Hits.Value(tx)); pluses != 120 || n != keys+120 || h != 120 {
			t.Errorf("%d additions, %d keys, %d hits", pluses, n, h)
		}
		return nil
	})
}

// An undo and a writer of the same thing: one of them conflicts.
func TestUndoConflictsAtCommit(t *testing.T) {
	onPackBeds(t, func(t *testing.T, b *bed) {
		for _, isolation := range []Isolation{Serializable, SnapshotIsolation} {
			db, other := b.db(Options{Isolation: isolation}), b.db()
			ra, _ := openAccounts(t, db, 1, 2)
			a := RefTo[account](ra.OID())
			set := func(db *DB, n int64) TID {
				return commit(t, db, func(tx *Tx) error { Must(a.Edit(tx)).Balance = n; return nil })
			}
			t1 := set(db, 5)
			tx := begin(t, db, true)
			if err := tx.Undo(t1); err != nil {
				t.Fatal(err)
			}
			set(other, 6)
			if err := tx.Commit(); !errors.Is(err, ErrConflict) {
				t.Errorf("isolation %d: %v", isolation, err)
			}
			// The creation of something that somebody changes meanwhile.
			var r Ref[account]
			t2 := commit(t, db, func(tx *Tx) error {
				r = Must(Add(tx, &account{Owner: "new"}))
				Must(a.Edit(tx)).Parent = r
				return nil
			})
			tx = begin(t, db, true)
			if err := tx.Undo(t2); err != nil {
				t.Fatal(err)
			}
			commit(t, other, func(tx *Tx) error { Must(RefTo[account](r.OID()).Edit(tx)).Balance = 9; return nil })
			if err := tx.Commit(); !errors.Is(err, ErrConflict) {
				t.Errorf("isolation %d: what was made has changed: %v", isolation, err)
			}
			refuseUndo(t, db, r.OID(), "made then", t2)
			view(t, db, func(tx *Tx) error { return nil })
			commit(t, db, func(tx *Tx) error { root := Must(theBank.Edit(tx)); clear(root.Accounts); return nil })
		}
	})
}

// The undo of a root's creation: a name goes, others stay, and who had found
// the root conflicts; redo brings it back.
func TestUndoRoot(t *testing.T) {
	onPackBeds(t, func(t *testing.T, b *bed) {
		db, other := b.db(), b.db()
		t1 := commit(t, db, func(tx *Tx) error { Must(theBank.Edit(tx)).Name = "one"; return nil })
		commit(t, db, func(tx *Tx) error { Must(theTallies.Edit(tx)); return nil })
		tx := begin(t, other, true)
		Must(theBank.Edit(tx)).Name = "two"
		t2 := undo(t, db, t1)
		if err := tx.Commit(); !errors.Is(err, ErrConflict) {
			t.Errorf("the root is not there any more: %v", err)
		}
		name := func() string {
			return viewed(t, db, func(tx *Tx) (string, error) { b, err := theBank.Load(tx); return b.Name, err })
		}
		if n := name(); n != "" {
			t.Errorf("the root is still there: %q", n)
		}
		undo(t, db, t2)
		if n := name(); n != "one" {
			t.Errorf("redo: %q", n)
		}
		t3 := undo(t, db, t1)
		commit(t, db, func(tx *Tx) error { Must(theBank.Edit(tx)).Name = "another"; return nil })
		refuseUndo(t, db, directoryOID, `root "bank"`, t3)
	})
}

// SCENARIO 79: a state that refers to what a pack has removed is refused.
func TestUndoDangling(t *testing.T) {
	onPackBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, rb := openAccounts(t, db, 1, 2)
		commit(t, db, func(tx *Tx) error { Must(rb.Edit(tx)).Balance = 3; return nil })
		unlink := commit(t, db, func(tx *Tx) error { delete(Must(theBank.Edit(tx)).Accounts, "b"); return nil })
		var owner OID
		link := commit(t, db, func(tx *Tx) error {
			n := Must(Add(tx, &account{Owner: "n"}))
			owner = n.OID()
			Must(ra.Edit(tx)).Parent = n
			return nil
		})
		back := undo(t, db, link) // n hangs nowhere
		// What is written after the horizon is kept, with what it refers to; b
		// and n are not, once nothing since has written or referred to them.
		commit(t, db, func(tx *Tx) error { Must(ra.Edit(tx)).Balance = 7; return nil })
		packed(t, db, pack.Options{KeepFrom: back})
		if _, err := db.Undo(t.Context(), unlink); !errors.Is(err, ErrPacked) {
			t.Errorf("%v", err)
		}
		commit(t, db, func(tx *Tx) error { Must(ra.Edit(tx)).Balance = 1; return nil })
		_, err := db.Undo(t.Context(), back)
		found := db.View(t.Context(), func(tx *Tx) error { _, err := RefTo[account](owner).Load(tx); return err })
		switch {
		case found == nil && err != nil:
			t.Errorf("n is there: %v", err)
		case found != nil && !errors.Is(err, ErrDangling) && !errors.Is(err, ErrConflict):
			t.Errorf("n is gone: %v", err)
		}
	})
}

// A class with a Merge settles what has changed since, or the conflict stands.
func TestUndoMerge(t *testing.T) {
	onPackBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		var r Ref[tally]
		commit(t, db, func(tx *Tx) error {
			r = Must(Add(tx, &tally{Sum: 1}))
			Must(theTallies.Edit(tx)).One = r
			return nil
		})
		add := func(n int, fail string) TID {
			return commit(t, db, func(tx *Tx) error { v := Must(r.Edit(tx)); v.Sum += n; v.Fail = fail; return nil })
		}
		t1 := add(10, "")
		add(100, "")
		undo(t, db, t1)
		if n := viewed(t, db, func(tx *Tx) (int, error) { return Must(r.Load(tx)).Sum, nil }); n != 101 {
			t.Errorf("%d", n)
		}
		add(0, "panic")
		t2 := add(1, "")
		add(2, "")
		refuseUndo(t, db, r.OID(), "no way", t2)
	})
}

// oldThing and newThing are one class in two versions.
type (
	oldThing struct {
		Name string
		Old  int
	}
	newThing struct {
		Name string
		New  int
	}
	thingRoot struct{ Thing AnyRef }
)

// What comes back is the record of then: its version, and what this program does
// not know of it; in the same transaction it is read and edited as usual.
func TestUndoVersions(t *testing.T) {
	onPackBeds(t, func(t *testing.T, b *bed) {
		theThing := NewRoot[thingRoot]("thing")
		older, newer := NewTypes(), NewTypes()
		RegisterIn[oldThing](older, "test.Thing", Version(1))
		RegisterIn[thingRoot](older, "test.ThingRoot")
		RegisterIn[newThing](newer, "test.Thing", Version(2), Upgrade(1, func(old *oldThing, new *newThing) error { new.New = 2 * old.Old; return nil }))
		RegisterIn[thingRoot](newer, "test.ThingRoot")
		was, now, none := b.db(Options{Types: older}), b.db(Options{Types: newer}), b.db(Options{Types: NewTypes()})
		var oid OID
		commit(t, was, func(tx *Tx) error {
			r := Must(Add(tx, &oldThing{"thing", 21}))
			oid = r.OID()
			Must(theThing.Edit(tx)).Thing = r.Any()
			return nil
		})
		state := func() *objectState {
			t.Helper()
			tx := begin(t, none, false)
			return Must(tx.c.objectAt(tx.c.snap, oid))
		}
		before := state()
		edit := func() TID {
			return commit(t, now, func(tx *Tx) error { Must(RefTo[newThing](oid).Edit(tx)).Name = "edited"; return nil })
		}
		for _, db := range []*DB{was, now, none} {
			t1 := edit()
			if s := state(); s.equal(before) || s.class == before.class {
				t.Fatalf("%+v", s)
			}
			undo(t, db, t1)
			if s := state(); !s.equal(before) {
				t.Errorf("%s %x, want %s %x", s.class, s.payload, before.class, before.payload)
			}
		}
		t1 := edit()
		update(t, now, func(tx *Tx) error {
			r := RefTo[newThing](oid)
			if err := tx.Undo(t1); err != nil {
				return err
			}
			if v := Must(r.Load(tx)); v.Name != "thing" || v.New != 42 {
				t.Errorf("%+v", v)
			}
			if class := Must(r.Any().Class(tx)); class != "test.Thing" {
				t.Errorf("%q", class)
			}
			v := Must(r.Edit(tx))
			v.New++
			if again := Must(r.Load(tx)); again != v {
				t.Error("Load gives another pointer than Edit")
			}
			return nil
		})
		if s := state(); s.class != storage.ClassName("test.Thing", 2) {
			t.Errorf("%s", s.class)
		}
	})
}

// What the transaction has edited before comes back in place.
func TestUndoInPlace(t *testing.T) {
	onPackBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, rb := openAccounts(t, db, 1, 2)
		t1 := commit(t, db, func(tx *Tx) error { Must(ra.Edit(tx)).Balance = 5; return nil })
		update(t, db, func(tx *Tx) error {
			v := Must(ra.Edit(tx))
			Must(rb.Edit(tx)).Balance = 3
			if err := tx.Undo(t1); err != nil {
				return err
			}
			if v.Balance != 1 || Must(ra.Load(tx)) != v {
				t.Errorf("%+v", v)
			}
			return nil
		})
		if a, b := balance(t, db, "a"), balance(t, db, "b"); a != 1 || b != 3 {
			t.Errorf("%d %d", a, b)
		}
		// An edit of this transaction counts as a later change.
		t2 := commit(t, db, func(tx *Tx) error { Must(ra.Edit(tx)).Balance = 6; return nil })
		tx := begin(t, db, true)
		Must(ra.Edit(tx)).Balance = 7
		sp := Must(tx.Savepoint())
		if err := tx.Undo(t2); !errors.Is(err, ErrConflict) {
			t.Errorf("%v", err)
		}
		if err := sp.Rollback(); err != nil || tx.Err() != nil {
			t.Errorf("%v %v", err, tx.Err())
		}
		if err := tx.Commit(); err != nil {
			t.Error(err)
		}
		if a := balance(t, db, "a"); a != 7 {
			t.Errorf("%d", a)
		}
	})
}

// Going back to a savepoint takes an Undo back, and what was edited on top of it.
func TestUndoSavepoint(t *testing.T) {
	onPackBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, 1, 2)
		set := func(n int64) TID {
			return commit(t, db, func(tx *Tx) error { Must(ra.Edit(tx)).Balance = n; return nil })
		}
		t1, t2, t3 := set(10), set(20), set(30)
		update(t, db, func(tx *Tx) error {
			want := func(n int64) {
				t.Helper()
				if v := Must(ra.Load(tx)); v.Balance != n {
					t.Errorf("%d, want %d", v.Balance, n)
				}
			}
			start := Must(tx.Savepoint())
			if err := tx.Undo(t3); err != nil {
				return err
			}
			want(20)
			first := Must(tx.Savepoint())
			if err := tx.Undo(t2); err != nil {
				return err
			}
			want(10)
			second := Must(tx.Savepoint())
			Must(ra.Edit(tx)).Balance = 77
			want(77)
			for _, back := range []struct {
				sp *Savepoint
				n  int64
			}{{second, 10}, {first, 20}, {first, 20}, {start, 30}} {
				if err := back.sp.Rollback(); err != nil {
					return err
				}
				want(back.n)
			}
			if err := tx.Undo(t1, t2, t3); err != nil {
				return err
			}
			want(1)
			Must(ra.Edit(tx)).Balance++
			return nil
		})
		if a := balance(t, db, "a"); a != 2 {
			t.Errorf("%d", a)
		}
	})
}

// weakling refers to an account that it does not keep.
type weakling struct {
	Name string
	To   WeakRef[account]
}

var (
	_           = Register[weakling]("test.Weakling")
	theWeakling = NewRoot[weakling]("weakling")
)

// A weak reference comes back whether there is anything behind it or not.
func TestUndoWeak(t *testing.T) {
	onPackBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		_, rb := openAccounts(t, db, 1, 2)
		commit(t, db, func(tx *Tx) error { Must(theWeakling.Edit(tx)).To = rb.Weak(); return nil })
		commit(t, db, func(tx *Tx) error { delete(Must(theBank.Edit(tx)).Accounts, "b"); return nil })
		t1 := commit(t, db, func(tx *Tx) error { *Must(theWeakling.Edit(tx)) = weakling{Name: "x"}; return nil })
		packed(t, db, pack.Options{KeepFrom: t1})
		undo(t, db, t1)
		view(t, db, func(tx *Tx) error {
			w := Must(theWeakling.Load(tx))
			if _, ok, err := w.To.Load(tx); w.To.OID() != rb.OID() || ok || err != nil {
				t.Errorf("%v, there %v, %v", w.To, ok, err)
			}
			return nil
		})
	})
}

// Mistakes are told, stick, and change nothing.
func TestUndoMistakes(t *testing.T) {
	onPackBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, 1, 2)
		early := begin(t, db, true)
		t1 := commit(t, db, func(tx *Tx) error {
			tx.Describe("ada", "raise", nil)
			Must(ra.Edit(tx)).Balance = 5
			return nil
		})
		if err := early.Undo(t1); !errors.Is(err, ErrNotFound) {
			t.Errorf("not in its snapshot: %v", err)
		}
		if err := db.View(t.Context(), func(tx *Tx) error { return tx.Undo(t1) }); !errors.Is(err, ErrReadOnly) {
			t.Errorf("in a View: %v", err)
		}
		for what, tids := range map[string][]TID{"none": nil, "zero": {0}, "twice": {t1, t1}, "one before": {t1 - 1}} {
			if _, err := db.Undo(t.Context(), tids...); err == nil || errors.Is(err, ErrConflict) {
				t.Errorf("%s: %v", what, err)
			}
		}
		tx := begin(t, db, true)
		if err := tx.Undo(t1); err != nil {
			t.Fatal(err)
		}
		if err := tx.Undo(t1); err == nil {
			t.Error("undone twice")
		}
		if err := tx.Commit(); err == nil {
			t.Error("committed after a mistake")
		}
		tx = begin(t, db, true)
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if err := tx.Undo(t1); !errors.Is(err, ErrTxDone) {
			t.Errorf("after the end: %v", err)
		}
		tid := commit(t, db, func(tx *Tx) error { tx.Describe("bob", "my words", nil); return tx.Undo(t1) })
		for info, err := range db.Transactions(tid, tid) {
			if err != nil || info.User != "bob" || info.Description != "my words" {
				t.Errorf("%+v %v", info, err)
			}
		}
		plan, err := db.PlanUndo(t.Context(), tid)
		if err != nil || !slices.Equal(plan, []Undone{{OID: ra.OID(), Class: "test.Account"}}) {
			t.Errorf("%+v %v", plan, err)
		}
		if s := describeUndo(slices.Repeat([]TID{1}, 10)); s != "undo of 1, 1, 1, 1, 1, 1, 1, 1, and 2 more" {
			t.Errorf("%q", s)
		}
	})
}

// counting counts the records that are read.
type counting struct {
	storage.Storage
	reads *atomic.Int64
}

type countingSnapshot struct {
	storage.Snapshot
	reads *atomic.Int64
}

func (s countingSnapshot) Read(oid OID, pos storage.Position) (storage.Record, error) {
	s.reads.Add(1)
	return s.Snapshot.Read(oid, pos)
}

func (s counting) Begin(ctx context.Context, writable bool) (storage.Snapshot, error) {
	snap, err := s.Storage.Begin(ctx, writable)
	return countingSnapshot{snap, s.reads}, err
}

func (s counting) Commit(ctx context.Context, c *storage.Commit) (TID, error) {
	c.Base = c.Base.(countingSnapshot).Snapshot
	return s.Storage.Commit(ctx, c)
}

func (s counting) BeginAt(ctx context.Context, tid TID) (storage.Snapshot, error) {
	snap, err := s.Storage.(storage.Historian).BeginAt(ctx, tid)
	return countingSnapshot{snap, s.reads}, err
}

func (s counting) TIDAt(ctx context.Context, at time.Time) (TID, error) {
	return s.Storage.(storage.Historian).TIDAt(ctx, at)
}

func (s counting) Revisions(snap storage.Snapshot, oid OID) iter.Seq2[storage.Revision, error] {
	return s.Storage.(storage.Historian).Revisions(snap.(countingSnapshot).Snapshot, oid)
}

// What an undo reads depends on what is undone, not on the database.
func TestUndoReadsLittle(t *testing.T) {
	b := beds["memory"](t)
	db := b.db()
	c := counting{db.st, new(atomic.Int64)}
	db.st = c
	read := func(n int) int64 {
		t.Helper()
		commit(t, db, func(tx *Tx) error {
			root := Must(theUndoRoot.Load(tx))
			for k := range n {
				if err := root.Numbers.Put(tx, k, fmt.Sprint(k)); err != nil {
					return err
				}
			}
			return nil
		})
		t1 := commit(t, db, func(tx *Tx) error { return Must(theUndoRoot.Load(tx)).Numbers.Put(tx, n/2, "mistake") })
		c.reads.Store(0)
		undo(t, db, t1)
		return c.reads.Load()
	}
	if small, large := read(1000), read(20000); large > small+8 {
		t.Errorf("an undo in a tree of 1000 keys reads %d records, of 20000 %d", small, large)
	}
}
