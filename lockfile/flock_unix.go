//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package lockfile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// markOffset is where the mark lies in the lock file.
const markOffset = 0

// openFlags are those of every opening of a lock file. O_NONBLOCK keeps a
// FIFO from blocking us; it means nothing for the regular files that remain.
const openFlags = unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY

// flockFD calls flock(2) until no signal interrupts it.
func flockFD(fd, how int) error {
	for {
		err := unix.Flock(fd, how)
		if err != unix.EINTR {
			return err
		}
	}
}

// tryLockFile takes the flock on our own descriptor of the lock file; there
// is no grant to keep. The caller holds a reference, so the descriptor is open.
func tryLockFile(f *os.File, _ string) (*grant, bool, error) {
	err := flockFD(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		return nil, false, nil
	}
	return nil, err == nil, err
}

func unlockFile(f *os.File) error { return flockFD(int(f.Fd()), unix.LOCK_UN) }

// dataFile is the descriptor of the data file. Its lock is tried and given
// back by whoever has the guard's turn; so one call at a time uses how and err,
// and run, made once, costs no allocation.
type dataFile struct {
	conn syscall.RawConn
	how  int
	err  error
	run  func(fd uintptr)
}

func newDataFile(c syscall.RawConn) *dataFile {
	d := &dataFile{conn: c}
	d.run = func(fd uintptr) { d.err = flockFD(int(fd), d.how) }
	return d
}

// flock calls flock on the data file's descriptor.
func (d *dataFile) flock(how int) error {
	d.how = how
	if d.conn.Control(d.run) != nil {
		return fs.ErrClosed // the one reason for which Control fails
	}
	return d.err
}

// tryLock takes the lock if it is free.
func (d *dataFile) tryLock() (bool, error) {
	err := d.flock(unix.LOCK_EX | unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		return false, nil
	}
	return err == nil, err
}

func (d *dataFile) unlock() error { return d.flock(unix.LOCK_UN) }

// block waits for the lock, in a helper. It does so on a duplicate, which is
// the same file description and so the same lock, and cannot be closed by
// others while flock sits in it.
func (d *dataFile) block() (*grant, error) {
	var fd int
	err := control(d.conn, func(orig int) (err error) {
		fd, err = unix.FcntlInt(uintptr(orig), unix.F_DUPFD_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := flockFD(fd, unix.LOCK_EX); err != nil {
		_ = unix.Close(fd) // nothing was written through it
		return nil, err
	}
	return &grant{release: func() error {
		return errors.Join(flockFD(fd, unix.LOCK_UN), unix.Close(fd))
	}}, nil
}
