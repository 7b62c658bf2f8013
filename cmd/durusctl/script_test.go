package main

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write what the commands print now into the scripts")

func TestMain(m *testing.M) {
	// A program with the race detector sleeps for a second when it ends: too
	// long for scripts of many commands. Scripts get their environment in Setup.
	os.Setenv("GORACE", goRace)
	testscript.Main(m, map[string]func(){
		"durusctl":     main,
		"makedb":       makedb,
		"unprivileged": unprivileged,
	})
}

const goRace = "atexit_sleep_ms=0"

// Sessions as a user would have them. What scripts may use besides the
// commands of testscript:
//
//	exits CODE COMMAND...   runs a command and wants this exit code
//	scrub FILE              writes the last stdout without what differs from run to run
//	eventually PATTERN FILE waits until the file matches
//	untouched remember      notes bytes, times and names of all files here,
//	untouched               and wants them to be the same
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":      exits,
			"scrub":      scrub,
			"eventually": eventually,
			"untouched":  untouched,
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", goRace)
			env.Setenv("TZ", "UTC")
			return nil
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("%s exits with %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

var checksum = regexp.MustCompile(`[0-9a-f]{64}`)

var randomID = regexp.MustCompile(`[0-9a-f]{32}`)

func scrub(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: scrub FILE")
	}
	work, err := filepath.EvalSymlinks(ts.Getenv("WORK"))
	ts.Check(err)
	text := strings.ReplaceAll(ts.ReadFile("stdout"), work, "WORK")
	text = checksum.ReplaceAllString(text, "SHA256")
	text = randomID.ReplaceAllString(text, "ID")
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: eventually PATTERN FILE")
	}
	pattern := regexp.MustCompile(`(?m)` + args[0])
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if data, err := os.ReadFile(ts.MkAbs(args[1])); err == nil && pattern.Match(data) {
			return
		}
	}
	ts.Fatalf("%s does not come to match %s", args[1], args[0])
}

func untouched(ts *testscript.TestScript, neg bool, args []string) {
	now := stateOf(ts, ts.MkAbs("."))
	note := filepath.Join(ts.Getenv("TMPDIR"), "untouched")
	if len(args) == 1 && args[0] == "remember" {
		ts.Check(os.WriteFile(note, []byte(now), 0o600))
		return
	}
	if neg || len(args) != 0 {
		ts.Fatalf("usage: untouched [remember]")
	}
	before, err := os.ReadFile(note)
	ts.Check(err)
	if now != string(before) {
		ts.Fatalf("files were touched:\n%s\nbefore:\n%s", now, before)
	}
}

// stateOf lists files with all that a write would change.
func stateOf(ts *testscript.TestScript, dir string) string {
	entries, err := os.ReadDir(dir)
	ts.Check(err)
	var b strings.Builder
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		ts.Check(err)
		info, err := e.Info()
		ts.Check(err)
		fmt.Fprintf(&b, "%s %v %d %v %x\n", e.Name(), info.Mode(), info.Size(), info.ModTime(), sha256.Sum256(data))
	}
	return b.String()
}
