package durus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// The manual form does what Update does.
func TestBeginCommitRollback(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, 1, 0)

		tx := begin(t, db, true)
		Must(ra.Edit(tx)).Balance = 2
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		wantErr(t, tx.Commit(), ErrTxDone) // scenario 15
		if n := balance(t, db, "a"); n != 1 {
			t.Fatalf("rolled back, and the balance is %d", n)
		}

		tx = begin(t, db, true)
		Must(ra.Edit(tx)).Balance = 3
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if err := tx.Rollback(); err != nil {
			t.Errorf("Rollback after Commit: %v", err)
		}
		if n := balance(t, db, "a"); n != 3 {
			t.Fatalf("balance %d, want 3", n)
		}
		for name, err := range map[string]error{
			"load": func() error { _, err := ra.Load(tx); return err }(),
			"edit": func() error { _, err := ra.Edit(tx); return err }(),
			"add":  func() error { _, err := Add(tx, &account{}); return err }(),
			"root": func() error { _, err := theBank.Load(tx); return err }(),
		} {
			if !errors.Is(err, ErrTxDone) {
				t.Errorf("%s after Commit: %v", name, err)
			}
		}

		tx = begin(t, db, false)
		if _, err := ra.Edit(tx); !errors.Is(err, ErrReadOnly) {
			t.Errorf("Edit in a reader: %v", err)
		}
		if err := tx.Commit(); err != nil {
			t.Errorf("Commit of a reader: %v", err)
		}
	})
}

// View and Update end their transactions themselves.
func TestManagedTransactionsRefuseCommit(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		for name, end := range map[string]func(*Tx) error{"Commit": (*Tx).Commit, "Rollback": (*Tx).Rollback} {
			err := db.Update(t.Context(), func(tx *Tx) error {
				Must(theBank.Edit(tx)).Name = name
				if err := end(tx); err == nil {
					t.Errorf("%s inside Update succeeded", name)
				}
				return nil
			})
			wantErr(t, err, errManaged)
		}
		view(t, db, func(tx *Tx) error {
			if n := Must(theBank.Load(tx)).Name; n != "" {
				t.Errorf("something was committed: %q", n)
			}
			return nil
		})
	})
}

// Scenario 15: empty transactions in a row do not hang, and are no transactions.
func TestEmptyTransactions(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		openAccounts(t, db, 1, 1)
		before, err := db.LastTID()
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			update(t, db, func(tx *Tx) error {
				tx.OnCommit(func(tid TID) {
					if tid != before {
						t.Errorf("OnCommit got %s, want %s", tid, before)
					}
				})
				_, err := theBank.Load(tx)
				return err
			})
		}
		if after, err := db.LastTID(); err != nil || after != before {
			t.Errorf("LastTID %s, %v; it was %s", after, err, before)
		}
	})
}

// A failed write that nobody looked at stores nothing.
func TestErrorsStick(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, 1, 0)
		type unregistered struct{ A int }
		err := db.Update(t.Context(), func(tx *Tx) error {
			Must(ra.Edit(tx)).Balance = 5
			_, _ = Add(tx, &unregistered{})
			wantErr(t, tx.Err(), ErrType)
			first := tx.Err()
			_, _ = Add(tx, (*account)(nil))
			if tx.Err() != first {
				t.Errorf("Err changed from %v to %v", first, tx.Err())
			}
			return nil
		})
		wantErr(t, err, ErrType)
		if n := balance(t, db, "a"); n != 1 {
			t.Errorf("half a transaction was stored: %d", n)
		}

		mine := errors.New("mine")
		err = db.Update(t.Context(), func(tx *Tx) error {
			_, _ = Add(tx, (*account)(nil))
			return mine
		})
		wantErr(t, err, ErrType)
		wantErr(t, err, mine)

		err = db.View(t.Context(), func(tx *Tx) error {
			_, _ = Add(tx, &account{})
			return nil
		})
		wantErr(t, err, ErrReadOnly)

		tx := begin(t, db, true)
		_, failed := Add(tx, &unregistered{})
		if err := tx.Commit(); err != failed {
			t.Errorf("Commit: %v, want %v", err, failed)
		}
		if err := tx.Rollback(); err != failed {
			t.Errorf("Rollback: %v, want %v", err, failed)
		}
	})
}

// What does not find anything does not stick: it is an answer.
func TestNotFoundDoesNotStick(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		update(t, db, func(tx *Tx) error {
			if _, err := RefTo[account](4711).Load(tx); !errors.Is(err, ErrNotFound) {
				t.Errorf("load of an object that is not there: %v", err)
			}
			if _, err := (Ref[account]{}).Load(tx); !errors.Is(err, ErrNotFound) {
				t.Errorf("load of nil: %v", err)
			}
			if _, err := (Ref[account]{}).Edit(tx); !errors.Is(err, ErrNotFound) {
				t.Errorf("edit of nil: %v", err)
			}
			if err := tx.Err(); err != nil {
				t.Errorf("Err is %v", err)
			}
			return nil
		})
	})
}

