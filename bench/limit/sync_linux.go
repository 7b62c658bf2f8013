package limit

import (
	"os"
	"syscall"
)

// locks tells whether lock works here.
const locks = true

func datasync(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }

// lock takes the lock that all processes take, or gives it back.
func lock(f *os.File, take bool) error {
	how := syscall.LOCK_UN
	if take {
		how = syscall.LOCK_EX
	}
	return syscall.Flock(int(f.Fd()), how)
}
