package lockfile

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/durusdb/durus/vfs"
)

var (
	// ErrUnstable: the lock file was replaced each time that it was locked.
	ErrUnstable = errors.New("lockfile: the lock file keeps being replaced")
	// ErrNotHeld: Unlock of a lock that this Locker does not hold.
	ErrNotHeld = errors.New("lockfile: not locked")
)

// Error tells what went wrong with which file and what to do about it. It
// wraps the reason: vfs.ErrNotRegular, fs.ErrPermission, syscall.EROFS, ...
type Error struct {
	Op     string // "open", "lock", ...
	Path   string
	Err    error
	Remedy string
}

func (e *Error) Error() string {
	s := fmt.Sprintf("lockfile: %s %s: %v", e.Op, e.Path, e.Err)
	if e.Remedy != "" {
		s += ": " + e.Remedy
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// fail wraps an error of a system call with the path and a remedy. The path
// inside an *fs.PathError is dropped, so that it is not told twice.
func fail(op, path string, err error) error {
	if err == nil {
		return nil // before anything is allocated: this is every call's way
	}
	return newError(op, path, err)
}

func newError(op, path string, err error) error {
	var wrapped *Error
	if errors.As(err, &wrapped) {
		return err
	}
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		err = p.Err
	}
	e := &Error{Op: op, Path: path, Err: err}
	switch {
	case errors.Is(err, vfs.ErrNotRegular):
		e.Remedy = "something else lies where the lock file belongs; remove or rename it"
	case errors.Is(err, fs.ErrClosed):
		e.Err = vfs.ErrClosed
	case errors.Is(err, syscall.EROFS):
		e.Remedy = "the file system is read-only; open the database read-only or mount it writable"
	case errors.Is(err, fs.ErrPermission):
		e.Remedy = "to write, this user needs read and write permission on the lock file and, to create it, on its directory; or open the database read-only"
	case errors.Is(err, fs.ErrNotExist):
		e.Remedy = "the directory of the database does not exist any more"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		e.Remedy = "too many open files; raise the limit (ulimit -n)"
	case errors.Is(err, syscall.ENOSPC), noSpace(err):
		e.Err = &spaceError{err}
		e.Remedy = "free some space or raise the quota, then try again"
	case errors.Is(err, ErrUnstable):
		e.Remedy = "find the program that deletes it; a lock file must stay"
	}
	return e
}

// spaceError makes every way of having no room match syscall.ENOSPC.
type spaceError struct{ err error }

func (e *spaceError) Error() string        { return e.err.Error() }
func (e *spaceError) Unwrap() error        { return e.err }
func (e *spaceError) Is(target error) bool { return target == syscall.ENOSPC }
