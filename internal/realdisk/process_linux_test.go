package realdisk

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

// patience is how long a child may take for what should take milliseconds.
const patience = 60 * time.Second

// child is a process that plays a role. It speaks in lines.
type child struct {
	t      testing.TB
	role   string
	cmd    *exec.Cmd
	in     *os.File // its standard input; the end of it is the end of its work
	stderr bytes.Buffer
	exited chan struct{} // closed when err is set
	err    error         // of Wait

	mu    sync.Mutex // guards what follows
	said  []string
	ended bool // the pipe is at its end
	news  sync.Cond
	heard int // lines that hear has returned; the test's goroutine only
}

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

// outfit is what a child gets besides its task.
type outfit struct {
	prefix []string   // the command that runs it
	files  []*os.File // its descriptors from 3 on; start closes them here
}

// start runs the test binary in a role. It is gone when the test ends.
func start(t testing.TB, role string, task any, with outfit) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(task)
	if err != nil {
		t.Fatal(err)
	}
	args := append(with.prefix[:len(with.prefix):len(with.prefix)], exe, string(text))
	c := &child{t: t, role: role, cmd: exec.Command(args[0], args[1:]...), exited: make(chan struct{})}
	c.news.L = &c.mu
	// The race detector would let each child sleep for a second at its end.
	c.cmd.Env = append(os.Environ(), roleEnv+"="+role, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	c.cmd.Stderr = &c.stderr
	c.cmd.ExtraFiles = with.files
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdin, in, err1 := os.Pipe()
	out, stdout, err2 := os.Pipe()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	c.cmd.Stdin, c.in, c.cmd.Stdout = stdin, in, stdout
	started := make(chan error)
	starter() <- func() { started <- c.cmd.Start() }
	err = <-started
	for _, f := range append([]*os.File{stdin, stdout}, with.files...) {
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	go c.listen(out)
	go func() {
		c.err = c.cmd.Wait()
		close(c.exited)
	}()
	t.Cleanup(func() {
		c.kill()
		_ = in.Close() // end may have closed it
	})
	return c
}

// listen collects what the child says.
func (c *child) listen(out *os.File) {
	defer out.Close() // it was only read
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		c.mu.Lock()
		c.said = append(c.said, lines.Text())
		c.news.Broadcast()
		c.mu.Unlock()
	}
	c.mu.Lock()
	c.ended = true
	c.news.Broadcast()
	c.mu.Unlock()
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
	default:
		c.signal(syscall.SIGKILL)
		<-c.exited
	}
}

// killed reports whether a child that has ended was killed.
func (c *child) killed() bool {
	status, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// end tells the child to end and waits until it has; one that does not is
// asked for its goroutines.
func (c *child) end() {
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
	}
}

// finish is end for a child that must end well.
func (c *child) finish() {
	c.t.Helper()
	c.end()
	if c.err != nil {
		c.t.Errorf("a %s: %v\n%s", c.role, c.err, &c.stderr)
	}
}

// hear waits for the next line of the child; false is its end.
func (c *child) hear() (string, bool) {
	c.t.Helper()
	alarm := time.AfterFunc(patience, func() { c.signal(syscall.SIGQUIT) })
	defer alarm.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.heard == len(c.said) {
		if c.ended {
			return "", false
		}
		c.news.Wait()
	}
	c.heard++
	return c.said[c.heard-1], true
}

// expect hears lines until one is the one that is waited for.
func (c *child) expect(want string) {
	c.t.Helper()
	for {
		line, ok := c.hear()
		if !ok {
			c.kill()
			c.t.Fatalf("a %s did not say %q but %q\n%s", c.role, want, c.all(), &c.stderr)
		}
		if line == want {
			return
		}
	}
}

// all is everything that a child has said; it has ended, or is dying.
func (c *child) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.ended {
		c.news.Wait()
	}
	return c.said
}

// say writes a line to the child, which may be dead.
func (c *child) say(line string) {
	_, _ = io.WriteString(c.in, line+"\n") // what it then does not say tells
}

// tell writes a line to the standard output of a child: one system call, so
// that one who is killed has said all of it or nothing, and one that no database
// uses, so that injections into those leave it alone.
func tell(format string, args ...any) error {
	_, err := unix.Writev(1, [][]byte{fmt.Appendf(nil, format+"\n", args...)})
	return err
}
