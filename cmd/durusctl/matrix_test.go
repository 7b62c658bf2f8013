package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
)

// line is how the matrix calls a command, and what it may answer. FILE stands for
// the database, and SPARE for a name in the same directory that is free.
type line struct {
	args     string
	noFile   bool   // it is not about a database
	writes   bool   // it may change the database: it gets one of its own
	noJSON   bool   // it prints no JSON
	object   bool   // it is about object 2, which an empty database has not
	damaged  []int  // exit codes for a database that is damaged in the middle, if not 0 or 1
	anywhere string // why it may fail on a database that is whole; "": it must not
}

// lines are the commands of the matrix. Each command of the program must be here.
var lines = map[string][]line{
	"inspect":    {{args: "inspect FILE"}, {args: "inspect FILE 2 --depth 3", object: true}},
	"census":     {{args: "census FILE"}},
	"refs":       {{args: "refs FILE 2", object: true}},
	"referrers":  {{args: "referrers FILE 2", object: true}},
	"path":       {{args: "path FILE 2", object: true}},
	"graph":      {{args: "graph FILE", noJSON: true, object: true}, {args: "graph FILE --format svg", object: true}, {args: "graph FILE --format html", object: true}},
	"log":        {{args: "log FILE"}},
	"tail":       {{args: "tail FILE"}},
	"history":    {{args: "history FILE 2", object: true}},
	"diff":       {{args: "diff FILE 0 9999999999999999", anywhere: "the transactions may be packed away"}},
	"locks":      {{args: "locks FILE"}},
	"top":        {{args: "top FILE -n 1 --interval 50ms"}},
	"verify":     {{args: "verify FILE", damaged: []int{exitProblems}}},
	"migrate":    {{args: "migrate FILE"}},
	"pack":       {{args: "pack FILE --dry-run", anywhere: "an empty database has no root directory"}, {args: "pack FILE", writes: true, anywhere: "an empty database has no root directory"}},
	"index":      {{args: "index FILE", writes: true, noJSON: true, anywhere: "an empty database has nothing to index"}},
	"retype":     {{args: "retype FILE rooted.Thing rooted.Other", writes: true, anywhere: "there may be no such class"}},
	"undo":       {{args: "undo FILE 1767323047000000 --dry-run", anywhere: notThere}, {args: "undo FILE 1767323047000000", writes: true, anywhere: notThere}},
	"backup":     {{args: "backup FILE SPARE", writes: true}},
	"restore":    {{args: "restore FILE SPARE", writes: true, anywhere: "a database may not be a backup of itself"}},
	"salvage":    {{args: "salvage FILE SPARE", writes: true, damaged: []int{exitProblems}}},
	"dump":       {{args: "dump FILE"}},
	"load":       {{args: "load SPARE", noFile: true, noJSON: true, anywhere: "standard input is empty"}},
	"man":        {{args: "man", noFile: true, noJSON: true}},
	"version":    {{args: "version", noFile: true}},
	"help":       {{args: "help", noFile: true, noJSON: true}},
	"completion": {{args: "completion bash", noFile: true, noJSON: true}},
}

const notThere = "the transaction may be packed away, or never have been"

// state is a database that each command meets.
type state struct {
	name string
	make func(t *testing.T, path string)
	code int  // of every command; -1: what the command answers to a whole database
	bad  bool // it is damaged: commands may fail, and must say why
	none bool // it has no objects
	huge bool // too large for a hash, or to copy
}

