package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/durusdb/durus/bench/measure"
	"github.com/durusdb/durus/bench/report"
	"github.com/durusdb/durus/bench/workload"
)

// attempts that a machine gets to show what it can: another job in the wrong
// second is no collapse.
const attempts = 3

// collapsed measures durus against the limits of the machine and compares with the
// newest report of dir.
func collapsed(dir string) (err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("no report in %s: run durusbench and keep its JSON there", dir)
	}
	base, err := report.Read(slices.Max(files)) // their names begin with the date
	if err != nil {
		return fmt.Errorf("%s: %w", slices.Max(files), err)
	}
	tmp, err := os.MkdirTemp("", "durusbench-gate-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	micro, err := choose("micro")
	if err != nil {
		return err
	}
	var bad []report.Collapse
	for range attempts {
		w := &workload.Run{Dir: tmp, Quick: true, Alone: true, Rounds: 7, Done: func(row measure.Row) { _ = report.WriteRow(os.Stdout, row) }}
		if err := micro[0].Run(w); err != nil {
			return err
		}
		var compared int
		if bad, compared = base.Collapsed(w.Rows); compared == 0 {
			return fmt.Errorf("%s has none of the rows that are compared", slices.Max(files))
		}
		if len(bad) == 0 {
			fmt.Printf("\n%d shares of the limits are at least half of those of %s\n", compared, filepath.Base(slices.Max(files)))
			return nil
		}
	}
	for _, c := range bad {
		err = errors.Join(err, fmt.Errorf("%s: %.3f of %s, it was %.3f", c.Row, c.Now, c.Limit, c.Was))
	}
	return fmt.Errorf("durus has collapsed: %w", err)
}
