//go:build !linux

package posix

// Openers returns the processes that have the file called name open; known is
// false where the system does not tell, as here.
func Openers(string) (openers []Opener, known bool) { return nil, false }

// CommandLine is empty where the system does not tell it, as here.
func CommandLine(int) string { return "" }
