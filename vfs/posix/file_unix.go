//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package posix

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"github.com/durusdb/durus/vfs"
	"golang.org/x/sys/unix"
)

// openFlags are those of every opening. O_NONBLOCK keeps a FIFO from blocking
// us; it means nothing for the regular files that remain.
const openFlags = unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY

// openRegular opens an existing regular file.
func openRegular(name string, write bool) (*os.File, error) {
	flags := openFlags | unix.O_RDONLY
	if write {
		flags = openFlags | unix.O_RDWR
	}
	return openFile(name, flags, 0)
}

// openFile opens a file and refuses all but regular ones.
func openFile(name string, flags int, perm fs.FileMode) (*os.File, error) {
	fd, err := retryFD(func() (int, error) { return unix.Open(name, flags, uint32(perm.Perm())) })
	switch err {
	case nil:
	case unix.ELOOP, unix.EMLINK, unix.EISDIR, unix.ENXIO, unix.EOPNOTSUPP:
		return nil, vfs.ErrNotRegular // a symbolic link, a directory, a socket
	default:
		return nil, err
	}
	var st unix.Stat_t
	if err = retry(func() error { return unix.Fstat(fd, &st) }); err == nil {
		if st.Mode&unix.S_IFMT != unix.S_IFREG {
			err = vfs.ErrNotRegular
		} else {
			// os.NewFile would hand a non-blocking descriptor to the poller.
			err = unix.SetNonblock(fd, false)
		}
	}
	if err != nil {
		_ = unix.Close(fd) // nothing was written to it
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// retry calls fn until no signal interrupts it.
func retry(fn func() error) error {
	for {
		if err := fn(); err != unix.EINTR {
			return err
		}
	}
}

func retryFD(fn func() (int, error)) (fd int, err error) {
	err = retry(func() error { fd, err = fn(); return err })
	return fd, err
}

// withFD runs fn with the descriptor of f, which cannot be closed meanwhile.
func withFD(f *os.File, fn func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if c.Control(func(fd uintptr) { err = retry(func() error { return fn(int(fd)) }) }) != nil {
		return fs.ErrClosed // the one reason for which Control fails
	}
	return err
}

// writeOp is one call of writeAt. Its run is made once and the ops are used
// again, so that a write allocates nothing.
type writeOp struct {
	p   []byte
	off int64
	n   int
	err error
	run func(fd uintptr)
}

var writeOps = sync.Pool{New: func() any {
	w := new(writeOp)
	w.run = w.write
	return w
}}

// write is pwrite until everything is written or an error comes.
func (w *writeOp) write(fd uintptr) {
	for w.n < len(w.p) {
		n, err := unix.Pwrite(int(fd), w.p[w.n:], w.off+int64(w.n))
		switch {
		case err == unix.EINTR:
		case err != nil:
			w.err = err
			return
		case n == 0:
			w.err = io.ErrUnexpectedEOF // no system does so, but it would be a loop for ever
			return
		default:
			w.n += n
		}
	}
}

// writeAt writes p at off and tells how far it came.
func writeAt(c syscall.RawConn, p []byte, off int64) (int, error) {
	w := writeOps.Get().(*writeOp)
	w.p, w.off, w.n, w.err = p, off, 0, nil
	cerr := c.Control(w.run)
	n, err := w.n, w.err
	w.p = nil
	writeOps.Put(w)
	if cerr != nil {
		return 0, fs.ErrClosed // the one reason for which Control fails
	}
	return n, err
}

func statName(name string) (vfs.Info, error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Lstat(name, &st) }); err != nil {
		return vfs.Info{}, err
	}
	return infoOf(&st), nil
}

func statFile(f *os.File) (vfs.Info, error) {
	var st unix.Stat_t
	if err := withFD(f, func(fd int) error { return unix.Fstat(fd, &st) }); err != nil {
		return vfs.Info{}, err
	}
	return infoOf(&st), nil
}

func infoOf(st *unix.Stat_t) vfs.Info {
	return vfs.Info{
		ID:    vfs.FileID{Dev: uint64(st.Dev), Ino: uint64(st.Ino)},
		Size:  st.Size,
		Links: uint64(st.Nlink),
		Perm:  fs.FileMode(st.Mode) & fs.ModePerm,
		Type:  typeOf(uint32(st.Mode)),
	}
}

func typeOf(mode uint32) fs.FileMode {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return 0
	case unix.S_IFDIR:
		return fs.ModeDir
	case unix.S_IFLNK:
		return fs.ModeSymlink
	case unix.S_IFIFO:
		return fs.ModeNamedPipe
	case unix.S_IFSOCK:
		return fs.ModeSocket
	case unix.S_IFCHR:
		return fs.ModeDevice | fs.ModeCharDevice
	case unix.S_IFBLK:
		return fs.ModeDevice
	}
	return fs.ModeIrregular
}

func removeName(name string) error {
	return retry(func() error { return unix.Unlink(name) })
}

// syncDir makes the names in a directory durable. A file system that cannot
// sync a directory says EINVAL or ENOTSUP; it has nothing better to offer.
func syncDir(dir string) error {
	fd, err := retryFD(func() (int, error) {
		return unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), dir)
	err = f.Sync()
	_ = f.Close() // nothing was written through it
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return err
}

// noSpace: a full quota and a file size limit are a full disk, too.
func noSpace(err error) bool {
	return errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG)
}
