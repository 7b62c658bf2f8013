package oo7

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// Repetitions of a hot run; the first one and the last one do not count.
const repetitions = 5

// Times are the seconds of an operation, in one round or as medians of all.
type Times struct {
	// Cold is one run after the database was opened and an empty transaction:
	// none of what it needs is in the contender's own cache; the page cache of
	// the operating system is warm.
	Cold float64 `json:"cold"`
	// Hot is the mean of the middle three of five runs that follow, each in
	// a transaction of its own, and Median the median of the five.
	Hot    float64 `json:"hot"`
	Median float64 `json:"hot_median"`
	// One is as Hot, with all five in one transaction, begin and commit not
	// counted; 0 where it is not measured.
	One float64 `json:"one,omitempty"`
}

// apply combines times field by field; those that are not measured stay 0.
func apply(f func(v []float64) float64, times ...Times) (t Times) {
	for _, field := range []func(*Times) *float64{
		func(t *Times) *float64 { return &t.Cold }, func(t *Times) *float64 { return &t.Hot },
		func(t *Times) *float64 { return &t.Median }, func(t *Times) *float64 { return &t.One },
	} {
		var v []float64
		for i := range times {
			v = append(v, *field(&times[i]))
		}
		if x := f(v); !math.IsNaN(x) {
			*field(&t) = x
		}
	}
	return t
}

// Timing is how a contender did an operation.
type Timing struct {
	Contender string  `json:"contender"`
	Median    Times   `json:"median"`
	Ratio     Times   `json:"ratio"`   // to the first contender, in the same round; median of the rounds
	Written   int64   `json:"written"` // bytes that the cold run gave to the system; 0 on systems that do not tell
	Rounds    []Times `json:"rounds"`
}

// Result is how all contenders did an operation.
type Result struct {
	Operation string   `json:"operation"`
	What      string   `json:"what"`
	Count     int      `json:"count"`
	Timings   []Timing `json:"timings"`
}

// Generation is how a contender made its database.
type Generation struct {
	Contender string  `json:"contender"`
	Seconds   float64 `json:"seconds"`
	Bytes     int64   `json:"bytes"`  // of its files, closed
	Opened    float64 `json:"opened"` // seconds to open it again, with a first, empty transaction; median
}

// Run measures operations on databases of one Config.
type Run struct {
	Config     Config
	Contenders []Contender
	Operations []*Operation
	Rounds     int
	Dir        string             // where the databases are made, each in a directory of its own
	Progress   func(doing string) // nil: nobody wants to know
}

// Measurement is the outcome of a Run.
type Measurement struct {
	Config      string       `json:"config"`
	Rounds      int          `json:"rounds"`
	Generations []Generation `json:"generations"`
	Results     []Result     `json:"results"`
}

