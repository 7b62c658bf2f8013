package main

import (
	"os/exec"
	"syscall"
)

// noOrphan makes the system kill the process when its parent dies, should it
// not notice the end of its standard input. The parent is the thread that
// starts it; those of the Go runtime stay, unless a goroutine ends that was
// locked to one.
func noOrphan(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
