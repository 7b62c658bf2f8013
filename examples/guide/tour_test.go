package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the programs print to testdata")

// childEnv makes the test binary the command itself.
const childEnv = "DURUS_EXAMPLE_GUIDE"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// The tour prints what testdata/tour.txt says.
func TestTour(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), exe)
	c.Env = append(os.Environ(), childEnv+"=1")
	c.Stderr = os.Stderr
	got, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "tour.txt", got)
}

// The first program finds what it has stored before.
func TestFirstProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("calls the go command")
	}
	program, dir := build(t, "first"), t.TempDir()
	var all []byte
	for range 2 {
		c := exec.CommandContext(t.Context(), program)
		c.Dir, c.Stderr = dir, os.Stderr
		out, err := c.Output()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, "$ first\n"...)
		all = append(all, out...)
	}
	golden(t, "first.txt", all)
}

// Three programs of different age work on one file at the same time. Each of
// them goes on from its first command in testdata/versions.txt to the end.
func TestVersions(t *testing.T) {
	if testing.Short() {
		t.Skip("calls the go command")
	}
	const name = "versions.txt"
	script, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "club.durus")
	running := map[string]*program{}
	var got bytes.Buffer
	for line := range strings.Lines(string(script)) {
		who, command, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "> ")
		if !ok {
			continue // an answer
		}
		if running[who] == nil {
			running[who] = start(t, build(t, "versions/"+who), file)
		}
		fmt.Fprintf(&got, "%s> %s\n%s\n", who, command, running[who].ask(t, command))
	}
	if len(running) != 3 {
		t.Errorf("%d programs are running, want 3", len(running))
	}
	golden(t, name, got.Bytes())
}

// program is a running process that answers each line with a line.
type program struct {
	in  io.Writer
	out *bufio.Reader
}

// start starts a process that ends when the test does, which closes its input.
func start(t *testing.T, path string, args ...string) *program {
	t.Helper()
	c := exec.CommandContext(context.WithoutCancel(t.Context()), path, args...)
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := c.Wait(); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	})
	return &program{in, bufio.NewReader(out)}
}

func (p *program) ask(t *testing.T, command string) string {
	t.Helper()
	if _, err := fmt.Fprintln(p.in, command); err != nil {
		t.Fatal(err)
	}
	answer, err := p.out.ReadString('\n')
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return strings.TrimSuffix(answer, "\n")
}

// build compiles a package below this one.
func build(t *testing.T, pkg string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program.exe")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./"+pkg).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}
