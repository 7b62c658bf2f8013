//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package posix

import (
	"runtime"

	"github.com/durusdb/durus/vfs"
	"golang.org/x/sys/unix"
)

const mapping = true

// liveMapping: where read, write and mappings share one page cache.
const liveMapping = runtime.GOOS == "linux" || runtime.GOOS == "darwin" || runtime.GOOS == "freebsd"

var _ vfs.Mapper = (*file)(nil)

// Map implements vfs.Mapper.
func (f *file) Map(off int64, n int) (b []byte, unmap func() error, err error) {
	h, err := f.open()
	if err != nil {
		return nil, nil, err
	}
	err = withFD(h, func(fd int) (err error) {
		b, err = unix.Mmap(fd, off, n, unix.PROT_READ, unix.MAP_SHARED)
		return err
	})
	if err != nil {
		return nil, nil, fail("map", f.name, err)
	}
	return b, func() error { return fail("unmap", f.name, unix.Munmap(b)) }, nil
}
