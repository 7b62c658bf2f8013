package durus

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// txKey is the key of the transaction in its context.
type txKey struct{}

// txFrom returns the writable transaction that a context comes from, or nil.
func txFrom(ctx context.Context) *Tx {
	tx, _ := ctx.Value(txKey{}).(*Tx)
	return tx
}

// checkNested refuses a writable transaction inside a writable one of the same
// database, and makes those of other databases on the way give back the commit
// lock that they may hold as a courtesy: whoever waits for another lock must
// not hold one.
//
// It finds the outer transaction through the context. It also finds it by its
// goroutine, for Updates that got another context, in tests (unless
// CheckNothing is set), and where the outer one holds the commit lock, so that
// the inner one would wait for its own goroutine. Elsewhere it would cost more
// than the rest of a small transaction: see goroutine.
func (db *DB) checkNested(ctx context.Context, byGoroutine bool) error {
	for tx := txFrom(ctx); tx != nil; tx = tx.outer {
		if err := db.nestedIn(tx); err != nil {
			return err
		}
	}
	if !byGoroutine || updates.watched.Load() == 0 {
		return nil
	}
	for _, tx := range updates.on(goroutine()) {
		if err := db.nestedIn(tx); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) nestedIn(tx *Tx) error {
	if tx.c.over.Load() {
		return nil
	}
	if tx.c.db == db {
		return fmt.Errorf("%w of %s: it would not see the changes of the outer one, and may wait for it: pass the Tx to helpers instead", ErrNestedUpdate, db.path)
	}
	tx.yield()
	return nil
}

// goroutine returns the number of the calling goroutine, which the runtime
// shows only in stack traces: "goroutine 7 [running]:". It takes about 10 us.
func goroutine() uint64 {
	var buf [40]byte
	n := uint64(0)
	for _, c := range buf[len("goroutine "):runtime.Stack(buf[:], false)] {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + uint64(c-'0')
	}
	return n
}

// updates are the running Updates that are watched by goroutine; see checkNested.
var updates watched

type watched struct {
	watched atomic.Int64 // how many; read without mu: whoever nests has seen its own goroutine's
	mu      sync.Mutex   // guards running
	running map[uint64][]*Tx
}

// watch enters the calling goroutine's transaction. The function that it
// returns takes it out again.
func (w *watched) watch(tx *Tx) func() {
	id := goroutine()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running == nil {
		w.running = map[uint64][]*Tx{}
	}
	w.running[id] = append(w.running[id], tx)
	w.watched.Add(1)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		rest := slices.DeleteFunc(w.running[id], func(t *Tx) bool { return t == tx })
		if len(rest) == 0 {
			delete(w.running, id)
		} else {
			w.running[id] = rest
		}
		w.watched.Add(-1)
	}
}

// on returns the transactions of a goroutine.
func (w *watched) on(id uint64) []*Tx {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.running[id])
}
