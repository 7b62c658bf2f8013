// Package workload holds what is measured, one file for each workload. A workload
// adds rows to a Run; each checks what it has read and written.
package workload

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/durusdb/durus/bench/contender"
	"github.com/durusdb/durus/bench/measure"
	"github.com/durusdb/durus/bench/process"
)

// Run is one run of the benchmark.
type Run struct {
	Dir    string // a directory for the databases, on the disk that is measured
	Quick  bool
	Alone  bool // durus and the limits, no peers (micro alone)
	Rounds int
	Done   func(measure.Row) // is told each row

	Rows []measure.Row
}

// Workload is a named part of the benchmark.
type Workload struct {
	Name string
	What string
	Run  func(*Run) error
}

// All workloads, in the order in which they run.
func All() []Workload {
	return []Workload{
		{"micro", "single operations of one process", (*Run).micro},
		{"shootout", "N objects a transaction in 1, 2, 4 processes", (*Run).shootout},
		{"processes", "many processes, one file", (*Run).processes},
		{"conflict", "conflicts and retries against the number of writers", (*Run).conflict},
		{"growth", "opening, memory and what operations cost as the file grows", (*Run).growth},
		{"pack", "packing while others commit", (*Run).pack},
	}
}

// add measures a row and keeps it.
func (r *Run) add(row measure.Row, cases ...measure.Case) error {
	if err := row.Run(r.Rounds, cases...); err != nil {
		return err
	}
	r.Rows = append(r.Rows, row)
	r.Done(row)
	return nil
}

// contenders that take part.
func (r *Run) contenders() []contender.Contender {
	all := contender.All()
	if r.Alone {
		return all[:1]
	}
	return all
}

// pick is a if the run is quick, b if not.
func pick[T any](r *Run, quick, full T) T {
	if r.Quick {
		return quick
	}
	return full
}

// round is how long one contender works in one round.
func (r *Run) round() time.Duration { return pick(r, 80*time.Millisecond, 250*time.Millisecond) }

// directory makes an empty directory for a part of the run. The caller removes it.
func (r *Run) directory(name string) (string, error) {
	dir := filepath.Join(r.Dir, name)
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o700)
}

// kind of a contender's cell.
func kind(c contender.Contender) string {
	if c.Name == "durus" {
		return measure.Durus
	}
	return measure.Peer
}

// file is where a contender keeps its database below dir.
func file(dir string, c contender.Contender) (string, error) {
	d := filepath.Join(dir, c.Name)
	return filepath.Join(d, "db"), os.MkdirAll(d, 0o700)
}

// fill stores the objects from <= id < to, about size bytes each.
func fill(c contender.Contender, path string, from, to int64, size int) error {
	s, err := c.Open(path, contender.Options{})
	if err != nil {
		return err
	}
	const batch = 5000
	items := make([]contender.Item, 0, batch)
	for id := from; id < to; {
		items = items[:0]
		for ; id < to && len(items) < batch; id++ {
			items = append(items, contender.NewItem(id, size))
		}
		if err := s.Put(items); err != nil {
			_ = s.Close()
			return fmt.Errorf("filling %s: %w", c.Name, err)
		}
	}
	return s.Close()
}

// group starts processes that have the database of a contender open.
func group(n int, open process.Job) (*process.Group, error) {
	g, err := process.NewGroup(n)
	if err != nil {
		return nil, err
	}
	open.Op = "open"
	if _, err := g.Do(open); err != nil {
		_ = g.Close()
		return nil, err
	}
	return g, nil
}

// alone is why a contender has no figure for more than one process.
const alone = "one process at a time"
