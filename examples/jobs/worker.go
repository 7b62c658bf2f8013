package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/durusdb/durus/durus"
)

// worker runs jobs, one at a time. For more at a time start more processes.
type worker struct {
	db      *durus.DB
	name    string
	lease   time.Duration // longest time for one attempt
	backoff time.Duration // pause after the first failure
	drain   bool          // end when the queue is empty
	out     io.Writer
}

var errEmpty = errors.New("the queue is empty")

func (w *worker) loop(ctx context.Context) error {
	for {
		err := w.step(ctx)
		switch {
		case ctx.Err() != nil || errors.Is(err, errEmpty):
			return nil
		case err != nil:
			return err
		}
	}
}

// step runs a job, or waits for a moment if none is due. To look takes one
// system call as long as nothing has changed.
func (w *worker) step(ctx context.Context) error {
	l, err := claim(ctx, w.db, w.name, w.lease)
	switch {
	case err != nil:
		return err
	case l != nil:
		return w.attempt(ctx, l)
	case w.drain:
		n, err := durus.Result(ctx, w.db.View, func(tx *durus.Tx) (int, error) {
			return durus.Must(queue.Load(tx)).Tickets.Len(tx)
		})
		if err != nil {
			return err
		}
		if n == 0 {
			return errEmpty
		}
	}
	select {
	case <-ctx.Done():
	case <-time.After(50 * time.Millisecond):
	}
	return nil
}

// attempt runs a leased job outside of any transaction, however long it takes,
// and reports in one.
func (w *worker) attempt(ctx context.Context, l *lease) error {
	failure := w.execute(ctx, l)
	// Also when ctx is done: a job that is given back need not wait for the end of its lease.
	err := settle(context.WithoutCancel(ctx), w.db, l, failure, w.backoff)
	if errors.Is(err, errLeaseLost) {
		failure, err = err, nil
	}
	if failure != nil {
		fmt.Fprintf(w.out, "%s: %v\n", strings.Join(l.command, " "), failure)
	}
	return err
}

// execute ends a program that runs when its lease does: another worker may
// begin it then.
func (w *worker) execute(ctx context.Context, l *lease) error {
	leased, cancel := context.WithDeadline(ctx, l.ticket.At)
	defer cancel()
	c := exec.CommandContext(leased, l.command[0], l.command[1:]...)
	c.Stdout, c.Stderr = w.out, w.out
	c.WaitDelay = time.Second // for children of its own that keep the output open
	err := c.Run()
	if err != nil && leased.Err() != nil {
		return leased.Err() // says more than "signal: killed"
	}
	return err
}
