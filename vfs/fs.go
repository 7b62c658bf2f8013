package vfs

import (
	"context"
	"errors"
	"io/fs"
)

var (
	// ErrNotSupported: the back end cannot do this; see Props.
	ErrNotSupported = errors.New("vfs: not supported by this storage")
	// ErrMode: the handle was not opened for this.
	ErrMode = errors.New("vfs: not allowed by the mode of the handle")
	// ErrClosed: the handle was closed.
	ErrClosed = errors.New("vfs: closed")
	// ErrNotRegular: the name is a directory, a FIFO, a socket, a device or a symbolic link.
	ErrNotRegular = errors.New("vfs: not a regular file")
)

// FS is a place where files live.
type FS interface {
	// Props tells what this storage can do.
	Props() Props

	// Open returns a handle on an existing file. It does no I/O and cannot
	// fail. A last element that is a symbolic link is not followed.
	Open(name string, mode Mode) File

	// Create returns a writer of a new file. It does no I/O and cannot fail.
	Create(name string, mode CreateMode, perm fs.FileMode) Writer

	// Stat tells what the name leads to at this moment, without following a
	// symbolic link in its last element. A missing name is fs.ErrNotExist.
	Stat(name string) (Info, error)

	// Remove removes a name.
	Remove(name string) error

	// SyncDir returns when the directory that holds name is on the disk: the
	// names in it are those that a power cut leaves.
	SyncDir(name string) error

	// Resolve returns the one absolute name of a file, symbolic links
	// resolved, so that two spellings meet in one lock file. A file that does
	// not exist yet is resolved as far as its directory. A dangling symbolic
	// link is an error that Is fs.ErrNotExist.
	Resolve(name string) (string, error)

	// Locker returns the lock file called name that guards data. It does no
	// I/O and cannot fail. With mode ReadOnly it creates nothing and can only
	// read the mark. perm is that of a lock file to be created.
	Locker(name string, data File, mode Mode, perm fs.FileMode) Locker
}

// Props are the abilities of a storage; callers decide by them, not by names.
type Props struct {
	Locks      bool // Locker works between all processes that can reach the storage
	Append     bool // files opened with Append can grow
	StableSize bool // Size is never stale
	Remote     bool // files may be cached between machines (NFS and the like)
}

// Mode says what a handle may do.
type Mode uint8

const (
	ReadOnly Mode = iota // ReadAt, Size, Stat
	Append               // also Append, Rewrite, Truncate, Sync
)

// CreateMode says what Commit does with a name that is taken.
type CreateMode uint8

const (
	FailIfExists    CreateMode = iota // Commit fails with fs.ErrExist; one of several creators wins
	ReplaceIfExists                   // Commit replaces the file; who has the old one open keeps its bytes
)

// FileID tells files apart while both are open: the system may give the number
// of a file that is gone to a new one. The zero FileID is no file.
type FileID struct{ Dev, Ino uint64 }

// Info is what is known of a file.
type Info struct {
	ID    FileID
	Size  int64
	Links uint64      // names that lead to it; 0 when it was removed or replaced
	Perm  fs.FileMode // permission bits
	Type  fs.FileMode // type bits, 0 for a regular file
}

// File is an open file of records.
type File interface {
	// ReadAt reads as io.ReaderAt does.
	ReadAt(p []byte, off int64) (int, error)

	// Size is the end of the file, found by seeking to it: one system call.
	Size() (int64, error)

	// Stat describes the open file, whatever its name leads to by now.
	Stat() (Info, error)

	// Append writes p at end, which must be the end of the file (the caller
	// holds the lock that makes this so). It returns how many bytes were
	// written; fewer than len(p) with an error.
	Append(p []byte, end int64) (int, error)

	// Rewrite writes bytes again that were just read and validated at off, so
	// that the next Sync covers them whoever wrote them first. The caller
	// holds the lock.
	Rewrite(p []byte, off int64) (int, error)

	// Truncate cuts the file. The caller holds the lock.
	Truncate(size int64) error

	// Sync is fdatasync: on success all bytes written through any handle
	// before the call are on the disk, as far as the promise of contract rule
	// 5 goes.
	Sync() error

	Close() error
}

// Writer writes a new file. One goroutine may use it.
type Writer interface {
	// Write adds bytes. Errors are kept and come back from Commit.
	Write(p []byte) (int, error)

	// Commit makes the file durable and then visible under its name. The name
	// itself is durable after FS.SyncDir. After an error nothing is visible
	// and nothing is left behind.
	Commit() error

	// Abort drops what was written. It is a no-op after Commit.
	Abort() error
}

// MarkSize is the size of the record that a lock file holds.
const MarkSize = 64

// Locker is a lock file and the small record in it. The lock is exclusive
// between all Lockers of one file, in all processes, and also between Lockers
// that reach the same data file through different lock files. It is given back
// when its process ends, however that happens. Lock files are never deleted by
// this package.
type Locker interface {
	// TryLock takes the lock if it is free, at once. false without an error
	// is "busy".
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

	// Close closes the lock file. A lock that is held is given back.
	Close() error
}
