//go:build !unix && !windows

package terminal

// Width is not known here.
func Width(uintptr) (columns int, ok bool) { return 0, false }
