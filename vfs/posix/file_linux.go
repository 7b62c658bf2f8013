package posix

import (
	"os"

	"github.com/durusdb/durus/vfs"
	"golang.org/x/sys/unix"
)

// syncData puts the bytes of f and its size on the disk.
func syncData(f *os.File) error { return withFD(f, unix.Fdatasync) }

var _ vfs.Adviser = (*file)(nil)

// Advise implements vfs.Adviser: the kernel reads what will be needed. A file
// that is not open yet is not opened for it.
func (f *file) Advise(a vfs.Advice, off, n int64) {
	h := f.f.Load()
	if a != vfs.WillNeed || h == nil {
		return
	}
	_ = withFD(h, func(fd int) error { return unix.Fadvise(fd, off, n, unix.FADV_WILLNEED) }) // a hint
}

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
