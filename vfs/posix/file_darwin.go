package posix

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData is F_FULLFSYNC: fsync stops at the drive's cache here.
func syncData(f *os.File) error { return f.Sync() }

// publishNew gives the file its name if that is free.
func publishNew(_ *os.File, temp, name string) error {
	err := retry(func() error { return unix.RenamexNp(temp, name, unix.RENAME_EXCL) })
	switch err {
	case unix.EINVAL, unix.ENOSYS, unix.ENOTSUP:
		return linkNew(temp, name)
	}
	return err
}

// remoteAt asks for the file system of a name.
func remoteAt(name string) (remote bool, kind string, err error) {
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(name, &st) }); err != nil {
		return false, "", err
	}
	return st.Flags&unix.MNT_LOCAL == 0, unix.ByteSliceToString(st.Fstypename[:]), nil
}