// An I/O error sticks, also when the function hides it.
func TestReadErrorsStick(t *testing.T) {
	b := memBed(t)
	db := b.db(Options{CacheBytes: 1})
	ra, _ := openAccounts(t, db, 1, 0)
	b.mem.fail = func(op string) error {
		if op == "read" {
			return io.ErrUnexpectedEOF
		}
		return nil
	}
	err := db.View(t.Context(), func(tx *Tx) error {
		_, _ = ra.Load(tx)
		return nil
	})
	b.mem.fail = nil
	wantErr(t, err, io.ErrUnexpectedEOF)
}

func TestOnCommitAndDescribe(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, 1, 0)
		var order []string
		var got TID
		update(t, db, func(tx *Tx) error {
			n := tx.Attempt()
			ext := map[string]string{"ticket": "42"}
			tx.Describe("ada", "a test", ext)
			tx.OnCommit(func(tid TID) { order, got = append(order, fmt.Sprint("first of ", n)), tid })
			tx.OnCommit(func(TID) { order = append(order, "second") })
			Must(ra.Edit(tx)).Balance++
			if n == 1 {
				disturb(t, db, ra)
			}
			ext["ticket"] = "changed afterwards"
			return nil
		})
		if fmt.Sprint(order) != "[first of 2 second]" {
			t.Errorf("calls %q", order)
		}
		last, err := db.LastTID()
		if err != nil || got != last {
			t.Errorf("OnCommit got %s, the last transaction is %s, %v", got, last, err)
		}
		if ok, err := db.Committed(got); !ok || err != nil {
			t.Errorf("Committed: %v, %v", ok, err)
		}
		for tx, err := range db.st.Transactions(got, got) { // scenario 16
			if err != nil || tx.User != "ada" || tx.Description != "a test" || tx.Ext["ticket"] != "42" {
				t.Errorf("stored %+v, %v", tx, err)
			}
		}
		_ = db.Update(t.Context(), func(tx *Tx) error {
			tx.OnCommit(func(TID) { t.Error("called after an error") })
			return errors.New("no")
		})
	})
}

// A View's Tx may be shared.
func TestViewIsShared(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		for _, check := range []Checks{CheckNothing, CheckShared} {
			db := b.db(Options{Check: check})
			ra, rb := openAccounts(t, db, 30, 70)
			ra, rb = RefTo[account](ra.OID()), RefTo[account](rb.OID())
			stop := make(chan struct{})
			var writer sync.WaitGroup
			writer.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if err := db.Update(t.Context(), func(tx *Tx) error {
						Must(ra.Edit(tx)).Balance--
						Must(rb.Edit(tx)).Balance++
						return nil
					}); err != nil {
						t.Error(err)
					}
				}
			})
			for range 20 {
				view(t, db, func(tx *Tx) error {
					var wg sync.WaitGroup
					for range 4 {
						wg.Go(func() {
							for range 50 {
								a, err := ra.Load(tx)
								bb, err2 := rb.Load(tx)
								if err != nil || err2 != nil || a.Balance+bb.Balance != 100 {
									t.Errorf("%v %v, %v %v", a, err, bb, err2)
								}
							}
						})
					}
					wg.Wait()
					return nil
				})
			}
			close(stop)
			writer.Wait()
		}
	})
}

// A goroutine that outlives its View gets ErrTxDone, never another state.
func TestViewOutlived(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db(Options{Check: CheckNothing})
		ra, _ := openAccounts(t, db, 0, 0)
		var wg sync.WaitGroup
		for range 50 {
			update(t, db, func(tx *Tx) error { Must(ra.Edit(tx)).Balance++; return nil })
			view(t, db, func(tx *Tx) error {
				want := Must(ra.Load(tx)).Balance
				started := make(chan struct{})
				wg.Go(func() {
					close(started)
					for {
						a, err := ra.Load(tx)
						if err != nil {
							if !errors.Is(err, ErrTxDone) {
								t.Error(err)
							}
							return
						}
						if a.Balance != want {
							t.Errorf("got %d from a snapshot with %d", a.Balance, want)
							return
						}
					}
				})
				<-started
				return nil
			})
		}
		wg.Wait()
	})
}

