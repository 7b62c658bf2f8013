package durus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
)

// D1, D9: what one handle commits another one sees at its next transaction.
func TestCommitIsSeenByOthers(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		one, two := b.db(), b.db()
		openAccounts(t, one, 100, 7)
		if n := balance(t, two, "a"); n != 100 {
			t.Fatalf("balance %d, want 100", n)
		}
		update(t, two, func(tx *Tx) error {
			a := Must(Must(named(tx, "a")).Edit(tx))
			a.Balance -= 30
			return nil
		})
		if n := balance(t, one, "a"); n != 70 {
			t.Fatalf("balance %d, want 70", n)
		}
	})
}

// Scenario 1, D1: N goroutines on M handles lose no increment.
func TestNoLostUpdate(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		const handles, goroutines, rounds = 3, 4, 15
		openAccounts(t, b.db(), 0, 0)
		var wg sync.WaitGroup
		for range handles {
			db := b.db(Options{MaxRetries: 1000})
			for range goroutines {
				wg.Go(func() {
					for range rounds {
						if err := db.Update(t.Context(), func(tx *Tx) error {
							a := Must(Must(named(tx, "a")).Edit(tx))
							a.Balance++
							return nil
						}); err != nil {
							t.Error(err)
						}
					}
				})
			}
		}
		wg.Wait()
		if n := balance(t, b.db(), "a"); n != handles*goroutines*rounds {
			t.Fatalf("balance %d, want %d", n, handles*goroutines*rounds)
		}
	})
}

// D12, scenario 7: two transactions that each read what the other one writes
// (two doctors) cannot both commit.
func TestWriteSkewConflicts(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		for _, c := range []struct {
			isolation Isolation
			conflict  bool
		}{{Serializable, true}, {SnapshotIsolation, false}} {
			db := b.db(Options{Isolation: c.isolation})
			ra, rb := openAccounts(t, db, 1, 1)
			_ = rb
			one, two := begin(t, db, true), begin(t, db, true)
			for _, tx := range []*Tx{one, two} {
				a, err := Must(named(tx, "a")).Load(tx)
				if err != nil {
					t.Fatal(err)
				}
				bb, err := Must(named(tx, "b")).Load(tx)
				if err != nil {
					t.Fatal(err)
				}
				if a.Balance+bb.Balance < 2 {
					t.Fatal("both must be there at the beginning")
				}
			}
			Must(Must(named(one, "a")).Edit(one)).Balance = 0
			Must(Must(named(two, "b")).Edit(two)).Balance = 0
			if err := one.Commit(); err != nil {
				t.Fatal(err)
			}
			err := two.Commit()
			if !c.conflict {
				if err != nil {
					t.Fatalf("isolation %d: %v", c.isolation, err)
				}
				continue
			}
			wantErr(t, err, ErrConflict)
			var lost *ConflictError
			if !errors.As(err, &lost) || len(lost.Objects) != 1 || lost.Objects[0].OID != ra.OID() || lost.Objects[0].Class != "test.Account" {
				t.Fatalf("conflict %+v does not name object %s", lost, ra) // scenario 2
			}
		}
	})
}

// D12, scenario 6: reading what somebody else changed conflicts with any
// write, unless it was peeked at; disjoint sets do not conflict.
func TestReadSet(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		for _, c := range []struct {
			name     string
			read     func(tx *Tx, r Ref[account]) error
			conflict bool
		}{
			{"load", func(tx *Tx, r Ref[account]) error { _, err := r.Load(tx); return err }, true},
			{"edit", func(tx *Tx, r Ref[account]) error { _, err := r.Edit(tx); return err }, true},
			{"any", func(tx *Tx, r Ref[account]) error { _, err := r.Any().Load(tx); return err }, true},
			{"peek", func(tx *Tx, r Ref[account]) error { _, err := r.Peek(tx); return err }, false},
			{"class", func(tx *Tx, r Ref[account]) error { _, err := r.Any().Class(tx); return err }, false},
			{"nothing", func(tx *Tx, r Ref[account]) error { return nil }, false},
		} {
			t.Run(c.name, func(t *testing.T) {
				db := b.db()
				ra, rb := openAccounts(t, db, 1, 1)
				tx := begin(t, db, true)
				if err := c.read(tx, ra); err != nil {
					t.Fatal(err)
				}
				Must(rb.Edit(tx)).Balance++
				update(t, db, func(tx *Tx) error {
					Must(ra.Edit(tx)).Balance++
					return nil
				})
				err := tx.Commit()
				if c.conflict {
					wantErr(t, err, ErrConflict)
				} else if err != nil {
					t.Fatal(err)
				}
				wantErr(t, tx.Commit(), ErrTxDone) // the transaction is over either way
			})
		}
	})
}

