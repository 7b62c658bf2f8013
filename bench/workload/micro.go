package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/durusdb/durus/bench/child"
	"github.com/durusdb/durus/bench/contender"
	"github.com/durusdb/durus/bench/limit"
	"github.com/durusdb/durus/bench/measure"
	"github.com/durusdb/durus/bench/python"
	"github.com/durusdb/durus/durus"
)

// microSize is the size of an object of the micro rows, bytes. On the disk a
// commit of it takes about microRecord bytes, with the headers of a log.
const (
	microSize   = 100
	microRecord = 160
)

// micro measures single operations in one process.
func (r *Run) micro() error {
	dir, err := r.directory("micro")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	known := pick(r, int64(20_000), 200_000)
	parts := []func(dir string, known int64) error{r.writes, r.coldReads, r.hotReads}
	if !r.Alone {
		parts = append(parts, r.goroutines, r.fileSize)
	}
	for _, c := range r.contenders() {
		if c.Skip != "" {
			continue
		}
		path, err := file(dir, c)
		if err != nil {
			return err
		}
		if err := fill(c, path, 0, known, microSize); err != nil {
			return err
		}
	}
	for _, part := range parts {
		if err := part(dir, known); err != nil {
			return err
		}
	}
	return nil
}

// opened calls f for each contender with its open database, and makes its cases.
func (r *Run) opened(dir string, o contender.Options, f func(s contender.Store) func() (measure.Sample, error)) (cases []measure.Case, done func() error, err error) {
	var stores []contender.Store
	done = func() error {
		var errs error
		for _, s := range stores {
			errs = errors.Join(errs, s.Close())
		}
		return errs
	}
	for _, c := range r.contenders() {
		one := measure.Case{Name: c.Name, Kind: kind(c), Skip: c.Skip}
		if c.Skip == "" {
			path, err := file(dir, c)
			if err != nil {
				return nil, done, err
			}
			s, err := c.Open(path, o)
			if err != nil {
				return nil, done, fmt.Errorf("%s: %w", c.Name, err)
			}
			stores = append(stores, s)
			one.Run = f(s)
		}
		cases = append(cases, one)
	}
	return cases, done, nil
}

// writes are commits of one object and of many, durable and not.
func (r *Run) writes(dir string, known int64) error {
	for _, w := range []struct {
		name    string
		python  string
		durable bool
		n       int64
	}{
		{"durable commit of one object", "durable", true, 1},
		{"unsynced commit of one object", "unsynced", false, 1},
		{"durable commit of 1000 objects", "batch", true, 1000},
	} {
		cases, done, err := r.opened(dir, contender.Options{Durable: w.durable, Known: known}, func(s contender.Store) func() (measure.Sample, error) {
			return func() (measure.Sample, error) { return r.put(s, known, w.n) }
		})
		if err == nil {
			if w.n == 1 {
				name := "append"
				if w.durable {
					name = "append+fdatasync"
				}
				cases = append(cases, measure.Case{Name: name, Kind: measure.Limit, Run: func() (measure.Sample, error) {
					return limit.Append(dir, microRecord, w.durable, r.round())
				}})
			}
			cases = append(cases, r.python(w.python, dir)...)
			err = r.add(measure.Row{Workload: "micro", Name: w.name, Unit: "objects/s"}, cases...)
		}
		if err := errors.Join(err, done()); err != nil {
			return err
		}
	}
	return nil
}

// python are the object databases of Python that know an operation.
func (r *Run) python(operation, dir string) []measure.Case {
	if r.Alone {
		return nil
	}
	return python.Cases(operation, dir, r.round())
}

// put writes n random objects at a time over old ones, and reads the last ones
// back.
func (r *Run) put(s contender.Store, known, n int64) (measure.Sample, error) {
	items := make([]contender.Item, n)
	count := int64(0)
	sample, err := measure.Rate(r.round(), int(n), func(int) error {
		at := rand.N(known - n + 1)
		count++
		for i := range items {
			items[i] = contender.NewItem(at+int64(i), microSize)
			items[i].Count = count
		}
		return s.Put(items)
	})
	if err != nil {
		return sample, err
	}
	for i := range items {
		if err := s.Read([]int64{items[i].ID}, func(v *contender.Item) error {
			if v.Count != count {
				return fmt.Errorf("object %d has count %d, %d was written", v.ID, v.Count, count)
			}
			return v.Check(items[i].ID)
		}); err != nil {
			return sample, err
		}
	}
	return sample, nil
}

