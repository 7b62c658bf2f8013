package process

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/durusdb/durus/bench/measure"
)

// Environ is set in a child.
const Environ = "DURUSBENCH_CHILD"

// Job is what one child is asked to do.
type Job struct {
	Op        string
	Contender string        `json:",omitempty"`
	Path      string        `json:",omitempty"`
	Durable   bool          `json:",omitempty"`
	Known     int64         `json:",omitempty"` // objects 0 <= id < Known are there
	N         int           `json:",omitempty"` // objects a transaction
	For       time.Duration `json:",omitempty"`
	Size      int           `json:",omitempty"` // of an object, bytes

	// Set by the Group: which child it is, and of how many.
	Worker, Workers int
}

// Result is what one child did.
type Result struct {
	Commits int64 // transactions
	Objects int64 // that were read or written
	Took    time.Duration
	Latency measure.Histogram // of transactions
	Values  map[string]float64
	Times   []Stamp
	Error   string // not empty: the job failed, or read what is wrong
}

// Stamp says when, on the clock of all processes, a number was written or seen.
type Stamp struct {
	N           int64
	Start, Done int64 // Unix time, ns
}

// Group is a number of children. It is for one goroutine.
type Group struct{ children []*child }

type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// NewGroup starts n children of this program.
func NewGroup(n int) (*Group, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	g := &Group{}
	for range n {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), Environ+"=1")
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			return nil, errors.Join(err, g.Close())
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return nil, errors.Join(err, g.Close())
		}
		if err := cmd.Start(); err != nil {
			return nil, errors.Join(err, g.Close())
		}
		g.children = append(g.children, &child{cmd, in, json.NewDecoder(bufio.NewReader(out))})
	}
	return g, nil
}

// Do gives the job to all children at once and waits for all.
func (g *Group) Do(job Job) ([]Result, error) {
	jobs := make([]Job, len(g.children))
	for i := range jobs {
		jobs[i] = job
	}
	return g.Each(jobs)
}

// Each gives each child its own job; they start together.
func (g *Group) Each(jobs []Job) ([]Result, error) {
	results := make([]Result, len(g.children))
	for i, c := range g.children {
		job := jobs[i]
		job.Worker, job.Workers = i, len(g.children)
		if err := json.NewEncoder(c.in).Encode(job); err != nil {
			return nil, fmt.Errorf("child %d: %w", i, err)
		}
	}
	var errs error
	for i, c := range g.children {
		if err := c.out.Decode(&results[i]); err != nil {
			return nil, fmt.Errorf("child %d, %s: %w", i, jobs[i].Op, err)
		}
		if results[i].Error != "" {
			errs = errors.Join(errs, fmt.Errorf("child %d, %s: %s", i, jobs[i].Op, results[i].Error))
		}
	}
	return results, errs
}

// Close ends the children; they close their databases.
func (g *Group) Close() error {
	var errs error
	for _, c := range g.children {
		errs = errors.Join(errs, c.in.Close())
	}
	for _, c := range g.children {
		errs = errors.Join(errs, c.cmd.Wait())
	}
	g.children = nil
	return errs
}

// Sum adds up the work of a group: commits and objects per second, the latencies
// of all, and how fair it was (the slowest against the mean).
func Sum(results []Result) (commits, objects float64, latency *measure.Histogram, fairness float64) {
	latency = new(measure.Histogram)
	slowest := -1.0
	for i := range results {
		r := &results[i]
		rate := float64(r.Commits) / r.Took.Seconds()
		commits += rate
		objects += float64(r.Objects) / r.Took.Seconds()
		latency.Merge(&r.Latency)
		if slowest < 0 || rate < slowest {
			slowest = rate
		}
	}
	if commits > 0 {
		fairness = slowest * float64(len(results)) / commits
	}
	return commits, objects, latency, fairness
}
