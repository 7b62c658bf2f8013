package durus

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// connect opens a connection that is aborted and closed when the test ends.
func connect(t testing.TB, db *DB) *Connection {
	t.Helper()
	c, err := db.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c.usable() == nil {
			_ = c.Abort()
		}
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

// add changes an account by n.
func add(t testing.TB, db *DB, r Ref[account], n int64) {
	t.Helper()
	update(t, db, func(tx *Tx) error {
		Must(RefTo[account](r.OID()).Edit(tx)).Balance += n
		return nil
	})
}

// D7, D8, D17: each retrieve of a live connection sees the newest state.
func TestConnectionFollows(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db, other := b.db(), b.db()
		ra, _ := openAccounts(t, db, 1, 0)
		c := connect(t, db)
		for i := range int64(3) {
			if a, err := ra.Load(c); err != nil || a.Balance != 1+i {
				t.Fatalf("got %+v, %v", a, err)
			}
			if err := c.Abort(); err != nil {
				t.Fatal(err)
			}
			before := c.Snapshot()
			add(t, other, ra, 1)
			if _, err := ra.Peek(c); err != nil || c.Snapshot() <= before {
				t.Fatalf("snapshot %s after %s: %v", c.Snapshot(), before, err)
			}
		}
	})
}

// D15, D16: pause holds one state, pauses nest, continue looks again.
func TestConnectionPause(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db, other := b.db(), b.db()
		ra, _ := openAccounts(t, db, 1, 0)
		c := connect(t, db)
		peek := func() int64 {
			t.Helper()
			a, err := ra.Peek(c)
			if err != nil {
				t.Fatal(err)
			}
			return a.Balance
		}
		add(t, other, ra, 1)
		for range 2 { // only the outermost one looks
			if err := c.Pause(); err != nil {
				t.Fatal(err)
			}
			add(t, other, ra, 1)
		}
		if n := peek(); n != 2 {
			t.Fatalf("paused at 2, got %d", n)
		}
		if err := c.Continue(); err != nil {
			t.Fatal(err)
		}
		if n := peek(); n != 2 {
			t.Fatalf("still paused at 2, got %d", n)
		}
		if err := c.Sync(); err != nil {
			t.Fatal(err)
		}
		if n := peek(); n != 4 {
			t.Fatalf("synced to 4, got %d", n)
		}
		add(t, other, ra, 1)
		if n := peek(); n != 4 {
			t.Fatalf("still paused at 4, got %d", n)
		}
		if err := c.Continue(); err != nil {
			t.Fatal(err)
		}
		if n := peek(); n != 5 {
			t.Fatalf("continued, got %d", n)
		}
		if err := c.Continue(); err == nil {
			t.Error("Continue without Pause")
		}
	})
}

// D16, scenario 3: a commit validates everything accessed since the last one;
// after a conflict it fails until Abort.
func TestConnectionConflict(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		for _, paused := range []bool{false, true} {
			db, other := b.db(), b.db()
			ra, rb := openAccounts(t, db, 1, 1)
			c := connect(t, db)
			if paused {
				if err := c.Pause(); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := ra.Load(c); err != nil {
				t.Fatal(err)
			}
			if b, err := rb.Edit(c); err != nil {
				t.Fatal(err)
			} else {
				b.Balance = 9
			}
			add(t, other, ra, 1)
			add(t, other, ra, 1)
			last, _ := other.LastTID()
			err := c.Commit()
			wantErr(t, err, ErrConflict)
			var conflict *ConflictError
			if !errors.As(err, &conflict) || len(conflict.Objects) != 1 {
				t.Fatalf("got %v", err)
			}
			if o := conflict.Objects[0]; o.OID != ra.OID() || o.Class != "test.Account" || o.Committed != last {
				t.Errorf("got %+v, want object %s and transaction %s", o, ra, last) // scenario 2
			}
			err = c.Commit()
			if wantErr(t, err, ErrConflict); !strings.Contains(err.Error(), "Abort") {
				t.Errorf("the second Commit: %v", err)
			}
			if err := c.Abort(); err != nil {
				t.Fatal(err)
			}
			if b, err := rb.Load(c); err != nil || b.Balance != 1 {
				t.Errorf("after Abort: %+v, %v", b, err)
			}
			Must(rb.Edit(c)).Balance = 10
			if err := c.Commit(); err != nil {
				t.Fatal(err)
			}
			if n := balance(t, other, "b"); n != 10 {
				t.Errorf("balance %d", n)
			}
		}
	})
}

