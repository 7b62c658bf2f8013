package posix

// Opener is a process that has a file open.
type Opener struct {
	PID     int
	Write   bool   // it may write
	Command string // its command line, words divided by spaces; empty where the system does not tell
}
