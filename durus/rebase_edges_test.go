package durus

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
)

// meet commits mine after theirs, which began later, and returns what the commit
// of mine said. base is there before.
func meet(t *testing.T, b *bed, o Options, base, mine, theirs func(tx *Tx, s *shelf)) error {
	t.Helper()
	db, other := b.db(o), b.db()
	if base != nil {
		update(t, other, func(tx *Tx) error { base(tx, Must(theShelf.Load(tx))); return nil })
	}
	tx := begin(t, db, true)
	if err := tx.run(func(tx *Tx) error { mine(tx, Must(theShelf.Load(tx))); return nil }); err != nil {
		t.Fatal(err)
	}
	update(t, other, func(tx *Tx) error { theirs(tx, Must(theShelf.Load(tx))); return nil })
	return tx.Commit()
}

// A length that was read beside blind writes says which of their keys were there.
// When somebody else has put one of them in meanwhile, it says something else,
// even if the length of the tree is the same as before and both wrote the same.
func TestLengthBesideBlindWrites(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		err := meet(t, b, Options{},
			func(tx *Tx, s *shelf) { _ = s.Numbers.Put(tx, 1, "base") },
			func(tx *Tx, s *shelf) {
				_ = s.Numbers.Put(tx, 2, "ours")
				if n := Must(s.Numbers.Len(tx)); n != 2 {
					t.Errorf("length %d", n)
				}
			},
			func(tx *Tx, s *shelf) {
				_ = s.Numbers.Put(tx, 2, "ours")
				Must(s.Numbers.Delete(tx, 1))
			})
		wantErr(t, err, ErrConflict) // after theirs the length would have been 1
	})
}

// A key that was written before the length was asked for a second time, and one
// that was written after, make no difference to what the first answer says.
func TestLengthBeforeBlindWrites(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		if err := meet(t, b, Options{},
			func(tx *Tx, s *shelf) { _ = s.Numbers.Put(tx, 1, "base") },
			func(tx *Tx, s *shelf) {
				Must(s.Numbers.Len(tx))
				_ = s.Numbers.Put(tx, 2, "ours")
			},
			func(tx *Tx, s *shelf) {
				_ = s.Numbers.Put(tx, 2, "ours")
				Must(s.Numbers.Delete(tx, 1))
			}); err != nil {
			t.Fatal(err)
		}
	})
}

// Under SnapshotIsolation nobody looks whether a length that was read still
// holds: an insert at the end of a list that has become shorter is a conflict, not damage.
func TestInsertAtAnEndThatIsGone(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		err := meet(t, b, Options{Isolation: SnapshotIsolation},
			func(tx *Tx, s *shelf) {
				for i := range 3 {
					_ = s.Log.Append(tx, fmt.Sprint(i))
				}
			},
			func(tx *Tx, s *shelf) { _ = s.Log.Insert(tx, 3, "mine") },
			func(tx *Tx, s *shelf) { _ = s.Log.Delete(tx, 2) })
		wantErr(t, err, ErrConflict)
	})
}

// SnapshotIsolation checks what both wrote, and nothing that was read.
func TestContainersUnderSnapshotIsolation(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		base := func(tx *Tx, s *shelf) {
			for i := range 5 {
				_ = s.Numbers.Put(tx, i, "base")
				_ = s.Log.Append(tx, "base")
			}
		}
		if err := meet(t, b, Options{Isolation: SnapshotIsolation}, base,
			func(tx *Tx, s *shelf) {
				for range s.Numbers.All(tx) {
				}
				Must(s.Numbers.Len(tx))
				Must(s.Log.Get(tx, 1))
				Must(s.Hits.Value(tx))
				_ = s.Numbers.Put(tx, 7, "mine")
			},
			func(tx *Tx, s *shelf) {
				_ = s.Numbers.Put(tx, 1, "theirs")
				Must(s.Numbers.Delete(tx, 2))
				_ = s.Log.Set(tx, 1, "theirs")
				_ = s.Hits.Add(tx, 1)
			}); err != nil {
			t.Error(err)
		}
		err := meet(t, b, Options{Isolation: SnapshotIsolation}, nil,
			func(tx *Tx, s *shelf) { _ = s.Numbers.Put(tx, 1, "mine") },
			func(tx *Tx, s *shelf) { _ = s.Numbers.Put(tx, 1, "theirs, again") })
		wantErr(t, err, ErrConflict)
	})
}

// A counter that would leave its range is refused, whether it does so in one
// transaction or over several.
func TestCounterLeavesItsRange(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		add := func(n int64) error {
			return db.Update(t.Context(), func(tx *Tx) error { return Must(theShelf.Load(tx)).Hits.Add(tx, n) })
		}
		if err := add(math.MaxInt64); err != nil {
			t.Fatal(err)
		}
		wantErr(t, add(1), ErrTooLarge)
		if err := add(-1); err != nil {
			t.Fatal(err)
		}
		view(t, db, func(tx *Tx) error {
			if n := Must(Must(theShelf.Load(tx)).Hits.Value(tx)); n != math.MaxInt64-1 {
				t.Errorf("the counter is %d", n)
			}
			return nil
		})
		// Up and down again within one transaction is no way to wrap either.
		update(t, db, func(tx *Tx) error {
			s := Must(theShelf.Load(tx))
			if err := errors.Join(s.Hits.Add(tx, -5), s.Hits.Add(tx, 6)); err != nil {
				return err
			}
			return s.Hits.Add(tx, -1)
		})
	})
}

// Whatever a transaction has done to a key before, later calls see it and the
// net result is what is stored: Put, Insert and Delete of one key in all orders.
func TestOneKeyInAllOrders(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		for _, there := range []bool{false, true} {
			for code := range 256 {
				update(t, db, func(tx *Tx) error {
					s := Must(theShelf.Load(tx))
					if there {
						return s.Numbers.Put(tx, 7, "base")
					}
					_, err := s.Numbers.Delete(tx, 7)
					return err
				})
				want, value := there, "base"
				if !there {
					value = ""
				}
				check := func(tx *Tx, s *shelf) {
					v, ok := Must2(s.Numbers.Get(tx, 7))
					n := Must(s.Numbers.Len(tx))
					var listed []string
					for _, v := range s.Numbers.All(tx) {
						listed = append(listed, v)
					}
					if ok != want || v != value || (n == 1) != want || (len(listed) == 1) != want || want && !slices.Equal(listed, []string{value}) {
						t.Fatalf("orders %b of %v: %q, %v, length %d, listed %q, want %q, %v", code, there, v, ok, n, listed, value, want)
					}
				}
				update(t, db, func(tx *Tx) error {
					s := Must(theShelf.Load(tx))
					for step, c := 0, code; step < 4; step, c = step+1, c/4 {
						switch v := fmt.Sprint(step); c % 4 {
						case 0:
							_ = s.Numbers.Put(tx, 7, v)
							want, value = true, v
						case 1:
							if ok := Must(s.Numbers.Insert(tx, 7, v)); ok == want {
								t.Fatalf("orders %b: inserted %v", code, ok)
							}
							if !want {
								want, value = true, v
							}
						case 2:
							if ok := Must(s.Numbers.Delete(tx, 7)); ok != want {
								t.Fatalf("orders %b: deleted %v", code, ok)
							}
							want, value = false, ""
						case 3:
							check(tx, s)
						}
					}
					check(tx, s)
					return nil
				})
				view(t, db, func(tx *Tx) error { check(tx, Must(theShelf.Load(tx))); return nil })
			}
			if b.mem == nil {
				break // one kind of storage is enough for the rest
			}
		}
	})
}
