package durus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
)

// Scenario 43: everything survives close and open, bytes and transactions.
func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.durus")
	snapshotOf := func(db *DB) (records []storage.Record, last TID) {
		t.Helper()
		snap, err := db.st.Begin(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		defer snap.Release()
		for oid := OID(1); oid < 200; oid++ {
			pos, err := snap.Find(oid)
			if errors.Is(err, storage.ErrNotFound) {
				continue
			}
			rec, err := snap.Read(oid, pos)
			if err != nil {
				t.Fatal(err)
			}
			records = append(records, rec)
		}
		return records, snap.TID()
	}
	db, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if db.Path() != path {
		t.Errorf("path %s", db.Path())
	}
	ra, _ := openAccounts(t, db, 1, 2)
	update(t, db, func(tx *Tx) error { Must(ra.Edit(tx)).Tags = []string{"x", ""}; return nil })
	before, last := snapshotOf(db)
	if len(before) != 4 {
		t.Fatalf("%d records", len(before))
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(path, &Options{MustExist: true})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	after, lastAfter := snapshotOf(again)
	if last != lastAfter || !slices.EqualFunc(before, after, func(a, b storage.Record) bool {
		return a.OID == b.OID && a.Class == b.Class && bytes.Equal(a.Payload, b.Payload) && slices.Equal(a.Strong, b.Strong)
	}) {
		t.Errorf("before %v\n%+v\nafter %v\n%+v", last, before, lastAfter, after)
	}
	view(t, again, func(tx *Tx) error {
		_, err := ra.Load(tx)
		wantErr(t, err, ErrForeign) // of a handle that is closed
		if a := Must(Must(named(tx, "a")).Load(tx)); a.Balance != 1 || len(a.Tags) != 2 {
			t.Errorf("got %+v", a)
		}
		return nil
	})
}

// Scenario 48: what must exist is not created.
func TestOpenCreatesNothingUnasked(t *testing.T) {
	dir := t.TempDir()
	for _, o := range []Options{{MustExist: true}, {ReadOnly: true}} {
		if _, err := Open(filepath.Join(dir, "none.durus"), &o); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
		t.Errorf("left behind: %v, %v", names, err)
	}
	if _, err := Open(filepath.Join(dir, "no", "where.durus"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
}

func TestOpenMemory(t *testing.T) {
	db, err := OpenMemory(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	openAccounts(t, db, 4, 0)
	if n := balance(t, db, "a"); n != 4 {
		t.Errorf("balance %d", n)
	}
	other, err := OpenMemory(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if last, err := other.LastTID(); err != nil || last != 0 {
		t.Errorf("a new database has transaction %s, %v", last, err)
	}
	if err := db.Sync(t.Context()); err != nil {
		t.Error(err)
	}
}

// Scenario 51: many objects, and a big one, in one transaction.
func TestBigTransactions(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		const objects, big = 10_000, 4 << 20
		db := b.db()
		update(t, db, func(tx *Tx) error {
			root := Must(theBank.Edit(tx))
			root.Others = make([]AnyRef, objects)
			for i := range root.Others {
				root.Others[i] = Must(Add(tx, &account{Owner: fmt.Sprint(i), Balance: int64(i)})).Any()
			}
			root.Name = string(bytes.Repeat([]byte("x"), big))
			return nil
		})
		other := b.db()
		view(t, other, func(tx *Tx) error {
			root := Must(theBank.Load(tx))
			if len(root.Name) != big {
				t.Errorf("%d bytes", len(root.Name))
			}
			for i, r := range root.Others {
				if a := Must(r.Load(tx)).(*account); a.Balance != int64(i) {
					t.Fatalf("%d: %+v", i, a)
				}
			}
			return nil
		})
	})
}

// Scenario 24, H15: seven writers that all change the one root get there.
func TestCrowdOnTheRoot(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		const writers, rounds = 7, 10
		var wg sync.WaitGroup
		for w := range writers {
			db := b.db(Options{Sync: SyncNever})
			wg.Go(func() {
				for i := range rounds {
					if err := db.Update(t.Context(), func(tx *Tx) error {
						root := Must(theBank.Edit(tx))
						if root.Accounts == nil {
							root.Accounts = map[string]Ref[account]{}
						}
						root.Accounts[fmt.Sprint(w, i)] = Must(Add(tx, &account{Balance: int64(i)}))
						return nil
					}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		view(t, b.db(), func(tx *Tx) error {
			if n := len(Must(theBank.Load(tx)).Accounts); n != writers*rounds {
				t.Errorf("%d accounts, want %d", n, writers*rounds)
			}
			return nil
		})
	})
}

// Scenario 5: what was read counts, also when nothing refers to it any more.
func TestReadOfUnlinkedObjectConflicts(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, 1, 1)
		tx := begin(t, db, true)
		n := Must(ra.Load(tx)).Balance
		root := Must(theBank.Edit(tx))
		delete(root.Accounts, "a")
		root.Name = fmt.Sprint("closed with ", n)
		add(t, db, ra, 5)
		wantErr(t, tx.Commit(), ErrConflict)
	})
}

// The functions of OnCommit may use the database.
func TestUpdateInOnCommit(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, 1, 1)
		update(t, db, func(tx *Tx) error {
			Must(ra.Edit(tx)).Balance = 2
			tx.OnCommit(func(TID) { add(t, db, ra, 1) })
			return nil
		})
		if n := balance(t, db, "a"); n != 3 {
			t.Errorf("balance %d", n)
		}
	})
}

// D10: a transaction that waits for the lock of a process that stands still
// gives up after LockTimeout, with nothing changed, and works again later.
func TestLockTimeout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.durus")
	db, err := Open(path, &Options{LockTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	other, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	ra, _ := openAccounts(t, db, 1, 1)
	hold, err := other.st.Hold(context.Background(), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx *Tx) error { Must(ra.Edit(tx)).Balance = 9; return nil })
	wantErr(t, err, ErrLocked)
	if n := balance(t, db, "a"); n != 1 {
		t.Errorf("balance %d; a View must not wait for the lock", n)
	}
	hold.Release()
	add(t, db, ra, 1)
}
