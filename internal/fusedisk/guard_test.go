//go:build linux && (amd64 || arm64)

package fusedisk

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The guard is a process that outlives the tests for a moment. When they are
// killed while one of their threads waits for a file system whose disk they
// serve themselves, that thread cannot die before it gets an answer, and nobody
// will give one: the descriptor that it would come from stays open as long as
// any thread lives. The guard aborts the connection.

type guardTask struct{ Parent int }

// startGuard is called before anything is mounted.
func startGuard() error {
	cmd := roleCommand("guard", guardTask{os.Getpid()})
	// A session of its own: what is sent to the terminal's processes is not for it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	return startLasting(cmd)
}

// runGuard waits for the end of its parent.
func runGuard(task guardTask) error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	if os.Getppid() == task.Parent { // otherwise it has ended already
		<-ended
	}
	return abortAll()
}

// abortAll makes all I/O fail that waits for a disk of this mount namespace.
func abortAll() error {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		front, back, _ := strings.Cut(lines.Text(), " - ")
		if fields := strings.Fields(front); strings.HasPrefix(back, "fuse.fusedisk ") && len(fields) > 4 {
			err = errors.Join(err, unix.Unmount(fields[4], unix.MNT_FORCE|unix.MNT_DETACH))
		}
	}
	return errors.Join(err, lines.Err())
}

// startLasting starts a process whose Pdeathsig means the end of this process.
// The kernel sends it when the thread ends that started the child, so one
// thread starts them all, and does not end.
func startLasting(cmd *exec.Cmd) error {
	started := make(chan error)
	starter() <- func() { started <- cmd.Start() }
	return <-started
}
