package history

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

var (
	kernel32  = windows.NewLazySystemDLL("kernel32.dll")
	counter   = kernel32.NewProc("QueryPerformanceCounter")
	frequency = kernel32.NewProc("QueryPerformanceFrequency")
)

// Now is the time in nanoseconds on a clock that all processes of a machine
// share and that nobody sets.
func Now() int64 {
	var ticks, perSecond int64
	// Both calls cannot fail since Windows XP.
	_, _, _ = counter.Call(uintptr(unsafe.Pointer(&ticks)))
	_, _, _ = frequency.Call(uintptr(unsafe.Pointer(&perSecond)))
	return ticks/perSecond*1e9 + ticks%perSecond*1e9/perSecond
}
