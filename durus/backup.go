package durus

import (
	"context"
	"errors"
	"io"

	"github.com/durusdb/durus/storage"
)

// backuper is what db.Backup asks for of a storage.
type backuper interface {
	Backup(ctx context.Context, w io.Writer, progress func(done, total int64)) (storage.TID, error)
}

// Backup writes a copy of the database to w: a database file of its own, which
// holds everything up to the transaction that it returns, the newest one that a
// View would see at this moment. Others read, write and pack meanwhile; it takes
// no lock, and works on a handle that was opened with Options.ReadOnly. Every
// checksum is looked at on the way, and damage is never copied. It needs little
// memory, whatever the size of the file.
//
// After an error what was written is not a backup. Errors: ErrCorrupt (a
// *CorruptError says where), ErrRewound (another file was copied over this one
// meanwhile), ErrClosed, those of ctx and of w. To have the copy on the disk is
// the caller's business; durusctl backup, and package backup for increments, do
// that, too. docs/backups.md has more.
//
// Close waits for a Backup that runs.
func (db *DB) Backup(ctx context.Context, w io.Writer) (TID, error) {
	if err := db.running.enter(); err != nil {
		return 0, err
	}
	defer db.running.leave()
	b, ok := db.st.(backuper)
	if !ok {
		return 0, errors.New("durus: this storage cannot be copied")
	}
	return b.Backup(ctx, w, nil)
}
