package child

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/durusdb/durus/bench/contender"
	"github.com/durusdb/durus/bench/limit"
	"github.com/durusdb/durus/bench/process"
)

// errUnable ends a job that the contender has no means for.
var errUnable = errors.New("this contender cannot")

// Add stores N new objects in each transaction.
func (c *Child) Add(job process.Job, r *process.Result) error {
	items := make([]contender.Item, job.N)
	first := c.next
	if err := loop(job, r, job.N, func(int) error {
		for i := range items {
			items[i] = contender.NewItem(c.next, job.Size)
			c.next++
		}
		return c.store.Put(items)
	}); err != nil {
		return err
	}
	for _, id := range []int64{first, c.next - 1} {
		if err := c.store.Read([]int64{id}, func(v *contender.Item) error { return v.Check(id) }); err != nil {
			return err
		}
	}
	return nil
}

// increment counts one more change of an object.
func increment(v *contender.Item) { v.Count++ }

// Update changes N of the objects that are this child's alone.
func (c *Child) Update(job process.Job, r *process.Result) error {
	from, to := c.own()
	return c.update(job, r, from, to)
}

// Shared changes N of all objects, so that children meet now and then.
func (c *Child) Shared(job process.Job, r *process.Result) error {
	return c.update(job, r, 0, c.open.Known)
}

// update changes N objects beside each other, at a random place.
func (c *Child) update(job process.Job, r *process.Result, from, to int64) error {
	n := min(int64(job.N), to-from)
	ids := make([]int64, n)
	return loop(job, r, int(n), func(int) error {
		at := from + rand.N(to-from-n+1)
		for i := range ids {
			ids[i] = at + int64(i)
		}
		return c.store.Update(ids, increment)
	})
}

// Append appends to a file that is no database, as fast as children can together.
func (c *Child) Append(job process.Job, r *process.Result) error {
	count, took, h, err := limit.Together(job.Path, job.Size, job.Durable, job.For)
	if err != nil {
		return err
	}
	r.Commits, r.Objects, r.Took, r.Latency = int64(count), int64(count), took, *h
	return nil
}

// SameKey changes the same N objects in all children.
func (c *Child) SameKey(job process.Job, r *process.Result) error {
	return c.update(job, r, 0, int64(job.N))
}

// Keys puts N random keys that no other child has into one shared tree. Where the
// objects are the tree they are as small as objects get.
func (c *Child) Keys(job process.Job, r *process.Result) error {
	tree, ok := c.store.(contender.Tree)
	ids := make([]int64, job.N)
	items := make([]contender.Item, job.N)
	if err := loop(job, r, job.N, func(int) error {
		for i := range ids { // between those of the others
			ids[i] = c.open.Known + rand.Int64N(1<<50)*int64(job.Workers) + int64(job.Worker)
		}
		if ok {
			return tree.PutKeys(ids)
		}
		for i, id := range ids {
			items[i] = contender.NewItem(id, 0)
		}
		return c.store.Put(items)
	}); err != nil {
		return err
	}
	if ok {
		return tree.FindKeys(ids)
	}
	i := 0
	return c.store.Read(ids, func(v *contender.Item) error {
		i++
		return v.Check(ids[i-1])
	})
}

// Counter adds one to a counter that all children share; who has none changes one
// object.
func (c *Child) Counter(job process.Job, r *process.Result) error {
	n, ok := c.store.(contender.Counter)
	if !ok {
		job.N = 1
		return c.SameKey(job, r)
	}
	return loop(job, r, 1, func(int) error { return n.AddToCounter(1) })
}

// Counted tells the value of the counter.
func (c *Child) Counted(job process.Job, r *process.Result) (err error) {
	n, ok := c.store.(contender.Counter)
	if !ok {
		return c.Sum(job, r)
	}
	r.Objects, err = n.CounterValue()
	return err
}

// Empty commits transactions that write nothing.
func (c *Child) Empty(job process.Job, r *process.Result) error {
	return loop(job, r, 1, func(int) error { return c.store.Empty() })
}

// NewIDs gets N new ids at a time.
func (c *Child) NewIDs(job process.Job, r *process.Result) error {
	a, ok := c.store.(contender.Allocator)
	if !ok {
		return errUnable
	}
	return loop(job, r, job.N, func(int) error { return a.NewIDs(job.N) })
}

// Sum reads all known objects, checks each, and tells how often they were changed.
func (c *Child) Sum(_ process.Job, r *process.Result) error {
	var ids []int64
	for id := range c.open.Known {
		ids = append(ids, id)
	}
	next := 0
	err := c.store.Read(ids, func(v *contender.Item) error {
		r.Objects += v.Count
		next++
		return v.Check(ids[next-1])
	})
	if err == nil && next != len(ids) {
		err = fmt.Errorf("read %d objects of %d", next, len(ids))
	}
	return err
}