// What Close waits for is in the log.
func TestCloseTells(t *testing.T) {
	var log bytes.Buffer
	db := memBed(t).db(Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	tx, err := db.Begin(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error)
	go func() { closed <- db.Close() }()
	for db.running.open() == nil {
		time.Sleep(time.Millisecond)
	}
	db.warnClosing() // as it does itself, later
	if err := tx.Rollback(); err != nil {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if text := log.String(); !strings.Contains(text, "Close waits for transactions") || !strings.Contains(text, "transactions=1") {
		t.Errorf("the log says %q", text)
	}
}

// D2, D10: Close waits for what runs; later use is ErrClosed.
func TestClose(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, 1, 0)
		conn, err := db.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		inside, finish := make(chan struct{}), make(chan struct{})
		done := make(chan error)
		go func() {
			done <- db.Update(t.Context(), func(tx *Tx) error {
				close(inside)
				<-finish
				Must(ra.Edit(tx)).Balance = 8
				return nil
			})
		}()
		<-inside
		closed := make(chan error)
		go func() { closed <- db.Close() }()
		for db.running.open() == nil {
			runtime.Gosched()
		}
		select {
		case <-closed:
			t.Fatal("Close did not wait")
		case <-time.After(20 * time.Millisecond):
		}
		close(finish)
		if err := <-done; err != nil {
			t.Errorf("the running Update: %v", err)
		}
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
		ctx := context.Background()
		_, lastErr := db.LastTID()
		_, committedErr := db.Committed(1)
		_, beginErr := db.Begin(ctx, false)
		_, connErr := db.Connect(ctx)
		_, loadErr := ra.Load(conn)
		for name, err := range map[string]error{
			"View":      db.View(ctx, func(*Tx) error { return nil }),
			"Update":    db.Update(ctx, func(*Tx) error { return nil }),
			"Sync":      db.Sync(ctx),
			"LastTID":   lastErr,
			"Committed": committedErr,
			"Begin":     beginErr,
			"Connect":   connErr,
			"Load":      loadErr,
			"Pause":     conn.Pause(),
		} {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("%s after Close: %v", name, err)
			}
		}
		if err := db.Close(); err != nil {
			t.Errorf("Close again: %v", err)
		}
		if err := conn.Close(); err != nil {
			t.Errorf("Close of a connection of a closed database: %v", err)
		}
		if n := balance(t, b.db(), "a"); n != 8 {
			t.Errorf("balance %d, want 8", n)
		}
	})
}

// Scenario 48: a read-only handle refuses every write and follows the others.
func TestReadOnly(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, 1, 0)
		reader := b.db(Options{ReadOnly: true})
		if n := balance(t, reader, "a"); n != 1 {
			t.Errorf("balance %d", n)
		}
		update(t, db, func(tx *Tx) error { Must(ra.Edit(tx)).Balance = 2; return nil })
		if n := balance(t, reader, "a"); n != 2 {
			t.Errorf("balance %d: the reader does not follow", n)
		}
		wantErr(t, reader.Update(t.Context(), func(*Tx) error { return nil }), ErrReadOnly)
		_, err := reader.Begin(t.Context(), true)
		wantErr(t, err, ErrReadOnly)
		conn, err := reader.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = Add(conn, &account{})
		wantErr(t, err, ErrReadOnly)
		if !strings.Contains(err.Error(), "Options.ReadOnly") {
			t.Errorf("%v does not say why", err)
		}
		if err := conn.Abort(); err != nil {
			t.Error(err)
		}
		if a, err := Must(named(conn, "a")).Load(conn); err != nil || a.Balance != 2 {
			t.Errorf("%v, %v", a, err)
		}
		if err := conn.Commit(); err != nil {
			t.Errorf("Commit with nothing to write: %v", err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A cancelled context ends reads of the file, and what needs none goes on.
func TestCancelledReads(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, rb := openAccounts(t, db, 1, 2)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if err := db.View(ctx, func(tx *Tx) error {
			if tx.Context() != ctx {
				t.Error("another context")
			}
			_ = Must(ra.Load(tx))
			cancel()
			_ = Must(ra.Load(tx))
			_, err := rb.Load(tx)
			wantErr(t, err, context.Canceled)
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
}

// The absence of an object is something that a transaction may depend on.
func TestAbsenceConflicts(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		openAccounts(t, db, 1, 2)
		creator, tx := begin(t, db, true), begin(t, db, true)
		added := Must(Add(creator, &account{}))
		Must(Must(named(creator, "a")).Edit(creator)).Parent = added
		if _, err := added.Load(tx); !errors.Is(err, ErrNotFound) {
			t.Fatalf("got %v", err)
		}
		Must(Must(named(tx, "b")).Edit(tx)).Owner = "it is not there"
		if err := creator.Commit(); err != nil {
			t.Fatal(err)
		}
		wantErr(t, tx.Commit(), ErrConflict)
	})
}
