// Package child is what the processes of a workload do: each operation runs for
// a while on the database that the child has open, and checks what it reads.
package child

import (
	"fmt"
	"time"

	"github.com/durusdb/durus/bench/contender"
	"github.com/durusdb/durus/bench/measure"
	"github.com/durusdb/durus/bench/process"
)

// Child is one process of a workload.
type Child struct {
	store contender.Store
	open  process.Job // what store was opened with
	next  int64       // id of the next object that is new
}

// operations by name.
var operations = map[string]func(*Child, process.Job, *process.Result) error{
	"open":    (*Child).Open,
	"close":   func(c *Child, _ process.Job, _ *process.Result) error { return c.Close() },
	"first":   (*Child).First,
	"add":     (*Child).Add,
	"update":  (*Child).Update,
	"shared":  (*Child).Shared,
	"samekey": (*Child).SameKey,
	"keys":    (*Child).Keys,
	"counter": (*Child).Counter,
	"counted": (*Child).Counted,
	"empty":   (*Child).Empty,
	"newids":  (*Child).NewIDs,
	"cold":    (*Child).Cold,
	"hot":     (*Child).Hot,
	"warm":    (*Child).Warm,
	"steamin": (*Child).Steamin,
	"refs":    (*Child).Refs,
	"publish": (*Child).Publish,
	"follow":  (*Child).Follow,
	"sum":     (*Child).Sum,
	"pack":    (*Child).Pack,
	"append":  (*Child).Append,
}

// closed are the operations that need no open database.
var closed = map[string]bool{"open": true, "close": true, "first": true, "append": true}

// Do does one job.
func (c *Child) Do(job process.Job) (r process.Result, err error) {
	op := operations[job.Op]
	if op == nil {
		return r, fmt.Errorf("no operation is called %q", job.Op)
	}
	if c.store == nil && !closed[job.Op] {
		return r, fmt.Errorf("%s: no database is open", job.Op)
	}
	err = op(c, job, &r)
	return r, err
}

// Open opens the database that the next jobs work on.
func (c *Child) Open(job process.Job, _ *process.Result) error {
	if err := c.Close(); err != nil {
		return err
	}
	k, err := contender.ByName(job.Contender)
	if err != nil {
		return err
	}
	c.store, err = k.Open(job.Path, contender.Options{Durable: job.Durable, Known: job.Known})
	if err != nil {
		c.store = nil
		return err
	}
	// No other child, and no earlier one, has used these.
	c.open, c.next = job, int64(job.Worker+1)<<56+time.Now().UnixMicro()
	return nil
}

// Close closes the database, if one is open.
func (c *Child) Close() error {
	if c.store == nil {
		return nil
	}
	s := c.store
	c.store = nil
	return s.Close()
}

// reopen is a Close and an Open: what was in memory is gone.
func (c *Child) reopen(between func(path string) error) error {
	job, next := c.open, c.next
	if err := c.Close(); err != nil {
		return err
	}
	if err := between(job.Path); err != nil {
		return err
	}
	err := c.Open(job, nil)
	c.next = next
	return err
}

// own is the range of known objects that no other child changes.
func (c *Child) own() (from, to int64) {
	w, n, all := int64(c.open.Worker), int64(c.open.Workers), c.open.Known
	return w * all / n, (w + 1) * all / n
}

// loop runs a transaction of n objects again and again.
func loop(job process.Job, r *process.Result, n int, f func(i int) error) error {
	count, took, h, err := measure.Loop(job.For, f)
	r.Commits, r.Objects, r.Took, r.Latency = int64(count), int64(count*n), took, *h
	return err
}
