package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// follower is a durusctl tail -f that runs.
type follower struct {
	cmd    *exec.Cmd
	lines  chan string
	stderr bytes.Buffer
}

func follow(t *testing.T, args ...string) *follower {
	t.Helper()
	f := &follower{cmd: exec.CommandContext(t.Context(), "durusctl", append([]string{"tail", "-f"}, args...)...), lines: make(chan string, 1024)}
	f.cmd.Stderr = &f.stderr
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(f.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			f.lines <- s.Text()
		}
	}()
	return f
}

func (f *follower) next(t *testing.T) string {
	t.Helper()
	select {
	case s, ok := <-f.lines:
		if !ok {
			t.Fatalf("it ended: %s", f.stderr.String())
		}
		return s
	case <-time.After(10 * time.Second):
		t.Fatalf("nothing comes: %s", f.stderr.String())
	}
	return ""
}

// interrupt sends Ctrl-C and returns the exit code.
func (f *follower) interrupt(t *testing.T) int {
	t.Helper()
	if err := f.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for range f.lines { // Wait closes the pipe, so all must have been read
	}
	var exit *exec.ExitError
	if err := f.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return f.cmd.ProcessState.ExitCode()
}

func tidOf(t *testing.T, line string) string {
	t.Helper()
	var tx struct {
		TID  string
		OIDs []string
	}
	if err := json.Unmarshal([]byte(line), &tx); err != nil || tx.TID == "" || len(tx.OIDs) == 0 {
		t.Fatalf("line %q: %v", line, err)
	}
	return tx.TID
}

// It prints every transaction of other processes once, in their order, while
// they happen, and ends with 130 at Ctrl-C without a word.
func TestTailFollowsOtherProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.durus")
	if err := makeBank(path, ""); err != nil {
		t.Fatal(err)
	}
	f := follow(t, path, "--json", "-n", "2")
	for _, want := range []string{"1767323048000000", "1767323049000000"} {
		if got := tidOf(t, f.next(t)); got != want {
			t.Fatalf("it begins with transaction %s, want %s", got, want)
		}
	}
	const n = 50
	writer := exec.CommandContext(t.Context(), "makedb", "write", path, "50")
	out, err := writer.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields(string(out))
	if len(want) != n {
		t.Fatalf("%d transactions were written", len(want))
	}
	for i := range n {
		if got := tidOf(t, f.next(t)); got != want[i] {
			t.Fatalf("transaction %d is %s, want %s", i, got, want[i])
		}
	}
	if code := f.interrupt(t); code != exitInterrupted {
		t.Errorf("Ctrl-C: exit code %d, want %d", code, exitInterrupted)
	}
	if s := f.stderr.String(); s != "" {
		t.Errorf("it says %q", s)
	}
}

// While nothing happens it hardly runs: a look a second, or 40 where no notices come.
func TestTailIdles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.durus")
	if err := makeBank(path, ""); err != nil {
		t.Fatal(err)
	}
	f := follow(t, path)
	for range 5 { // a header and four transactions
		f.next(t)
	}
	time.Sleep(time.Second)
	if code := f.interrupt(t); code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
	busy := f.cmd.ProcessState.UserTime() + f.cmd.ProcessState.SystemTime()
	if busy > 500*time.Millisecond {
		t.Errorf("it ran for %v in a second in which nothing happened", busy)
	}
}

// A backup is restored under it, by renaming: it says so and goes on with what
// is there now.
func TestTailGoesOnAfterRestore(t *testing.T) {
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "a.durus"), filepath.Join(dir, "backup")
	if err := makeBank(path, ""); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(backup, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := makeWrites(path, "3", io.Discard); err != nil {
		t.Fatal(err)
	}
	f := follow(t, path, "--json", "-n", "1")
	tidOf(t, f.next(t))
	if err := os.Rename(backup, path); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // a file that was replaced is noticed within 50 ms
	if err := makeWrites(path, "2", io.Discard); err != nil {
		t.Fatal(err)
	}
	tidOf(t, f.next(t))
	tidOf(t, f.next(t))
	if code := f.interrupt(t); code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
	if !strings.Contains(f.stderr.String(), "going on with what the file holds now") {
		t.Errorf("it says %q", f.stderr.String())
	}
}

// A copy has no lock file, and so no durable mark, until somebody writes to it.
func TestTailOfCopy(t *testing.T) {
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "a.durus"), filepath.Join(dir, "copy.durus")
	if err := exec.CommandContext(t.Context(), "makedb", "unclosed", path).Run(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(backup, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f := follow(t, backup, "--json", "-n", "1")
	if got, want := tidOf(t, f.next(t)), "1767323048000000"; got != want {
		t.Errorf("the newest transaction known to be durable is %s, want %s", got, want)
	}
	if err := makeWrites(backup, "1", io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1767323049000000", "1767323049000001"} {
		if got := tidOf(t, f.next(t)); got != want {
			t.Errorf("transaction %s, want %s", got, want)
		}
	}
	if code := f.interrupt(t); code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
}

// Every command listens to Ctrl-C.
func TestInterrupted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.durus")
	if err := makeBank(path, ""); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range [][]string{{"inspect", path}, {"inspect", path, "3"}, {"verify", path}, {"log", path}, {"tail", path}, {"locks", path}} {
		if code := run(ctx, args, io.Discard, io.Discard); code != exitInterrupted {
			t.Errorf("%s: exit code %d, want %d", args[0], code, exitInterrupted)
		}
	}
}