// Scenarios 8, 9, D15: a transaction sees the state of its beginning to its end.
func TestSnapshot(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db, other := b.db(), b.db()
		openAccounts(t, db, 50, 50)
		tx := begin(t, db, false)
		if n := Must(Must(named(tx, "a")).Load(tx)).Balance; n != 50 {
			t.Fatalf("balance %d", n)
		}
		for range 5 {
			update(t, other, func(tx *Tx) error {
				Must(Must(named(tx, "a")).Edit(tx)).Balance--
				Must(Must(named(tx, "b")).Edit(tx)).Balance++
				return nil
			})
			sum := Must(Must(named(tx, "a")).Load(tx)).Balance + Must(Must(named(tx, "b")).Load(tx)).Balance
			if sum != 100 || Must(Must(named(tx, "b")).Load(tx)).Balance != 50 {
				t.Fatalf("the snapshot moved: sum %d", sum)
			}
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		if n := balance(t, db, "b"); n != 55 {
			t.Fatalf("balance %d, want 55", n)
		}
	})
}

// Only a conflict of this commit is run again; an error of the function's
// comes back as it is.
func TestUpdateRetriesOnlyItsOwnConflicts(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, 0, 0)

		attempts := []int(nil)
		update(t, db, func(tx *Tx) error {
			attempts = append(attempts, tx.Attempt())
			Must(ra.Edit(tx)).Balance++
			if len(attempts) < 3 {
				disturb(t, db, ra)
			}
			return nil
		})
		if fmt.Sprint(attempts) != "[1 2 3]" {
			t.Errorf("attempts %v", attempts)
		}
		if s := db.Stats(); s.Retries != 2 {
			t.Errorf("%d retries counted, want 2", s.Retries)
		}
		var last TxInfo
		for info, err := range db.Transactions(0, math.MaxUint64) {
			if err != nil {
				t.Fatal(err)
			}
			last = info
		}
		if got := last.Ext["durus.conflicts"]; got != "2" {
			t.Errorf("the transaction tells of %q conflicts, want 2", got)
		}

		runs := 0
		mine := fmt.Errorf("my own: %w", ErrConflict)
		err := db.Update(t.Context(), func(tx *Tx) error {
			runs++
			Must(ra.Edit(tx)).Balance = 1000
			return mine
		})
		if err != mine || runs != 1 {
			t.Errorf("%d runs, error %v: want fn's own error after one", runs, err)
		}
		if n := balance(t, db, "a"); n == 1000 {
			t.Error("an error did not roll back")
		}
	})
}

