package durus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// tally is merged: sums add up, names are united.
type tally struct {
	Sum   int
	Names []string
	Fail  string
	Peer  Ref[tally]
}

type tallies struct{ One Ref[tally] }

var (
	_ = Register[tally]("test.Tally", Merge(func(base, theirs, mine *tally) (*tally, error) {
		switch mine.Fail {
		case "error":
			return nil, errors.New("no way")
		case "panic":
			panic("no way")
		case "nil":
			return nil, nil
		}
		mine.Sum += theirs.Sum - base.Sum // mine is a copy: changing it does no harm
		for _, n := range theirs.Names {
			if !slices.Contains(mine.Names, n) {
				mine.Names = append(mine.Names, n)
			}
		}
		slices.Sort(mine.Names)
		return mine, nil
	}))
	_          = Register[tallies]("test.Tallies")
	theTallies = NewRoot[tallies]("tallies")
)

// A class with a Merge does not conflict with itself; what goes wrong in the
// function is a conflict (SCENARIO 27), and references survive (SCENARIO 29).
func TestMerge(t *testing.T) {
	ctx := context.Background()
	onBeds(t, func(t *testing.T, b *bed) {
		dbs := []*DB{b.db(), b.db(), b.db()}
		if err := dbs[0].Update(ctx, func(tx *Tx) error {
			Must(theTallies.Edit(tx)).One = Must(Add(tx, &tally{}))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		add := func(db *DB, n int, fail string) *Tx {
			t.Helper()
			tx, err := db.Begin(ctx, true)
			if err != nil {
				t.Fatal(err)
			}
			if err := tx.run(func(tx *Tx) error {
				v := Must(Must(theTallies.Load(tx)).One.Edit(tx))
				v.Sum += n
				v.Names = append(v.Names, fmt.Sprint("n", n))
				v.Fail = fail
				v.Peer = Must(Add(tx, &tally{Sum: n}))
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			return tx
		}
		txs := []*Tx{add(dbs[0], 1, ""), add(dbs[1], 2, ""), add(dbs[2], 4, "")}
		for _, tx := range txs {
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
		}
		if err := dbs[1].View(ctx, func(tx *Tx) error {
			v := Must(Must(theTallies.Load(tx)).One.Load(tx))
			if v.Sum != 7 || !slices.Equal(v.Names, []string{"n1", "n2", "n4"}) || Must(v.Peer.Load(tx)).Sum != 4 {
				t.Errorf("%+v", v)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for _, fail := range []string{"error", "panic", "nil"} {
			lost := add(dbs[0], 100, fail)
			if err := add(dbs[1], 1, "").Commit(); err != nil {
				t.Fatal(err)
			}
			if err := lost.Commit(); !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "merged") {
				t.Errorf("%s: %v", fail, err)
			}
		}
		// A reader of the object still conflicts.
		reader, err := dbs[0].Begin(ctx, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := reader.run(func(tx *Tx) error {
			r := Must(theTallies.Load(tx)).One
			Must(r.Load(tx))
			Must(theTallies.Edit(tx)).One = Must(Add(tx, &tally{Peer: r}))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if err := add(dbs[1], 1, "").Commit(); err != nil {
			t.Fatal(err)
		}
		if err := reader.Commit(); !errors.Is(err, ErrConflict) {
			t.Errorf("a reader: %v", err)
		}
		// A live connection merges, too.
		k, err := dbs[0].Connect(ctx)
		if err != nil {
			t.Fatal(err)
		}
		root, err := theTallies.Load(k)
		if err != nil {
			t.Fatal(err)
		}
		v, err := root.One.Edit(k)
		if err != nil {
			t.Fatal(err)
		}
		v.Sum += 1000
		if err := add(dbs[1], 1, "").Commit(); err != nil {
			t.Fatal(err)
		}
		if err := k.Commit(); err != nil {
			t.Fatal(err)
		}
		if v, err := root.One.Load(k); err != nil || v.Sum != 1012 {
			t.Errorf("%+v, %v", v, err)
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// Merges from many goroutines of many handles add up.
func TestMergeTorture(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		ctx := context.Background()
		dbs := []*DB{b.db(), b.db()}
		if err := dbs[0].Update(ctx, func(tx *Tx) error {
			Must(theTallies.Edit(tx)).One = Must(Add(tx, &tally{}))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		const each = 20
		done := make(chan error)
		for i := range 8 {
			go func() {
				var err error
				for range each {
					if err == nil {
						err = dbs[i%2].Update(ctx, func(tx *Tx) error {
							Must(Must(theTallies.Load(tx)).One.Edit(tx)).Sum++
							return nil
						})
					}
				}
				done <- err
			}()
		}
		for range 8 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if err := dbs[0].View(ctx, func(tx *Tx) error {
			if v := Must(Must(theTallies.Load(tx)).One.Load(tx)); v.Sum != 8*each {
				t.Errorf("sum %d", v.Sum)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	})
}