var states = []state{
	{name: "healthy", code: -1, make: func(t *testing.T, path string) { made(t, makeRooted(path, "")) }},
	{name: "containers", code: -1, make: func(t *testing.T, path string) { made(t, makeLibrary(path, "200")) }},
	{name: "empty", code: -1, none: true, make: func(t *testing.T, path string) { made(t, openMaker(path).close()) }},
	{name: "packed", code: -1, make: func(t *testing.T, path string) {
		made(t, makeRooted(path, ""))
		if code := run(t.Context(), []string{"pack", path}, &bytes.Buffer{}, &bytes.Buffer{}); code != exitOK {
			t.Fatalf("pack exits with %d", code)
		}
	}},
	{name: "torn", code: -1, make: func(t *testing.T, path string) {
		made(t, makeRooted(path, ""))
		made(t, appendText(path, "the begin of a commit"))
	}},
	{name: "damaged frame", code: -1, bad: true, make: func(t *testing.T, path string) {
		made(t, makeRooted(path, ""))
		made(t, flipByte(path, "-400"))
	}},
	{name: "damaged record", code: -1, bad: true, make: func(t *testing.T, path string) {
		made(t, makeLibrary(path, "200"))
		made(t, flipByte(path, "30000"))
	}},
	{name: "sparse", code: -1, huge: true, make: func(t *testing.T, path string) {
		made(t, makeRooted(path, ""))
		made(t, os.Truncate(path, *sparse))
	}},
	{name: "no database", code: exitNotDurus, make: func(t *testing.T, path string) {
		made(t, os.WriteFile(path, []byte(strings.Repeat("This is a letter.\n", 100)), 0o600))
	}},
	{name: "no file", code: exitNotFound, make: func(*testing.T, string) {}},
	{name: "no permission", code: exitFailed, make: func(t *testing.T, path string) {
		made(t, makeRooted(path, ""))
		made(t, os.Chmod(path, 0))
	}},
}

// sparse is the size of a database whose tail takes no room on the disk. Who only
// reads need not read it where holes are known.
var sparse = flag.Int64("sparse", sparseDefault(), "`bytes` of the sparse database in TestMatrix")

func sparseDefault() int64 {
	if runtime.GOOS == "linux" {
		return 5 << 30
	}
	return sparseToRead
}

// sparseToRead is the size for those who read it all: commands that write, since
// they may have to cut it.
const sparseToRead = 100 << 20

