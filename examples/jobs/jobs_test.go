package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// open opens a database for a test, which checks its table in the end.
func open(t *testing.T, path string) *durus.DB {
	t.Helper()
	db, err := durus.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		check := func(tx *durus.Tx) error { return durus.Must(queue.Load(tx)).Jobs.Check(tx) }
		if err := db.View(context.WithoutCancel(t.Context()), check); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// left returns the jobs of the queue.
func left(t *testing.T, db *durus.DB) []*Job {
	t.Helper()
	jobs, err := durus.Result(t.Context(), db.View, func(tx *durus.Tx) (jobs []*Job, err error) {
		for _, j := range durus.Each(tx, durus.Must(queue.Load(tx)).Jobs.All(tx)) {
			jobs = append(jobs, j)
		}
		return jobs, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}

// D1: workers are killed again and again while they work on one queue. Every
// job is begun, those that can be done leave the queue, and nothing is stuck.
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
	db := open(t, path)
	hopeless := 0
	for i := range count {
		fails, tries := "0", 100 // a lease that a kill ends counts as a try
		switch i % 10 {
		case 1:
			fails = "1"
		case 2:
			fails, tries = "1000", 2
			hopeless++
		}
		if err := add(t.Context(), db, []string{exe, "perform", trace, strconv.Itoa(i), fails}, tries); err != nil {
			t.Fatal(err)
		}
	}

	start := func() *exec.Cmd {
		c := exec.CommandContext(t.Context(), exe, "-file", path, "-lease", "1s", "work")
		c.Stderr = os.Stderr
		if _, err := c.StdinPipe(); err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	kill := func(c *exec.Cmd) {
		if err := c.Process.Kill(); err != nil {
			t.Errorf("a worker has ended by itself: %v", err)
		}
		_ = c.Wait()
	}
	var running []*exec.Cmd
	for range workers {
		running = append(running, start())
	}
	killed := 0
	pending := func(j *Job) bool { return !j.Due.IsZero() }
	for deadline := time.Now().Add(time.Minute); slices.ContainsFunc(left(t, db), pending); {
		if time.Now().After(deadline) {
			t.Fatal("jobs are stuck")
		}
		time.Sleep(50 * time.Millisecond)
		if killed < kills {
			kill(running[0])
			running = append(running[1:], start())
			killed++
		}
	}
	for _, c := range running {
		kill(c)
	}
	t.Logf("%d workers killed at work", killed)

	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	for i := range count {
		if began(text, strconv.Itoa(i)) == 0 {
			t.Errorf("job %d was never begun", i)
		}
	}
	dead := left(t, db)
	for _, j := range dead {
		if number := j.Command[3]; !strings.HasSuffix(number, "2") || j.Begun != 2 {
			t.Errorf("job %s is dead, it was begun %d times: %s", number, j.Begun, j.Report)
		}
	}
	if killed == 0 || len(dead) != hopeless {
		t.Errorf("%d workers were killed, and %d jobs are dead, of %d that fail always", killed, len(dead), hopeless)
	}
}

// A worker that is too late may not say what becomes of its job.
func TestLostLease(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "jobs.durus"))
	if err := add(t.Context(), db, []string{"x"}, 2); err != nil {
		t.Fatal(err)
	}
	slow, err := claim(t.Context(), db, time.Millisecond)
	if err != nil || slow == nil {
		t.Fatal(slow, err)
	}
	time.Sleep(2 * time.Millisecond)
	quick, err := claim(t.Context(), db, time.Minute)
	if err != nil || quick == nil {
		t.Fatal(quick, err)
	}
	if other, err := claim(t.Context(), db, time.Minute); err != nil || other != nil {
		t.Errorf("a leased job was leased: %v, %v", other, err)
	}
	for _, failure := range []error{nil, errors.New("too slow")} {
		if err := settle(t.Context(), db, slow, failure); err != nil {
			t.Fatal(err)
		}
	}
	if jobs := left(t, db); len(jobs) != 1 || !jobs[0].Due.Equal(quick.Due) || jobs[0].Begun != 2 {
		t.Errorf("the slow one was heard: %+v", jobs)
	}
	for range 2 { // the second report is about a job that is gone
		if err := settle(t.Context(), db, quick, nil); err != nil {
			t.Fatal(err)
		}
		if jobs := left(t, db); len(jobs) != 0 {
			t.Errorf("the quick one was not heard: %+v", jobs)
		}
	}
}

// What fails is tried again, later each time, and is dead in the end.
func TestRetries(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "jobs.durus"))
	if err := add(t.Context(), db, []string{"x"}, 2); err != nil {
		t.Fatal(err)
	}
	j, err := claim(t.Context(), db, time.Minute)
	if err != nil || j == nil {
		t.Fatal(j, err)
	}
	before := time.Now()
	if err := settle(t.Context(), db, j, errors.New("no paper")); err != nil {
		t.Fatal(err)
	}
	j = left(t, db)[0]
	if pause := j.Due.Sub(before); j.Begun != 1 || j.Report != "no paper" || pause < time.Second || pause > 10*time.Second {
		t.Errorf("after the first failure: %+v, due in %v", j, pause)
	}
	time.Sleep(time.Until(j.Due))
	if j, err = claim(t.Context(), db, time.Minute); err != nil || j == nil {
		t.Fatal(j, err)
	}
	if err := settle(t.Context(), db, j, errors.New("no ink")); err != nil {
		t.Fatal(err)
	}
	if j = left(t, db)[0]; !j.Due.IsZero() || j.Begun != 2 || j.Report != "no ink" {
		t.Errorf("after the last failure: %+v", j)
	}
}

// Who kills all its workers is dead in the end, too.
func TestPoison(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "jobs.durus"))
	if err := add(t.Context(), db, []string{"poison"}, 2); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, true, false} {
		j, err := claim(t.Context(), db, time.Millisecond)
		if err != nil || (j != nil) != want {
			t.Errorf("claim %d: %v, %v", i, j, err)
		}
		time.Sleep(2 * time.Millisecond)
	}
	if j := left(t, db)[0]; !j.Due.IsZero() || j.Begun != 2 || j.Report != "nobody has reported yet" {
		t.Errorf("the poison is %+v", j)
	}
}

// The commands as processes: what is said, and that a mistyped one makes no file.
func TestCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "jobs.durus")
	for _, step := range []struct {
		args []string
		want string
	}{
		{nil, "use: add PROGRAM"},
		{[]string{"add"}, "use: add PROGRAM"},
		{[]string{"burn"}, "use: add PROGRAM"},
		{[]string{"work", "x"}, "use: add PROGRAM"},
		{[]string{"-tries", "3", "add", "echo", "-n", "x"}, ""},
		{[]string{"status"}, `begun 0 of 3 times: ["echo" "-n" "x"]`},
	} {
		if _, err := os.Stat(file); strings.HasPrefix(step.want, "use") && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("there is a file: %v", err)
		}
		c := exec.CommandContext(t.Context(), exe, append([]string{"-file", file}, step.args...)...)
		c.Env = append(os.Environ(), childEnv+"=1")
		if _, err := c.StdinPipe(); err != nil {
			t.Fatal(err)
		}
		out, err := c.CombinedOutput()
		if !strings.Contains(string(out), step.want) || (err != nil) != strings.HasPrefix(step.want, "use") {
			t.Errorf("%v: %v, %s", step.args, err, out)
		}
	}
}
