package lockfile

import (
	"context"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/durusdb/durus/vfs"
	"golang.org/x/sys/unix"
)

// lockIsLatch: the mark has a latch of its own here.
const lockIsLatch = false

// The waits of a process that finds the latch taken. It is held for a few
// microseconds, so the first tries do not sleep at all.
const (
	latchYields   = 4
	latchWait     = 20 * time.Microsecond
	latchWaitLast = time.Millisecond
)

// markRange is the OFD lock on the bytes of the mark. It belongs to the file
// description: neither another descriptor's close nor a fork touches it.
func markRange(how int16) *unix.Flock_t {
	return &unix.Flock_t{Type: how, Whence: io.SeekStart, Start: markOffset, Len: vfs.MarkSize}
}

// lockMark takes the latch. F_OFD_SETLKW could not be cancelled, so it polls:
// who holds the latch does so for one read and one write.
func lockMark(ctx context.Context, done <-chan struct{}, f *os.File) error {
	lk := markRange(unix.F_WRLCK)
	wait := latchWait
	for try := 0; ; try++ {
		err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, lk)
		switch err {
		case nil:
			return nil
		case unix.EINTR:
			continue
		case unix.EAGAIN, unix.EACCES:
		default:
			return err
		}
		if try < latchYields {
			runtime.Gosched()
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-done:
			return vfs.ErrClosed
		case <-time.After(wait):
		}
		wait = min(2*wait, latchWaitLast)
	}
}

// unlockMark gives the latch back. It cannot fail on a range that is locked.
func unlockMark(f *os.File) {
	for unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, markRange(unix.F_UNLCK)) == unix.EINTR {
	}
}