// disturb changes an object from another goroutine.
func disturb(t testing.TB, db *DB, r Ref[account]) {
	t.Helper()
	done := make(chan error)
	go func() {
		done <- db.Update(t.Context(), func(tx *Tx) error {
			a, err := r.Edit(tx)
			if err == nil {
				a.Balance += 10
			}
			return err
		})
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// H15, scenario 23: attempts are bounded, the last ones hold the lock, and the
// last conflict is what comes back.
func TestUpdateGivesUp(t *testing.T) {
	b := memBed(t)
	db := b.db(Options{MaxRetries: 5})
	ra, _ := openAccounts(t, db, 0, 0)
	var held []bool
	err := db.Update(t.Context(), func(tx *Tx) error {
		held = append(held, b.mem.isHeld())
		Must(ra.Edit(tx)).Balance++
		disturb(t, db, ra)
		return nil
	})
	wantErr(t, err, ErrConflict)
	var conflict *ConflictError
	if !errors.As(err, &conflict) {
		t.Errorf("%v has no *ConflictError", err)
	}
	if fmt.Sprint(held) != "[false false true true true]" {
		t.Errorf("the lock was held in %v: want the last three", held)
	}
	if b.mem.isHeld() {
		t.Error("the lock is still held")
	}
}

// Scenario 23: a cancelled context ends the wait between attempts.
func TestUpdateHonoursContext(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, 0, 0)
		ctx, cancel := context.WithCancel(t.Context())
		err := db.Update(ctx, func(tx *Tx) error {
			Must(ra.Edit(tx)).Balance++
			cancel()
			return nil
		})
		wantErr(t, err, context.Canceled)
		if n := balance(t, db, "a"); n != 0 {
			t.Errorf("a cancelled transaction was committed: %d", n)
		}
		wantErr(t, db.Update(ctx, func(*Tx) error { t.Error("fn was called"); return nil }), context.Canceled)
		wantErr(t, db.View(ctx, func(*Tx) error { t.Error("fn was called"); return nil }), context.Canceled)
	})
}

// D10: a panic and runtime.Goexit roll back and leave nothing behind.
func TestUpdateSurvivesPanicAndGoexit(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, 1, 0)
		change := func(tx *Tx) { Must(ra.Edit(tx)).Balance = 99 }

		var leaked *Tx
		func() {
			defer func() {
				if r := recover(); r != "boom" {
					t.Errorf("recovered %v", r)
				}
			}()
			_ = db.Update(t.Context(), func(tx *Tx) error {
				leaked = tx
				change(tx)
				panic("boom")
			})
		}()
		if _, err := ra.Load(leaked); !errors.Is(err, ErrTxDone) {
			t.Errorf("after a panic: %v", err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = db.Update(t.Context(), func(tx *Tx) error {
				change(tx)
				runtime.Goexit()
				return nil
			})
			t.Error("Goexit did not go on")
		}()
		<-done
		if n := balance(t, db, "a"); n != 1 {
			t.Errorf("balance %d, want 1", n)
		}
		update(t, db, func(tx *Tx) error { change(tx); return nil })
		if n := balance(t, db, "a"); n != 99 {
			t.Errorf("balance %d, want 99", n)
		}
		if n := updates.watched.Load(); n != 0 {
			t.Errorf("%d updates are still watched", n)
		}
	})
}

func TestMust(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		oops := errors.New("oops")
		for name, run := range map[string]func(context.Context, func(*Tx) error) error{"view": db.View, "update": db.Update} {
			err := run(t.Context(), func(tx *Tx) error {
				if name == "update" {
					Must(theBank.Edit(tx)).Name = "lost"
				}
				Must(0, oops)
				t.Error("Must went on")
				return nil
			})
			if err != oops {
				t.Errorf("%s: %v", name, err)
			}
		}
		view(t, db, func(tx *Tx) error {
			if n := Must(theBank.Load(tx)).Name; n != "" {
				t.Errorf("a failed Must committed %q", n)
			}
			return nil
		})
		defer func() {
			err, ok := recover().(error)
			if !ok || !errors.Is(err, oops) || !strings.Contains(err.Error(), "outside") {
				t.Errorf("Must outside panicked with %v", err)
			}
		}()
		Must(0, oops)
	})
}