// Scenario 4: what was cached but not accessed since the last commit does not
// conflict, and the next access sees the new state.
func TestConnectionFineConflict(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db, other := b.db(), b.db()
		ra, rb := openAccounts(t, db, 1, 1)
		c := connect(t, db)
		_ = Must(ra.Load(c))
		if err := c.Commit(); err != nil {
			t.Fatal(err)
		}
		add(t, other, ra, 1)
		Must(rb.Edit(c)).Balance = 5
		if err := c.Commit(); err != nil {
			t.Fatal(err)
		}
		if a := Must(ra.Load(c)); a.Balance != 2 {
			t.Errorf("got %+v", a)
		}

		// An object that was read after it was changed is no conflict either,
		// although the connection began before.
		add(t, other, rb, 1)
		Must(rb.Edit(c)).Balance++
		if err := c.Commit(); err != nil {
			t.Fatal(err)
		}
		if n := balance(t, other, "b"); n != 7 {
			t.Errorf("balance %d, want 7", n)
		}
	})
}

// Reads alone are validated too; an object that was read at two states conflicts.
func TestConnectionReadsAreValidated(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db, other := b.db(), b.db()
		ra, _ := openAccounts(t, db, 1, 1)
		c := connect(t, db)
		_ = Must(ra.Load(c))
		add(t, other, ra, 1)
		_ = Must(ra.Load(c))
		wantErr(t, c.Commit(), ErrConflict)
	})
}

// What was loaded before it was changed conflicts, although it was edited after.
func TestConnectionEditAfterStaleLoad(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db, other := b.db(), b.db()
		ra, _ := openAccounts(t, db, 1, 1)
		c := connect(t, db)
		n := Must(ra.Load(c)).Balance
		add(t, other, ra, 5)
		Must(ra.Edit(c)).Balance = n + 1
		wantErr(t, c.Commit(), ErrConflict)
	})
}

// Under SnapshotIsolation only what a connection wrote counts.
func TestConnectionSnapshotIsolation(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db(Options{Isolation: SnapshotIsolation})
		ra, rb := openAccounts(t, db, 1, 1)
		c := connect(t, db)
		_ = Must(ra.Load(c))
		Must(rb.Edit(c)).Balance = 5
		add(t, db, ra, 5)
		if err := c.Commit(); err != nil {
			t.Fatal(err)
		}
		Must(rb.Edit(c)).Balance = 6
		add(t, db, rb, 5)
		wantErr(t, c.Commit(), ErrConflict)
	})
}

// A root that another one has created since the connection looked is not
// created again.
func TestConnectionRootRace(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		c := connect(t, db)
		if err := c.Pause(); err != nil {
			t.Fatal(err)
		}
		update(t, db, func(tx *Tx) error { Must(theBank.Edit(tx)).Name = "first"; return nil })
		Must(theBank.Edit(c)).Name = "second"
		wantErr(t, c.Commit(), ErrConflict)
		if err := c.Abort(); err != nil {
			t.Fatal(err)
		}
		if err := c.Sync(); err != nil {
			t.Fatal(err)
		}
		if n := Must(theBank.Load(c)).Name; n != "first" {
			t.Errorf("name %q", n)
		}
	})
}

// The same between the two looks that creating a root takes.
func TestConnectionRootCreatedMeanwhile(t *testing.T) {
	b := memBed(t)
	db, other := b.db(), b.db()
	update(t, db, func(tx *Tx) error { _, err := NewRoot[account]("another").Edit(tx); return err })
	c := connect(t, db)
	looks := 0
	b.mem.fail = func(op string) error {
		if op != "begin" {
			return nil
		}
		if looks++; looks == 2 {
			b.mem.fail = nil
			update(t, other, func(tx *Tx) error { Must(theBank.Edit(tx)).Name = "first"; return nil })
		}
		return nil
	}
	root := Must(theBank.Edit(c))
	if root.Name != "first" {
		t.Fatalf("the root is %+v after %d looks", root, looks)
	}
	root.Name = "second"
	if err := c.Commit(); err != nil {
		t.Fatal(err)
	}
	view(t, db, func(tx *Tx) error {
		if dir := Must(AnyRefTo(directoryOID).Load(tx)).(*directory); len(*dir) != 2 || Must(theBank.Load(tx)).Name != "second" {
			t.Errorf("directory %v", *dir)
		}
		return nil
	})
}

