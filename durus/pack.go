package durus

import (
	"context"
	"errors"
	"fmt"

	"github.com/durusdb/durus/pack"
	"github.com/durusdb/durus/storage"
)

// packer is what db.Pack asks for of a storage.
type packer interface {
	Pack(ctx context.Context, o pack.Options) (pack.Report, error)
}

// Pack removes from the file what nothing refers to any more, and the history
// before what the options keep, by writing a new file that takes the place of
// the old one. All processes go on reading and writing meanwhile: only the last
// moment, a few milliseconds, holds up their commits. Transactions that began
// before it keep what they see, and commit as if nothing had happened; one that
// refers to an object which the pack has removed gets ErrConflict, and Update
// runs it again.
//
// It needs room for the new file beside the old one. ctx ends it at any moment
// before the new file is in place; then, and after any error, the database is
// what it was. Errors: ErrPacking (another pack runs, in whatever process),
// ErrReadOnly, ErrCorrupt (a record that can be reached is damaged: what it
// refers to is not known), ErrClosed, ErrLocked, ErrRewound (the file was restored
// or replaced meanwhile, and not by another pack), a full disk (Is
// syscall.ENOSPC), and vfs.ErrNotSupported: the storage cannot replace files, or
// the file has several names.
//
// Close waits for a Pack that runs. Inside of a transaction of this database it
// makes little sense: what that one sees is older than what the pack leaves.
func (db *DB) Pack(ctx context.Context, opts pack.Options) (pack.Report, error) {
	if db.opts.ReadOnly && !opts.DryRun {
		return pack.Report{}, fmt.Errorf("%w: %s was opened with Options.ReadOnly", ErrReadOnly, db.path)
	}
	if err := db.running.open(); err != nil {
		return pack.Report{}, err
	}
	if db.packer == nil {
		return pack.Report{}, errors.New("durus: this storage cannot be packed")
	}
	for tx := txFrom(ctx); tx != nil; tx = tx.outer {
		tx.yield() // the pack waits for the commit lock
	}
	if err := db.running.enter(); err != nil {
		return pack.Report{}, err
	}
	defer db.running.leave()
	return db.packer.Pack(ctx, opts)
}

// gone is the position of a revision that the file does not hold any more.
const gone storage.Position = -1

// carry makes what a connection has used in one state fit another one whose
// positions are those of another file: the file was packed meanwhile. An object
// whose newest state is the one that was used stays used; any other has
// changed, and will conflict. It is false when the file was not packed but
// restored: then nothing that was used holds any more.
func (k *Connection) carry(from, to storage.Snapshot) (bool, error) {
	if from.Lineage() == to.Lineage() {
		return true, nil
	}
	s, ok := to.(storage.Successor)
	if !ok {
		return false, nil
	}
	for oid, u := range k.c.used {
		if u.pos <= 0 {
			continue
		}
		pos, known, err := s.Carry(from, oid, u.pos)
		if err != nil || !known {
			return false, err
		}
		if u.pos = pos; pos == 0 {
			u.pos = gone
		}
		k.c.used[oid] = u
	}
	return true, nil
}
