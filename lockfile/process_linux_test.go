package lockfile

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs"
)

func init() {
	children["count"] = childCount
	children["mark"] = childMark
	children["hold"] = childHold
}

// childCount adds 1 to the number in the data file, args[2] times, each time
// under the lock and in three steps.
func childCount(args []string) error {
	l, f, err := childLocker(args)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	for range n {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err := l.Lock(ctx)
		cancel()
		if err != nil {
			return err
		}
		var p [8]byte
		if _, err := f.ReadAt(p[:], 0); err != nil {
			return err
		}
		binary.LittleEndian.PutUint64(p[:], binary.LittleEndian.Uint64(p[:])+1)
		if _, err := f.WriteAt(p[:], 0); err != nil {
			return err
		}
		if err := l.Unlock(); err != nil {
			return err
		}
	}
	return l.Close()
}

// childMark raises the counter in the mark, args[2] times.
func childMark(args []string) error {
	l, _, err := childLocker(args)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	for range n {
		if err := l.UpdateMark(context.Background(), increment); err != nil {
			return err
		}
	}
	return l.Close()
}

// childHold takes the lock, says so, and holds it until its input ends. With a
// third argument it starts that program while it holds the lock.
func childHold(args []string) error {
	l, _, err := childLocker(args)
	if err != nil {
		return err
	}
	if err := l.Lock(context.Background()); err != nil {
		return err
	}
	pid := 0
	if len(args) > 2 {
		cmd := exec.Command(args[2], args[3:]...)
		if err := cmd.Start(); err != nil {
			return err
		}
		pid = cmd.Process.Pid
	}
	fmt.Printf("locked %d\n", pid)
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return l.Unlock()
}

func childLocker(args []string) (*Locker, *os.File, error) {
	f, err := os.OpenFile(args[0], os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	return New(args[1], f, vfs.Append, 0), f, nil
}

// command is this test binary in another role. It dies with us.
func command(role string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), "DURUS_CHILD="+role)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// holder is a child that holds the lock.
type holder struct {
	*exec.Cmd
	input io.Closer
	pid   int // of the program that it started
}

func startHolder(t *testing.T, args ...string) *holder {
	t.Helper()
	cmd := command("hold", args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h := &holder{Cmd: cmd, input: in}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be gone already
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(line, "locked %d", &h.pid); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return h
}

// runAll runs n children in one role and waits for them.
func runAll(t *testing.T, n int, role string, args ...string) {
	t.Helper()
	var cmds []*exec.Cmd
	for range n {
		cmd := command(role, args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		cmds = append(cmds, cmd)
	}
	for _, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", role, err)
		}
	}
}

func count(t *testing.T, data string) uint64 {
	t.Helper()
	p, err := os.ReadFile(data)
	if err != nil {
		t.Fatal(err)
	}
	return binary.LittleEndian.Uint64(p)
}

// D3: processes exclude each other.
func TestProcessesLoseNoUpdate(t *testing.T) {
	data := newData(t)
	runAll(t, 4, "count", data, data+".lock", "1000")
	if n := count(t, data); n != 4000 {
		t.Fatalf("%d increments, want 4000", n)
	}
}

// F35: no process starves: while the fastest of four takes the lock as fast as
// it can, each of the others gets it, too.
func TestNoProcessStarves(t *testing.T) {
	data := newData(t)
	l := openLocker(t, data, data+".lock")
	var cmds []*exec.Cmd
	for range 3 {
		cmd := command("count", data, data+".lock", "1000000")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		cmds = append(cmds, cmd)
	}
	t.Cleanup(func() {
		for _, cmd := range cmds {
			_ = cmd.Process.Kill() // it would count on
			_ = cmd.Wait()
		}
	})
	eventually(t, "they count", func() bool { return count(t, data) > 100 })
	var worst time.Duration
	for range 50 {
		start := time.Now()
		mustLock(t, l)
		worst = max(worst, time.Since(start))
		mustUnlock(t, l)
		time.Sleep(time.Millisecond)
	}
	t.Logf("the longest of 50 waits was %v", worst)
	if worst > 2*time.Second {
		t.Errorf("waited %v behind three busy processes", worst)
	}
}

// F11, H4: they do while somebody deletes the lock file again and again.
func TestDeletedLockFile(t *testing.T) {
	data := newData(t)
	stop := make(chan struct{})
	var removed atomic.Int64
	var deleter sync.WaitGroup
	deleter.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if os.Remove(data+".lock") == nil {
				removed.Add(1)
			}
			for last := time.Now(); time.Since(last) < 200*time.Microsecond; {
				runtime.Gosched() // a sleep would take a millisecond
			}
		}
	})
	rounds := 0
	for start := time.Now(); removed.Load() < 100 && time.Since(start) < 5*time.Second; rounds++ {
		runAll(t, 4, "count", data, data+".lock", "1000")
	}
	close(stop)
	deleter.Wait()
	t.Logf("deleted %d times in %d rounds", removed.Load(), rounds)
	if removed.Load() < 20 {
		t.Errorf("vacuous: deleted %d times", removed.Load())
	}
	if n := count(t, data); n != uint64(rounds)*4000 {
		t.Fatalf("%d increments, want %d", n, rounds*4000)
	}
}

