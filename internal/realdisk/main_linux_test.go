package realdisk

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// roles are what the test binary does when it runs itself again with
// DURUS_CHILD set. Each gets the task that its starter gave to start.
var roles = map[string]func(task []byte) error{
	"commit":      with(runCommit),
	"watch":       with(runWatch),
	"create":      with(runCreate),
	"restore":     with(runRestore),
	"descriptors": with(runDescriptors),
}

const (
	roleEnv  = "DURUS_CHILD"
	testRole = "tests" // runs the tests, in a mount namespace of its own
)

// quiet is for handles whose warnings are what the test wants.
var quiet = slog.New(slog.DiscardHandler)

func init() {
	// What counts system calls counts them for each thread: a child does all
	// its work on the one that it begins with.
	if role := os.Getenv(roleEnv); role != "" && role != testRole {
		runtime.LockOSThread()
	}
}

func TestMain(m *testing.M) {
	slog.SetDefault(quiet)
	switch role := os.Getenv(roleEnv); role {
	case "":
		os.Exit(isolated(m))
	case testRole:
		_ = os.Unsetenv(roleEnv) // it is set
		os.Exit(m.Run())
	default:
		if err := play(role); err != nil {
			fmt.Fprintf(os.Stderr, "%s %d: %v\n", role, os.Getpid(), err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// isolated runs the tests in a process with a mount namespace of its own, or
// here when the system gives none: then those that mount something skip.
func isolated(m *testing.M) int {
	runtime.LockOSThread() // Pdeathsig comes when the thread ends that started the child
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), roleEnv+"="+testRole, aloneEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return m.Run()
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return exit.ExitCode()
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// aloneEnv is set in the mount namespace of the tests.
const aloneEnv = "DURUS_REAL_ALONE"

// needMounts skips where nothing can be mounted that nobody else sees.
func needMounts(t testing.TB) {
	t.Helper()
	if os.Getenv(aloneEnv) == "" {
		t.Skip("SKIP: no mount namespace of our own: this needs root")
	}
}

// needProgram skips where a program is missing.
func needProgram(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("SKIP: %v", err)
	}
}

func play(role string) error {
	run, ok := roles[role]
	if !ok || len(os.Args) != 2 {
		return fmt.Errorf("there is no such role, or it has no task: %q", os.Args[1:])
	}
	return run([]byte(os.Args[1]))
}

// with makes a role of a function that takes its task decoded.
func with[T any](run func(T) error) func([]byte) error {
	return func(text []byte) error {
		var task T
		if err := json.Unmarshal(text, &task); err != nil {
			return err
		}
		return run(task)
	}
}

// thorough reports whether everything is to be tried, not a sample.
func thorough() bool {
	return os.Getenv("DURUS_TORTURE") != "" || os.Getenv("DURUS_REAL_SECONDS") != ""
}

// lasts is how long a part of the test goes on that could go on for ever:
// usual, or what DURUS_REAL_SECONDS says.
func lasts(t testing.TB, usual time.Duration) time.Duration {
	t.Helper()
	s := os.Getenv("DURUS_REAL_SECONDS")
	switch {
	case s != "":
		seconds, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatalf("DURUS_REAL_SECONDS: %v", err)
		}
		return time.Duration(seconds * float64(time.Second))
	case thorough():
		return 10 * usual
	case testing.Short():
		return usual / 3
	}
	return usual
}

// newRand is seeded by DURUS_SEED, or differently each time, and says so.
func newRand(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("DURUS_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("DURUS_SEED: %v", err)
		}
	}
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}
