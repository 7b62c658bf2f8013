package workload

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/durusdb/durus/bench/contender"
	"github.com/durusdb/durus/bench/limit"
	"github.com/durusdb/durus/bench/measure"
	"github.com/durusdb/durus/bench/process"
)

// pack packs a database of a gigabyte again and again, in turn with copying the
// packed file, while another process commits.
func (r *Run) pack() (err error) {
	const size = 1000
	dir, err := r.directory("pack")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	n := pick(r, int64(100_000), 1_000_000)
	c, err := contender.ByName("durus")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "db")
	if err := fill(c, path, 0, n, size); err != nil {
		return err
	}
	others, err := group(1, process.Job{Contender: c.Name, Path: path, Durable: true, Known: 1000})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, others.Close()) }()
	packer, err := group(1, process.Job{Contender: c.Name, Path: path, Durable: true, Known: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, packer.Close()) }()

	row := measure.Row{Workload: "pack", Name: fmt.Sprintf("pack of %d objects of %d bytes", n, size), Unit: "MB/s",
		Note: "Latency is that of durable commits in another process meanwhile; for the limit, while the packed file is copied and synced."}
	return r.add(row,
		measure.Case{Name: "durus", Kind: measure.Durus, Run: func() (s measure.Sample, err error) {
			if err := fill(c, path, 0, n/10, size); err != nil { // a tenth is garbage
				return s, err
			}
			var packed process.Result
			s.Latency, err = meanwhile(others, func() error {
				results, err := packer.Do(process.Job{Op: "pack"})
				if err == nil {
					packed = results[0]
				}
				return err
			})
			if err != nil {
				return s, err
			}
			if packed.Objects < n {
				return s, fmt.Errorf("%d objects were packed of %d", packed.Objects, n)
			}
			seconds := packed.Took.Seconds()
			s.Value = packed.Values["bytes"] / 1e6 / seconds
			s.Extra = map[string]float64{
				"objects_per_s": float64(packed.Objects) / seconds,
				"lock_ms":       packed.Values["lock_ms"],
				"memory_mb":     packed.Values["memory_mb"],
				"commit_max_ms": s.Latency.Max.Seconds() * 1e3,
			}
			return s, nil
		}},
		measure.Case{Name: "copy+fsync", Kind: measure.Limit, Run: func() (s measure.Sample, err error) {
			var copied measure.Sample
			latency, err := meanwhile(others, func() (err error) {
				copied, err = limit.Copy(path, dir)
				return err
			})
			return measure.Sample{Value: copied.Value / 1e6, Latency: latency, Extra: map[string]float64{"commit_max_ms": latency.Max.Seconds() * 1e3}}, err
		}},
	)
}

// meanwhile runs f while a group commits, and returns how long its commits took.
func meanwhile(g *process.Group, f func() error) (*measure.Histogram, error) {
	done := make(chan error, 1)
	go func() { done <- f() }()
	latency := new(measure.Histogram)
	for {
		results, err := g.Do(process.Job{Op: "update", N: 1, For: 50 * time.Millisecond})
		if err != nil {
			return latency, errors.Join(err, <-done)
		}
		latency.Merge(&results[0].Latency)
		select {
		case err := <-done:
			return latency, err
		default:
		}
	}
}
