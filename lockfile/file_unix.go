//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package lockfile

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"github.com/durusdb/durus/vfs"
	"golang.org/x/sys/unix"
)

// openFile opens the lock file, or creates it. Without create, or for a
// Locker that may only read, a file that is not there or not readable is no
// error: the file returned is nil.
func (l *Locker) openFile(create bool) (*os.File, vfs.FileID, error) {
	flags := openFlags | unix.O_RDWR
	if l.mode == vfs.ReadOnly {
		flags = openFlags | unix.O_RDONLY
	}
	for range maxTries {
		fd, err := openFD(l.path, flags, 0)
		switch {
		case err == nil:
			return l.adopt(fd)
		case err != unix.ENOENT:
			if l.mode == vfs.ReadOnly && errors.Is(err, fs.ErrPermission) {
				err = nil
			}
			return nil, vfs.FileID{}, openError(err)
		case !create:
			return nil, vfs.FileID{}, nil
		}
		f, id, err := l.createFile(flags)
		if err != unix.EEXIST {
			return f, id, err
		}
		// Another one has just created it.
	}
	return nil, vfs.FileID{}, ErrUnstable
}

// createFile creates the lock file with the permissions of the data file:
// whoever may write there must be able to lock, whatever the umask is.
func (l *Locker) createFile(flags int) (*os.File, vfs.FileID, error) {
	_, perm, err := l.describe()
	if err != nil {
		return nil, vfs.FileID{}, err
	}
	if l.perm != 0 {
		perm &= l.perm
	}
	fd, err := openFD(l.path, flags|unix.O_CREAT|unix.O_EXCL, uint32(perm.Perm()))
	if err != nil {
		return nil, vfs.FileID{}, openError(err)
	}
	if err := unix.Fchmod(fd, uint32(perm.Perm())); err != nil {
		_ = unix.Close(fd) // it is empty
		return nil, vfs.FileID{}, err
	}
	return l.adopt(fd)
}

// adopt refuses what is not a regular file.
func (l *Locker) adopt(fd int) (*os.File, vfs.FileID, error) {
	var st unix.Stat_t
	err := fstat(fd, &st)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = vfs.ErrNotRegular
	}
	if err == nil {
		// os.File would hand a non-blocking descriptor to the poller.
		err = unix.SetNonblock(fd, false)
	}
	if err != nil {
		_ = unix.Close(fd) // nothing was written to it
		return nil, vfs.FileID{}, err
	}
	return os.NewFile(uintptr(fd), l.path), idOfStat(&st), nil
}

// openError tells a symbolic link, a directory or a socket by its error.
func openError(err error) error {
	switch err {
	case unix.ELOOP, unix.EMLINK, unix.EISDIR, unix.ENXIO, unix.EOPNOTSUPP:
		return vfs.ErrNotRegular
	}
	return err
}

func openFD(path string, flags int, perm uint32) (int, error) {
	for {
		fd, err := unix.Open(path, flags, perm)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// statName tells what the path leads to, without following a link.
func statName(path string) (id vfs.FileID, links uint64, err error) {
	var st unix.Stat_t
	for {
		err = unix.Lstat(path, &st)
		if err != unix.EINTR {
			return idOfStat(&st), uint64(st.Nlink), err
		}
	}
}

// linksOf is one fstat. f may be closed meanwhile by Reopen: its RawConn then
// answers with an error.
func linksOf(f *os.File) (links uint64, err error) {
	c, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	st, err := statConn(c)
	return uint64(st.Nlink), err
}

func idOfStat(st *unix.Stat_t) vfs.FileID {
	return vfs.FileID{Dev: uint64(st.Dev), Ino: uint64(st.Ino)}
}

func idOfInfo(info fs.FileInfo) vfs.FileID {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return vfs.FileID{}
	}
	return vfs.FileID{Dev: uint64(st.Dev), Ino: uint64(st.Ino)}
}

// idOfConn and permOfConn describe the data file.
func idOfConn(c syscall.RawConn) (vfs.FileID, error) {
	st, err := statConn(c)
	return idOfStat(&st), err
}

func permOfConn(c syscall.RawConn) (fs.FileMode, error) {
	st, err := statConn(c)
	return fs.FileMode(st.Mode) & fs.ModePerm, err
}

func statConn(c syscall.RawConn) (unix.Stat_t, error) {
	s := stats.Get().(*stat)
	defer stats.Put(s)
	if c.Control(s.run) != nil {
		return s.st, fs.ErrClosed // the one reason for which Control fails
	}
	return s.st, s.err
}

// stat is an fstat. It is kept with its function, so that the call that every
// View of a busy database makes allocates nothing.
type stat struct {
	st  unix.Stat_t
	err error
	run func(fd uintptr)
}

var stats = sync.Pool{New: func() any {
	s := new(stat)
	s.run = func(fd uintptr) { s.err = fstat(int(fd), &s.st) }
	return s
}}

// fstat is fstat(2) until no signal interrupts it.
func fstat(fd int, st *unix.Stat_t) error {
	for {
		if err := unix.Fstat(fd, st); err != unix.EINTR {
			return err
		}
	}
}

// control runs fn with the descriptor, which cannot be closed meanwhile.
func control(c syscall.RawConn, fn func(fd int) error) (err error) {
	if c.Control(func(fd uintptr) { err = fn(int(fd)) }) != nil {
		return fs.ErrClosed // the one reason for which Control fails
	}
	return err
}

func interrupted(err error) bool { return errors.Is(err, unix.EINTR) }

// noSpace: a full quota and a file size limit are a full disk, too.
func noSpace(err error) bool {
	return errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG)
}