// goroutines are durable commits of disjoint objects from many goroutines at once.
func (r *Run) goroutines(dir string, known int64) error {
	for _, n := range []int64{16, 64} {
		cases, done, err := r.opened(dir, contender.Options{Durable: true, Known: known}, func(s contender.Store) func() (measure.Sample, error) {
			return func() (measure.Sample, error) {
				one, err := r.parallel(s, known, 1)
				if err != nil {
					return one, err
				}
				many, err := r.parallel(s, known, n)
				many.Extra = map[string]float64{"times_one_goroutine": many.Value / one.Value}
				return many, err
			}
		})
		if err == nil {
			err = r.add(measure.Row{Workload: "micro", Name: fmt.Sprintf("durable commits of %d goroutines", n), Unit: "commits/s"}, cases...)
		}
		if err := errors.Join(err, done()); err != nil {
			return err
		}
	}
	return nil
}

// parallel adds to the counts of objects from n goroutines, and counts them.
func (r *Run) parallel(s contender.Store, known, n int64) (measure.Sample, error) {
	var (
		mu      sync.Mutex // guards what follows
		all     measure.Histogram
		errs    error
		commits int64
		wg      sync.WaitGroup
	)
	sum := func() (total int64, err error) {
		ids := make([]int64, n)
		for g := range n {
			ids[g] = g * (known / n)
		}
		err = s.Read(ids, func(v *contender.Item) error { total += v.Count; return nil })
		return total, err
	}
	before, err := sum()
	if err != nil {
		return measure.Sample{}, err
	}
	began := time.Now()
	for g := range n {
		wg.Go(func() {
			id := []int64{g * (known / n)}
			count, _, h, err := measure.Loop(r.round(), func(int) error {
				return s.Update(id, func(v *contender.Item) { v.Count++ })
			})
			mu.Lock()
			defer mu.Unlock()
			all.Merge(h)
			errs = errors.Join(errs, err)
			commits += int64(count)
		})
	}
	wg.Wait()
	took := time.Since(began)
	after, err := sum()
	if err == nil && after-before != commits {
		err = fmt.Errorf("%d commits were reported, %d are there", commits, after-before)
	}
	return measure.Sample{Value: float64(commits) / took.Seconds(), Latency: &all}, errors.Join(errs, err)
}

// coldReads read each object once after opening: nothing is decoded yet, the page
// cache is warm.
func (r *Run) coldReads(dir string, known int64) error {
	const each = 100
	var cases []measure.Case
	for _, c := range r.contenders() {
		one := measure.Case{Name: c.Name, Kind: kind(c), Skip: c.Skip}
		path, err := file(dir, c)
		if err != nil {
			return err
		}
		one.Run = func() (measure.Sample, error) { return r.readOnce(c, path, known, each) }
		cases = append(cases, one)
	}
	records, err := limit.NewRecords(dir, known, microSize)
	if err != nil {
		return err
	}
	cases = append(cases, measure.Case{Name: "pread+decode", Kind: measure.Limit, Run: func() (measure.Sample, error) { return records.Read(r.round()) }})
	err = r.add(measure.Row{Workload: "micro", Name: "cold object (page cache warm)", Unit: "ns", Less: true}, cases...)
	return errors.Join(err, records.Close())
}

