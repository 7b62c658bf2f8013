package vfs

import "errors"

var (
	// ErrAgain: the operation has been started, or waits for its turn. The same
	// call answers when it is done; see Async.
	ErrAgain = errors.New("vfs: not ready yet")
	// ErrNotSupported: the storage cannot do this; see Props.
	ErrNotSupported = errors.New("vfs: not supported by this storage")
	// ErrUnknownOutcome: the storage reports a failure, but what was asked for
	// may have been done.
	ErrUnknownOutcome = errors.New("vfs: it failed, or succeeded without saying so")
	// ErrStale: what a cache holds is no longer what the storage has, and the
	// storage cannot be asked.
	ErrStale = errors.New("vfs: it cannot be told whether this is up to date")
	// ErrMode: the handle was not opened for this.
	ErrMode = errors.New("vfs: not allowed by the mode of the handle")
	// ErrClosed: the handle was closed.
	ErrClosed = errors.New("vfs: closed")
	// ErrNotRegular: the name is a directory, a FIFO, a socket, a device or a symbolic link.
	ErrNotRegular = errors.New("vfs: not a regular file")
)
