package durus

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/durusdb/durus/storage"
)

// View runs fn in a read-only transaction: one consistent and durable state,
// the newest there is when it begins. It takes no lock, and neither waits for
// writers nor conflicts with them. fn may share its Tx with goroutines that
// end before it does. View returns fn's error, joined with Err.
func (db *DB) View(ctx context.Context, fn func(*Tx) error) error {
	if db.opts.Check == CheckRerun {
		if err := db.view(ctx, fn); errors.Is(err, ErrSharedWrite) {
			return err
		}
	}
	return db.view(ctx, fn)
}

func (db *DB) view(ctx context.Context, fn func(*Tx) error) error {
	tx, err := db.begin(ctx, false, 1)
	if err != nil {
		return err
	}
	tx.managed = true
	defer tx.end()
	_, _, err = tx.finish(tx.run(fn))
	return err
}

const (
	// The last attempts hold the commit lock, for as long as this, doubling.
	courtesies  = 3
	firstHold   = 250 * time.Millisecond
	longestHold = 2 * time.Second

	// What an attempt waits at most after a conflict, doubling.
	firstPause   = 100 * time.Microsecond
	longestPause = 20 * time.Millisecond
)

// Update runs fn in a writable transaction and commits what it did. When
// another transaction changed what fn used, it runs fn again on a new snapshot,
// Options.MaxRetries times at most, waiting a little longer each time; the last
// attempts hold the commit lock of all processes for a moment, so that nobody
// starves. So fn may run several times: it must not leave anything behind but
// its last run's results (see Result), and must not wait for the network or a
// person.
//
// An error of fn's rolls back and comes back unchanged, ErrConflict included;
// only a conflict of this commit is retried. After a panic or runtime.Goexit
// in fn nothing is committed. Otherwise the errors are those of Tx.Commit, and
// ErrReadOnly, ErrNestedUpdate, ErrClosed.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	if err := db.checkNested(ctx, true); err != nil {
		return err
	}
	if db.opts.Check == CheckRerun {
		if err := db.rehearse(ctx, fn); err != nil {
			return err
		}
	}
	for n := 1; ; n++ {
		retry, err := db.tryUpdate(ctx, fn, n)
		if !retry {
			return err
		}
		if n >= db.opts.MaxRetries {
			return fmt.Errorf("durus: gave up after %d attempts (see Options.MaxRetries): %w", n, err)
		}
		db.counters.retries.Add(1)
		if stop := pause(ctx, n); stop != nil {
			return errors.Join(stop, err)
		}
	}
}

// tryUpdate is one attempt. retry tells that another one may succeed.
func (db *DB) tryUpdate(ctx context.Context, fn func(*Tx) error, n int) (retry bool, err error) {
	hold, err := db.courtesy(ctx, n)
	if err != nil {
		return false, err
	}
	if hold != nil {
		defer hold.Release() // also when begin fails; idempotent
	}
	tx, err := db.begin(ctx, true, n)
	if err != nil {
		return false, err
	}
	tx.managed, tx.hold = true, hold
	tid, retry, err := func() (TID, bool, error) {
		defer tx.end()
		if hold != nil || db.watch {
			defer updates.watch(tx)()
		}
		return tx.finish(tx.run(fn))
	}()
	if err == nil {
		tx.committed(tid)
	}
	return retry, err
}

// courtesy takes the commit lock for one of the last attempts. It is given back
// when the attempt ends, lasts too long, or starts another Update.
func (db *DB) courtesy(ctx context.Context, n int) (storage.Hold, error) {
	first := max(2, db.opts.MaxRetries-courtesies+1)
	if n < first {
		return nil, nil
	}
	if err := db.running.enter(); err != nil {
		return nil, err
	}
	defer db.running.leave()
	return db.st.Hold(ctx, min(firstHold<<(n-first), longestHold))
}

// rehearse runs fn and throws the outcome away (CheckRerun).
func (db *DB) rehearse(ctx context.Context, fn func(*Tx) error) error {
	tx, err := db.begin(ctx, true, 1)
	if err != nil {
		return err
	}
	defer tx.end()
	tx.managed = true
	defer updates.watch(tx)()
	if err := tx.run(fn); err != nil {
		return nil // the run that counts will tell
	}
	return tx.c.shared.verify(&tx.c)
}

// pause waits after the nth conflict, at random so that those who met do not
// meet again.
func pause(ctx context.Context, n int) error {
	limit := min(firstPause<<min(n-1, 16), longestPause)
	t := time.NewTimer(rand.N(limit))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
