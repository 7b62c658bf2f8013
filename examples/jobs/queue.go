package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/durusdb/durus/durus"
)

// Job is a command to run. When it is due is all that leases and retries need:
// a job that somebody runs is due again when the lease is over. So there is no
// sweeper, no heartbeat, and no lock that a killed worker could keep.
type Job struct {
	ID      uint64
	Command []string
	Due     time.Time // zero: dead, its tries are used up
	Begun   int       // how often it was
	Tries   int       // how often it may be
	Report  string    // of the last time
}

// Queue leads to all jobs. It is never edited: what changes is its table.
type Queue struct {
	Jobs durus.Table[uint64, Job] // by ID
}

var (
	byDue = durus.NewIndex("due", func(j *Job) time.Time { return j.Due }).
		Where(func(j *Job) bool { return !j.Due.IsZero() })

	_     = durus.Register[Job]("jobs.Job", durus.Indexes(byDue))
	_     = durus.Register[Queue]("jobs.Queue")
	queue = durus.NewRoot[Queue]("queue")
)

func add(ctx context.Context, db *durus.DB, command []string, tries int) error {
	return db.Update(ctx, func(tx *durus.Tx) error {
		j := &Job{ID: rand.Uint64(), Command: command, Due: time.Now(), Tries: tries}
		_, err := durus.Must(queue.Load(tx)).Jobs.Insert(tx, j.ID, j)
		return err
	})
}

// due returns some of the jobs that are due, the oldest. It looks in a View: a
// range that an Update has read would conflict with all who take a job out of it.
func due(ctx context.Context, db *durus.DB) ([]*Job, error) {
	return durus.Result(ctx, db.View, func(tx *durus.Tx) (jobs []*Job, err error) {
		refs := byDue.Range(tx, durus.Must(queue.Load(tx)).Jobs, time.Time{}, time.Now())
		for _, j := range durus.Each(tx, refs) {
			if jobs = append(jobs, j); len(jobs) == 16 {
				break
			}
		}
		return jobs, nil
	})
}

// claim leases a job that is due. It returns nil if there is none. When it is
// due next is the end of the lease, and tells this lease from all others.
func claim(ctx context.Context, db *durus.DB, lease time.Duration) (*Job, error) {
	jobs, err := due(ctx, db)
	if err != nil || len(jobs) == 0 {
		return nil, err
	}
	seen := jobs[rand.IntN(len(jobs))] // so that not all reach for the same
	return durus.Result(ctx, db.Update, func(tx *durus.Tx) (*Job, error) {
		j, found := durus.Must2(durus.Must(queue.Load(tx)).Jobs.Edit(tx, seen.ID))
		if !found || !j.Due.Equal(seen.Due) {
			return nil, nil // somebody was faster: what a View has shown must be looked at again
		}
		if j.Begun >= j.Tries { // and nobody lived to report of the last time
			j.Due = time.Time{}
			return nil, nil
		}
		j.Begun++
		j.Due = time.Now().Add(lease)
		j.Report = "nobody has reported yet"
		return j, nil
	})
}

// settle says what becomes of a job that was leased and run: it is done and
// leaves the queue, or is due again after a while that doubles each time, or dead.
func settle(ctx context.Context, db *durus.DB, job *Job, failure error) error {
	return db.Update(ctx, func(tx *durus.Tx) error {
		jobs := durus.Must(queue.Load(tx)).Jobs
		j, found := durus.Must2(jobs.Edit(tx, job.ID))
		switch {
		case !found || !j.Due.Equal(job.Due):
			return nil // the lease was over, and somebody else has got the job
		case failure == nil:
			durus.Must(jobs.Delete(tx, j.ID))
			return nil
		case j.Begun >= j.Tries:
			j.Due = time.Time{}
		default:
			j.Due = time.Now().Add(time.Second << min(j.Begun-1, 10))
		}
		j.Report = failure.Error()
		return nil
	})
}

// status prints the jobs that are not done.
func status(ctx context.Context, db *durus.DB) error {
	return db.View(ctx, func(tx *durus.Tx) error {
		for _, j := range durus.Each(tx, durus.Must(queue.Load(tx)).Jobs.All(tx)) {
			when := "dead"
			if !j.Due.IsZero() {
				when = "due " + j.Due.Local().Format(time.TimeOnly)
			}
			fmt.Printf("%s, begun %d of %d times: %q: %s\n", when, j.Begun, j.Tries, j.Command, j.Report)
		}
		return nil
	})
}
