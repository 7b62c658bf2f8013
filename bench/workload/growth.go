package workload

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/durusdb/durus/bench/contender"
	"github.com/durusdb/durus/bench/measure"
	"github.com/durusdb/durus/bench/process"
)

// growth lets a database grow tenfold again and again, and measures at each size
// what opening it costs, and single operations.
func (r *Run) growth() error {
	dir, err := r.directory("growth")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	sizes := pick(r, []int64{10_000, 100_000}, []int64{10_000, 100_000, 1_000_000, 10_000_000})
	paths := map[string]string{}
	from := int64(0)
	for _, n := range sizes {
		for _, c := range contender.All() {
			if c.Skip != "" || large(c, n) {
				continue
			}
			path, err := file(dir, c)
			if err == nil {
				err = fill(c, path, from, n, microSize)
			}
			if err != nil {
				return err
			}
			paths[c.Name] = path
		}
		from = n
		if err := errors.Join(r.opening(paths, n), r.operations(paths, n)); err != nil {
			return err
		}
	}
	return nil
}

// large says that filling a peer with so many objects would take longer than the
// rest of the run.
func large(c contender.Contender, n int64) bool { return n > 1_000_000 && c.Name != "durus" }

const tooLarge = "left out above a million objects: filling takes too long"

// opening measures how long open and the first read take, in a fresh process, and
// what memory they need; durus with and without the checkpoint of its index.
func (r *Run) opening(paths map[string]string, n int64) error {
	memory := map[string][]float64{}
	first := func(name, who, path string) func() (measure.Sample, error) {
		return func() (s measure.Sample, err error) {
			g, err := process.NewGroup(1)
			if err != nil {
				return s, err
			}
			defer func() { err = errors.Join(err, g.Close()) }()
			results, err := g.Do(process.Job{Op: "first", Contender: who, Path: path, Size: int(n)})
			if err != nil {
				return s, err
			}
			v := results[0].Values
			memory[name] = append(memory[name], v["private_mb"])
			return measure.Sample{Value: v["total_ms"], Extra: map[string]float64{"open_ms": v["open_ms"], "read_ms": v["read_ms"]}}, nil
		}
	}
	const bare = "durus, no checkpoint"
	var cases []measure.Case
	for _, c := range contender.All() {
		cases = append(cases, r.sized(c, n, first(c.Name, c.Name, paths[c.Name])))
		if c.Name == "durus" {
			run := first(bare, c.Name, paths[c.Name])
			cases = append(cases, measure.Case{Name: bare, Kind: measure.Other, Run: func() (measure.Sample, error) {
				return without(paths[c.Name]+".index", run)
			}})
		}
	}
	row := measure.Row{Workload: "growth", Curve: "open and first read", Name: fmt.Sprintf("open and first read, %d objects", n), Unit: "ms", Less: true, X: float64(n), XName: "objects"}
	if err := r.add(row, cases...); err != nil {
		return err
	}
	for i := range cases {
		values := memory[cases[i].Name]
		cases[i].Run = func() (measure.Sample, error) {
			v := values[0]
			values = values[1:]
			return measure.Sample{Value: v}, nil
		}
	}
	row = measure.Row{Workload: "growth", Curve: "private memory after the first read", Name: fmt.Sprintf("private memory, %d objects", n), Unit: "MB", Less: true, X: float64(n), XName: "objects"}
	return r.add(row, cases...)
}

// without runs f while a file has another name.
func without(path string, f func() (measure.Sample, error)) (s measure.Sample, err error) {
	aside := path + ".aside"
	err = os.Rename(path, aside)
	if errors.Is(err, fs.ErrNotExist) { // too small a database to have one
		return f()
	}
	if err != nil {
		return s, err
	}
	s, err = f()
	return s, errors.Join(err, os.Rename(aside, path))
}

// sized is the case of a contender in a row of n objects.
func (r *Run) sized(c contender.Contender, n int64, run func() (measure.Sample, error)) measure.Case {
	one := measure.Case{Name: c.Name, Kind: kind(c), Skip: c.Skip, Run: run}
	if c.Skip == "" && large(c, n) {
		one.Skip = tooLarge
	}
	return one
}

// operations measures a commit, a read of an object that nobody has read, and how
// soon another process sees a commit.
func (r *Run) operations(paths map[string]string, n int64) (err error) {
	singles, pairs := map[string]*process.Group{}, map[string]*process.Group{}
	defer func() {
		for _, groups := range []map[string]*process.Group{singles, pairs} {
			for _, g := range groups {
				err = errors.Join(err, g.Close())
			}
		}
	}()
	const known = 1000 // objects whose references the program holds
	for _, c := range contender.All() {
		if c.Skip != "" || large(c, n) {
			continue
		}
		open := process.Job{Contender: c.Name, Path: paths[c.Name], Durable: true, Known: known}
		if singles[c.Name], err = group(1, open); err != nil {
			delete(singles, c.Name)
			return err
		}
	}
	row := func(curve, unit string, less bool) measure.Row {
		return measure.Row{Workload: "growth", Curve: curve, Name: fmt.Sprintf("%s, %d objects", curve, n), Unit: unit, Less: less, X: float64(n), XName: "objects"}
	}
	cases := func(groups map[string]*process.Group, run func(*process.Group) (measure.Sample, error)) (all []measure.Case) {
		for _, c := range contender.All() {
			one := r.sized(c, n, func() (measure.Sample, error) { return run(groups[c.Name]) })
			if one.Skip == "" && groups[c.Name] == nil {
				one.Skip = alone
			}
			all = append(all, one)
		}
		return all
	}
	if err := r.add(row("durable commit of one object", "us", true), cases(singles, func(g *process.Group) (measure.Sample, error) {
		results, err := g.Do(process.Job{Op: "update", N: 1, For: r.round()})
		if err != nil {
			return measure.Sample{}, err
		}
		return measure.Sample{Value: float64(results[0].Latency.Quantile(0.5)) / 1e3, Latency: &results[0].Latency}, nil
	})...); err != nil {
		return err
	}
	if err := r.add(row("cold object", "ns", true), cases(singles, func(g *process.Group) (measure.Sample, error) {
		results, err := g.Do(process.Job{Op: "refs", N: 2000, Size: int(n)})
		if err != nil {
			return measure.Sample{}, err
		}
		return measure.Sample{Value: float64(results[0].Took.Nanoseconds()) / float64(results[0].Objects)}, nil
	})...); err != nil {
		return err
	}
	for name, g := range singles { // one process may have them open
		if err := g.Close(); err != nil {
			return err
		}
		delete(singles, name)
	}
	for _, c := range contender.All() {
		if c.Skip != "" || large(c, n) || !c.Processes {
			continue
		}
		if pairs[c.Name], err = group(2, process.Job{Contender: c.Name, Path: paths[c.Name], Known: known}); err != nil {
			delete(pairs, c.Name)
			return err
		}
	}
	return r.add(row("commit begun to seen by another process", "us", true), cases(pairs, func(g *process.Group) (measure.Sample, error) {
		return freshness(g, 50)
	})...)
}
