package durus

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
)

type shelf struct {
	Numbers BTree[int, string]
	Names   BTree[string, Ref[account]]
	Dict    Dict[string, int64]
	Tags    Set[string]
	Log     List[string]
	Hits    Counter
	Inner   []box
	More    map[string]box
}

type box struct {
	Label string
	Items List[int]
}

var (
	_        = Register[shelf]("test.Shelf")
	theShelf = NewRoot[shelf]("shelf")
)

// Everything that a container does, once.
func TestContainers(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ctx := context.Background()
		check := func(s Session, n int) {
			t.Helper()
			sh := Must(theShelf.Load(s))
			if got := Must(sh.Numbers.Len(s)); got != n {
				t.Errorf("%d numbers, want %d", got, n)
			}
			var keys []int
			for k, v := range sh.Numbers.All(s) {
				if v != fmt.Sprint("v", k) {
					t.Errorf("%d: %s", k, v)
				}
				keys = append(keys, k)
			}
			if len(keys) != n || !slices.IsSorted(keys) {
				t.Errorf("keys %v", keys)
			}
			var back []int
			for k := range sh.Numbers.Backward(s) {
				back = append(back, k)
			}
			slices.Reverse(back)
			if !slices.Equal(keys, back) {
				t.Errorf("forwards %v, backwards %v", keys, back)
			}
			if got := Must(sh.Dict.Len(s)); got != n {
				t.Errorf("dict of %d", got)
			}
			if got := len(maps.Collect(sh.Dict.All(s))); got != n {
				t.Errorf("dict yields %d", got)
			}
			if got := slices.Collect(sh.Tags.All(s)); len(got) != n {
				t.Errorf("tags %v", got)
			}
			for i, v := range sh.Log.All(s) {
				if v != fmt.Sprint("line ", i) {
					t.Errorf("log %d: %s", i, v)
				}
			}
			if got := Must(sh.Log.Len(s)); got != n {
				t.Errorf("log of %d", got)
			}
			if got := Must(sh.Hits.Value(s)); got != int64(n) {
				t.Errorf("%d hits", got)
			}
			if got := Must(sh.Inner[0].Items.Len(s)); got != n {
				t.Errorf("inner list of %d", got)
			}
			if got := Must(sh.More["x"].Items.Len(s)); got != n {
				t.Errorf("list in a map of %d", got)
			}
		}
		n := 0
		for range 6 {
			err := db.Update(ctx, func(tx *Tx) error {
				sh := Must(theShelf.Edit(tx))
				if sh.Inner == nil {
					sh.Inner = []box{{Label: "first"}}
					sh.More = map[string]box{"x": {Label: "x"}}
					sh = Must(theShelf.Edit(tx))
				}
				if sh.Inner[0].Items.OID() == 0 {
					return tx.c.fillAll()
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			from := n
			err = db.Update(ctx, func(tx *Tx) error {
				n = from
				sh := Must(theShelf.Load(tx))
				for range 50 {
					i := n
					if err := sh.Numbers.Put(tx, i, fmt.Sprint("v", i)); err != nil {
						return err
					}
					if ok := Must(sh.Dict.Insert(tx, fmt.Sprint("k", i), int64(i))); !ok {
						t.Errorf("k%d is there already", i)
					}
					_ = sh.Tags.Add(tx, fmt.Sprintf("t%04d", i))
					_ = sh.Log.Append(tx, fmt.Sprint("line ", i))
					_ = sh.Hits.Add(tx, 1)
					_ = sh.Inner[0].Items.Append(tx, i)
					_ = sh.More["x"].Items.Append(tx, i)
					n++
				}
				check(tx, n)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := db.View(ctx, func(tx *Tx) error { check(tx, n); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		err := db.View(ctx, func(tx *Tx) error {
			sh := Must(theShelf.Load(tx))
			if v, ok := Must2(sh.Numbers.Get(tx, 120)); !ok || v != "v120" {
				t.Errorf("120: %s, %v", v, ok)
			}
			if _, ok := Must2(sh.Numbers.Get(tx, 1200)); ok {
				t.Error("1200 is there")
			}
			var r []int
			for k := range sh.Numbers.Range(tx, 60, 70) {
				r = append(r, k)
			}
			if len(r) != 10 || r[0] != 60 || r[9] != 69 {
				t.Errorf("range %v", r)
			}
			if v := Must(sh.Log.Get(tx, 200)); v != "line 200" {
				t.Errorf("log 200: %s", v)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
