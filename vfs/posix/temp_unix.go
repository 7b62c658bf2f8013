//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package posix

import (
	"errors"
	"io/fs"
	"os"

	"github.com/durusdb/durus/vfs"
	"golang.org/x/sys/unix"
)

// createTemp creates a temporary file and locks it, which tells a sweep that
// its writer lives. It is fs.ErrExist when a sweep was faster than the lock.
// The kernel applies the umask.
func createTemp(name string, perm fs.FileMode) (*os.File, error) {
	f, err := openFile(name, openFlags|unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, perm)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	err = withFD(f, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if err == nil {
		err = withFD(f, func(fd int) error { return unix.Fstat(fd, &st) })
	}
	switch {
	case err == nil && st.Nlink == 0, err == unix.EWOULDBLOCK:
		_ = f.Close() // it is empty
		return nil, fs.ErrExist
	case err != nil:
		return nil, errors.Join(err, dropTemp(f, name))
	}
	return f, nil
}

// sweepTemp removes a temporary file if nobody has it locked. Nobody creates
// its random name a second time, so the name still leads to what was locked.
func sweepTemp(name string) {
	f, err := openRegular(name, false)
	if err != nil {
		return
	}
	if withFD(f, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) }) == nil {
		_ = removeName(name) // a service, see sweep
	}
	_ = f.Close() // it was only looked at
}

// dropTemp removes the temporary file of a writer that gave up.
func dropTemp(f *os.File, name string) error {
	err := removeName(name)
	if err == unix.ENOENT {
		err = nil
	}
	_ = f.Close() // its bytes are not wanted
	return err
}

// inherit gives f the group and the permissions of the file that it will
// replace, the latter as far as perm has them: a umask of the one who packs
// must not lock out the others. Where the group cannot be kept, its
// permissions are not either.
func inherit(f *os.File, name string, perm fs.FileMode) error {
	var old, own unix.Stat_t
	if err := retry(func() error { return unix.Lstat(name, &old) }); err != nil || old.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil // nothing to inherit; what else is wrong shows at Commit
	}
	return withFD(f, func(fd int) error {
		if err := unix.Fstat(fd, &own); err != nil {
			return err
		}
		if old.Uid != own.Uid && unix.Fchown(fd, int(old.Uid), -1) == nil {
			own.Uid = old.Uid
		}
		if old.Gid != own.Gid && unix.Fchown(fd, -1, int(old.Gid)) == nil {
			own.Gid = old.Gid
		}
		keep := fs.FileMode(old.Mode).Perm()
		if own.Gid != old.Gid {
			keep &^= 0o070
		}
		want := perm & (fs.FileMode(own.Mode).Perm() | keep)
		return unix.Fchmod(fd, uint32(want))
	})
}

// publishOver gives the file its name, which may be taken.
func publishOver(_ *os.File, temp, name string) error {
	return retry(func() error { return unix.Rename(temp, name) })
}

// linkNew gives the file a name that must be free, where rename cannot say
// so: for a moment it has two.
func linkNew(temp, name string) error {
	if err := retry(func() error { return unix.Link(temp, name) }); err != nil {
		return err
	}
	return removeName(temp)
}

// outcome finds out what became of a renaming or linking that failed with err:
// a file server whose answer was lost may have done it, and a link is done when
// only the other name could not be removed.
func outcome(f *os.File, name string, err error) error {
	if err == nil {
		return nil
	}
	own, ownErr := statFile(f)
	there, thereErr := statName(name)
	switch {
	case ownErr != nil, thereErr != nil && !errors.Is(thereErr, fs.ErrNotExist):
		return errors.Join(vfs.ErrUnknownOutcome, err)
	case thereErr == nil && there.ID == own.ID:
		return nil
	}
	return err
}
