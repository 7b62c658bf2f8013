//go:build linux

package torture

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/vfs"
)

// runWait is a process that has nothing to do with the database. It lives as
// long as its standard input, which it shares with who started it.
func runWait(struct{}) error {
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// runSpawn commits all the time and starts processes meanwhile, which outlive
// it. It says their pids.
func runSpawn(task tallyTask) error {
	db, err := durus.Open(task.Path, nil)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() {
		for {
			if _, err := increment(db, task.Name); err != nil {
				failed <- err
				return
			}
		}
	}()
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	for {
		cmd := exec.Command(exe, "{}")
		cmd.Env = append(os.Environ(), roleEnv+"=wait")
		cmd.Stdin = os.Stdin
		if err := cmd.Start(); err != nil {
			return err
		}
		if err := tell("%d", cmd.Process.Pid); err != nil {
			return err
		}
		select {
		case err := <-failed:
			return err
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// F22, acceptance test 32: processes that are started while their parent
// commits inherit nothing of the database. When the parent is killed the lock
// is free, and its children live on.
func TestKillParent(t *testing.T) {
	const freed = 100 * time.Millisecond
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	path := filepath.Join(t.TempDir(), "inherit.durus")
	db := open(t, path, nil)
	if _, err := increment(db, "x"); err != nil {
		t.Fatal(err)
	}
	p := newProbe(t, path, vfs.Append)
	var longest time.Duration
	for round := range rounds {
		parent := start(t, "spawn", tallyTask{Path: path, Name: "x"})
		var pids []int
		for range 4 + round {
			pid, err := strconv.Atoi(parent.hear())
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
		parent.kill()
		begin := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 3*freed)
		if err := p.locker.Lock(ctx); err != nil {
			t.Errorf("the lock is not free after %v: %v", 3*freed, err)
		} else if err := p.locker.Unlock(); err != nil {
			t.Error(err)
		}
		cancel()
		longest = max(longest, time.Since(begin))
		for _, pid := range pids {
			mustNotHold(t, pid, path)
		}
		if err := parent.in.Close(); err != nil { // ends them
			t.Error(err)
		}
	}
	if _, err := increment(db, "x"); err != nil {
		t.Error(err)
	}
	t.Logf("the lock was free after %v at most", longest)
}

// mustNotHold checks that a process lives and has no descriptor of the
// database. One that is on its way to its own program has them still.
func mustNotHold(t *testing.T, pid int, path string) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	held := ""
	for range 1000 {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Errorf("process %d does not live on: %v", pid, err)
			return
		}
		held = ""
		for _, e := range entries {
			if name, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && strings.HasPrefix(name, path) {
				held = name
			}
		}
		if held == "" {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("process %d has inherited %s", pid, held)
}
