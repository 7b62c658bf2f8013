package posix

import (
	"errors"
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

var _ vfs.Sparse = (*file)(nil)

// Hole implements vfs.Sparse. The size is taken first: what is appended between
// the two calls lies behind it, and is in no hole.
func (f *file) Hole(off int64) int64 {
	size, err := f.Size()
	if err != nil {
		return 0
	}
	data, err := f.f.Load().Seek(off, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO): // nothing but a hole follows, or off is behind the end
		return max(size-off, 0)
	case err != nil:
		return 0
	}
	return data - off
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
