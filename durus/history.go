package durus

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/durusdb/durus/storage"
)

// TxInfo is what the file knows of a transaction.
type TxInfo struct {
	TID  TID
	Time time.Time // of its commit, to the microsecond; never earlier than that of the one before

	// What Tx.Describe said. In Ext, "durus.conflicts" is how many conflicts the
	// transaction met before the attempt that was committed.
	User, Description string
	Ext               map[string]string // nil if there is nothing in it

	// OIDs are the objects that it wrote, in ascending order, the nodes of
	// containers among them.
	OIDs []OID
}

// Revision is one state that an object has had.
type Revision struct {
	TxInfo // of the transaction that wrote it, without OIDs; only TID and Time where a pack has removed the rest

	Class string // its name then, without version
	Size  int64  // as stored, bytes, references and administration included
}

func infoOf(t *storage.Transaction) TxInfo {
	return TxInfo{t.TID, t.Time, t.User, t.Description, t.Ext, t.OIDs}
}

// At is a state of the past; AtTID and AtTime make it. The zero value is none.
type At struct {
	tid  TID
	time time.Time
	kind atKind
}

type atKind uint8

const (
	atNothing atKind = iota
	atTID
	atTime
)

// AtTID is the state that transaction tid left. Where there is none with that
// id, it is the state of the one before; AtTID(0) is the empty database.
func AtTID(tid TID) At { return At{tid: tid, kind: atTID} }

// AtTime is the state that the last transaction left that was committed at t or
// before, to the microsecond. Times of commits never go back, whatever the clock
// does. What is committed at the moment of the call may still get a time before
// it; of a moment that is over the answer never changes.
func AtTime(t time.Time) At { return At{time: t, kind: atTime} }

// ViewAt is View of a state of the past. All that can be read in a View can be
// read in it, and is what it was then: roots, containers, indexes, instances.
// It goes back as far as packs have kept history (Pack).
//
// Errors, before fn runs: ErrPacked when the state was packed away, which tells
// how far back one can go; ErrNotFound when the transaction or the time lies in
// the future; those of View. An object that was made later is ErrNotFound.
func (db *DB) ViewAt(ctx context.Context, at At, fn func(*Tx) error) error {
	tid, err := db.resolve(ctx, at)
	if err != nil {
		return err
	}
	if db.opts.Check == CheckRerun {
		if err := db.viewAt(ctx, tid, fn); errors.Is(err, ErrSharedWrite) {
			return err
		}
	}
	return db.viewAt(ctx, tid, fn)
}

func (db *DB) viewAt(ctx context.Context, tid TID, fn func(*Tx) error) error {
	tx, err := db.beginAt(ctx, tid)
	if err != nil {
		return err
	}
	tx.managed = true
	defer tx.end()
	_, _, err = tx.finish(tx.run(fn))
	return err
}

// resolve returns the transaction whose state is meant.
func (db *DB) resolve(ctx context.Context, at At) (TID, error) {
	switch at.kind {
	case atTID:
		return at.tid, nil
	case atNothing:
		return 0, errors.New("durus: ViewAt of no time: say which with AtTID or AtTime")
	}
	if err := db.running.enter(); err != nil {
		return 0, err
	}
	defer db.running.leave()
	h, err := db.historian()
	if err != nil {
		return 0, err
	}
	return h.TIDAt(ctx, at.time)
}

// beginAt is begin for a state of the past.
func (db *DB) beginAt(ctx context.Context, tid TID) (*Tx, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := db.running.enter(); err != nil {
		return nil, err
	}
	h, err := db.historian()
	var snap storage.Snapshot
	if err == nil {
		snap, err = h.BeginAt(ctx, tid)
	}
	if err != nil {
		db.running.leave()
		return nil, err
	}
	return db.newTx(ctx, snap, false, 1), nil
}

func (db *DB) historian() (storage.Historian, error) {
	h, ok := db.st.(storage.Historian)
	if !ok {
		return nil, fmt.Errorf("durus: the storage of %s does not tell of the past: %w", db.path, errors.ErrUnsupported)
	}
	return h, nil
}

// Transactions yields the transactions of all processes with from <= TID <= to
// that are durable when the loop begins, the oldest first. from 0 is the oldest
// that there is; to may lie in the future. It finds the first one without
// reading what comes before, and keeps nothing of them in memory. A pack does
// not disturb it. Close waits for the loop.
//
// An error ends it, with an empty TxInfo: ErrPacked when from is a transaction
// that was packed away, ErrCorrupt, ErrClosed.
func (db *DB) Transactions(from, to TID) iter.Seq2[TxInfo, error] {
	return func(yield func(TxInfo, error) bool) {
		if err := db.running.enter(); err != nil {
			yield(TxInfo{}, err)
			return
		}
		defer db.running.leave()
		for t, err := range db.st.Transactions(from, to) {
			if err != nil {
				yield(TxInfo{}, err)
				return
			}
			if !yield(infoOf(&t), nil) {
				return
			}
		}
	}
}

// History yields the states that an object has had, the newest first, back to
// its creation, or to the oldest state that packs have kept, which need not be
// its first. ViewAt with AtTID(r.TID) reads one of them. Of a container it
// yields those of its head, which most changes do not write. Close waits for the
// loop.
//
// An error ends it, with an empty Revision: ErrNotFound when the file holds no
// such object, ErrCorrupt, ErrClosed.
func (db *DB) History(oid OID) iter.Seq2[Revision, error] {
	return func(yield func(Revision, error) bool) {
		if err := db.history(oid, func(r Revision) bool { return yield(r, nil) }); err != nil {
			yield(Revision{}, err)
		}
	}
}

func (db *DB) history(oid OID, yield func(Revision) bool) error {
	tx, err := db.begin(context.Background(), false, 1)
	if err != nil {
		return err
	}
	defer tx.end()
	h, err := db.historian()
	if err != nil {
		return err
	}
	c := &tx.c
	for r, err := range h.Revisions(c.snap, oid) {
		if isNotFound(err) {
			return c.notFound(oid)
		}
		if err != nil {
			return err
		}
		class, err := c.classNumber(oid, r.Class)
		if err != nil {
			return err
		}
		if !yield(Revision{TxInfo: infoOf(&r.Transaction), Class: class.name, Size: r.Size}) {
			return nil
		}
	}
	return nil
}
