package main

import (
	"context"
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

// commandEnv makes the test binary the command, whose workers are as it says.
const commandEnv = "DURUS_EXAMPLE_BANK"

func TestMain(m *testing.M) {
	worker := os.Getenv(commandEnv)
	if worker == "" {
		os.Exit(m.Run())
	}
	if teller := os.Args[len(os.Args)-1]; worker != "honest" && strings.HasPrefix(teller, "worker") {
		lie(worker, os.Args[2], teller)
	}
	main()
}

// lie is what a worker does that must be found out.
func lie(worker, path, teller string) {
	db, err := durus.Open(path, nil)
	for n := 1; n <= 3 && err == nil; n++ {
		if worker != "idle" {
			n, err = transfer(context.Background(), db, durus.NewRoot[Teller](teller))
		}
		if worker != "silent" {
			fmt.Println(n, 1, 0, 0)
		}
	}
	switch {
	case err != nil || worker == "ending":
		os.Exit(1)
	case worker == "repeating":
		fmt.Println(3, 1, 0, 0)
	case worker == "babbling":
		fmt.Println("3, or maybe 4")
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed, or nobody is there to kill it
	os.Exit(1)
}

// command runs the command on a file with workers of a kind, and returns its
// exit code and what it printed.
func command(t *testing.T, workers, path string, args ...string) (int, string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, append([]string{"-file", path}, args...)...)
	cmd.WaitDelay = 10 * time.Second // should processes outlive it that hold its output
	cmd.Env = append(os.Environ(), commandEnv+"="+workers, "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// D1, D4, D5, D10, scenario 25: two programs share one file, each with workers
// and readers that are killed, while one of them packs it. All totals are right, no
// acknowledged commit is lost, and nobody stands still.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	path := filepath.Join(t.TempDir(), "bank.durus")
	for name, packing := range map[string]bool{"one": true, "another": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out := command(t, "honest", path, "-time", "4s", "-workers", "2", "-readers", "1", "-accounts", "20", "-pack="+strconv.FormatBool(packing))
			if code != 0 || !strings.Contains(out, "\nOK: ") {
				t.Errorf("exit code %d:\n%s", code, out)
			}
			rows := table(out)
			if want := map[bool]int{false: 3, true: 4}[packing]; len(rows) != want {
				t.Errorf("%d rows, want %d", len(rows), want)
			}
			for _, row := range rows {
				done, errDone := strconv.Atoi(row[0])
				kills, errKills := strconv.Atoi(row[4])
				if errDone != nil || errKills != nil || done == 0 || kills == 0 {
					t.Errorf("nothing done, or nobody killed: %v", row)
				}
			}
			t.Log(out)
		})
	}
}

// A check that cannot fail is worth nothing.
func TestLies(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	for worker, want := range map[string]string{
		"honest":    "OK: ",
		"idle":      "FAILED: ", // it acknowledges what it has not done
		"silent":    "made 3 transfers, acknowledged 0 and was killed 1 times",
		"ending":    "has ended by itself",
		"repeating": "has said 3 before, and now says: 3",
		"babbling":  "has said 3 before, and now says: 3, or",
	} {
		t.Run(worker, func(t *testing.T) {
			t.Parallel()
			code, out := command(t, worker, filepath.Join(t.TempDir(), "bank.durus"), "-time", "0.9s", "-workers", "1")
			if code == 0 != (worker == "honest") || !strings.Contains(out, want) {
				t.Errorf("exit code %d, without %q:\n%s", code, want, out)
			}
		})
	}
}

// An audit notices money that was made or lost.
func TestAudit(t *testing.T) {
	for name, balance := range map[string]int64{"right": 1000, "money made": 1001, "money lost": 999} {
		t.Run(name, func(t *testing.T) {
			db, err := durus.OpenMemory(nil)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if err := db.Update(t.Context(), found); err != nil {
				t.Fatal(err)
			}
			if err := db.Update(t.Context(), func(tx *durus.Tx) error {
				durus.Must(durus.Must(bank.Load(tx)).Accounts[1].Edit(tx)).Balance = balance
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if err := db.View(t.Context(), audit); (err == nil) != (name == "right") {
				t.Errorf("the audit says %v", err)
			}
		})
	}
}

// table returns the numbers of each process in the command's table.
func table(out string) (rows [][]string) {
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		if n := len(words); n >= 8 && slices.Contains([]string{"worker", "audit", "pack"}, words[0]) && !strings.Contains(line, "killed") {
			rows = append(rows, words[n-7:])
		}
	}
	return rows
}