// The inner one would not see the outer one's changes, and could wait for it
// for ever.
func TestNestedUpdate(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db, other := b.db(Options{Check: CheckShared}), memBed(t).db()
		nothing := func(*Tx) error { return nil }
		update(t, db, func(tx *Tx) error {
			wantErr(t, db.Update(tx.Context(), nothing), ErrNestedUpdate)
			wantErr(t, db.Update(t.Context(), nothing), ErrNestedUpdate) // by goroutine
			if _, err := db.Begin(tx.Context(), true); !errors.Is(err, ErrNestedUpdate) {
				t.Errorf("Begin: %v", err)
			}
			if err := db.View(tx.Context(), nothing); err != nil {
				t.Errorf("a View inside: %v", err)
			}
			if err := other.Update(tx.Context(), func(in *Tx) error {
				done := make(chan error)
				go func() { done <- db.Update(in.Context(), nothing) }() // found through both contexts alone
				wantErr(t, <-done, ErrNestedUpdate)
				return nil
			}); err != nil {
				t.Errorf("an Update of another database: %v", err)
			}
			ctx := context.WithoutCancel(t.Context())
			done := make(chan error)
			go func() { done <- db.Update(ctx, nothing) }() // another goroutine, another context: not nested
			if err := <-done; err != nil {
				t.Errorf("from another goroutine: %v", err)
			}
			tx.OnCommit(func(TID) {
				if err := db.Update(tx.Context(), nothing); err != nil {
					t.Errorf("in OnCommit the transaction is over: %v", err)
				}
			})
			return nil
		})
		view(t, db, func(tx *Tx) error { return db.Update(tx.Context(), nothing) })
	})
}

// Whoever holds the commit lock of one database gives it back before waiting
// for that of another one.
func TestNestedUpdateYieldsTheLock(t *testing.T) {
	b := memBed(t)
	db, other := b.db(Options{MaxRetries: 2}), memBed(t).db()
	ra, _ := openAccounts(t, db, 0, 0)
	update(t, db, func(tx *Tx) error {
		Must(ra.Edit(tx)).Balance++
		if tx.Attempt() == 1 {
			disturb(t, db, ra)
			return nil
		}
		if !b.mem.isHeld() {
			t.Error("the last attempt does not hold the lock")
		}
		update(t, other, func(*Tx) error {
			if b.mem.isHeld() {
				t.Error("the outer lock is still held")
			}
			return nil
		})
		return nil
	})
}

// D10: the lock goes back also when the attempt that has it cannot begin.
func TestFailedBeginReturnsTheLock(t *testing.T) {
	b := memBed(t)
	db := b.db(Options{MaxRetries: 2})
	ra, _ := openAccounts(t, db, 0, 0)
	oops := errors.New("no more files")
	err := db.Update(t.Context(), func(tx *Tx) error {
		Must(ra.Edit(tx)).Balance++
		disturb(t, db, ra)
		b.mem.fail = func(op string) error {
			if op == "begin" {
				return oops
			}
			return nil
		}
		return nil
	})
	b.mem.fail = nil
	wantErr(t, err, oops)
	if b.mem.isHeld() {
		t.Error("the lock is still held")
	}
}

func TestResult(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, 5, 0)
		n, err := Result(t.Context(), db.Update, func(tx *Tx) (int64, error) {
			a, err := ra.Edit(tx)
			if err != nil {
				return 0, err
			}
			a.Balance++
			if tx.Attempt() == 1 {
				disturb(t, db, ra)
			}
			return a.Balance, nil
		})
		if err != nil || n != 16 {
			t.Errorf("got %d, %v: want the value of the run that was committed, 16", n, err)
		}
		n, err = Result(t.Context(), db.View, func(tx *Tx) (int64, error) { return 3, errors.New("no") })
		if err == nil || n != 0 {
			t.Errorf("got %d, %v", n, err)
		}
	})
}

