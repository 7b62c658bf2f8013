package durus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Going back undoes what was done to containers, those that came later and those
// that were used first after the savepoint included; what was read stays read.
// SCENARIOS 37 to 40
func TestSavepointOfContainers(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		rapid.Check(t, func(r *rapid.T) { containerSavepoints(r, db) })
	})
}

var shelves int

type containersModel struct {
	numbers map[int]string
	log     []string
	hits    int64
}

func (m containersModel) clone() containersModel {
	return containersModel{maps.Clone(m.numbers), slices.Clone(m.log), m.hits}
}

func containerSavepoints(r *rapid.T, db *DB) {
	ctx := context.Background()
	shelves++ // the databases are those of the checks before
	root := NewRoot[shelf](fmt.Sprint("shelf", shelves))
	committed := containersModel{numbers: map[int]string{}}
	for range rapid.IntRange(1, 3).Draw(r, "transactions") {
		now := committed.clone()
		commit := rapid.Bool().Draw(r, "commit")
		err := db.Update(ctx, func(tx *Tx) error {
			s := Must(root.Load(tx))
			var points []*Savepoint
			var states []containersModel
			for range rapid.IntRange(1, 40).Draw(r, "steps") {
				k := rapid.IntRange(0, 120).Draw(r, "key")
				v := fmt.Sprint("v", rapid.IntRange(0, 9).Draw(r, "value"))
				switch rapid.IntRange(0, 9).Draw(r, "action") {
				case 0, 1, 2:
					for i := range 3 {
						Must(0, s.Numbers.Put(tx, k+i, v))
						now.numbers[k+i] = v
					}
				case 3:
					_, was := now.numbers[k]
					if got := Must(s.Numbers.Delete(tx, k)); got != was {
						r.Fatalf("delete %d: %v, want %v", k, got, was)
					}
					delete(now.numbers, k)
				case 4:
					Must(0, s.Log.Append(tx, v))
					now.log = append(now.log, v)
				case 5:
					if len(now.log) > 0 {
						i := k % len(now.log)
						Must(0, s.Log.Set(tx, i, v))
						now.log[i] = v
					}
				case 6:
					i := k % (len(now.log) + 1)
					Must(0, s.Log.Insert(tx, i, v))
					now.log = slices.Insert(now.log, i, v)
				case 7:
					Must(0, s.Hits.Add(tx, int64(k)))
					now.hits += int64(k)
				case 8:
					points, states = append(points, Must(tx.Savepoint())), append(states, now.clone())
				case 9:
					if len(points) > 0 {
						i := k % len(points)
						Must(0, points[i].Rollback())
						now = states[i].clone()
						points, states = points[:i+1], states[:i+1]
					}
				}
				matches(r, tx, s, now)
			}
			if !commit {
				return errStop
			}
			return nil
		})
		if commit {
			if err != nil {
				r.Fatal(err)
			}
			committed = now
		} else if !errors.Is(err, errStop) {
			r.Fatal(err)
		}
		if err := db.View(ctx, func(tx *Tx) error { matches(r, tx, Must(root.Load(tx)), committed); return nil }); err != nil {
			r.Fatal(err)
		}
	}
}

var errStop = errors.New("stop")

func matches(r *rapid.T, s Session, sh *shelf, want containersModel) {
	got := containersModel{maps.Collect(sh.Numbers.All(s)), nil, Must(sh.Hits.Value(s))}
	for _, v := range sh.Log.All(s) {
		got.log = append(got.log, v)
	}
	if !maps.Equal(got.numbers, want.numbers) || !slices.Equal(got.log, want.log) || got.hits != want.hits {
		r.Fatalf("got %+v, want %+v", got, want)
	}
	if n := Must(sh.Numbers.Len(s)); n != len(want.numbers) {
		r.Fatalf("%d numbers, want %d", n, len(want.numbers))
	}
}

// A commit conflicts when another one has made an object of a class whose
// instances it has walked through.
func TestInstancesExtent(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db, other := b.db(), b.db()
		ctx := context.Background()
		add := func(db *DB, name string) {
			t.Helper()
			if err := db.Update(ctx, func(tx *Tx) error {
				bk := Must(theBank.Edit(tx))
				if bk.Accounts == nil {
					bk.Accounts = map[string]Ref[account]{}
				}
				bk.Accounts[name] = Must(Add(tx, &account{Owner: name}))
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		add(db, "a")
		if err := db.Update(ctx, func(tx *Tx) error {
			return errors.Join(Must(theCrates.Load(tx)).N.Add(tx, 1), Must(theShelf.Load(tx)).Hits.Add(tx, 1))
		}); err != nil {
			t.Fatal(err)
		}
		for _, make := range []bool{true, false} {
			tx, err := db.Begin(ctx, true)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for range Instances[account](tx) {
				n++
			}
			if err := tx.run(func(tx *Tx) error { return Must(theCrates.Load(tx)).N.Add(tx, int64(n)) }); err != nil {
				t.Fatal(err)
			}
			if make {
				add(other, "b")
			} else if err := other.Update(ctx, func(tx *Tx) error { return Must(theShelf.Load(tx)).Hits.Add(tx, 1) }); err != nil {
				t.Fatal(err)
			}
			if err := tx.Commit(); errors.Is(err, ErrConflict) != make {
				t.Errorf("an account was made: %v, the commit: %v", make, err)
			}
		}
	})
}

type crates struct{ N Counter }

var (
	_         = Register[crates]("test.Crates")
	theCrates = NewRoot[crates]("crates")
)

// Under SnapshotIsolation too, what a transaction edited and put aside is
// written by it: another one that changed it meanwhile is a conflict.
func TestPutAsideIsWrittenUnderSnapshotIsolation(t *testing.T) {
	b := beds["memory"](t)
	db, other := b.db(Options{Isolation: SnapshotIsolation, CacheBytes: 1, Check: CheckNothing}), b.db()
	const n = 50
	update(t, other, func(tx *Tx) error {
		p := Must(thePile.Edit(tx))
		for i := range n {
			p.All = append(p.All, Must(Add(tx, newLarge(i))))
		}
		return Must(theCrates.Load(tx)).N.Add(tx, 1)
	})
	tx, err := db.Begin(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	var aside OID
	if err := tx.run(func(tx *Tx) error {
		all := slices.Clone(Must(thePile.Load(tx)).All)
		for _, r := range all {
			Must(r.Edit(tx)).Name = "changed"
		}
		Must(theCrates.Load(tx)).N.Add(tx, 1)
		Must(tx.Savepoint())
		for _, r := range all {
			if _, ok := tx.c.spilled.lookup(r.OID()); ok {
				aside = r.OID()
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if aside == 0 {
		t.Fatal("nothing was put aside")
	}
	update(t, other, func(tx *Tx) error {
		Must(RefTo[large](aside).Edit(tx)).Name = "other"
		return nil
	})
	wantErr(t, tx.Commit(), ErrConflict)
}
