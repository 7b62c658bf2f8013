//go:build unix

package terminal

import "golang.org/x/sys/unix"

// Size returns how many columns and rows the terminal behind a file descriptor
// has; ok is false if it is no terminal, or does not say.
func Size(fd uintptr) (columns, rows int, ok bool) {
	size, err := unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 || size.Row == 0 {
		return 0, 0, false
	}
	return int(size.Col), int(size.Row), true
}
