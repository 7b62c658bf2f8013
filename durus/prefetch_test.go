package durus

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/posix"
	"github.com/durusdb/durus/vfs/wrap"
)

// slow lets every read of a storage take a while, from when armed is set, and
// counts them.
type slow struct {
	vfs.FS
	armed atomic.Bool
	reads atomic.Int64
	fail  atomic.Bool
}

var errDisk = errors.New("the disk is on fire")

func newSlow(lower vfs.FS, delay time.Duration) *slow {
	s := &slow{}
	s.FS = wrap.New(lower, func(c *wrap.Call) {
		if c.Op == wrap.Read && s.armed.Load() {
			s.reads.Add(1)
			time.Sleep(delay)
			if s.fail.Load() {
				c.Err = c.Failure("slow", errDisk)
				return
			}
		}
		c.Next()
	})
	return s
}

// crowd is a database of n accounts, written and closed.
func crowd(t *testing.T, n int) (path string, refs []AnyRef) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "test.durus")
	db, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(context.Background(), func(tx *Tx) error {
		b, err := theBank.Edit(tx)
		if err != nil {
			return err
		}
		b.Accounts = map[string]Ref[account]{}
		for i := range n {
			ref, err := Add(tx, &account{Owner: fmt.Sprint(i), Balance: int64(i), Tags: []string{string(make([]byte, 3000))}})
			if err != nil {
				return err
			}
			b.Accounts[fmt.Sprint(i)] = ref
			refs = append(refs, AnyRefTo(ref.OID()))
		}
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return path, refs
}

// A cold read of 100 objects at 20 ms takes far less than 100 times 20 ms when
// they were prefetched, and the Loads then read nothing. A20 B12
func TestPrefetch(t *testing.T) {
	const delay = 20 * time.Millisecond
	path, refs := crowd(t, 100)
	fs := newSlow(posix.New(), delay)
	db, err := Open(path, &Options{FS: fs, Check: CheckNothing})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	fs.armed.Store(true)
	err = db.View(context.Background(), func(tx *Tx) error {
		begin := time.Now()
		if err := tx.Prefetch(append(refs, refs[:10]...)...); err != nil {
			return err
		}
		took := time.Since(begin)
		read := fs.reads.Load()
		for i, ref := range refs {
			v, err := ref.Load(tx)
			if err != nil {
				return err
			}
			if a := v.(*account); a.Owner != fmt.Sprint(i) || a.Balance != int64(i) {
				t.Errorf("%+v at %d", a, i)
			}
		}
		if n := fs.reads.Load() - read; n > 0 {
			t.Errorf("%d reads after Prefetch", n)
		}
		if took > 100*delay/4 {
			t.Errorf("it took %v", took)
		}
		t.Logf("100 objects at %v in %v, %d reads", delay, took, read)
		err := tx.Prefetch(refs...) // all are there
		if fs.reads.Load() != read {
			t.Error("it read again")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Prefetch adds nothing to the read set, and knows what the transaction did
// itself.
func TestPrefetchPromisesNothing(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		a, c := openAccounts(t, db, 1, 2)
		tx := begin(t, db, true)
		defer tx.Rollback()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(tx.Prefetch(a.Any(), c.Any(), AnyRef{}, AnyRefTo(1<<40)))
		update(t, db, func(tx *Tx) error {
			v, err := a.Edit(tx)
			if err == nil {
				v.Balance = 7
			}
			return err
		})
		v, err := c.Edit(tx)
		must(err)
		v.Balance = 8
		must(tx.Prefetch(c.Any()))
		must(tx.Commit()) // a was not read
		wantErr(t, tx.Prefetch(a.Any()), ErrTxDone)
	})
}

// An error of reading is Load's to tell, and sticks; a context that ends ends
// it.
func TestPrefetchFails(t *testing.T) {
	path, refs := crowd(t, 20)
	fs := newSlow(posix.New(), 0)
	db, err := Open(path, &Options{FS: fs, Check: CheckNothing})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	fs.armed.Store(true)
	fs.fail.Store(true)
	err = db.View(context.Background(), func(tx *Tx) error {
		if err := tx.Prefetch(refs...); err != nil {
			t.Errorf("Prefetch tells %v", err)
		}
		_, err := refs[0].Load(tx)
		return err
	})
	if !errors.Is(err, errDisk) {
		t.Fatal(err)
	}
	fs.fail.Store(false)
	ctx, cancel := context.WithCancel(context.Background())
	err = db.View(ctx, func(tx *Tx) error {
		cancel()
		return tx.Prefetch(refs...)
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// Each reads ahead by itself where the storage is slow, and stops where the loop
// does; a session that writes reads one object at a time.
func TestEachReadsAhead(t *testing.T) {
	const delay = 10 * time.Millisecond
	path, refs := crowd(t, 100)
	fs := newSlow(posix.New(), delay)
	accounts := func(yield func(int, Ref[account]) bool) {
		for i, r := range refs {
			if !yield(i, As[account](r)) {
				return
			}
		}
	}
	for _, writable := range []bool{false, true} {
		db, err := Open(path, &Options{FS: fs, Check: CheckNothing})
		if err != nil {
			t.Fatal(err)
		}
		tx, err := db.Begin(context.Background(), writable)
		if err != nil {
			t.Fatal(err)
		}
		fs.armed.Store(true)
		began, n := time.Now(), 0
		for i, a := range Each(tx, accounts) {
			if a.Balance != int64(i) {
				t.Errorf("object %d: %+v", i, a)
			}
			if n++; writable && n == 5 {
				break
			}
		}
		took := time.Since(began)
		fs.armed.Store(false)
		if err := errors.Join(tx.Err(), tx.Rollback()); err != nil {
			t.Fatal(err)
		}
		switch {
		case !writable && (n != 100 || took > 50*delay):
			t.Errorf("%d objects in %v", n, took)
		case writable && (n != 5 || fs.reads.Load() > 10): // two each
			t.Errorf("%d objects, %d reads", n, fs.reads.Load())
		}
		fs.reads.Store(0)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
