package posix

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs"
)

// The requirements that are about processes, with processes. What one process
// can show is in TestConformance.

func init() {
	children["publish"] = childPublish
	children["compete"] = childCompete
	children["replace"] = childReplace
	children["watch"] = childWatch
	children["hold"] = childHold
	children["idle"] = childIdle
}

// child is a child process with which one talks by lines.
type child struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startChild(t *testing.T, role string, args ...string) *child {
	t.Helper()
	c := &child{Cmd: command(role, args...)}
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.in, c.out = in, bufio.NewReader(out)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill() // it may be gone already
		_ = c.Wait()
	})
	return c
}

// line reads what the child says.
func (c *child) line(t *testing.T) string {
	t.Helper()
	s, err := c.out.ReadString('\n')
	if err != nil {
		t.Fatalf("the child said %q, %v", s, err)
	}
	return strings.TrimSuffix(s, "\n")
}

// tell lets the child go on.
func (c *child) tell(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(c.in, "go\n"); err != nil {
		t.Fatal(err)
	}
}

// end closes the child's input and waits for its end.
func (c *child) end(t *testing.T) {
	t.Helper()
	if err := c.in.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("%s: %v", c.Args[1:], err)
	}
}

// waitForWord ends when the parent says go, or is gone.
func waitForWord(in io.Reader) { _, _ = bufio.NewReader(in).ReadString('\n') }

// sealed is content that tells whether it is whole: a checksum, then bytes.
func sealed(id, n int) []byte {
	p := bytes.Repeat([]byte(strconv.Itoa(id)+" "), n)
	sum := sha256.Sum256(p)
	return append(sum[:], p...)
}

// unseal returns the id, or why it is not whole.
func unseal(p []byte) (int, error) {
	if len(p) <= sha256.Size {
		return 0, fmt.Errorf("%d bytes", len(p))
	}
	if sum := sha256.Sum256(p[sha256.Size:]); !bytes.Equal(sum[:], p[:sha256.Size]) {
		return 0, fmt.Errorf("%d bytes with a wrong checksum", len(p))
	}
	id, _, _ := strings.Cut(string(p[sha256.Size:]), " ")
	return strconv.Atoi(id)
}

// readWhole opens a name and reads to its end.
func readWhole(path string) ([]byte, error) {
	f := New().Open(path, vfs.ReadOnly)
	defer f.Close()
	return io.ReadAll(io.NewSectionReader(f, 0, 1<<40))
}

// childPublish creates args[0] with umask args[1] and permissions args[2], both
// octal. It says when it has written, and commits when it is told to.
func childPublish(args []string) error {
	umask, err := strconv.ParseUint(args[1], 8, 32)
	if err != nil {
		return err
	}
	perm, err := strconv.ParseUint(args[2], 8, 32)
	if err != nil {
		return err
	}
	syscall.Umask(int(umask))
	w := New().Create(args[0], vfs.FailIfExists, fs.FileMode(perm))
	for part := sealed(7, 50_000); len(part) > 0; part = part[min(1000, len(part)):] {
		if _, err := w.Write(part[:min(1000, len(part))]); err != nil {
			return err
		}
	}
	fmt.Println("written")
	waitForWord(os.Stdin)
	return w.Commit()
}

// A4: while one process writes, another one that looks for the file in a loop
// finds nothing until Commit, and then all of it, with its permissions.
func TestProcessesSeeOnlyCommitted(t *testing.T) {
	for _, c := range []struct{ umask, perm, want fs.FileMode }{
		{0, 0o640, 0o640}, {0, 0o666, 0o666}, {0o077, 0o640, 0o600}, {0o077, 0o666, 0o600}, {0o022, 0o666, 0o644},
	} {
		t.Run(fmt.Sprintf("umask %03o, perm %03o", c.umask, c.perm), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x")
			writer := startChild(t, "publish", path, strconv.FormatUint(uint64(c.umask), 8), strconv.FormatUint(uint64(c.perm), 8))
			absent := func() bool {
				_, err := New().Stat(path)
				for name, listErr := range New().List(filepath.Dir(path) + "/") {
					if name != path || listErr != nil {
						t.Fatalf("List shows %s, %v", name, listErr)
					}
				}
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Fatal(err)
				}
				return err != nil
			}
			said := make(chan string)
			go func() {
				s, _ := writer.out.ReadString('\n') // checked below
				said <- s
			}()
			looks := 0
			for s := ""; s == "" || looks < 100; looks++ {
				if !absent() {
					t.Fatal("it was there before Commit")
				}
				select {
				case s = <-said:
					if s != "written\n" {
						t.Fatalf("the writer said %q", s)
					}
				default:
				}
			}
			writer.tell(t)
			for start := time.Now(); absent(); looks++ {
				if time.Since(start) > time.Minute {
					t.Fatal("it does not come")
				}
			}
			got, err := readWhole(path) // at the first moment
			if id, sealErr := unseal(got); err != nil || sealErr != nil || id != 7 {
				t.Fatalf("%v, %v", err, sealErr)
			}
			info, err := New().Stat(path)
			if err != nil || info.Perm != c.want || info.Size != int64(len(got)) {
				t.Errorf("%+v, %v; want %v", info, err, c.want)
			}
			writer.end(t)
			mustHold(t, filepath.Dir(path), "x")
			t.Logf("looked %d times", looks)
		})
	}
}

