// Package python runs the object databases of Python, where python3 and their
// packages are installed; elsewhere it says what is missing. It installs nothing.
package python

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/durusdb/durus/bench/measure"
)

//go:embed zodb_rows.py
var zodb string

//go:embed durus_rows.py
var durus string

var systems = []struct {
	name, script string
	operations   string
}{
	{"zodb", zodb, "durable batch hot"},
	{"python-durus", durus, "unsynced hot"},
}

// Cases are those systems that know an operation, each for d a round. Databases
// are made in dir.
func Cases(operation, dir string, d time.Duration) (cases []measure.Case) {
	for _, s := range systems {
		if !strings.Contains(s.operations, operation) {
			continue
		}
		one := measure.Case{Name: s.name, Kind: measure.Peer, Run: func() (measure.Sample, error) {
			v, err := run(s.script, operation, dir, d)
			return measure.Sample{Value: v}, err
		}}
		if _, err := run(s.script, operation, dir, time.Millisecond); err != nil {
			one.Skip = err.Error()
		}
		cases = append(cases, one)
	}
	return cases
}

// run runs a script, which prints one number.
func run(script, operation, dir string, d time.Duration) (float64, error) {
	cmd := exec.Command("python3", "-", operation, dir, strconv.FormatFloat(d.Seconds(), 'f', 3, 64))
	cmd.Dir = dir // not where a directory may be called like a package
	cmd.Stdin = strings.NewReader(script)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(errs.String()), "\n")
		if last := lines[len(lines)-1]; last != "" {
			err = errors.New(last)
		}
		return 0, fmt.Errorf("python3: %w", err)
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}
