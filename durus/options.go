package durus

import (
	"fmt"
	"io/fs"
	"log/slog"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// Options of Open. The zero value is the safest choice everywhere.
type Options struct {
	// ReadOnly opens a database without creating or touching anything and
	// without taking a lock. It follows the commits of other processes.
	ReadOnly bool

	// MustExist refuses to create a database; the error wraps fs.ErrNotExist.
	MustExist bool

	// Sync says when a commit is reported. With anything but SyncAlways a
	// power cut may take back what was reported in the last moments; what is
	// left is consistent all the same.
	Sync SyncPolicy

	// SyncEvery is the longest time between a commit and its sync with
	// SyncInterval; 0 is 100 ms.
	SyncEvery time.Duration

	// LockTimeout bounds the wait for the commit lock; 0 is 10 s. A commit
	// that waited longer fails with ErrLocked and has changed nothing. It also
	// bounds the wait for a process that was stopped in the moment of noting what
	// is on the disk; a commit that was appended by then is ErrUnknownOutcome.
	LockTimeout time.Duration

	// MaxRetries is how often Update runs its function at most; 0 is 20. The
	// last attempts hold the commit lock as a courtesy.
	MaxRetries int

	// CacheBytes bounds the memory of decoded shared objects, by estimate; 0
	// is 64 MiB. Objects in use by the program are not counted once evicted.
	// It also bounds, from 1 MiB on, what the edited and added objects of one
	// transaction take: beyond it, those that the program does not hold any
	// more wait in a temporary file beside the database, at the price of one
	// garbage collection for each CacheBytes of them.
	CacheBytes int64

	// Isolation of the transactions of this handle.
	Isolation Isolation

	// Check turns on checks of how the program uses its objects.
	Check Checks

	// Types are the registered types; nil is what Register registered.
	Types *Types

	// Perm of a new file; 0 is 0600.
	Perm fs.FileMode

	// Logger gets what an operator may want to know; nil is slog.Default().
	Logger *slog.Logger

	// AllowRemote permits writing to a network file system. Locks and sizes
	// may lie there, and then the database is lost.
	AllowRemote bool

	// FS holds the file; nil is POSIX files. On a storage without locks
	// (vfs.Props) one handle at a time may write: Open of a second one is
	// ErrLocked, and names the file to remove if the first one is dead. Readers
	// are always welcome.
	FS vfs.FS
}

// SyncPolicy says when a commit is reported.
type SyncPolicy = storage.SyncPolicy

const (
	// SyncAlways reports a commit when it is on the disk.
	SyncAlways = storage.SyncAlways
	// SyncInterval reports at once and syncs within SyncEvery.
	SyncInterval = storage.SyncInterval
	// SyncNever reports at once; the disk gets it at Close, at Sync, every 64
	// MiB, or when another handle syncs.
	SyncNever = storage.SyncNever
)

// Isolation says what conflicts.
type Isolation uint8

const (
	// Serializable: a transaction conflicts when anything that it loaded or
	// wrote was changed by another one since its snapshot. The outcome is
	// that of some order of the transactions one after the other.
	Serializable Isolation = iota
	// SnapshotIsolation: only what it wrote counts. Two transactions that
	// read each other's objects and write their own both succeed (write skew).
	SnapshotIsolation
)

// Checks of how the program uses its objects.
type Checks uint8

const (
	// CheckAuto is CheckShared in tests and CheckNothing elsewhere.
	CheckAuto Checks = iota
	// CheckNothing checks nothing, and in tests finds an Update inside of an
	// Update by its context only. For benchmarks.
	CheckNothing
	// CheckShared compares, when a transaction ends, the shared objects that
	// it handed out with what is stored: one that differs was written without
	// Edit, and the transaction fails with ErrSharedWrite.
	CheckShared
	// CheckRerun runs every function of View and Update twice and throws the
	// first run away, to show what does not survive a retry. It includes
	// CheckShared.
	CheckRerun
)

const (
	defaultRetries    = 20
	defaultCacheBytes = 64 << 20
)

// check refuses what is no option, before anything is made.
func (o *Options) check() error {
	for _, f := range []struct {
		name  string
		value uint8
		last  uint8
		are   string
	}{
		{"Sync", uint8(o.Sync), uint8(SyncNever), "SyncAlways, SyncInterval and SyncNever"},
		{"Isolation", uint8(o.Isolation), uint8(SnapshotIsolation), "Serializable and SnapshotIsolation"},
		{"Check", uint8(o.Check), uint8(CheckRerun), "CheckAuto, CheckNothing, CheckShared and CheckRerun"},
	} {
		if f.value > f.last {
			return fmt.Errorf("durus: open: Options.%s is %d: there are %s", f.name, f.value, f.are)
		}
	}
	return nil
}

// resolved returns the options with defaults filled in.
func (o Options) resolved() Options {
	if o.MaxRetries <= 0 {
		o.MaxRetries = defaultRetries
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = defaultCacheBytes
	}
	if o.Check == CheckAuto {
		o.Check = CheckNothing
		if testing.Testing() {
			o.Check = CheckShared
		}
	}
	if o.Types == nil {
		o.Types = registered
	}
	o.Types.ready()
	return o
}
