package durus

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/durusdb/durus/storage"
)

// Tx is a transaction: one consistent state of the database, and in a writable
// one the changes to it. View and Update make and end them; Begin is for those
// who must do so themselves.
//
// A Tx of Update, and one of Begin, belongs to one goroutine at a time. That of
// a View may be shared by goroutines until its function returns.
type Tx struct {
	c        core
	attempt  int
	managed  bool // by View or Update: they end it
	meta     storage.Meta
	onCommit []func(TID)

	savepoints []*Savepoint // that can be rolled back to, in order
	undone     []TID        // what Undo has undone

	outer  *Tx             // the writable transaction that ctx came from
	marked context.Context // ctx with this transaction in it; see Context
	hold   storage.Hold    // the courtesy of the last attempts; set before the function runs, then constant
}

// Begin starts a transaction that the caller ends with Commit or Rollback:
//
//	tx, err := db.Begin(ctx, true)
//	if err != nil {
//		return err
//	}
//	defer tx.Rollback()
//
// View and Update do the same with less to forget. Nothing is retried.
func (db *DB) Begin(ctx context.Context, writable bool) (*Tx, error) {
	if writable {
		if err := db.checkNested(ctx, false); err != nil {
			return nil, err
		}
	}
	return db.begin(ctx, writable, 1)
}

// begin starts a transaction and keeps the database open for it.
func (db *DB) begin(ctx context.Context, writable bool, attempt int) (*Tx, error) {
	if writable && db.opts.ReadOnly {
		return nil, fmt.Errorf("%w: %s was opened with Options.ReadOnly", ErrReadOnly, db.path)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := db.running.enter(); err != nil {
		return nil, err
	}
	snap, err := db.st.Begin(ctx, writable)
	if err != nil {
		db.running.leave()
		return nil, err
	}
	return db.newTx(ctx, snap, writable, attempt), nil
}

// newTx makes the transaction of a snapshot.
func (db *DB) newTx(ctx context.Context, snap storage.Snapshot, writable bool, attempt int) *Tx {
	var tx *Tx
	w := &noWork
	if writable {
		both := new(struct {
			Tx
			work
		})
		tx, w = &both.Tx, &both.work
	} else {
		tx = new(Tx)
	}
	tx.attempt = attempt
	tx.c = core{
		work:     w,
		db:       db,
		snap:     snap,
		gen:      db.generation(snap),
		ctx:      ctx,
		tag:      db.tag,
		writable: writable,
	}
	if db.opts.Check >= CheckShared {
		tx.c.shared = newSharedCheck()
	}
	tx.c.quick = !writable && tx.c.shared == nil
	if writable {
		tx.outer = txFrom(ctx)
	}
	return tx
}

// end releases everything. It is idempotent and runs on every path.
func (tx *Tx) end() {
	if tx.c.over.Swap(true) {
		return
	}
	tx.c.empty()
	tx.c.snap.Release() // after over was set; see core.hot
	tx.c.forgetSpilled()
	tx.yield()
	tx.c.db.running.leave()
}

// yield gives the commit lock back that was held as a courtesy. The
// transaction goes on without it.
func (tx *Tx) yield() {
	if tx.hold != nil {
		tx.hold.Release()
	}
}

func (tx *Tx) core() *core { return &tx.c }

// Context is the context of the transaction. Helpers should get it, so that an
// Update inside of an Update is found out.
func (tx *Tx) Context() context.Context {
	if !tx.c.writable {
		return tx.c.ctx
	}
	if tx.marked == nil {
		tx.marked = context.WithValue(tx.c.ctx, txKey{}, tx)
	}
	return tx.marked
}

// Err is the first error of the transaction that sticks, as Session says. While
// there is one nothing is committed.
func (tx *Tx) Err() error { return tx.c.err() }

// Snapshot is the newest transaction that this one sees.
func (tx *Tx) Snapshot() TID { return tx.c.snapshot() }

// Attempt is 1 on the first run of the function given to Update, 2 on the
// second, and so on.
func (tx *Tx) Attempt() int { return tx.attempt }

// Describe says who did what; it is kept in the file's history. The last call
// counts. ext is copied. More than storage.MaxMeta bytes are refused at commit
// with ErrTooLarge. A View has no place for it.
func (tx *Tx) Describe(user, description string, ext map[string]string) {
	if !tx.c.writable { // goroutines may share it
		return
	}
	tx.meta = storage.Meta{User: user, Description: description, Ext: maps.Clone(ext)}
}

// OnCommit registers a function to be called after this attempt has been
// committed and is durable, on the caller's goroutine, before Update or Commit
// returns. Functions run in the order in which they were registered, and not
// at all when the transaction fails. A View never calls them. It panics when fn is
// nil: at the commit it would be too late.
func (tx *Tx) OnCommit(fn func(TID)) {
	if fn == nil {
		panic("durus: OnCommit of a nil function: give it one, or do not call it")
	}
	if tx.c.writable {
		tx.onCommit = append(tx.onCommit, fn)
	}
}

// Commit makes the changes durable and visible, all or none. The transaction
// is over either way. Errors: *ConflictError, ErrDangling, ErrForeign,
// ErrTooLarge, ErrLocked, ErrSharedWrite, *UnknownOutcomeError, ErrRewound,
// the error that sticks (Err), and the context's.
func (tx *Tx) Commit() error {
	if tx.managed {
		return tx.c.stick(errManaged)
	}
	if err := tx.c.usable(); err != nil {
		return err
	}
	tid, _, err := tx.finish(nil)
	if err == nil {
		tx.committed(tid)
	}
	return err
}

// Rollback forgets the changes. It may be deferred: after Commit it does
// nothing. It returns Err.
func (tx *Tx) Rollback() error {
	if tx.managed {
		return tx.c.stick(errManaged)
	}
	if tx.c.work == nil {
		return errNever
	}
	if !tx.c.over.Load() {
		tx.c.stick(tx.c.shared.verify(&tx.c))
	}
	tx.end()
	return tx.Err()
}

var errManaged = errors.New("durus: Commit or Rollback inside View or Update, which do it themselves: return nil to commit, an error to roll back")

// finish ends a transaction whose function returned err: it commits, or rolls
// back if there is any error. retry tells that the commit met a conflict.
func (tx *Tx) finish(err error) (tid TID, retry bool, _ error) {
	defer tx.end()
	c := &tx.c
	shared := c.shared.verify(c)
	if err := join(join(err, c.err()), shared); err != nil {
		return 0, false, err
	}
	if !c.writable {
		return 0, false, nil
	}
	if err := c.ctx.Err(); err != nil {
		return 0, false, err
	}
	if err := c.prepare(); err != nil {
		return 0, false, err
	}
	tid, retry, err = c.commit(c.ctx, c.snap, tx.meta, tx.attempt-1, tx.hold)
	if err == nil {
		c.committed()
	}
	return tid, retry, err
}

// committed calls what OnCommit registered.
func (tx *Tx) committed(tid TID) {
	for _, fn := range tx.onCommit {
		fn(tid)
	}
}

// run calls fn, and turns a Must that failed in it into the error that it
// failed with. A panic and runtime.Goexit pass through, to the deferred end of
// whoever began the transaction.
func (tx *Tx) run(fn func(*Tx) error) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		failed := recover()
		if m, ok := failed.(*mustError); ok {
			err = m.err
			return
		}
		if failed != nil {
			panic(failed) // its stack is still the one that is printed
		}
		// runtime.Goexit goes on by itself
	}()
	err = fn(tx)
	returned = true
	return err
}