func (r *Run) readOnce(c contender.Contender, path string, known, each int64) (sample measure.Sample, err error) {
	s, err := c.Open(path, contender.Options{Known: known})
	if err != nil {
		return sample, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	order := rand.Perm(int(known))
	ids := make([]int64, each)
	began, n := time.Now(), int64(0)
	for ; n+each <= known && time.Since(began) < r.round(); n += each {
		for i := range ids {
			ids[i] = int64(order[n+int64(i)])
		}
		i := 0
		if err := s.Read(ids, func(v *contender.Item) error { i++; return v.Check(ids[i-1]) }); err != nil {
			return sample, err
		}
	}
	return measure.Sample{Value: float64(time.Since(began).Nanoseconds()) / float64(n)}, nil
}

// hot is an object of a database in use.
type hot struct{ N int64 }

type hotRoot struct{ All []durus.Ref[hot] }

var (
	_       = durus.Register[hot]("bench.Hot")
	_       = durus.Register[hotRoot]("bench.HotRoot")
	theHots = durus.NewRoot[hotRoot]("hot")
)

// hotReads load objects that are in the cache, and begin and end empty Views. Only
// durus has such a thing; the others read and decode.
func (r *Run) hotReads(dir string, _ int64) (err error) {
	db, err := durus.Open(filepath.Join(dir, "hot.durus"), &durus.Options{Check: durus.CheckNothing})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	ctx := context.Background()
	const n = 1000
	if err := db.Update(ctx, func(tx *durus.Tx) error {
		root := durus.Must(theHots.Edit(tx))
		for i := range n {
			root.All = append(root.All, durus.Must(durus.Add(tx, &hot{int64(i)})))
		}
		return nil
	}); err != nil {
		return err
	}
	load := func() (sample measure.Sample, err error) {
		err = db.View(ctx, func(tx *durus.Tx) error {
			refs := durus.Must(theHots.Load(tx)).All
			pass := func(int) error {
				sum := int64(0)
				for _, ref := range refs {
					v, err := ref.Load(tx)
					if err != nil {
						return err
					}
					sum += v.N
				}
				if sum != n*(n-1)/2 {
					return fmt.Errorf("sum of the objects is %d", sum)
				}
				return nil
			}
			if err := pass(0); err != nil { // into the cache
				return err
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			passes := 0
			sample, err = measure.Cost(r.round(), n, func(i int) error { passes++; return pass(i) })
			runtime.ReadMemStats(&after)
			sample.Extra = map[string]float64{"allocations_per_load": float64(after.Mallocs-before.Mallocs) / float64(passes*n)}
			return err
		})
		return sample, err
	}
	cases := append([]measure.Case{
		{Name: "durus", Kind: measure.Durus, Run: load},
		{Name: "pointer load", Kind: measure.Limit, Run: func() (measure.Sample, error) { return limit.Load(r.round()) }},
	}, r.python("hot", dir)...)
	if err := r.add(measure.Row{Workload: "micro", Name: "hot object", Unit: "ns", Less: true}, cases...); err != nil {
		return err
	}
	return r.add(measure.Row{Workload: "micro", Name: "View with an empty body", Unit: "ns", Less: true},
		measure.Case{Name: "durus", Kind: measure.Durus, Run: func() (measure.Sample, error) {
			const each = 100
			return measure.Cost(r.round(), each, func(int) error {
				for range each {
					if err := db.View(ctx, func(*durus.Tx) error { return nil }); err != nil {
						return err
					}
				}
				return nil
			})
		}},
	)
}

// fileSize inserts objects, changes each once, closes, and looks at the files.
func (r *Run) fileSize(dir string, _ int64) error {
	n := pick(r, int64(10_000), 100_000)
	var cases []measure.Case
	for _, c := range r.contenders() {
		cases = append(cases, measure.Case{Name: c.Name, Kind: kind(c), Skip: c.Skip, Run: func() (sample measure.Sample, err error) {
			d := filepath.Join(dir, "size")
			path, err := file(d, c)
			if err != nil {
				return sample, err
			}
			defer func() { err = errors.Join(err, os.RemoveAll(d)) }()
			if err := errors.Join(fill(c, path, 0, n, microSize), fill(c, path, 0, n, microSize+8)); err != nil {
				return sample, err
			}
			err = child.Files(path, func(_ string, size int64) error { sample.Value += float64(size) / 1e6; return nil })
			return sample, err
		}})
	}
	row := measure.Row{Workload: "micro", Name: fmt.Sprintf("files after %d inserts and as many updates", n), Unit: "MB", Less: true}
	if err := row.Run(1, cases...); err != nil {
		return err
	}
	r.Rows = append(r.Rows, row)
	r.Done(row)
	return nil
}