// Measure generates the databases and runs all operations, the contenders in
// turn. It is an error if an operation gives another count than the plan says,
// or if a database is not what was generated when all is done.
func (run *Run) Measure() (m *Measurement, err error) {
	plan := NewPlan(run.Config)
	progress := run.Progress
	if progress == nil {
		progress = func(string) {}
	}
	m = &Measurement{Config: run.Config.Name, Rounds: run.Rounds}
	wants := make(map[string]int)
	for _, o := range Operations() {
		wants[o.Name] = o.Want(plan, Dice())
	}
	var racers []*racer
	defer func() {
		for _, r := range racers {
			err = errors.Join(err, r.close())
		}
	}()
	for _, c := range run.Contenders {
		progress(fmt.Sprintf("%s: %s generates", run.Config.Name, c.Name))
		r := &racer{Contender: c, plan: plan, wants: wants, dir: filepath.Join(run.Dir, run.Config.Name+"-"+c.Name)}
		racers = append(racers, r)
		g, err := r.generate()
		if err != nil {
			return m, fmt.Errorf("%s: %w", c.Name, err)
		}
		m.Generations = append(m.Generations, g)
	}
	for _, o := range run.Operations {
		res := Result{Operation: o.Name, What: o.What, Count: wants[o.Name], Timings: make([]Timing, len(racers))}
		for round := range run.Rounds {
			progress(fmt.Sprintf("%s: %s, round %d of %d", run.Config.Name, o.Name, round+1, run.Rounds))
			for i, r := range racers {
				t, written, err := r.round(o)
				if err != nil {
					return m, fmt.Errorf("%s: %s: %w", r.Name, o.Name, err)
				}
				res.Timings[i].Contender = r.Name
				res.Timings[i].Written = written
				res.Timings[i].Rounds = append(res.Timings[i].Rounds, t)
			}
		}
		for i := range res.Timings {
			t := &res.Timings[i]
			t.Median = apply(median, t.Rounds...)
			var ratios []Times
			for round, mine := range t.Rounds {
				ratios = append(ratios, apply(func(v []float64) float64 { return v[0] / v[1] }, mine, res.Timings[0].Rounds[round]))
			}
			t.Ratio = apply(median, ratios...)
		}
		m.Results = append(m.Results, res)
	}
	want := plan.Census()
	for i, r := range racers {
		m.Generations[i].Opened = median(r.opened[1:]) // the first one made it
		if err := r.check(want); err != nil {
			return m, fmt.Errorf("%s: %w", r.Name, err)
		}
	}
	return m, nil
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// middle is the mean of what is left without the first and the last.
func middle(v []float64) (mean float64) {
	v = v[1 : len(v)-1]
	for _, x := range v {
		mean += x / float64(len(v))
	}
	return mean
}

// racer is a contender and its database.
type racer struct {
	Contender
	plan  *Plan
	wants map[string]int // counts, by name of the operation
	dir   string
	store Store

	opened []float64 // seconds, by reopen
}

func (r *racer) close() error {
	if r.store == nil {
		return nil
	}
	err := r.store.Close()
	r.store = nil
	return err
}

// reopen opens the database anew. Some contenders do at once what others leave to
// their first transaction: so there is one, and it counts as part of the opening.
func (r *racer) reopen() (err error) {
	if err := r.close(); err != nil {
		return err
	}
	began := time.Now()
	if r.store, err = r.Open(r.dir); err != nil {
		r.store = nil
		return err
	}
	err = r.store.View(func(Tx) error { return nil })
	r.opened = append(r.opened, time.Since(began).Seconds())
	return err
}

func (r *racer) generate() (g Generation, err error) {
	if err := r.reopen(); err != nil {
		return g, err
	}
	began := time.Now()
	if err := Generate(r.store, r.plan); err != nil {
		return g, err
	}
	g = Generation{Contender: r.Name, Seconds: time.Since(began).Seconds()}
	if err := r.reopen(); err != nil { // what is kept in a log until then is in the file now
		return g, err
	}
	files, err := os.ReadDir(r.dir)
	for _, f := range files {
		if info, err := f.Info(); err == nil {
			g.Bytes += info.Size()
		}
	}
	return g, err
}

// round measures an operation once, and leaves the database as it was.
func (r *racer) round(o *Operation) (t Times, written int64, err error) {
	if o.Before != nil {
		if _, err := r.once(o.Before); err != nil {
			return t, 0, err
		}
	}
	if err := r.reopen(); err != nil {
		return t, 0, err
	}
	runtime.GC()
	before := bytesWritten()
	if t.Cold, err = r.once(o); err != nil {
		return t, 0, err
	}
	if o.Writes {
		written = bytesWritten() - before
	}
	runs := 1
	if err := r.undo(o); err != nil {
		return t, 0, err
	}
	var hot []float64
	for range repetitions {
		if o.Before != nil {
			if _, err := r.once(o.Before); err != nil {
				return t, 0, err
			}
		}
		s, err := r.once(o)
		if err != nil {
			return t, 0, err
		}
		hot = append(hot, s)
		runs++
		if err := r.undo(o); err != nil {
			return t, 0, err
		}
	}
	t.Hot, t.Median = middle(hot), median(hot)
	if o.One {
		if t.One, err = r.inOne(o); err != nil {
			return t, 0, err
		}
		runs += repetitions
	}
	if o.Toggle && runs%2 == 1 {
		_, err = r.once(o)
	}
	return t, written, err
}

func (r *racer) undo(o *Operation) error {
	if o.After == nil {
		return nil
	}
	_, err := r.once(o.After)
	return err
}

// once runs an operation in a transaction, and returns how long it took.
func (r *racer) once(o *Operation) (seconds float64, err error) {
	began, lead := time.Now(), time.Duration(0)
	err = r.transaction(o)(func(tx Tx) error {
		if o.Lead != nil {
			start := time.Now()
			if err := r.run(o.Lead, tx); err != nil {
				return err
			}
			lead = time.Since(start)
		}
		return r.run(o, tx)
	})
	return (time.Since(began) - lead).Seconds(), err
}

// inOne runs all repetitions of an operation in one transaction.
func (r *racer) inOne(o *Operation) (float64, error) {
	var times []float64
	err := r.transaction(o)(func(tx Tx) error {
		times = times[:0]
		for range repetitions {
			began := time.Now()
			if err := r.run(o, tx); err != nil {
				return err
			}
			times = append(times, time.Since(began).Seconds())
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return middle(times), nil
}

func (r *racer) transaction(o *Operation) func(func(Tx) error) error {
	if o.Writes {
		return r.store.Update
	}
	return r.store.View
}

// run runs an operation and compares its count.
func (r *racer) run(o *Operation, tx Tx) error {
	n, err := o.Run(tx, r.plan, Dice())
	if err != nil {
		return err
	}
	if want := r.wants[o.Name]; n != want {
		return fmt.Errorf("%s counted %d, not %d", o.Name, n, want)
	}
	return nil
}

// check compares the whole database with the plan.
func (r *racer) check(want Census) error {
	return r.store.View(func(tx Tx) error {
		c, err := tx.Census()
		if err == nil && c != want {
			err = fmt.Errorf("the database became %+v, not %+v", c, want)
		}
		return err
	})
}