// F13: processes that came by different names exclude each other.
func TestProcessesByLinks(t *testing.T) {
	data := newData(t)
	if err := errors.Join(os.Link(data, data+".hard"), os.Symlink(data, data+".soft")); err != nil {
		t.Fatal(err)
	}
	a, b := command("count", data, data+".lock", "500"), command("count", data+".hard", data+".hard.lock", "500")
	c := command("count", data+".soft", data+".soft.lock", "500")
	for _, cmd := range []*exec.Cmd{a, b, c} {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, cmd := range []*exec.Cmd{a, b, c} {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	if n := count(t, data); n != 1500 {
		t.Fatalf("%d increments, want 1500", n)
	}
}

// A12, F10, D10, H18: the kernel gives back the lock of a process that was killed;
// nobody compares pids or times.
func TestKilledHolder(t *testing.T) {
	noLeak(t)
	data := newData(t)
	l := openLocker(t, data, data+".lock")
	h := startHolder(t, data, data+".lock")
	mustBeBusy(t, l)
	got := make(chan error)
	go func() { got <- l.Lock(context.Background()) }()
	eventually(t, "it waits", l.joins)
	start := time.Now()
	if err := h.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d > 100*time.Millisecond {
		t.Errorf("the lock came %v after the kill", d)
	}
	mustUnlock(t, l)
}

// F33: signals interrupt neither a wait in flock nor what follows it.
func TestSignalsWhileWaiting(t *testing.T) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1) // begins a goroutine that stays
	defer signal.Stop(signals)
	noLeak(t)
	data := newData(t)
	l := openLocker(t, data, data+".lock")
	h := startHolder(t, data, data+".lock")
	got := make(chan error)
	go func() { got <- l.Lock(context.Background()) }()
	eventually(t, "it waits", l.joins)
	for range 20 {
		if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	select {
	case err := <-got:
		t.Fatalf("Lock ended while the lock was held: %v", err)
	default:
	}
	if err := h.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	mustUnlock(t, l)
}

// A9, F31: a stopped holder keeps the lock; the others are told who it is.
func TestStoppedHolder(t *testing.T) {
	noLeak(t)
	data := newData(t)
	l := openLocker(t, data, data+".lock")
	if pid := l.Holder(); pid != 0 {
		t.Fatalf("Holder = %d of a free lock", pid)
	}
	h := startHolder(t, data, data+".lock")
	if err := h.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	start := time.Now() // before the context's time begins
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := l.Lock(ctx); err != context.DeadlineExceeded {
		t.Fatalf("Lock = %v", err)
	}
	if d := time.Since(start); d < 300*time.Millisecond || d > time.Second {
		t.Errorf("Lock gave up after %v", d)
	}
	if pid := l.Holder(); pid != h.Process.Pid {
		t.Errorf("Holder = %d, want %d", pid, h.Process.Pid)
	}
	if err := h.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	mustBeBusy(t, l)
	time.Sleep(20 * time.Millisecond)
	mustBeBusy(t, l)
	if err := h.input.Close(); err != nil {
		t.Fatal(err)
	}
	mustLock(t, l)
	if pid := l.Holder(); pid != os.Getpid() {
		t.Errorf("Holder = %d, want ourselves", pid)
	}
	mustUnlock(t, l)
}

// A10, F22: a program started while the lock is held does not keep it.
func TestInheritedDescriptors(t *testing.T) {
	noLeak(t)
	data := newData(t)
	l := openLocker(t, data, data+".lock")
	h := startHolder(t, data, data+".lock", "sleep", "60")
	t.Cleanup(func() { _ = syscall.Kill(h.pid, syscall.SIGKILL) }) // our child's child, which nobody else ends
	mustBeBusy(t, l)
	if err := h.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = h.Wait() // "signal: killed"
	if err := syscall.Kill(h.pid, 0); err != nil {
		t.Fatalf("vacuous: sleep is gone: %v", err)
	}
	if ok, err := l.TryLock(); !ok || err != nil {
		t.Fatalf("TryLock = %v, %v", ok, err)
	}
	mustUnlock(t, l)
}

// The latch excludes processes: no increment of the mark is lost.
func TestProcessesUpdateMark(t *testing.T) {
	data := newData(t)
	l := openLocker(t, data, data+".lock")
	mustLock(t, l) // it has nothing to do with the lock
	runAll(t, 6, "mark", data, data+".lock", "500")
	mustUnlock(t, l)
	if n := readCounter(t, l); n != 3000 {
		t.Fatalf("the mark counts %d, want 3000", n)
	}
}

func TestFindHolder(t *testing.T) {
	id := vfs.FileID{Dev: 8<<8 | 0x11, Ino: 131077}
	for name, c := range map[string]struct {
		locks string
		pid   int
	}{
		"none":          {"", 0},
		"held":          {"1: POSIX  ADVISORY  WRITE 9 08:11:131077 0 EOF\n2: FLOCK  ADVISORY  WRITE 4711 08:11:131077 0 EOF\n", 4711},
		"only waited":   {"1: -> FLOCK  ADVISORY  WRITE 4712 08:11:131077 0 EOF\n", 0},
		"other inode":   {"1: FLOCK  ADVISORY  WRITE 4711 08:11:131078 0 EOF\n", 0},
		"other device":  {"1: FLOCK  ADVISORY  WRITE 4711 08:12:131077 0 EOF\n", 0},
		"shared":        {"1: FLOCK  ADVISORY  READ 4711 08:11:131077 0 EOF\n", 0},
		"outside of us": {"1: FLOCK  ADVISORY  WRITE -1 08:11:131077 0 EOF\n", 0},
		"nonsense":      {"1: FLOCK ADVISORY WRITE x y 0 EOF\n1: FLOCK\n", 0},
	} {
		if pid := findHolder(strings.NewReader(c.locks), id); pid != c.pid {
			t.Errorf("%s: pid %d, want %d", name, pid, c.pid)
		}
	}
}
