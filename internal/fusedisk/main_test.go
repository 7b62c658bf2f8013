//go:build linux && (amd64 || arm64)

package fusedisk

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
)

// roles are what the test binary does when it runs itself again with
// DURUS_CHILD set. Each gets the task that its starter gave to start.
var roles = map[string]func(task []byte) error{
	"write": with(runWriter),
	"judge": with(runJudge),
	"guard": with(runGuard),
}

const (
	roleEnv    = "DURUS_CHILD"
	privateEnv = "DURUS_FUSEDISK_PRIVATE"
)

// TestMain runs the tests in a mount namespace of their own: when the test
// process and its guard end, however that happens, the kernel takes down what
// they have mounted, and with the mounts go the loop devices.
func TestMain(m *testing.M) {
	switch role := os.Getenv(roleEnv); {
	case role != "":
		if err := play(role); err != nil {
			fmt.Fprintf(os.Stderr, "%s %d: %v\n", role, os.Getpid(), err)
			os.Exit(1)
		}
	case os.Getenv(privateEnv) == "" && os.Geteuid() == 0:
		os.Exit(runPrivately())
	default:
		if os.Geteuid() == 0 {
			if err := startGuard(); err != nil {
				fmt.Fprintln(os.Stderr, "fusedisk: start the guard:", err)
				os.Exit(1)
			}
		}
		// A goroutine that comes back from the kernel with an acknowledgement
		// must not wait for one that serves a disk: what is noted late asks
		// less of the images.
		runtime.GOMAXPROCS(max(16, runtime.GOMAXPROCS(0)))
		os.Exit(m.Run())
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

func runPrivately() int {
	runtime.LockOSThread() // Pdeathsig is sent when the thread ends that started the child
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), privateEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return exit.ExitCode()
	default:
		fmt.Fprintln(os.Stderr, "fusedisk: the tests in a mount namespace of their own:", err)
		return 1
	}
}
