package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/durusdb/durus/durus"
)

// Job is an object of its own: workers that run different jobs change different
// objects, and are in nobody's way.
type Job struct {
	Command  []string
	Tries    int    // attempts that it gets
	Attempts int    // that have begun
	Worker   string // who runs it, or was killed while it did
	Failure  string // of the last attempt
}

// Ticket says when a job is to be looked at next: when it is due, or, while it
// is leased, when the lease is over. So a job whose worker was killed becomes due by
// itself. Each lease has a ticket of its own, and only who still finds it in the
// queue may say what becomes of the job.
type Ticket struct {
	At  time.Time
	Job durus.Ref[Job]
}

// Queue leads to all jobs. It is never edited: what changes are its containers.
type Queue struct {
	Tickets durus.Set[Ticket] // in the order of their time
	Done    durus.List[durus.Ref[Job]]
	Dead    durus.List[durus.Ref[Job]]
}

var (
	_     = durus.Register[Job]("jobs.Job")
	_     = durus.Register[Queue]("jobs.Queue")
	queue = durus.NewRoot[Queue]("queue")
)

// lease is what a worker knows of the job that it runs.
type lease struct {
	ticket  Ticket
	command []string
}

var errLeaseLost = errors.New("the lease was over, and somebody else has got the job")

func add(ctx context.Context, db *durus.DB, command []string, tries int, due time.Time) error {
	return db.Update(ctx, func(tx *durus.Tx) error {
		job := durus.Must(durus.Add(tx, &Job{Command: command, Tries: tries}))
		return durus.Must(queue.Load(tx)).Tickets.Add(tx, Ticket{due, job})
	})
}

// ripe returns some of the jobs that are due. It looks in a View: a range that
// an Update has read would conflict with everybody who takes a job out of it.
func ripe(ctx context.Context, db *durus.DB) ([]Ticket, error) {
	return durus.Result(ctx, db.View, func(tx *durus.Tx) (due []Ticket, err error) {
		now := time.Now()
		for t := range durus.Must(queue.Load(tx)).Tickets.All(tx) {
			if t.At.After(now) || len(due) == 16 {
				break
			}
			due = append(due, t)
		}
		return due, nil
	})
}

// claim leases a job that is due to a worker. It returns nil if there is none.
func claim(ctx context.Context, db *durus.DB, worker string, d time.Duration) (*lease, error) {
	due, err := ripe(ctx, db)
	if err != nil || len(due) == 0 {
		return nil, err
	}
	t := due[rand.IntN(len(due))] // one of the first, so that not all reach for the same
	return durus.Result(ctx, db.Update, func(tx *durus.Tx) (*lease, error) {
		q := durus.Must(queue.Load(tx))
		if !durus.Must(q.Tickets.Delete(tx, t)) {
			return nil, nil // somebody was faster: what a View has shown must be looked at again
		}
		j := durus.Must(t.Job.Edit(tx))
		if j.Worker != "" {
			j.Failure = j.Worker + " has not reported within its lease"
		}
		if j.Attempts == j.Tries {
			return nil, q.Dead.Append(tx, t.Job)
		}
		j.Attempts++
		j.Worker = worker
		l := &lease{Ticket{time.Now().Add(d), t.Job}, j.Command}
		return l, q.Tickets.Add(tx, l.ticket)
	})
}

// settle says what becomes of a leased job after an attempt: it is done, or
// tried again after a while that doubles with each attempt, or dead.
func settle(ctx context.Context, db *durus.DB, l *lease, failure error, backoff time.Duration) error {
	return db.Update(ctx, func(tx *durus.Tx) error {
		q := durus.Must(queue.Load(tx))
		if !durus.Must(q.Tickets.Delete(tx, l.ticket)) {
			return errLeaseLost
		}
		j := durus.Must(l.ticket.Job.Edit(tx))
		j.Worker = ""
		if failure == nil {
			return q.Done.Append(tx, l.ticket.Job)
		}
		j.Failure = fmt.Sprint(failure)
		switch {
		case errors.Is(failure, context.Canceled): // the worker has to go: not the job's fault
			j.Attempts--
			return q.Tickets.Add(tx, Ticket{time.Now(), l.ticket.Job})
		case j.Attempts == j.Tries:
			return q.Dead.Append(tx, l.ticket.Job)
		default:
			pause := backoff << min(j.Attempts-1, 10)
			return q.Tickets.Add(tx, Ticket{time.Now().Add(pause), l.ticket.Job})
		}
	})
}