// childCompete wants to create args[0] as number args[1], when it is told to,
// and says how that ended.
func childCompete(args []string) error {
	id, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	w := New().Create(args[0], vfs.FailIfExists, 0o600)
	if _, err := w.Write(sealed(id, 20_000+id)); err != nil {
		return err
	}
	fmt.Println("ready")
	waitForWord(os.Stdin)
	switch err := w.Commit(); {
	case err == nil:
		fmt.Println("won")
	case errors.Is(err, fs.ErrExist):
		fmt.Println("lost")
	default:
		return err
	}
	return nil
}

// A5: of sixteen processes that create one name, one succeeds, fifteen get
// ErrExist, the file is the winner's and nothing else is left.
func TestOneOfSixteenProcessesCreates(t *testing.T) {
	const n = 16
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	var all []*child
	for id := range n {
		all = append(all, startChild(t, "compete", path, strconv.Itoa(id)))
	}
	for _, c := range all {
		if s := c.line(t); s != "ready" {
			t.Fatalf("a child said %q", s)
		}
	}
	for _, c := range all {
		c.tell(t)
	}
	winners := map[int]bool{}
	for id, c := range all {
		switch s := c.line(t); s {
		case "won":
			winners[id] = true
		case "lost":
		default:
			t.Errorf("a child said %q", s)
		}
		c.end(t)
	}
	got, err := readWhole(path)
	id, sealErr := unseal(got)
	if err != nil || sealErr != nil || len(winners) != 1 || !winners[id] {
		t.Fatalf("%v won, the file is by %d, %v, %v", winners, id, err, sealErr)
	}
	mustHold(t, dir, "x")
}

// childReplace replaces args[0] args[1] times; 0: without end.
func childReplace(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	for i := 0; i < n || n == 0; i++ {
		w := New().Create(args[0], vfs.ReplaceIfExists, 0o600)
		content := sealed(os.Getpid(), 1000+i%3000)
		for ; len(content) > 0; content = content[min(5000, len(content)):] {
			if _, err := w.Write(content[:min(5000, len(content))]); err != nil {
				return err
			}
		}
		if err := w.Commit(); err != nil {
			return err
		}
	}
	return nil
}

// childWatch opens and reads args[0] again and again until its input ends.
func childWatch(args []string) error {
	stop := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the parent closes it
		close(stop)
	}()
	old := New().Open(args[0], vfs.ReadOnly)
	kept, err := io.ReadAll(io.NewSectionReader(old, 0, 1<<40))
	if err != nil {
		return err
	}
	fmt.Println("watching")
	reads, changes, last := 0, 0, 0
	for running := true; running; {
		select {
		case <-stop:
			running = false
		default:
		}
		got, err := readWhole(args[0])
		if err != nil {
			return fmt.Errorf("after %d reads: %w", reads, err)
		}
		if _, err := unseal(got); err != nil {
			return fmt.Errorf("after %d reads: %w", reads, err)
		}
		reads++
		if len(got) != last {
			last = len(got)
			changes++
		}
	}
	again, err := io.ReadAll(io.NewSectionReader(old, 0, 1<<40))
	if err != nil || !bytes.Equal(again, kept) {
		return fmt.Errorf("the handle that was open all the time: %d bytes, then %d, %w", len(kept), len(again), err)
	}
	info, err := old.Stat()
	if err != nil || info.Links != 0 {
		return fmt.Errorf("the handle that was open all the time: %+v, %w", info, err)
	}
	fmt.Println(reads, changes)
	return old.Close()
}

