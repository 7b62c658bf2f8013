package posix

import (
	"math"
	"path/filepath"

	"github.com/durusdb/durus/vfs"
	"golang.org/x/sys/unix"
)

var _ vfs.Space = FS{}

// Free implements vfs.Space. A quota may leave less.
func (FS) Free(name string) (int64, error) {
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(filepath.Dir(name), &st) }); err != nil {
		return 0, fail("statfs", name, err)
	}
	if st.Bsize <= 0 || st.Bavail > math.MaxInt64/uint64(st.Bsize) {
		return math.MaxInt64, nil
	}
	return int64(st.Bavail) * int64(st.Bsize), nil // its type differs
}