// A commit inside a pause shows its own changes.
func TestConnectionCommitInPause(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, 1, 1)
		c := connect(t, db)
		if err := c.Pause(); err != nil {
			t.Fatal(err)
		}
		var added Ref[account]
		Must(ra.Edit(c)).Balance = 2
		added = Must(Add(c, &account{Owner: "new"}))
		Must(ra.Edit(c)).Parent = added
		if err := c.Commit(); err != nil {
			t.Fatal(err)
		}
		if a := Must(ra.Load(c)); a.Balance != 2 || Must(a.Parent.Load(c)).Owner != "new" {
			t.Errorf("got %+v", a)
		}
		if err := c.Continue(); err != nil {
			t.Fatal(err)
		}
	})
}

// Scenario 22: Close with uncommitted changes fails, and says how many; a
// commit afterwards still works.
func TestConnectionClose(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, rb := openAccounts(t, db, 1, 1)
		c, err := db.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = Must(rb.Edit(c)) // unchanged
		Must(ra.Edit(c)).Parent = Must(Add(c, &account{}))
		if err := c.Close(); err == nil || !strings.Contains(err.Error(), "2 uncommitted") {
			t.Errorf("Close: %v", err)
		}
		if err := c.Commit(); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Errorf("Close again: %v", err)
		}
		_, err = ra.Load(c)
		wantErr(t, err, ErrClosed)
		wantErr(t, c.Commit(), ErrClosed)
		wantErr(t, c.Abort(), ErrClosed)
		view(t, db, func(tx *Tx) error {
			if Must(ra.Load(tx)).Parent.IsNil() {
				t.Error("the commit after Close was lost")
			}
			return nil
		})
	})
}

// A failed Add sticks until Abort.
func TestConnectionErrorsStick(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, 1, 1)
		c := connect(t, db)
		Must(ra.Edit(c)).Balance = 5
		_, failed := Add(c, (*account)(nil))
		wantErr(t, c.Err(), failed)
		wantErr(t, c.Commit(), ErrType)
		if err := c.Abort(); err != nil || c.Err() != nil {
			t.Errorf("Abort: %v, %v", err, c.Err())
		}
		if err := c.Commit(); err != nil {
			t.Error(err)
		}
		if n := balance(t, db, "a"); n != 1 {
			t.Errorf("balance %d", n)
		}
	})
}

// H7: positions of two histories are never compared, also where they are equal
// by chance, and also when the connection has moved to the new one.
func TestConnectionAfterRewind(t *testing.T) {
	for _, look := range []bool{false, true} {
		for _, again := range []bool{false, true} {
			b := memBed(t)
			db := b.db()
			ra, rb := openAccounts(t, db, 1, 1)
			if again {
				add(t, db, ra, 1)
			}
			c := connect(t, db)
			_ = Must(ra.Load(c))
			b.mem.rewind(1)
			if look {
				if a := Must(rb.Load(c)); a.Balance != 1 {
					t.Errorf("got %+v after the rewind", a)
				}
			}
			wantErr(t, c.Commit(), ErrConflict)
			if err := c.Abort(); err != nil {
				t.Fatal(err)
			}
			if a := Must(ra.Edit(c)); a.Balance != 1 {
				t.Errorf("got %+v after the rewind", a)
			} else {
				a.Balance = 7
			}
			if err := c.Commit(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestConnectionIsASession(t *testing.T) {
	db := memBed(t).db()
	openAccounts(t, db, 1, 1)
	ctx, cancel := context.WithCancel(t.Context())
	c, err := db.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	last, _ := db.LastTID()
	if c.Context() != ctx || c.Snapshot() != last || c.Err() != nil {
		t.Errorf("%v, %s, %v", c.Context(), c.Snapshot(), c.Err())
	}
	cancel()
	_, err = theBank.Load(c)
	wantErr(t, err, context.Canceled)
	wantErr(t, c.Sync(), context.Canceled)
	wantErr(t, c.Commit(), context.Canceled)
	_, err = db.Connect(ctx)
	wantErr(t, err, context.Canceled)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// The original proposal's root in a connection.
func TestConnectionRoot(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		c := connect(t, db)
		Must(theBank.Edit(c)).Name = "live"
		if err := c.Commit(); err != nil {
			t.Fatal(err)
		}
		view(t, db, func(tx *Tx) error {
			if n := Must(theBank.Load(tx)).Name; n != "live" {
				t.Errorf("name %q", n)
			}
			return nil
		})
	})
}
