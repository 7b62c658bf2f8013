package realdisk

import (
	"bufio"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// injection is what strace does at one system call of a thread.
type injection struct {
	call string // the system call; "" injects nothing
	what string // "error=EIO", "retval=0", "signal=KILL"
	when string // "3": at the third; "3+": from then on
}

// tracing is a strace that follows a child. It is not the child's parent, and
// its log ends when both are gone.
type tracing struct {
	mu    sync.Mutex // guards what follows
	lines []call
	ended bool
	news  sync.Cond
}

// call is a system call of a child, or a signal that it got.
type call struct {
	pid, name, args, result string
	injected                bool
	signal                  bool // then name is the text of the line
}

// needStrace skips where strace cannot follow a process and inject.
var canTrace = sync.OnceValue(func() string {
	if _, err := exec.LookPath("strace"); err != nil {
		return err.Error()
	}
	out, err := exec.Command("strace", "-qq", "-e", "trace=openat", "-e", "inject=openat:error=ENOENT:when=1000", "true").CombinedOutput()
	if err != nil {
		return "strace does not work here: " + err.Error() + ": " + string(out)
	}
	return ""
})

func needStrace(t testing.TB) {
	t.Helper()
	if why := canTrace(); why != "" {
		t.Skip("SKIP: " + why)
	}
}

// trace starts a child under strace, which tells of the calls that touch the
// paths (none: of all), and injects.
func trace(t testing.TB, role string, task any, calls, paths []string, in injection) (*child, *tracing) {
	t.Helper()
	log, logIn, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"strace", "-D", "-f", "-qq", "-s", "64", "-o", "/dev/fd/3", "-e", "trace=" + strings.Join(calls, ",")}
	if !strings.HasPrefix(in.what, "signal") { // it injects no signals
		args = append(args, "--seccomp-bpf")
	}
	for _, p := range paths {
		args = append(args, "-P", p)
	}
	if in.call != "" {
		args = append(args, "-e", "inject="+in.call+":"+in.what+":when="+in.when)
	}
	tr := new(tracing)
	tr.news.L = &tr.mu
	c := start(t, role, task, outfit{prefix: args, files: []*os.File{logIn}})
	go tr.read(log)
	return c, tr
}

var (
	callLine   = regexp.MustCompile(`^(\d+) +(\w+)\((.*)\) += (.*)$`)
	resumeLine = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (.*)$`)
	signalLine = regexp.MustCompile(`^(\d+) +(---|\+\+\+) (.*) (---|\+\+\+)$`)
)

func (tr *tracing) read(log *os.File) {
	defer log.Close() // it was only read
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		var one call
		if m := callLine.FindStringSubmatch(lines.Text()); m != nil {
			one = call{pid: m[1], name: m[2], args: m[3], result: m[4]}
		} else if m := resumeLine.FindStringSubmatch(lines.Text()); m != nil {
			one = call{pid: m[1], name: m[2], args: m[3], result: m[4]}
		} else if m := signalLine.FindStringSubmatch(lines.Text()); m != nil {
			one = call{pid: m[1], name: m[3], signal: true}
		} else {
			continue // a call that was begun: its end comes later
		}
		one.injected = strings.Contains(one.result, "(INJECTED)")
		tr.mu.Lock()
		tr.lines = append(tr.lines, one)
		tr.news.Broadcast()
		tr.mu.Unlock()
	}
	tr.mu.Lock()
	tr.ended = true
	tr.news.Broadcast()
	tr.mu.Unlock()
}

// all waits for the end of the child and returns what it did.
func (tr *tracing) all() []call {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for !tr.ended {
		tr.news.Wait()
	}
	return tr.lines
}

// stopped waits until the child was stopped, false if it ends before.
func (tr *tracing) stopped() bool {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for {
		if slices.ContainsFunc(tr.lines, func(c call) bool { return c.signal && c.name == "stopped by SIGSTOP" }) {
			return true
		}
		if tr.ended {
			return false
		}
		tr.news.Wait()
	}
}

// latched reports whether the child, which is stopped, has the latch of the mark.
func (tr *tracing) latched() (has bool) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, c := range tr.lines {
		if c.name == "fcntl" && strings.Contains(c.args, "F_OFD_SETLK") && c.result == "0" {
			has = strings.Contains(c.args, "F_WRLCK")
		}
	}
	return has
}

// hit is the first call that was tampered with; its name is empty if none was.
func (tr *tracing) hit() call {
	for _, c := range tr.all() {
		if c.injected {
			return c
		}
	}
	return call{}
}

// counts is how often each call was made by the thread that made it most often.
func (tr *tracing) counts() map[string]int {
	type key struct{ pid, name string }
	each, most := make(map[key]int), make(map[string]int)
	for _, c := range tr.all() {
		if c.signal {
			continue
		}
		k := key{c.pid, c.name}
		each[k]++
		most[c.name] = max(most[c.name], each[k])
	}
	return most
}
