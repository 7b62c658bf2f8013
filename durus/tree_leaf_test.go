package durus

import (
	"errors"
	"fmt"
	"sync"
	"testing"
)

// cachedNumbers is what the cache has of the head of a shelf's numbers, in the
// snapshot of a transaction.
func cachedNumbers(t testing.TB, tx *Tx) any {
	t.Helper()
	sh := Must(theShelf.Load(tx))
	pos, err := tx.c.snap.Find(OID(sh.Numbers.raw & oidMask))
	if err != nil {
		t.Fatal(err)
	}
	if e := tx.c.gen.cache.get(pos); e != nil {
		return e.value
	}
	return nil
}

// manyNumbers puts n numbers into a new shelf: one leaf.
func manyNumbers(t testing.TB, db *DB, n int) {
	t.Helper()
	update(t, db, func(tx *Tx) error {
		sh, err := theShelf.Edit(tx)
		for i := 0; i < n && err == nil; i++ {
			err = sh.Numbers.Put(tx, i, fmt.Sprint("v", i))
		}
		return err
	})
}

// A leaf that was committed is not read again: keys are looked up in it as it is
// stored, until so many were that it is decoded; the next commit builds from it.
func TestStoredLeaf(t *testing.T) {
	b := beds["unchecked"](t)
	db := b.db()
	manyNumbers(t, db, 20)
	before := begin(t, db, false)
	defer before.Rollback()
	update(t, db, func(tx *Tx) error { return Must(theShelf.Load(tx)).Numbers.Put(tx, 7, "new") })
	if v := cachedNumbers(t, before); v != nil {
		t.Errorf("the cache has the leaf that was replaced, as a %T", v)
	}
	view(t, db, func(tx *Tx) error {
		sh := Must(theShelf.Load(tx))
		misses := db.counters.misses.Load()
		for i := range worth + 1 {
			want := fmt.Sprint("v", i)
			if i == 7 {
				want = "new"
			}
			if _, ok := cachedNumbers(t, tx).(*storedLeaf); !ok {
				t.Fatalf("after %d lookups the cache has a %T", i, cachedNumbers(t, tx))
			}
			if v, ok := Must2(sh.Numbers.Get(tx, i)); !ok || v != want {
				t.Errorf("%d: %q, %v", i, v, ok)
			}
			if _, ok := Must2(sh.Numbers.Get(before, i)); !ok {
				t.Errorf("%d was there before", i)
			}
		}
		if _, ok := cachedNumbers(t, tx).(*treeLeaf[int, string]); !ok {
			t.Errorf("after %d lookups the cache has a %T", worth+1, cachedNumbers(t, tx))
		}
		if v, ok := Must2(sh.Numbers.Get(tx, 7)); !ok || v != "new" {
			t.Errorf("7: %q, %v", v, ok)
		}
		if _, ok := Must2(sh.Numbers.Get(tx, 99)); ok {
			t.Error("99 is there")
		}
		if v, ok := Must2(sh.Numbers.Get(before, 7)); !ok || v != "v7" {
			t.Errorf("before, 7 was %q, %v", v, ok)
		}
		if n := db.counters.misses.Load() - misses; n > 1 { // the one that was replaced
			t.Errorf("%d nodes were read", n)
		}
		return nil
	})
	// A commit to a leaf that is decoded, and one that takes the last key away.
	for n := 20; n > 0; n-- {
		update(t, db, func(tx *Tx) error {
			_, err := Must(theShelf.Load(tx)).Numbers.Delete(tx, n-1)
			return err
		})
		view(t, db, func(tx *Tx) error {
			if got := Must(Must(theShelf.Load(tx)).Numbers.Len(tx)); got != n-1 {
				t.Errorf("%d numbers, want %d", got, n-1)
			}
			return nil
		})
	}
}

// A walk decodes at once, and a lookup of keys of another type fails at those that
// are of another type, however many were looked up before.
func TestStoredLeafOfOtherType(t *testing.T) {
	db := beds["unchecked"](t).db()
	manyNumbers(t, db, 20)
	view(t, db, func(tx *Tx) error {
		sh := Must(theShelf.Load(tx))
		wrong := BTree[int, int64]{raw: sh.Numbers.raw}
		for i := range 3 * worth {
			if _, _, err := wrong.Get(tx, 5); !errors.Is(err, ErrType) {
				t.Fatalf("lookup %d of a string as an integer: %v", i, err)
			}
			if _, ok, err := wrong.Get(tx, 500); ok || err != nil {
				t.Fatalf("lookup %d of a key that is not there: %v", i, err)
			}
		}
		for range sh.Numbers.All(tx) {
			break
		}
		if _, ok := cachedNumbers(t, tx).(*treeLeaf[int, string]); !ok {
			t.Errorf("after a walk the cache has a %T", cachedNumbers(t, tx))
		}
		return nil
	})
	tx := begin(t, db, false)
	defer tx.Rollback()
	wrong := BTree[int, int64]{raw: Must(theShelf.Load(tx)).Numbers.raw}
	for range wrong.All(tx) {
		t.Error("strings were read as integers")
	}
	if !errors.Is(tx.Err(), ErrType) {
		t.Errorf("a walk over strings as integers: %v", tx.Err())
	}
}

// Many look keys up in the leaves that one is writing, while they are decoded.
func TestStoredLeafConcurrently(t *testing.T) {
	db := beds["unchecked"](t).db()
	manyNumbers(t, db, 300)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for round := range 20 {
				if err := db.View(t.Context(), func(tx *Tx) error {
					sh := Must(theShelf.Load(tx))
					for i := g; i < 300; i += 7 {
						v, ok, err := sh.Numbers.Get(tx, i)
						if err != nil || !ok || v != fmt.Sprint("v", i) && v != "new" {
							t.Errorf("%d: %q, %v, %v", i, v, ok, err)
						}
					}
					return nil
				}); err != nil {
					t.Error(round, err)
				}
			}
		})
	}
	for i := range 100 {
		update(t, db, func(tx *Tx) error { return Must(theShelf.Load(tx)).Numbers.Put(tx, i*3, "new") })
	}
	wg.Wait()
}
