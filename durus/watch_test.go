package durus

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/durusdb/durus/pack"
)

// watchedBank is a database with a bank of two accounts, and another handle on it.
func watchedBank(t *testing.T, opts *Options) (path string, db, other *DB) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "a.durus")
	db, other = openAt(t, path, nil), openAt(t, path, opts)
	openAccounts(t, db, 500, 500)
	return path, db, other
}

// openAt opens a database that is closed with the test.
func openAt(t *testing.T, path string, opts *Options) *DB {
	t.Helper()
	db, err := Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// deposit commits a change of one account and returns its transaction.
func deposit(t *testing.T, db *DB, account string, n int64) (tid TID) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *Tx) error {
		a := Must(Must(theBank.Load(tx)).Accounts[account].Edit(tx))
		a.Balance += n
		tx.Describe("ada", fmt.Sprint("deposit ", n), map[string]string{"to": account})
		tx.OnCommit(func(t TID) { tid = t })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tid
}

func last(t *testing.T, db *DB) TID {
	t.Helper()
	tid, err := db.LastTID()
	if err != nil {
		t.Fatal(err)
	}
	return tid
}

// watching is a loop over Watch that is asked for one change at a time.
type watching struct {
	next func() (Change, error, bool)
	stop func()
}

func watch(t *testing.T, ctx context.Context, db *DB, after TID) watching {
	next, stop := iter.Pull2(db.Watch(ctx, after))
	t.Cleanup(stop)
	return watching{next, stop}
}

func (w watching) change(t *testing.T) Change {
	t.Helper()
	c, err, ok := w.next()
	if err != nil || !ok {
		t.Fatalf("Watch ended: %v", err)
	}
	return c
}

// ends checks that the loop ends with an error.
func (w watching) ends(t *testing.T, want error) {
	t.Helper()
	c, err, ok := w.next()
	if !ok || !errors.Is(err, want) || c.TID != 0 {
		t.Fatalf("Watch goes on with %v, %v, want %v", c, err, want)
	}
	if _, _, ok := w.next(); ok {
		t.Fatal("Watch goes on after an error")
	}
}

func TestWatch(t *testing.T) {
	_, db, other := watchedBank(t, nil)
	w := watch(t, t.Context(), other, last(t, db))
	var accounts map[string]Ref[account]
	view(t, db, func(tx *Tx) error { accounts = Must(theBank.Load(tx)).Accounts; return nil })
	for i := range 100 {
		name := []string{"a", "b"}[i%2]
		tid := deposit(t, db, name, int64(i))
		c := w.change(t)
		if c.TID != tid || c.User != "ada" || c.Description != fmt.Sprint("deposit ", i) || c.Ext["to"] != name {
			t.Fatalf("change %d is %+v, want transaction %s", i, c, tid)
		}
		if i > 0 && (!slices.Equal(c.OIDs, []OID{accounts[name].OID()}) || len(c.Classes) != 1 || c.Classes[0] != "test.Account") {
			t.Fatalf("change %d is of %v %v", i, c.OIDs, c.Classes)
		}
	}
}

// Whoever goes on behind a change misses and repeats nothing.
func TestWatchResumes(t *testing.T) {
	path, db, _ := watchedBank(t, nil)
	var want []TID
	for info, err := range db.Transactions(0, last(t, db)) {
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, info.TID)
	}
	for i := range int64(20) {
		want = append(want, deposit(t, db, "a", i))
	}
	for n := 1; n <= 7; n += 3 {
		after, got := TID(0), []TID(nil)
		for len(got) < len(want) {
			db, err := Open(path, &Options{ReadOnly: n == 4})
			if err != nil {
				t.Fatal(err)
			}
			seen := 0
			for c, err := range db.Watch(t.Context(), after) {
				if err != nil {
					t.Fatal(err)
				}
				got, after = append(got, c.TID), c.TID
				if seen++; seen == n || len(got) == len(want) {
					break
				}
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%d at a time: %v, want %v", n, got, want)
		}
	}
}

func TestWatchEnds(t *testing.T) {
	t.Run("context", func(t *testing.T) {
		_, db, other := watchedBank(t, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		watch(t, ctx, other, last(t, db)).ends(t, context.DeadlineExceeded)
	})
	t.Run("close", func(t *testing.T) {
		path, db, _ := watchedBank(t, nil)
		other, err := Open(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			for _, err := range other.Watch(context.Background(), last(t, db)) {
				ended <- err
			}
		}()
		time.Sleep(20 * time.Millisecond)
		tx, err := other.Begin(t.Context(), false) // Close waits for it, and Watch does not
		if err != nil {
			t.Fatal(err)
		}
		closed := make(chan error, 1)
		go func() { closed <- other.Close() }()
		select {
		case err := <-ended:
			if !errors.Is(err, ErrClosed) {
				t.Errorf("it ended with %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Error("Close does not end it")
		}
		if err := tx.Rollback(); err != nil {
			t.Error(err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
		for c, err := range other.Watch(t.Context(), 0) {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("of a closed database: %v, %v", c, err)
			}
		}
	})
	t.Run("body", func(t *testing.T) { // Close does not wait for the body of a loop
		path, db, _ := watchedBank(t, nil)
		other, err := Open(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		w := watch(t, t.Context(), other, last(t, db))
		deposit(t, db, "a", 1)
		deposit(t, db, "a", 1)
		w.change(t)
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		w.ends(t, ErrClosed)
	})
	t.Run("future", func(t *testing.T) {
		_, db, other := watchedBank(t, nil)
		watch(t, t.Context(), other, last(t, db)+1).ends(t, ErrRewound)
		watch(t, t.Context(), other, ^TID(0)).ends(t, ErrRewound)
	})
	t.Run("unknown", func(t *testing.T) { // of another history
		_, db, other := watchedBank(t, nil)
		first := last(t, db)
		second := deposit(t, db, "a", 1)
		if second-first > 2 {
			watch(t, t.Context(), other, second-2).ends(t, ErrRewound)
		}
		if c := watch(t, t.Context(), other, second-1).change(t); c.TID != second {
			t.Errorf("just before a transaction comes %s, want %s", c.TID, second)
		}
	})
	t.Run("packed", func(t *testing.T) {
		_, db, other := watchedBank(t, nil)
		first := last(t, db)
		second := deposit(t, db, "a", 1)
		w := watch(t, t.Context(), other, first)
		if _, err := db.Pack(t.Context(), pack.Options{}); err != nil {
			t.Fatal(err)
		}
		w.ends(t, ErrPacked)
		watch(t, t.Context(), other, 0).ends(t, ErrPacked)
		w = watch(t, t.Context(), other, second)
		third := deposit(t, db, "a", 1)
		if c := w.change(t); c.TID != third {
			t.Errorf("behind the pack comes %s, want %s", c.TID, third)
		}
	})
}
