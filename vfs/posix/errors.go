package posix

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/durusdb/durus/vfs"
)

// fail wraps the error of a system call with the path and, where there is
// one, a remedy. Paths that package os put in are dropped: they are the same
// one, or that of a temporary file nobody knows.
func fail(op, path string, err error) error {
	if err == nil {
		return nil
	}
	var p *fs.PathError
	var l *os.LinkError
	if errors.As(err, &p) {
		err = p.Err
	} else if errors.As(err, &l) {
		err = l.Err
	}
	switch {
	case errors.Is(err, fs.ErrClosed):
		err = vfs.ErrClosed
	case errors.Is(err, syscall.ENOSPC), noSpace(err):
		err = &spaceError{err}
	case errors.Is(err, syscall.EROFS):
		err = fmt.Errorf("%w; open it read-only or mount it writable", err)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		err = fmt.Errorf("%w; raise the limit (ulimit -n)", err)
	}
	return fmt.Errorf("posix: %s %s: %w", op, path, err)
}

// spaceError makes every way of having no room match syscall.ENOSPC.
type spaceError struct{ err error }

func (e *spaceError) Error() string {
	return e.err.Error() + "; free some space or raise the quota, then try again"
}
func (e *spaceError) Unwrap() error        { return e.err }
func (e *spaceError) Is(target error) bool { return target == syscall.ENOSPC }
