package vfs

import (
	"context"
	"fmt"
)

// MarkSize is the size of the record that a lock file holds.
const MarkSize = 64

// Locker is a lock file and the small record in it. The lock is exclusive
// between all Lockers of one file, in all processes, and also between Lockers
// that reach the same data file through different lock files. It is given back
// when its process ends, however that happens. Lock files are never deleted by
// this package.
type Locker interface {
	// TryLock takes the lock if it is free, at once. false without an error
	// is "busy". ErrNotSupported: there are no locks. ErrAgain: the file that
	// it guards is not open yet (see Async.OnOpen).
	TryLock() (bool, error)

	// Lock waits for the lock, first come first served within a process,
	// until ctx is done; it then returns ctx.Err(). A lock that arrives too
	// late is given back.
	Lock(ctx context.Context) error

	// Unlock gives the lock back.
	Unlock() error

	// Holder is the pid of the process that holds the lock, 0 if nobody does
	// or the system cannot tell.
	Holder() int

	// Incarnation changes whenever this Locker has opened a lock file other
	// than the one it had: its own was deleted. What the mark in it said is
	// lost. It is 0 until a lock file was opened. Lock and TryLock check, and
	// reopen, before they return.
	Incarnation() uint64

	// Reopen looks whether the lock file was deleted or did not exist, and if
	// so opens the one that is there now, or creates it unless ReadOnly.
	Reopen() error

	// Deleted reports whether the lock file that is open has lost its name,
	// or none is open: one system call.
	Deleted() (bool, error)

	// ReadMark reads the record, without any lock. n is 0 when there is none.
	// A record that is being written may be read in part: the caller's
	// checksum tells.
	ReadMark(p *[MarkSize]byte) (n int, err error)

	// UpdateMark calls update with the record as it stands (ok false when
	// there is none), under a latch that excludes all other calls, and writes
	// what it leaves in p if it returns true. The latch is the last in the
	// lock order and independent of the lock. update must be short; it may
	// read files. ctx bounds the wait for the latch. It works on the lock
	// file that is open, deleted or not.
	UpdateMark(ctx context.Context, update func(p *[MarkSize]byte, ok bool) bool) error

	// Close closes the lock file. A lock that is held is given back. Who waits
	// gets ErrClosed, and so does every later call; a second Close does nothing.
	Close() error
}

// NoLocker is the Locker of a storage that has none (Props.Locks): whatever
// would lock or write is ErrNotSupported, and there is no mark.
func NoLocker(name string) Locker { return noLocker(name) }

type noLocker string

func (l noLocker) refuse() error { return fmt.Errorf("lock %s: %w", string(l), ErrNotSupported) }

func (l noLocker) TryLock() (bool, error)                      { return false, l.refuse() }
func (l noLocker) Lock(context.Context) error                  { return l.refuse() }
func (l noLocker) Unlock() error                               { return l.refuse() }
func (l noLocker) Holder() int                                 { return 0 }
func (l noLocker) Incarnation() uint64                         { return 0 }
func (l noLocker) Reopen() error                               { return l.refuse() }
func (l noLocker) Deleted() (bool, error)                      { return true, nil }
func (l noLocker) ReadMark(*[MarkSize]byte) (n int, err error) { return 0, nil }
func (l noLocker) Close() error                                { return nil }

func (l noLocker) UpdateMark(context.Context, func(*[MarkSize]byte, bool) bool) error {
	return l.refuse()
}