// A6: ten thousand replaces under readers in other processes: the name always
// leads to a file, which is whole, and old handles keep their bytes.
func TestReplaceUnderOtherProcesses(t *testing.T) {
	const replacers = 4
	each := 2500
	if testing.Short() {
		each = 100
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	put(t, path, string(sealed(0, 1000)))
	var watchers, writers []*child
	for range 3 {
		watchers = append(watchers, startChild(t, "watch", path))
	}
	for _, c := range watchers {
		c.line(t)
	}
	for range replacers {
		writers = append(writers, startChild(t, "replace", path, strconv.Itoa(each)))
	}
	for _, c := range writers {
		c.end(t)
	}
	for _, c := range watchers {
		if err := c.in.Close(); err != nil {
			t.Error(err)
		}
		var reads, changes int
		if _, err := fmt.Sscan(c.line(t), &reads, &changes); err != nil {
			t.Fatal(err)
		}
		t.Logf("a reader opened it %d times and saw %d changes", reads, changes)
		if changes < 2 {
			t.Errorf("vacuous: a reader saw %d changes", changes)
		}
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
	mustHold(t, dir, "x")
}

// A7, F16: processes that replace a file are killed at random moments. The name
// leads to a whole file, of one of them, and the next writer sweeps what they
// left.
func TestKilledReplacers(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	put(t, path, string(sealed(0, 10)))
	writers, left := map[int]bool{0: true}, 0
	for range rounds {
		var pair []*child
		for range 2 {
			c := startChild(t, "replace", path, "0")
			writers[c.Process.Pid] = true
			pair = append(pair, c)
		}
		time.Sleep(time.Duration(rnd.IntN(40_000)) * time.Microsecond)
		for _, c := range pair {
			if err := c.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = c.Wait() // "signal: killed"
		}
		got, err := readWhole(path)
		id, sealErr := unseal(got)
		if err != nil || sealErr != nil || !writers[id] {
			t.Fatalf("after a kill the file is by %d, %v, %v", id, err, sealErr)
		}
		for name, err := range New().List(dir + "/") {
			if err != nil || name != path {
				t.Fatalf("List shows %s, %v", name, err)
			}
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) > 3 {
			t.Fatalf("two were killed, and %v, %v are there", entries, err)
		}
		left += len(entries) - 1
		w := New().Create(path, vfs.ReplaceIfExists, 0o600)
		_, err = w.Write(got)
		if err = errors.Join(err, w.Commit()); err != nil {
			t.Fatal(err)
		}
		mustHold(t, dir, "x")
	}
	t.Logf("%d kills left %d temporary files", 2*rounds, left)
}

// childHold locks args[0], has a Writer of it under way, starts a process that
// outlives it, says its number, and waits.
func childHold(args []string) error {
	f := New().Open(args[0], vfs.Append)
	l := New().Locker(args[0]+".lock", f, vfs.Append, 0o600)
	if err := l.Lock(context.Background()); err != nil {
		return err
	}
	w := New().Create(args[0]+".copy", vfs.FailIfExists, 0o600)
	if _, err := w.Write([]byte("half")); err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "DURUS_CHILD=idle")
	if err := cmd.Start(); err != nil {
		return err
	}
	fmt.Println(cmd.Process.Pid)
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// childIdle does nothing for a minute.
func childIdle([]string) error {
	time.Sleep(time.Minute)
	return nil
}

// A9, A10, A12, F22: while another process holds the lock, however long,
// TryLock says busy at once; when that one is killed the first TryLock has the
// lock, though a process lives on that was started under the lock: it has no
// descriptor of ours.
func TestTryLockAndAKilledHolder(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	put(t, path, "data")
	l := New().Locker(path+".lock", opened(t, path, vfs.Append), vfs.Append, 0o600)
	defer l.Close()
	holder := startChild(t, "hold", path)
	heir, err := strconv.Atoi(holder.line(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(heir, syscall.SIGKILL) // our child's child, which nobody else ends
	})
	// That this ends, while the holder waits for us, shows that no call waits.
	for range 1000 {
		if ok, err := l.TryLock(); ok || err != nil {
			t.Fatalf("TryLock = %v, %v while another process holds the lock", ok, err)
		}
	}
	if pid := l.Holder(); pid != 0 && pid != holder.Process.Pid {
		t.Errorf("Holder = %d, want %d", pid, holder.Process.Pid)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait() // "signal: killed"
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", heir))
	if err != nil || len(fds) == 0 {
		t.Fatalf("vacuous: the heir is gone: %v", err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, dir) {
			t.Errorf("the heir has %s open", to)
		}
	}
	if ok, err := l.TryLock(); !ok || err != nil {
		t.Fatalf("TryLock = %v, %v after the holder's end", ok, err)
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	fresh := New().Create(path+".copy", vfs.FailIfExists, 0o600)
	if err := fresh.Commit(); err != nil { // and what it had half written is swept
		t.Fatal(err)
	}
	mustHold(t, dir, "x", "x.copy", "x.lock")
}
