package main

import (
	"os"
	"strings"
	"testing"

	"github.com/durusdb/durus/bench/child"
	"github.com/durusdb/durus/bench/measure"
	"github.com/durusdb/durus/bench/process"
	"github.com/durusdb/durus/bench/workload"
)

// The test binary is its own child, as the command is.
func TestMain(m *testing.M) {
	if process.Child() {
		main()
		return
	}
	os.Exit(m.Run())
}

// A short round of what needs processes: no change is lost, and every contender that
// takes part has a figure.
func TestProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	w := &workload.Run{Dir: t.TempDir(), Quick: true, Rounds: 1, Done: func(measure.Row) {}}
	chosen, err := choose("processes,conflict")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range chosen {
		if err := c.Run(w); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.Rows) < 10 {
		t.Errorf("%d rows", len(w.Rows))
	}
	for _, row := range w.Rows {
		for _, c := range row.Cells {
			if c.Skipped == "" && c.Median <= 0 {
				t.Errorf("%s: %s has no figure", row.Name, c.Name)
			}
		}
		if c := row.Cell("durus"); c == nil || c.Skipped != "" {
			t.Errorf("%s: no durus", row.Name)
		}
	}
}

func TestChooseNamesWhatThereIs(t *testing.T) {
	_, err := choose("micro,nonsense")
	if err == nil || !strings.Contains(err.Error(), "nonsense") || !strings.Contains(err.Error(), "shootout") {
		t.Errorf("error %v", err)
	}
}

func TestChildSaysWhatItCannotDo(t *testing.T) {
	var c child.Child
	for _, op := range []string{"nonsense", "update"} {
		if _, err := c.Do(process.Job{Op: op}); err == nil || !strings.Contains(err.Error(), op) {
			t.Errorf("%s: error %v", op, err)
		}
	}
}