// The Update that meets a restored file fails with ErrRewound and is not run
// again; the next one sees the new history. H7
func TestUpdateAfterRewind(t *testing.T) {
	b := memBed(t)
	db := b.db()
	openAccounts(t, db, 1, 0)
	update(t, db, func(tx *Tx) error {
		Must(Must(named(tx, "a")).Edit(tx)).Balance = 2
		return nil
	})
	view(t, db, func(tx *Tx) error { // warm the cache with what will be gone
		_, err := Must(named(tx, "a")).Load(tx)
		return err
	})
	runs := 0
	err := db.Update(t.Context(), func(tx *Tx) error {
		runs++
		Must(Must(named(tx, "a")).Edit(tx)).Owner = "before"
		b.mem.rewind(1)
		return nil
	})
	if !errors.Is(err, ErrRewound) || runs != 1 {
		t.Errorf("%d runs, %v; want ErrRewound after one", runs, err)
	}
	update(t, db, func(tx *Tx) error {
		if a := Must(Must(named(tx, "a")).Edit(tx)); a.Balance != 1 || a.Owner != "a" {
			t.Errorf("%+v after the rewind, want balance 1 of a", a)
		}
		return nil
	})
}

// CheckRerun shows results that an earlier run left behind.
func TestCheckRerun(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db(Options{Check: CheckRerun})
		ra, _ := openAccounts(t, db, 0, 0)
		runs := 0
		update(t, db, func(tx *Tx) error {
			runs++
			Must(ra.Edit(tx)).Balance++
			return nil
		})
		if n := balance(t, db, "a"); runs != 2 || n != 1 {
			t.Errorf("%d runs, balance %d: want 2 and 1", runs, n)
		}
		runs = 0
		view(t, db, func(tx *Tx) error { runs++; return nil })
		if runs != 2 {
			t.Errorf("View ran %d times", runs)
		}
	})
}

// D10, scenario 17: whatever fails in a commit, nothing is stored and the next
// one works.
func TestFailuresLeaveNothing(t *testing.T) {
	b := memBed(t)
	db := b.db()
	ra, _ := openAccounts(t, db, 1, 0)
	oops := errors.New("disk on fire")
	for _, op := range []string{"begin", "oid", "class", "commit", "read"} {
		fresh := b.db(Options{CacheBytes: 1}) // nothing cached, no class numbers known
		b.mem.fail = func(o string) error {
			if o == op {
				return oops
			}
			return nil
		}
		err := fresh.Update(t.Context(), func(tx *Tx) error {
			a, err := RefTo[account](ra.OID()).Edit(tx)
			if err != nil {
				return err
			}
			a.Balance = 99
			_, _ = Add(tx, &account{})
			return nil
		})
		b.mem.fail = nil
		wantErr(t, err, oops)
		if n := balance(t, fresh, "a"); n != 1 {
			t.Fatalf("%s failed and something was stored: %d", op, n)
		}
	}
	update(t, db, func(tx *Tx) error { Must(ra.Edit(tx)).Balance = 2; return nil })
}

// An unknown outcome is not retried.
func TestUnknownOutcomeIsNotRetried(t *testing.T) {
	b := memBed(t)
	db := b.db()
	ra, _ := openAccounts(t, db, 1, 0)
	runs := 0
	b.mem.fail = func(op string) error {
		if op == "commit" {
			return &storage.UnknownOutcomeError{TID: 77, Err: errors.New("sync failed")}
		}
		return nil
	}
	err := db.Update(t.Context(), func(tx *Tx) error {
		runs++
		Must(ra.Edit(tx)).Balance++
		tx.OnCommit(func(TID) { t.Error("OnCommit was called") })
		return nil
	})
	b.mem.fail = nil
	var unknown *UnknownOutcomeError
	if !errors.As(err, &unknown) || unknown.TID != 77 || runs != 1 {
		t.Errorf("%d runs, %v", runs, err)
	}
	if ok, err := db.Committed(77); ok || err != nil {
		t.Errorf("committed: %v, %v", ok, err)
	}
}

func TestPauseIsBounded(t *testing.T) {
	start := time.Now()
	for n := 1; n < 100; n += 9 {
		if err := pause(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	if d := time.Since(start); d > 20*longestPause {
		t.Errorf("11 pauses took %v", d)
	}
}
