package main

import (
	"bytes"
	"errors"
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
)

// childEnv makes the test binary the command, or the program of a job.
const childEnv = "DURUS_EXAMPLE_JOBS"

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(childEnv) == "":
		os.Exit(m.Run())
	case os.Args[1] == "perform":
		os.Exit(perform(os.Args[2], os.Args[3], os.Args[4]))
	default:
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin) // ends with the test, however that does
			os.Exit(1)
		}()
		main()
	}
}

// perform is the program of a job: it notes its number in a file, and fails as
// often as it is told to.
func perform(file, number, fails string) int {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return 3
	}
	if _, err := fmt.Fprintln(f, number); err != nil {
		return 3
	}
	text, err := os.ReadFile(file)
	if err != nil || f.Close() != nil {
		return 3
	}
	if n, err := strconv.Atoi(fails); err != nil || began(text, number) <= n {
		return 1
	}
	return 0
}

// began counts how often a job has noted its number.
func began(text []byte, number string) int {
	return strings.Count("\n"+string(text), "\n"+number+"\n")
}

// D1: workers are killed again and again while they work on one queue. Every
// job is finished exactly once, what is done was begun, and nothing is stuck.
func TestKilledWorkers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	const count, workers, kills = 40, 3, 6
	t.Setenv(childEnv, "1")
	t.Setenv("GORACE", "atexit_sleep_ms=0") // else the race detector keeps each job for longer than its lease
	dir := t.TempDir()
	path, trace := filepath.Join(dir, "jobs.durus"), filepath.Join(dir, "trace")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for i := range count {
		fails, tries := "0", "100" // a lease that a kill ends counts as an attempt
		switch i % 10 {
		case 1:
			fails = "1"
		case 2:
			fails, tries = "1000", "2"
		}
		must(t, "-file", path, "add", "-tries", tries, exe, "perform", trace, strconv.Itoa(i), fails)
	}

	type end struct {
		worker *exec.Cmd
		err    error
	}
	ended := make(chan end)
	start := func() *exec.Cmd {
		c := exec.CommandContext(t.Context(), exe, "-file", path, "work", "-lease", "1s", "-backoff", "10ms", "-drain")
		c.Stderr = os.Stderr
		if _, err := c.StdinPipe(); err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { ended <- end{c, c.Wait()} }()
		return c
	}
	running := map[*exec.Cmd]bool{} // true: killed
	for range workers {
		running[start()] = false
	}
	killed := 0
	for len(running) > 0 {
		select {
		case e := <-ended:
			if e.err != nil && running[e.worker] {
				running[start()] = false
			} else if e.err != nil {
				t.Errorf("a worker: %v", e.err)
			}
			delete(running, e.worker)
		case <-time.After(50 * time.Millisecond):
			for c := range running { // any of them
				if killed < kills && c.Process.Kill() == nil {
					running[c] = true
					killed++
				}
				break
			}
		}
	}
	t.Logf("%d workers killed", killed)
	if killed == 0 {
		t.Error("no worker was killed at work")
	}

	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	db, err := durus.Open(path, &durus.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.View(t.Context(), func(tx *durus.Tx) error {
		q := durus.Must(queue.Load(tx))
		if n := durus.Must(q.Tickets.Len(tx)); n != 0 {
			t.Errorf("%d jobs are stuck", n)
		}
		finished := map[string]int{}
		for _, j := range durus.Each(tx, q.Done.All(tx)) {
			finished[j.Command[3]]++
			if began(text, j.Command[3]) == 0 {
				t.Errorf("job %s is done, and has never begun", j.Command[3])
			}
		}
		for _, j := range durus.Each(tx, q.Dead.All(tx)) {
			number := j.Command[3]
			if !strings.HasSuffix(number, "2") || j.Attempts != 2 {
				t.Errorf("job %s is dead after %d attempts: %s", number, j.Attempts, j.Failure)
			}
			finished[number]++
		}
		for i := range count {
			if n := finished[strconv.Itoa(i)]; n != 1 {
				t.Errorf("job %d is finished %d times", i, n)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), args, &out); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return out.String()
}

// A worker that is too late may not say what becomes of its job.
func TestLostLease(t *testing.T) {
	db, err := durus.OpenMemory(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := add(t.Context(), db, []string{"x"}, 2, time.Now()); err != nil {
		t.Fatal(err)
	}
	slow, err := claim(t.Context(), db, "slow", time.Millisecond)
	if err != nil || slow == nil {
		t.Fatal(slow, err)
	}
	time.Sleep(2 * time.Millisecond)
	quick, err := claim(t.Context(), db, "quick", time.Minute)
	if err != nil || quick == nil {
		t.Fatal(quick, err)
	}
	if other, err := claim(t.Context(), db, "third", time.Minute); err != nil || other != nil {
		t.Errorf("a leased job was leased: %v, %v", other, err)
	}
	if err := settle(t.Context(), db, slow, nil, time.Second); !errors.Is(err, errLeaseLost) {
		t.Errorf("the slow one reports: %v", err)
	}
	for i, want := range []error{nil, errLeaseLost} {
		if err := settle(t.Context(), db, quick, nil, time.Second); !errors.Is(err, want) {
			t.Errorf("report %d of the quick one: %v, want %v", i+1, err, want)
		}
	}
	if text, err := status(t.Context(), db); err != nil || text != "0 due, 0 running, 0 later, 1 done, 0 dead\n" {
		t.Errorf("%v: %s", err, text)
	}
}

// Who kills all its workers is put aside at last.
func TestPoison(t *testing.T) {
	db, err := durus.OpenMemory(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := add(t.Context(), db, []string{"poison"}, 2, time.Now()); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, true, false} {
		l, err := claim(t.Context(), db, "process 7", time.Millisecond)
		if err != nil || (l != nil) != want {
			t.Errorf("claim %d: %v, %v", i, l, err)
		}
		time.Sleep(2 * time.Millisecond)
	}
	want := "0 due, 0 running, 0 later, 0 done, 1 dead\ndead after 2 attempts: poison: process 7 has not reported within its lease\n"
	if text, err := status(t.Context(), db); err != nil || text != want {
		t.Errorf("%v: %s", err, text)
	}
}

func TestUsage(t *testing.T) {
	dir := t.TempDir()
	if out := must(t); out != usage {
		t.Errorf("without arguments it prints %q", out)
	}
	for _, args := range [][]string{{"add"}, {"burn"}, {"status", "x"}, {"status"}, {"add", "-tries", "0", "x"}, {"-x"}} {
		err := run(t.Context(), append([]string{"-file", filepath.Join(dir, "x.durus")}, args...), io.Discard)
		if err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("it has made %v, %v", files, err)
	}
}
