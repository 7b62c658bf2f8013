//go:build linux

package torture

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
)

// roles are what the test binary does when it runs itself again with
// DURUS_CHILD set. Each gets the task that its starter gave to start.
var roles = map[string]func(task []byte) error{
	"client":   with(runClient),
	"inspect":  with(runInspect),
	"tally":    with(runTally),
	"hold":     with(runHold),
	"allocate": with(runAllocate),
	"create":   with(runCreate),
	"spawn":    with(runSpawn),
	"wait":     with(runWait),
	"graph":    with(runGraph),
	"pack":     with(runPack),

	"chaos":         with(runChaos),
	"chaos inspect": with(inspectChaos),
}

const roleEnv = "DURUS_CHILD"

func TestMain(m *testing.M) {
	role := os.Getenv(roleEnv)
	if role == "" {
		os.Exit(m.Run())
	}
	if err := play(role); err != nil {
		fmt.Fprintf(os.Stderr, "%s %d: %v\n", role, os.Getpid(), err)
		os.Exit(1)
	}
	os.Exit(0)
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
