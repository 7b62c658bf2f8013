//go:build unix

package terminal

import "golang.org/x/sys/unix"

// Width returns how many columns the terminal behind a file descriptor has; ok
// is false if it is no terminal, or does not say.
func Width(fd uintptr) (columns int, ok bool) {
	size, err := unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return 0, false
	}
	return int(size.Col), true
}
