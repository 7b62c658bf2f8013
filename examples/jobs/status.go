package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/durusdb/durus/durus"
)

// status counts the jobs of one moment, in which each of them is somewhere.
func status(ctx context.Context, db *durus.DB, out io.Writer) error {
	return db.View(ctx, func(tx *durus.Tx) error {
		q := durus.Must(queue.Load(tx))
		now := time.Now()
		var due, later, running int
		for t := range q.Tickets.All(tx) {
			switch j := durus.Must(t.Job.Load(tx)); {
			case !t.At.After(now):
				due++
			case j.Worker != "":
				running++
			default:
				later++
			}
		}
		fmt.Fprintf(out, "%d due, %d running, %d later, %d done, %d dead\n",
			due, running, later, durus.Must(q.Done.Len(tx)), durus.Must(q.Dead.Len(tx)))
		for _, j := range durus.Each(tx, q.Dead.All(tx)) {
			fmt.Fprintf(out, "dead after %d attempts: %s: %s\n", j.Attempts, strings.Join(j.Command, " "), j.Failure)
		}
		return nil
	})
}
