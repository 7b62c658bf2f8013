package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/durusdb/durus/durus"
)

// status counts the jobs of one moment, in which each of them is somewhere. It
// returns what is to be printed, so that no View stays open while a pager waits.
func status(ctx context.Context, db *durus.DB) (string, error) {
	return durus.Result(ctx, db.View, func(tx *durus.Tx) (string, error) {
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
		var text strings.Builder
		fmt.Fprintf(&text, "%d due, %d running, %d later, %d done, %d dead\n",
			due, running, later, durus.Must(q.Done.Len(tx)), durus.Must(q.Dead.Len(tx)))
		for _, j := range durus.Each(tx, q.Dead.All(tx)) {
			fmt.Fprintf(&text, "dead after %d attempts: %s: %s\n", j.Attempts, strings.Join(j.Command, " "), j.Failure)
		}
		return text.String(), nil
	})
}
