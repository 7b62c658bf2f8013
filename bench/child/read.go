package child

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/durusdb/durus/bench/contender"
	"github.com/durusdb/durus/bench/process"
)

// Cold reads each object once, after the database was opened anew and its file
// was dropped from the page cache.
func (c *Child) Cold(job process.Job, r *process.Result) error { return c.fresh(job, r, dropPageCache) }

// Hot reads each object once, after the database was opened anew: the page cache
// is warm, the object cache empty.
func (c *Child) Hot(job process.Job, r *process.Result) error {
	return c.fresh(job, r, func(string) error { return nil })
}

// fresh reads the child's own objects in random order, N at a time. When all are
// read it forgets them and begins again; that is not timed.
func (c *Child) fresh(job process.Job, r *process.Result, forget func(path string) error) error {
	from, to := c.own()
	n := min(job.N, int(to-from))
	for began := time.Now(); r.Took < job.For && time.Since(began) < 3*job.For; {
		if err := c.reopen(forget); err != nil {
			return err
		}
		order := rand.Perm(int(to - from))
		ids := make([]int64, n)
		for len(order) >= n && r.Took < job.For {
			for i := range ids {
				ids[i] = from + int64(order[i])
			}
			order = order[n:]
			if err := c.read(ids, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// read reads and checks objects in one transaction, and counts it.
func (c *Child) read(ids []int64, r *process.Result) error {
	i := 0
	began := time.Now()
	err := c.store.Read(ids, func(v *contender.Item) error {
		i++
		return v.Check(ids[i-1])
	})
	took := time.Since(began)
	if err == nil && i != len(ids) {
		err = fmt.Errorf("read %d objects of %d", i, len(ids))
	}
	r.Commits++
	r.Objects += int64(i)
	r.Took += took
	r.Latency.Add(took)
	return err
}

// Warm reads N objects right after it has written them; the writing is not timed.
func (c *Child) Warm(job process.Job, r *process.Result) error {
	from, to := c.own()
	ids := make([]int64, min(job.N, int(to-from)))
	for began := time.Now(); r.Commits == 0 || r.Took < job.For && time.Since(began) < 2*job.For; {
		at := from + rand.N(to-from-int64(len(ids))+1)
		for i := range ids {
			ids[i] = at + int64(i)
		}
		if err := c.store.Update(ids, func(v *contender.Item) { v.Count++ }); err != nil {
			return err
		}
		if err := c.read(ids, r); err != nil {
			return err
		}
	}
	return nil
}

// Steamin reads the same objects again and again: all of them are live.
func (c *Child) Steamin(job process.Job, r *process.Result) error {
	from, to := c.own()
	ids := make([]int64, min(job.N, int(to-from)))
	for i := range ids {
		ids[i] = from + int64(i)
	}
	if err := c.read(ids, new(process.Result)); err != nil {
		return err
	}
	return loop(job, r, len(ids), func(int) error {
		i := 0
		return c.store.Read(ids, func(v *contender.Item) error {
			i++
			return v.Check(ids[i-1])
		})
	})
}

// Refs reads random objects, once each, by references that it holds; who has no
// references reads by keys.
func (c *Child) Refs(job process.Job, r *process.Result) error {
	if err := c.reopen(func(string) error { return nil }); err != nil {
		return err
	}
	seen := map[int64]bool{}
	var ids []int64
	for len(ids) < job.N {
		if id := rand.Int64N(int64(job.Size)); !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	ref, ok := c.store.(contender.Referrer)
	if !ok {
		return c.read(ids, r)
	}
	read, err := ref.Refer(ids)
	if err != nil {
		return err
	}
	i := 0
	began := time.Now()
	err = read(func(v *contender.Item) error {
		i++
		return v.Check(ids[i-1])
	})
	r.Commits, r.Objects, r.Took = 1, int64(i), time.Since(began)
	return err
}