func made(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Every command meets every state of a database: it answers with the exit code that
// is told for it, says what is wrong in one line, prints whole JSON, and leaves the
// database alone unless it is for writing.
func TestMatrix(t *testing.T) {
	for _, c := range new(app).root().Commands() {
		if len(lines[c.Name()]) == 0 {
			t.Errorf("command %q is missing in the table lines of matrix_test.go: add how to call it", c.Name())
		}
	}
	for _, s := range states {
		t.Run(s.name, func(t *testing.T) {
			switch {
			case s.name == "no permission" && runtime.GOOS != "linux":
				t.Skip("file permissions are tested on Linux")
			case s.huge && testing.Short():
				t.Skip("a large file")
			}
			dir := t.TempDir()
			t.Cleanup(func() { os.Chmod(filepath.Join(dir, "a.durus"), 0o600) })
			s.make(t, filepath.Join(dir, "a.durus"))
			for name, list := range lines {
				for _, l := range list {
					meet(t, s, name, l, dir)
				}
			}
		})
	}
}

// meet runs one command line, as text and as JSON.
func meet(t *testing.T, s state, name string, l line, dir string) {
	for _, asJSON := range []bool{false, true} {
		if asJSON && s.huge {
			return // the same again, and slow
		}
		if l.writes {
			dir = t.TempDir()
			s.make(t, filepath.Join(dir, "a.durus"))
			if s.huge {
				made(t, os.Truncate(filepath.Join(dir, "a.durus"), min(*sparse, sparseToRead)))
			}
		}
		path := filepath.Join(dir, "a.durus")
		args := strings.Fields(l.args)
		for i := range args {
			args[i] = strings.NewReplacer("FILE", path, "SPARE", filepath.Join(dir, "spare")).Replace(args[i])
		}
		if asJSON {
			args = append(args, "--json")
		}
		before := fingerprint(t, dir, s.huge)
		out, notes, code := execute(t, s, args)
		what := strings.Join(args, " ")
		if want := l.codes(s); !slices.Contains(want, code) {
			t.Errorf("%s exits with %d, want one of %d: %s", what, code, want, notes)
		}
		if code != exitOK && !strings.HasPrefix(notes, "durusctl: ") {
			t.Errorf("%s exits with %d and says %q", what, code, notes)
		}
		if strings.Contains(notes, "goroutine ") || strings.Contains(notes, "panic") {
			t.Errorf("%s panics: %s", what, notes)
		}
		if asJSON && !l.noJSON && !validJSON(out) {
			t.Errorf("%s prints what is no JSON: %.200q", what, out)
		}
		if after := fingerprint(t, dir, s.huge); !l.writes && after != before {
			t.Errorf("%s has changed\n%sto\n%s", what, before, after)
		}
	}
}

// codes are the exit codes that a command may answer with.
func (l line) codes(s state) []int {
	switch {
	case l.noFile && l.anywhere != "":
		return []int{exitOK, exitFailed}
	case l.noFile:
		return []int{exitOK}
	case s.code >= 0:
		return []int{s.code}
	case l.anywhere != "":
		return []int{exitOK, exitFailed, exitNotFound}
	case s.bad:
		return append([]int{exitOK, exitFailed}, l.damaged...)
	case s.none && l.object:
		return []int{exitNotFound}
	}
	return []int{exitOK}
}

// execute runs a command line in this process, or, where permissions count, in one
// that has to obey them.
func execute(t *testing.T, s state, args []string) (out, notes string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if s.name != "no permission" || os.Geteuid() != 0 {
		code = run(t.Context(), args, &stdout, &stderr)
		return stdout.String(), stderr.String(), code
	}
	cmd := exec.Command(program(t, "unprivileged"), append([]string{program(t, "durusctl")}, args...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), code
}

// program is the test binary under a name that TestMain knows.
func program(t *testing.T, name string) string {
	t.Helper()
	self, err := os.Executable()
	made(t, err)
	link := filepath.Join(t.TempDir(), name)
	made(t, os.Symlink(self, link))
	return link
}

func validJSON(out string) bool {
	for text := range strings.Lines(out) {
		if !json.Valid([]byte(text)) {
			return false
		}
	}
	return true
}

// fingerprint tells all that a write would change.
func fingerprint(t *testing.T, dir string, huge bool) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	made(t, err)
	var b strings.Builder
	for _, e := range entries {
		info, err := e.Info()
		made(t, err)
		sum := ""
		if !huge && info.Mode().Perm() != 0 {
			data, err := os.ReadFile(filepath.Join(dir, e.Name()))
			made(t, err)
			sum = fmt.Sprintf("%x", sha256.Sum256(data))
		}
		fmt.Fprintf(&b, "%s %v %d %v %s\n", e.Name(), info.Mode(), info.Size(), info.ModTime(), sum)
	}
	return b.String()
}

// Every command works beside a program that writes, and ends in silence when nobody
// reads what it prints.
func TestMatrixInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.durus")
	made(t, makeLibrary(path, "50"))
	m := openMaker(path)
	made(t, m.err)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		oid := m.oid()
		for ctx.Err() == nil && m.err == nil {
			m.commit(storage.Meta{}, m.record(oid, "bank.Owner", ownerPlan, &owner{Name: "writer"}))
			time.Sleep(time.Millisecond)
		}
	}()
	for _, list := range lines {
		for _, l := range list {
			if l.anywhere != "" || strings.Contains(l.args, "SPARE") {
				continue // what it answers depends on what is written, or is there already
			}
			args := strings.Fields(strings.ReplaceAll(l.args, "FILE", path))
			var out, notes bytes.Buffer
			if code := run(t.Context(), args, &out, &notes); code != exitOK {
				t.Errorf("%s exits with %d: %s", l.args, code, notes.String())
			}
			if code := run(t.Context(), args, closedPipe{}, &notes); code != exitOK {
				t.Errorf("%s into a closed pipe exits with %d: %s", l.args, code, notes.String())
			}
			if strings.Contains(notes.String(), "pipe") {
				t.Errorf("%s complains about a closed pipe: %s", l.args, notes.String())
			}
		}
	}
	stop()
	<-done
	made(t, m.close())
	var out, problems bytes.Buffer
	if code := run(t.Context(), []string{"verify", path}, &out, &problems); code != exitOK {
		t.Errorf("verify exits with %d: %s%s", code, out.String(), problems.String())
	}
}

// closedPipe is one whose reader has gone.
type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, fmt.Errorf("write: %w", syscall.EPIPE) }
