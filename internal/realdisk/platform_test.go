//go:build !linux

package realdisk

import "testing"

func TestRealDisk(t *testing.T) {
	t.Skip("SKIP: strace, loop devices and FS_IOC_SHUTDOWN are for Linux")
}
