package posix

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData puts the bytes of f and its size on the disk.
func syncData(f *os.File) error { return withFD(f, unix.Fdatasync) }

// publishNew gives the file its name if that is free. Old kernels and some
// file systems do not know the flag.
func publishNew(_ *os.File, temp, name string) error {
	err := retry(func() error {
		return unix.Renameat2(unix.AT_FDCWD, temp, unix.AT_FDCWD, name, unix.RENAME_NOREPLACE)
	})
	switch err {
	case unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP:
		return linkNew(temp, name)
	}
	return err
}
