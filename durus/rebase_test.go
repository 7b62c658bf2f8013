package durus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// Two transactions meet in one container. Each case runs mine while theirs has
// committed meanwhile.
func TestRebase(t *testing.T) {
	ctx := context.Background()
	cases := []struct {
		name         string
		theirs, mine func(tx *Tx, s *shelf)
		conflict     string // part of the reason; empty: mine commits, too
	}{
		{"different keys", // SCENARIO 30
			func(tx *Tx, s *shelf) { _ = s.Numbers.Put(tx, 1, "theirs") },
			func(tx *Tx, s *shelf) { _ = s.Numbers.Put(tx, 2, "mine") }, ""},
		{"same key, other values",
			func(tx *Tx, s *shelf) { _ = s.Numbers.Put(tx, 1, "theirs") },
			func(tx *Tx, s *shelf) { _ = s.Numbers.Put(tx, 1, "mine") }, "both wrote key 1"},
		{"same key, same value",
			func(tx *Tx, s *shelf) { _ = s.Numbers.Put(tx, 1, "ours") },
			func(tx *Tx, s *shelf) { _ = s.Numbers.Put(tx, 1, "ours") }, ""},
		{"both delete",
			func(tx *Tx, s *shelf) { Must(s.Numbers.Delete(tx, 5)) },
			func(tx *Tx, s *shelf) { Must(s.Numbers.Delete(tx, 5)) }, "key 5 was read"},
		{"delete and change",
			func(tx *Tx, s *shelf) { Must(s.Numbers.Delete(tx, 5)) },
			func(tx *Tx, s *shelf) { _ = s.Numbers.Put(tx, 5, "mine") }, "both wrote key 5"},
		{"they empty the tree, mine inserts", // SCENARIO 31
			func(tx *Tx, s *shelf) {
				for k := range s.Numbers.All(tx) {
					Must(s.Numbers.Delete(tx, k))
				}
			},
			func(tx *Tx, s *shelf) { _ = s.Numbers.Put(tx, 1000, "mine") }, ""},
		{"they split the leaf, mine inserts and deletes the first key", // SCENARIO 32
			func(tx *Tx, s *shelf) {
				for i := range 300 {
					_ = s.Numbers.Put(tx, 2000+i, "theirs")
				}
			},
			func(tx *Tx, s *shelf) {
				_ = s.Numbers.Put(tx, 2100, "theirs") // the same
				_ = s.Numbers.Put(tx, 3000, "mine")
				Must(s.Numbers.Delete(tx, 0))
			}, ""},
		{"both split", // SCENARIO 34: every key is found by lookup afterwards
			func(tx *Tx, s *shelf) {
				for i := range 300 {
					_ = s.Numbers.Put(tx, 2000+2*i, "theirs")
				}
			},
			func(tx *Tx, s *shelf) {
				for i := range 300 {
					_ = s.Numbers.Put(tx, 2001+2*i, "mine")
				}
			}, ""},
		{"a key that was read",
			func(tx *Tx, s *shelf) { _ = s.Numbers.Put(tx, 3, "theirs") },
			func(tx *Tx, s *shelf) { Must2(s.Numbers.Get(tx, 3)); _ = s.Numbers.Put(tx, 9, "mine") }, "key 3 was read"},
		{"a key beside the one that was read",
			func(tx *Tx, s *shelf) { _ = s.Numbers.Put(tx, 4, "theirs") },
			func(tx *Tx, s *shelf) { Must2(s.Numbers.Get(tx, 3)); _ = s.Numbers.Put(tx, 9, "mine") }, ""},
		{"an absence that was read",
			func(tx *Tx, s *shelf) { _ = s.Numbers.Put(tx, -7, "theirs") },
			func(tx *Tx, s *shelf) { Must(s.Numbers.Has(tx, -7)); _ = s.Numbers.Put(tx, 9, "mine") }, "key -7 was read"},
		{"both insert one key",
			func(tx *Tx, s *shelf) { Must(s.Numbers.Insert(tx, -7, "theirs")) },
			func(tx *Tx, s *shelf) { Must(s.Numbers.Insert(tx, -7, "mine")) }, "both wrote key -7"},
		{"inside of a range that was read",
			func(tx *Tx, s *shelf) { _ = s.Numbers.Put(tx, 6, "theirs") },
			func(tx *Tx, s *shelf) {
				for range s.Numbers.Range(tx, 5, 8) {
				}
				_ = s.Numbers.Put(tx, 9, "mine")
			}, "a range with key 6"},
		{"behind the part of a range that was walked over",
			func(tx *Tx, s *shelf) { _ = s.Numbers.Put(tx, 6, "theirs") },
			func(tx *Tx, s *shelf) {
				for k := range s.Numbers.Range(tx, 2, 8) {
					if k == 5 {
						break
					}
				}
				_ = s.Numbers.Put(tx, 9, "mine")
			}, ""},
		{"before the part of a range that was walked backwards",
			func(tx *Tx, s *shelf) { _ = s.Numbers.Put(tx, 2, "theirs") },
			func(tx *Tx, s *shelf) {
				for k := range s.Numbers.Before(tx, 8) {
					if k == 3 {
						break
					}
				}
				_ = s.Numbers.Put(tx, 9, "mine")
			}, ""},
		{"the minimum",
			func(tx *Tx, s *shelf) { _ = s.Numbers.Put(tx, -1, "theirs") },
			func(tx *Tx, s *shelf) {
				if _, _, _, err := s.Numbers.Min(tx); err != nil {
					Must(0, err)
				}
				_ = s.Numbers.Put(tx, 9, "mine")
			}, "a range with key -1"},
		{"the length, and they change a value",
			func(tx *Tx, s *shelf) { _ = s.Numbers.Put(tx, 1, "theirs") },
			func(tx *Tx, s *shelf) { Must(s.Numbers.Len(tx)); _ = s.Numbers.Put(tx, 9, "mine") }, ""},
		{"the length, and they insert",
			func(tx *Tx, s *shelf) { _ = s.Numbers.Put(tx, 100, "theirs") },
			func(tx *Tx, s *shelf) { Must(s.Numbers.Len(tx)); _ = s.Numbers.Put(tx, 9, "mine") }, "its length was read"},
		{"a key of a dict",
			func(tx *Tx, s *shelf) { _ = s.Dict.Put(tx, "a", 1) },
			func(tx *Tx, s *shelf) { _ = s.Dict.Put(tx, "a", 2) }, `both wrote key "a"`},
		{"keys of a dict",
			func(tx *Tx, s *shelf) { _ = s.Dict.Put(tx, "a", 1) },
			func(tx *Tx, s *shelf) { _ = s.Dict.Put(tx, "b", 2) }, ""},
		{"a key of a set",
			func(tx *Tx, s *shelf) { _ = s.Tags.Add(tx, "a") },
			func(tx *Tx, s *shelf) { _ = s.Tags.Add(tx, "a"); _ = s.Tags.Add(tx, "b") }, ""},
		{"counters add up", // SCENARIO 26
			func(tx *Tx, s *shelf) { _ = s.Hits.Add(tx, 2) },
			func(tx *Tx, s *shelf) { _ = s.Hits.Add(tx, 3) }, ""},
		{"a counter that was read",
			func(tx *Tx, s *shelf) { _ = s.Hits.Add(tx, 2) },
			func(tx *Tx, s *shelf) { Must(s.Hits.Value(tx)); _ = s.Hits.Add(tx, 3) }, "its value was read"},
		{"a counter overflows",
			func(tx *Tx, s *shelf) { _ = s.Hits.Add(tx, math.MaxInt64) },
			func(tx *Tx, s *shelf) { _ = s.Hits.Add(tx, 3) }, "too large"},
		{"both append",
			func(tx *Tx, s *shelf) { _ = s.Log.Append(tx, "theirs") },
			func(tx *Tx, s *shelf) { _ = s.Log.Append(tx, "mine") }, ""},
		{"an index and an append",
			func(tx *Tx, s *shelf) { _ = s.Log.Append(tx, "theirs") },
			func(tx *Tx, s *shelf) { Must(s.Log.Get(tx, 3)); _ = s.Log.Set(tx, 4, "mine") }, ""},
		{"an index outside",
			func(tx *Tx, s *shelf) { _ = s.Log.Append(tx, "theirs") },
			func(tx *Tx, s *shelf) {
				if _, err := s.Log.Get(tx, 20); !errors.Is(err, ErrNotFound) {
					Must(0, fmt.Errorf("index 20: %w", err))
				}
				_ = s.Log.Set(tx, 4, "mine")
			}, "its length was read"},
		{"both set an index",
			func(tx *Tx, s *shelf) { _ = s.Log.Set(tx, 4, "theirs") },
			func(tx *Tx, s *shelf) { _ = s.Log.Set(tx, 4, "mine") }, "both set index 4"},
		{"an index that was read",
			func(tx *Tx, s *shelf) { _ = s.Log.Set(tx, 4, "theirs") },
			func(tx *Tx, s *shelf) { Must(s.Log.Get(tx, 4)); _ = s.Log.Append(tx, "mine") }, "index 4 was read"},
		{"an insert before what was read",
			func(tx *Tx, s *shelf) { _ = s.Log.Insert(tx, 0, "theirs") },
			func(tx *Tx, s *shelf) { Must(s.Log.Get(tx, 4)); _ = s.Log.Append(tx, "mine") }, "index 4 was read"},
		{"an insert, and they append",
			func(tx *Tx, s *shelf) { _ = s.Log.Append(tx, "theirs") },
			func(tx *Tx, s *shelf) { _ = s.Log.Insert(tx, 2, "mine") }, ""},
		{"an insert, and they insert",
			func(tx *Tx, s *shelf) { _ = s.Log.Insert(tx, 5, "theirs") },
			func(tx *Tx, s *shelf) { _ = s.Log.Insert(tx, 2, "mine") }, "values in it were moved"},
		{"a delete and an append, and they append",
			func(tx *Tx, s *shelf) { _ = s.Log.Append(tx, "theirs") },
			func(tx *Tx, s *shelf) { _ = s.Log.Delete(tx, 9); _ = s.Log.Append(tx, "mine") }, "its length was read"},
		{"a walk over part of a list",
			func(tx *Tx, s *shelf) { _ = s.Log.Set(tx, 6, "theirs") },
			func(tx *Tx, s *shelf) {
				for i := range s.Log.All(tx) {
					if i == 5 {
						break
					}
				}
				_ = s.Log.Append(tx, "mine")
			}, ""},
		{"a walk over a list",
			func(tx *Tx, s *shelf) { _ = s.Log.Set(tx, 6, "theirs") },
			func(tx *Tx, s *shelf) {
				for range s.Log.All(tx) {
				}
				_ = s.Log.Append(tx, "mine")
			}, "a range with index 6"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			onBeds(t, func(t *testing.T, b *bed) {
				db, other := b.db(), b.db()
				if err := db.Update(ctx, func(tx *Tx) error {
					s := Must(theShelf.Load(tx))
					for i := range 10 {
						_ = s.Numbers.Put(tx, i, "base")
						_ = s.Log.Append(tx, fmt.Sprint("base", i))
					}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
				tx, err := db.Begin(ctx, true)
				if err != nil {
					t.Fatal(err)
				}
				err = tx.run(func(tx *Tx) error { c.mine(tx, Must(theShelf.Load(tx))); return nil })
				if err != nil {
					t.Fatal(err)
				}
				if err := other.Update(ctx, func(tx *Tx) error { c.theirs(tx, Must(theShelf.Load(tx))); return nil }); err != nil {
					t.Fatal(err)
				}
				want := state(t, other)
				err = tx.Commit()
				switch {
				case c.conflict == "" && err != nil:
					t.Fatal(err)
				case c.conflict != "":
					var lost *ConflictError
					if !errors.As(err, &lost) || !strings.Contains(err.Error(), c.conflict) {
						t.Fatalf("%v, want a conflict: %s", err, c.conflict)
					}
					if o := lost.Objects[0]; o.Committed == 0 || o.Class == "" || o.OID == 0 {
						t.Errorf("%+v", o)
					}
				default:
					// The outcome is that of mine after theirs.
					alone := memBed(t).db()
					for _, do := range []func(*Tx, *shelf){
						func(tx *Tx, s *shelf) {
							for i := range 10 {
								_ = s.Numbers.Put(tx, i, "base")
								_ = s.Log.Append(tx, fmt.Sprint("base", i))
							}
						}, c.theirs, c.mine,
					} {
						if err := alone.Update(ctx, func(tx *Tx) error { do(tx, Must(theShelf.Load(tx))); return nil }); err != nil {
							t.Fatal(err)
						}
					}
					want = state(t, alone)
				}
				if got := state(t, db); !slices.Equal(got, want) {
					t.Errorf("%v\nwant %v", got, want)
				}
			})
		})
	}
}

// state is all that is on the shelf.
func state(t *testing.T, db *DB) (out []string) {
	t.Helper()
	add := func(what string, args ...any) { out = append(out, what+" "+fmt.Sprint(args...)) }
	if err := db.View(context.Background(), func(tx *Tx) error {
		s := Must(theShelf.Load(tx))
		for k, v := range s.Numbers.All(tx) {
			add("number", k, v)
			if w, ok := Must2(s.Numbers.Get(tx, k)); !ok || v != w {
				t.Errorf("%d is listed and not found", k)
			}
		}
		for k, v := range s.Dict.All(tx) {
			add("dict", k, v)
		}
		for k := range s.Tags.All(tx) {
			add("tag", k)
		}
		for i, v := range s.Log.All(tx) {
			add("log", i, v)
		}
		add("hits", Must(s.Hits.Value(tx)))
		add("lengths", Must(s.Numbers.Len(tx)), Must(s.Dict.Len(tx)), Must(s.Tags.Len(tx)), Must(s.Log.Len(tx)))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}
