//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package lockfile

import (
	"context"
	"os"

	"github.com/durusdb/durus/vfs"
)

// lockIsLatch: a POSIX record lock is lost as soon as the process closes any
// descriptor of the file, and gofrs/flock closes one at each Unlock. So the
// mark is changed under the lock itself.
const lockIsLatch = true

// lockMark and unlockMark are for systems with a latch apart from the lock.
func lockMark(context.Context, <-chan struct{}, *os.File) error { return vfs.ErrNotSupported }

func unlockMark(*os.File) {}
