package workload

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/durusdb/durus/bench/contender"
	"github.com/durusdb/durus/bench/limit"
	"github.com/durusdb/durus/bench/measure"
	"github.com/durusdb/durus/bench/process"
)

// processes lets 1 to 8 processes change one file: objects of their own and shared
// ones, durable and not; then one that reads beside one that writes.
func (r *Run) processes() error {
	dir, err := r.directory("processes")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	const known = 1000
	paths := map[string]string{}
	for _, c := range contender.All() {
		path, err := file(dir, c)
		if err == nil && c.Skip == "" {
			err = fill(c, path, 0, known, microSize)
		}
		if err != nil {
			return err
		}
		paths[c.Name] = path
	}
	for _, durable := range []bool{true, false} {
		for _, workers := range pick(r, []int{1, 4}, []int{1, 2, 4, 8}) {
			err := r.together(workers, process.Job{Known: known, Durable: durable}, paths, func(groups map[string]*process.Group) error {
				bare, done, err := r.bare(dir, workers, durable)
				if err != nil {
					return err
				}
				defer done()
				for _, op := range []struct{ op, name string }{{"update", "disjoint"}, {"shared", "shared"}} {
					row := measure.Row{Workload: "processes", Unit: "commits/s", X: float64(workers), XName: "processes"}
					row.Curve = fmt.Sprintf("%s commits, %s objects", synced(durable), op.name)
					row.Name = fmt.Sprintf("%d processes, %s", workers, row.Curve)
					job := process.Job{Op: op.op, N: 1, For: 2 * r.round()}
					if err := r.add(row, append(groupCases(groups, workers, func(g *process.Group) (measure.Sample, error) {
						return counted(g, job, "sum")
					}), bare)...); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return r.together(2, process.Job{Known: known}, paths, func(groups map[string]*process.Group) error {
		row := measure.Row{Workload: "processes", Name: "reader process beside a writer", Unit: "read transactions/s"}
		if err := r.add(row, groupCases(groups, 2, func(g *process.Group) (measure.Sample, error) {
			results, err := g.Each([]process.Job{{Op: "update", N: 1, For: r.round()}, {Op: "steamin", N: 1, For: r.round()}})
			if err != nil {
				return measure.Sample{}, err
			}
			read := &results[1]
			return measure.Sample{Value: float64(read.Commits) / read.Took.Seconds(), Latency: &read.Latency,
				Extra: map[string]float64{"commits_of_the_writer": float64(results[0].Commits) / results[0].Took.Seconds()}}, nil
		})...); err != nil {
			return err
		}
		return r.add(measure.Row{Workload: "processes", Name: "commit begun to seen by another process, median", Unit: "us", Less: true},
			groupCases(groups, 2, func(g *process.Group) (measure.Sample, error) { return freshness(g, pick(r, 50, 200)) })...)
	})
}

// bare is what processes that share a log cannot do without: the limit.
func (r *Run) bare(dir string, workers int, durable bool) (one measure.Case, done func(), err error) {
	one = measure.Case{Name: "lock+append", Kind: measure.Limit, Skip: limit.NoTogether()}
	if durable {
		one.Name = "lock+append+fdatasync"
	}
	if one.Skip != "" {
		return one, func() {}, nil
	}
	g, err := process.NewGroup(workers)
	if err != nil {
		return one, nil, err
	}
	job := process.Job{Op: "append", Path: filepath.Join(dir, "limit.together"), Size: microRecord, Durable: durable, For: 2 * r.round()}
	one.Run = func() (s measure.Sample, err error) {
		results, err := g.Do(job)
		if err != nil {
			return s, err
		}
		size := int64(0)
		for i := range results {
			size += results[i].Objects * microRecord
		}
		if info, err := os.Stat(job.Path); err != nil || info.Size() != size {
			return s, fmt.Errorf("%d bytes were appended: %w", size, errors.Join(err, io.ErrShortWrite))
		}
		return sample(results), os.Remove(job.Path)
	}
	return one, func() { _ = g.Close() }, nil
}

func synced(durable bool) string {
	if durable {
		return "durable"
	}
	return "unsynced"
}

// together calls f with a group of each contender that can have more than one.
func (r *Run) together(workers int, open process.Job, paths map[string]string, f func(map[string]*process.Group) error) (err error) {
	groups := map[string]*process.Group{}
	defer func() {
		for _, g := range groups {
			err = errors.Join(err, g.Close())
		}
	}()
	for _, c := range contender.All() {
		if c.Skip != "" || workers > 1 && !c.Processes {
			continue
		}
		open.Contender, open.Path = c.Name, paths[c.Name]
		if groups[c.Name], err = group(workers, open); err != nil {
			delete(groups, c.Name)
			return err
		}
	}
	return f(groups)
}

// groupCases are the cases of a row that each group takes part in.
func groupCases(groups map[string]*process.Group, workers int, run func(*process.Group) (measure.Sample, error)) (cases []measure.Case) {
	for _, c := range contender.All() {
		one := measure.Case{Name: c.Name, Kind: kind(c), Skip: c.Skip}
		if g := groups[c.Name]; g != nil {
			one.Run = func() (measure.Sample, error) {
				s, err := run(g)
				if workers < 2 {
					s.Extra = nil // one process is fair to itself
				}
				return s, err
			}
		} else if c.Skip == "" {
			one.Skip = alone
		}
		cases = append(cases, one)
	}
	return cases
}

// freshness lets one process commit n times and the other look: how long after a
// commit began it is seen, and how long after it has returned.
func freshness(g *process.Group, n int) (measure.Sample, error) {
	now, err := g.Do(process.Job{Op: "follow"})
	if err != nil {
		return measure.Sample{}, err
	}
	last := int(now[0].Objects) + n
	results, err := g.Each([]process.Job{{Op: "publish", N: n}, {Op: "follow", Size: last}})
	if err != nil {
		return measure.Sample{}, err
	}
	written := map[int64]process.Stamp{}
	for _, s := range results[0].Times {
		written[s.N] = s
	}
	var begun measure.Histogram
	var seen, returned []float64
	for _, s := range results[1].Times {
		w, ok := written[s.N]
		if !ok || s.Done < w.Start {
			return measure.Sample{}, fmt.Errorf("state %d was seen before it was written", s.N)
		}
		seen = append(seen, float64(s.Done-w.Start)/1e3)
		returned = append(returned, max(float64(s.Done-w.Done)/1e3, 0))
		begun.Add(time.Duration(s.Done - w.Start))
	}
	if len(seen) == 0 {
		return measure.Sample{}, fmt.Errorf("none of %d commits was seen", n)
	}
	return measure.Sample{Value: measure.Median(seen), Latency: &begun, Extra: map[string]float64{"us_after_return": measure.Median(returned)}}, nil
}
