//go:build linux

package torture

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// child is a process that plays a role.
type child struct {
	t      testing.TB
	role   string
	cmd    *exec.Cmd
	in     io.WriteCloser // its standard input; the end of it is the end of its work
	out    *bufio.Reader  // its standard output
	stderr bytes.Buffer   // read after it has ended
	exited chan struct{}  // closed when err is set
	err    error          // of Wait
	killed bool           // by us
}

// patience is how long a child may take for what should take milliseconds.
const patience = 60 * time.Second

// starter is the one OS thread that starts children: the kernel sends
// Pdeathsig when the thread that started a child ends, and this one does not.
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

// start runs the test binary in a role. The child is gone when the test ends.
func start(t testing.TB, role string, task any) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(task)
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, role: role, cmd: exec.Command(exe, string(text)), exited: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), roleEnv+"="+role)
	c.cmd.Stderr = &c.stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	// Pipes of our own: those of package exec end with the child, and then
	// nobody could read its last line, nor keep what it has started alive.
	stdin, in, err1 := os.Pipe()
	out, stdout, err2 := os.Pipe()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	c.cmd.Stdin, c.in = stdin, in
	c.cmd.Stdout, c.out = stdout, bufio.NewReader(out)
	started := make(chan error)
	starter() <- func() { started <- c.cmd.Start() }
	if err := errors.Join(<-started, stdin.Close(), stdout.Close()); err != nil {
		t.Fatal(err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.exited)
	}()
	t.Cleanup(func() {
		c.kill()
		_, _ = in.Close(), out.Close() // finish may have closed it; only read from
	})
	return c
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// signal sends a signal to the child, and to nobody else.
func (c *child) signal(sig syscall.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		c.t.Errorf("signal %v to a %s: %v", sig, c.role, err)
	}
}

// kill kills the child and waits until it is gone.
func (c *child) kill() {
	c.t.Helper()
	select {
	case <-c.exited:
		return
	default:
	}
	c.killed = true
	c.signal(syscall.SIGKILL)
	<-c.exited
}

// alive reports whether the child has not ended by itself.
func (c *child) alive() bool {
	select {
	case <-c.exited:
		return false
	default:
		return true
	}
}

// finish tells the child to end and fails the test if it ends badly, or not at
// all: then its goroutines are in the log.
func (c *child) finish() {
	c.t.Helper()
	if err := c.in.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		c.t.Error(err)
	}
	c.wait()
}

func (c *child) wait() {
	c.t.Helper()
	select {
	case <-c.exited:
	case <-time.After(patience):
		c.signal(syscall.SIGQUIT)
		select {
		case <-c.exited:
		case <-time.After(time.Second):
			c.kill()
		}
		c.t.Errorf("a %s did not end within %v:\n%s", c.role, patience, &c.stderr)
		return
	}
	if c.err != nil && !c.killed {
		c.t.Errorf("a %s failed: %v\n%s", c.role, c.err, &c.stderr)
	}
}

// say writes a line to the child.
func (c *child) say(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		c.t.Errorf("a %s does not listen: %v", c.role, err)
	}
}

// hear returns the next line of the child, without its end.
func (c *child) hear() string {
	c.t.Helper()
	line, err := c.next()
	if err != nil {
		c.kill()
		c.t.Fatalf("a %s says nothing more: %v\n%s", c.role, err, &c.stderr)
	}
	return line
}

// next is hear for a child that may be dead.
func (c *child) next() (string, error) {
	alarm := time.AfterFunc(patience, func() { c.signal(syscall.SIGQUIT) })
	defer alarm.Stop()
	line, err := c.out.ReadString('\n')
	return strings.TrimSuffix(line, "\n"), err
}

// untilEOF is, in a child, a context that ends with its standard input.
func untilEOF(in io.Reader) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, in) // any end is the end
		cancel()
	}()
	return ctx
}

// tell writes a line to the standard output of a child: one write, so that one
// who is killed has said all of it or nothing.
func tell(format string, args ...any) error {
	_, err := fmt.Fprintf(os.Stdout, format+"\n", args...)
	return err
}
