package terminal

import "golang.org/x/sys/windows"

// Size returns how many columns and rows the console behind a handle has; ok is
// false if it is no console.
func Size(fd uintptr) (columns, rows int, ok bool) {
	var info windows.ConsoleScreenBufferInfo
	if err := windows.GetConsoleScreenBufferInfo(windows.Handle(fd), &info); err != nil {
		return 0, 0, false
	}
	return int(info.Window.Right-info.Window.Left) + 1, int(info.Window.Bottom-info.Window.Top) + 1, true
}
