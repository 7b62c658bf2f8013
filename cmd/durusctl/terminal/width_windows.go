package terminal

import "golang.org/x/sys/windows"

// Width returns how many columns the console behind a handle has; ok is false
// if it is no console.
func Width(fd uintptr) (columns int, ok bool) {
	var info windows.ConsoleScreenBufferInfo
	if err := windows.GetConsoleScreenBufferInfo(windows.Handle(fd), &info); err != nil {
		return 0, false
	}
	return int(info.Window.Right-info.Window.Left) + 1, true
}
