//go:build linux && (amd64 || arm64)

package fusedisk

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// child is a process that plays a role. It is gone when the test ends.
type child struct {
	role   string
	cmd    *exec.Cmd
	in     io.WriteCloser // its standard input; the end of it is the end of its work
	stderr bytes.Buffer   // read after it has ended
	gone   chan struct{}  // closed when it has ended and its last line was heard
	err    error          // how it ended; set before gone is closed
}

// starter is the thread of startLasting.
var starter = sync.OnceValue(func() chan<- func() {
	jobs := make(chan func())
	go func() {
		runtime.LockOSThread()
		for job := range jobs {
			job()
		}
	}()
	return jobs
})

// roleCommand is the test binary in a role.
func roleCommand(role string, task any) *exec.Cmd {
	text, err := json.Marshal(task)
	if err != nil {
		panic(err) // a task is made of numbers and strings
	}
	cmd := exec.Command("/proc/self/exe", string(text))
	// The race detector would have each child sleep for a second at its end.
	cmd.Env = append(os.Environ(), roleEnv+"="+role, "GORACE=atexit_sleep_ms=0")
	return cmd
}

// start runs the test binary in a role. heard is called with each line that
// the child writes, at once.
func start(t *testing.T, role string, task any, heard func(line string)) *child {
	t.Helper()
	c := &child{role: role, cmd: roleCommand(role, task), gone: make(chan struct{})}
	c.cmd.Stderr = &c.stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.in = in
	// A descriptor that blocks: the thread that reads is woken by the kernel,
	// and a line is heard at once. Those of package os wait for the scheduler,
	// which is busy serving disks, and an acknowledgement heard late asks less
	// of the images.
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	out, stdout := os.NewFile(uintptr(pipe[0]), "out"), os.NewFile(uintptr(pipe[1]), "stdout")
	c.cmd.Stdout = stdout
	if err := errors.Join(startLasting(c.cmd), stdout.Close()); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.gone)
		defer out.Close()
		for lines := bufio.NewScanner(out); lines.Scan(); {
			heard(lines.Text())
		}
		if err := c.cmd.Wait(); err != nil {
			c.err = fmt.Errorf("a process that should %s: %w\n%s", role, err, &c.stderr)
		}
	}()
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill() // usually it has ended
		select {
		case <-c.gone:
		case <-time.After(patience):
			t.Errorf("a process that should %s does not die", role)
		}
	})
	return c
}

// wait returns when the child has ended, with what was wrong with it. A child
// that does not end is made to show its goroutines.
func (c *child) wait() error {
	select {
	case <-c.gone:
		return c.err
	case <-time.After(3 * patience):
		_ = c.cmd.Process.Signal(syscall.SIGQUIT)
	}
	select {
	case <-c.gone:
		return fmt.Errorf("no end within %v: %w", 3*patience, c.err)
	case <-time.After(patience):
		return fmt.Errorf("a process that should %s hangs", c.role)
	}
}
