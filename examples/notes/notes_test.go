package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/durusdb/durus/durus"
)

// childEnv makes the test binary the command itself.
const childEnv = "DURUS_EXAMPLE_NOTES"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// command is the program in a process of its own, in a directory.
func command(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), exe, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), childEnv+"=1")
	return c
}

// D1: one process watches while others add, also at the same time.
func TestTwoTerminals(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir := t.TempDir()
	watch := command(t, dir, "watch")
	out, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()

	var adds []*exec.Cmd
	for i := range 5 {
		c := command(t, dir, "add", "note", fmt.Sprint(i))
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		adds = append(adds, c)
	}
	for _, c := range adds {
		if err := c.Wait(); err != nil {
			t.Errorf("add: %v", err)
		}
	}
	var watched strings.Builder
	for range adds {
		select {
		case line := <-lines:
			fmt.Fprintln(&watched, line)
		case <-time.After(10 * time.Second):
			t.Fatalf("watch has shown no more than\n%s", &watched)
		}
	}
	for i := range adds {
		if n := strings.Count(watched.String(), fmt.Sprintf("  note %d\n", i)); n != 1 {
			t.Errorf("watch has shown note %d %d times:\n%s", i, n, &watched)
		}
	}
	if listed, err := command(t, dir, "list").Output(); err != nil || string(listed) != watched.String() {
		t.Errorf("list prints %q, %v; watch has shown %q", listed, err, &watched)
	}
	if err := watch.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = watch.Wait()
}

// What was added is undone and redone, as the history says.
func TestUndo(t *testing.T) {
	t.Chdir(t.TempDir())
	do := func(want string, args ...string) []string {
		t.Helper()
		var out bytes.Buffer
		if err := run(t.Context(), args, &out); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		var last []string
		for _, l := range lines {
			_, text, _ := strings.Cut(strings.TrimSpace(l), "  ")
			if args[0] == "history" {
				_, text, _ = strings.Cut(text, "  ")
			}
			last = append(last, text)
		}
		if got := strings.Join(last, ","); got != want {
			t.Errorf("%v prints %q, want %q", args, got, want)
		}
		return lines
	}
	tid := func(line string) string { id, _, _ := strings.Cut(line, " "); return id }
	do("", "add", "milk")
	do("", "add", "bread")
	lines := do("add milk,add bread", "history")
	do("", "undo", tid(lines[1]))
	do("milk", "list")
	lines = do("add milk,add bread,undo of "+tid(lines[1]), "history")
	do("", "undo", tid(lines[2]))
	do("milk,bread", "list")
	if err := run(t.Context(), []string{"undo", tid(lines[0])}, &bytes.Buffer{}); !errors.Is(err, durus.ErrConflict) {
		t.Errorf("the list has changed since: %v", err)
	}
}

func TestUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Cleanup(func() {
		if files, err := os.ReadDir("."); err != nil || len(files) > 0 {
			t.Errorf("it has made %v, %v", files, err)
		}
	})
	for _, args := range [][]string{nil, {"add"}, {"list", "x"}, {"burn"}, {"undo"}, {"undo", "x"}, {"history", "x"}} {
		var out bytes.Buffer
		if err := run(t.Context(), args, &out); err == nil || out.Len() > 0 {
			t.Errorf("%v: %v, %q", args, err, &out)
		}
	}
}
