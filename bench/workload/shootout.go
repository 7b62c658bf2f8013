package workload

import (
	"errors"
	"fmt"
	"os"

	"github.com/durusdb/durus/bench/contender"
	"github.com/durusdb/durus/bench/measure"
	"github.com/durusdb/durus/bench/process"
)

const shootoutSize = 300 // bytes of an object

// shootout follows the object databases' own benchmark, zodbshootout.
func (r *Run) shootout() error {
	for _, workers := range pick(r, []int{1, 4}, []int{1, 2, 4}) {
		if err := r.shoot(workers); err != nil {
			return err
		}
	}
	return nil
}

// shots are the operations. Each needs objects of its own in each process: at
// least four times the greatest transaction.
var shots = []struct {
	op, name string
	sized    bool // takes N objects a transaction
	changes  bool // each object written counts one change of a known object
}{
	{"add", "add", true, false},
	{"update", "update", true, true},
	{"cold", "cold", true, false},
	{"hot", "hot", true, false},
	{"warm", "warm", true, false},
	{"steamin", "steamin", true, false},
	{"empty", "empty commit", false, false},
	{"newids", "new oids", true, false},
	{"keys", "conflicts: disjoint keys of one tree", true, false},
	{"samekey", "conflicts: the same keys", true, true},
}

// shoot runs all operations in a number of processes, which stay open meanwhile.
func (r *Run) shoot(workers int) error {
	dir, err := r.directory("shootout")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	known := int64(4000 * workers)
	groups := map[string]*process.Group{}
	closeAll := func() (errs error) {
		for _, g := range groups {
			errs = errors.Join(errs, g.Close())
		}
		return errs
	}
	for _, c := range contender.All() {
		if c.Skip != "" || workers > 1 && !c.Processes {
			continue
		}
		path, err := file(dir, c)
		if err == nil {
			err = fill(c, path, 0, known, shootoutSize)
		}
		if err == nil {
			groups[c.Name], err = group(workers, process.Job{Contender: c.Name, Path: path, Durable: true, Known: known})
		}
		if err != nil {
			return errors.Join(err, closeAll())
		}
	}
	for _, shot := range shots {
		sizes := pick(r, []int{1, 100}, []int{1, 10, 100, 1000})
		if !shot.sized {
			sizes = []int{1}
		}
		for _, n := range sizes {
			row := measure.Row{Workload: "shootout", Unit: "objects/s", X: float64(n), XName: "objects a transaction"}
			row.Curve = fmt.Sprintf("%s, %d processes", shot.name, workers)
			row.Name = fmt.Sprintf("%s, %d a transaction, %d processes", shot.name, n, workers)
			if !shot.sized {
				row.Unit, row.Curve, row.Name = "commits/s", "", row.Curve
			}
			var cases []measure.Case
			for _, c := range contender.All() {
				one := measure.Case{Name: c.Name, Kind: kind(c), Skip: c.Skip}
				g := groups[c.Name]
				switch {
				case c.Skip != "":
				case g == nil:
					one.Skip = alone
				case shot.op == "newids" && !allocates[c.Name]:
					one.Skip = "has no ids of its own to give"
				default:
					job := process.Job{Op: shot.op, N: n, For: r.round() / 3, Size: shootoutSize}
					one.Run = func() (measure.Sample, error) {
						if shot.changes {
							return counted(g, job, "sum")
						}
						results, err := g.Do(job)
						return sample(results), err
					}
				}
				cases = append(cases, one)
			}
			if err := r.add(row, cases...); err != nil {
				return errors.Join(err, closeAll())
			}
		}
	}
	return closeAll()
}

// allocates are the contenders whose Store is an Allocator.
var allocates = map[string]bool{"durus": true, "bbolt": true, "sqlite-cgo": true, "sqlite-go": true, "badger": true}

// sample of what a group did: objects per second.
func sample(results []process.Result) measure.Sample {
	_, objects, latency, fairness := process.Sum(results)
	return measure.Sample{Value: objects, Latency: latency, Extra: map[string]float64{"fairness": fairness}}
}

// counted is a job whose every object written adds one to what the job check
// tells: no change is lost, none is made twice.
func counted(g *process.Group, job process.Job, check string) (measure.Sample, error) {
	before, err := g.Do(process.Job{Op: check})
	if err != nil {
		return measure.Sample{}, err
	}
	results, err := g.Do(job)
	if err != nil {
		return measure.Sample{}, err
	}
	after, err := g.Do(process.Job{Op: check})
	if err != nil {
		return measure.Sample{}, err
	}
	changes := int64(0)
	for i := range results {
		changes += results[i].Objects
	}
	for i := range after {
		if got := after[i].Objects - before[i].Objects; got != changes {
			return measure.Sample{}, fmt.Errorf("%d changes were committed, process %d sees %d", changes, i, got)
		}
	}
	return sample(results), nil
}
