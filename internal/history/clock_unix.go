//go:build unix

package history

import "golang.org/x/sys/unix"

// Now is the time in nanoseconds on a clock that all processes of a machine
// share and that nobody sets. (time.Now differs in both: its monotonic part
// counts from the start of the process.)
func Now() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("history: no monotonic clock: " + err.Error())
	}
	return ts.Nano()
}
