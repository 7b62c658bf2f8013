package durus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// manyPeople stores n people of version 1, and one of another class.
func manyPeople(t testing.TB, db *DB, n int) {
	t.Helper()
	people := map[string]*personV1{}
	for i := range n {
		people[fmt.Sprint("p", i)] = &personV1{Name: fmt.Sprint("First", i, " Last"), Born: i}
	}
	putPeople(t, db, people)
	update(t, db, func(tx *Tx) error {
		c := Must(theVillage.Edit(tx))
		c.Best = Must(Add(tx, &account{Owner: "mayor"})).Any()
		return nil
	})
}

// classes counts the objects of a database by class and version.
func classes(t testing.TB, db *DB) map[string]int {
	t.Helper()
	tx := begin(t, db, false)
	defer tx.Rollback()
	n := map[string]int{}
	for p, err := range tx.c.snap.Objects(0) {
		if err != nil {
			t.Fatal(err)
		}
		id, err := tx.c.snap.Class(p.OID, p.Position)
		if err != nil {
			t.Fatal(err)
		}
		spelling, _ := tx.c.snap.ClassName(id)
		n[spelling]++
	}
	return n
}

func programOld() *Types {
	return typesWith(func(ts *Types) {
		RegisterIn[personV1](ts, "t.Person")
		RegisterIn[account](ts, "t.Account")
	})
}

// Everything of an older version or an older name is rewritten, once, and
// nothing else.
func TestMigrate(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		n := 2500
		if testing.Short() {
			n = 1100
		}
		manyPeople(t, b.db(Options{Types: programOld()}), n)
		db := b.db(Options{Types: typesWith(func(ts *Types) {
			RegisterIn[person](ts, "t.Human", Alias("t.Person"), Version(3), Upgrade(1, split), Upgrade(2, rename))
		})})
		var last MigrateProgress
		calls := 0
		r, err := db.Migrate(t.Context(), func(p MigrateProgress) {
			if p.Done < last.Done || p.Migrated < last.Migrated || p.Done > p.Total {
				t.Errorf("%+v after %+v", p, last)
			}
			last = p
			calls++
		})
		want := MigrateReport{Objects: uint64(n) + 3, Migrated: uint64(n), Unknown: 1}
		if err != nil || fmt.Sprint(r) != fmt.Sprint(want) {
			t.Fatalf("got %+v, %v", r, err)
		}
		if last.Done != r.Objects || last.Migrated != r.Migrated || calls < 2 {
			t.Errorf("progress ended with %+v after %d calls", last, calls)
		}
		if got := classes(t, db); got["t.Human@3"] != n || len(got) != 4 {
			t.Errorf("the classes are %v", got)
		}
		if p, err := loaded[person](t, db, "p7"); err != nil || p.First != "First7" || p.Year != 7 {
			t.Errorf("%+v, %v", p, err)
		}
		before, _ := db.LastTID()
		r, err = db.Migrate(t.Context(), nil)
		want.Migrated = 0
		if now, _ := db.LastTID(); err != nil || fmt.Sprint(r) != fmt.Sprint(want) || now != before {
			t.Errorf("the second time: %+v, %v, transaction %v after %v", r, err, now, before)
		}
	})
}

// Several handles migrate at once, while others edit; one is stopped and goes
// on later. Each object is rewritten by one of them.
func TestMigrateTogether(t *testing.T) {
	b := beds["file"](t)
	const n = 3000
	manyPeople(t, b.db(Options{Types: programOld()}), n)
	one, two, editor := b.db(Options{Types: programV3()}), b.db(Options{Types: programV3()}), b.db(Options{Types: programV3()})

	ctx, stop := context.WithCancel(t.Context())
	r, err := one.Migrate(ctx, func(p MigrateProgress) { stop() })
	wantErr(t, err, context.Canceled)
	total := r.Migrated
	if total == 0 || total == n {
		t.Errorf("%d objects were migrated before it was stopped", total)
	}

	var wg sync.WaitGroup
	var mu sync.Mutex // guards total
	for _, db := range []*DB{one, two} {
		wg.Go(func() {
			r, err := db.Migrate(t.Context(), nil)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			total += r.Migrated
		})
	}
	refs := viewed(t, editor, func(tx *Tx) (map[string]AnyRef, error) {
		v, err := theVillage.Load(tx)
		if err != nil {
			return nil, err
		}
		return v.People, nil
	})
	edits := uint64(0)
	for i := range 100 {
		update(t, editor, func(tx *Tx) error {
			Must(As[person](refs[fmt.Sprint("p", i*29)]).Edit(tx)).Year = -1
			return nil
		})
		edits++
	}
	wg.Wait()
	if got := classes(t, editor); got["t.Person@3"] != n || got["t.Person"] != 0 {
		t.Errorf("the classes are %v", got)
	}
	if total > n || total < n-edits {
		t.Errorf("%d objects were migrated, and %d edited at the same time, of %d", total, edits, n)
	}
	for i := range 100 {
		if p, err := loaded[person](t, editor, fmt.Sprint("p", i*29)); err != nil || p.Year != -1 {
			t.Fatalf("an edit was lost: %+v, %v", p, err)
		}
	}
}

// What cannot be migrated is told, and does not keep the others.
func TestMigrateFails(t *testing.T) {
	b := memBed(t)
	old := b.db(Options{Types: programOld()})
	manyPeople(t, old, 50)
	putPeople(t, old, map[string]*personV1{"ada": {Name: "Ada"}, "eve": {Name: "Eve"}})
	putPeople(t, b.db(Options{Types: typesWith(func(ts *Types) { RegisterIn[personV2](ts, "t.Person", Version(9)) })}),
		map[string]*personV2{"new": {First: "New"}})

	db := b.db(Options{Types: programV2()})
	r, err := db.Migrate(t.Context(), nil)
	wantErr(t, err, errOneName)
	if r.Migrated != 50 || r.Failed != 2 || r.TooNew != 1 || r.Unknown != 1 || len(r.Failures) != 2 {
		t.Errorf("got %+v", r)
	}
	if !strings.Contains(err.Error(), "2 objects in test.durus could not be upgraded") {
		t.Errorf("got %v", err)
	}
	for _, f := range r.Failures {
		if !errors.Is(f.Err, errOneName) || !strings.Contains(f.Err.Error(), f.OID.String()) {
			t.Errorf("object %s: %v", f.OID, f.Err)
		}
	}
	if p, err := loaded[personV1](t, old, "ada"); err != nil || p.Name != "Ada" {
		t.Errorf("%+v, %v", p, err)
	}

	_, err = b.db(Options{Types: programV2(), ReadOnly: true}).Migrate(t.Context(), nil)
	wantErr(t, err, ErrReadOnly)
	err = db.Update(t.Context(), func(tx *Tx) error { _, err := db.Migrate(tx.Context(), nil); return err })
	wantErr(t, err, ErrNestedUpdate)
	closed := b.db()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = closed.Migrate(t.Context(), nil)
	wantErr(t, err, ErrClosed)
}
