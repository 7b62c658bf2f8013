package workload

import (
	"fmt"
	"os"

	"github.com/durusdb/durus/bench/contender"
	"github.com/durusdb/durus/bench/measure"
	"github.com/durusdb/durus/bench/process"
)

// conflict lets processes meet: at a counter, in one tree, at one object.
func (r *Run) conflict() error {
	dir, err := r.directory("conflict")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	const known = 100
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
	for _, workers := range pick(r, []int{1, 4}, []int{1, 2, 4, 8}) {
		err := r.together(workers, process.Job{Known: known, Durable: true}, paths, func(groups map[string]*process.Group) error {
			for _, k := range []struct{ op, check, name string }{
				{"counter", "counted", "adding to one counter"},
				{"keys", "", "inserting into one tree"},
				{"samekey", "sum", "changing one object"},
			} {
				row := measure.Row{Workload: "conflict", Curve: k.name, Unit: "commits/s", X: float64(workers), XName: "processes"}
				row.Name = fmt.Sprintf("%s, %d processes", k.name, workers)
				job := process.Job{Op: k.op, N: 1, For: r.round(), Size: microSize}
				if err := r.add(row, groupCases(groups, workers, func(g *process.Group) (measure.Sample, error) {
					if k.check != "" {
						return counted(g, job, k.check)
					}
					results, err := g.Do(job)
					return sample(results), err
				})...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
