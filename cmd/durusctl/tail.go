package main

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/storage"
)

func (a *app) tailCommand() *cobra.Command {
	n, follow := 10, false
	cmd := &cobra.Command{
		Use:   "tail FILE [-f] [-n N] [--json]",
		Short: "The newest transactions, and with -f all to come",
		Long: `The newest transactions, as durusctl log prints them. With -f also those that
follow, of whichever process, until it is interrupted.`,
		Example: `  durusctl tail -f bank.durus
  durusctl tail -f -n 0 --json bank.durus | jq -c .oids`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if n < 0 {
				return usageError{"-n must not be negative", cmd.CommandPath()}
			}
			return a.tail(cmd.Context(), args[0], n, follow)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is committed from now on")
	cmd.Flags().IntVarP(&n, "number", "n", n, "begin with the newest `N` transactions")
	return fileArgs(cmd, 0)
}

func (a *app) tail(ctx context.Context, path string, n int, follow bool) error {
	st, err := open(path)
	if err != nil {
		return err
	}
	defer st.Close()
	t := tailer{app: a, st: st, first: true}
	if err := t.begin(ctx, n); err != nil || !follow {
		return err
	}
	return t.follow(ctx)
}

// tailer prints transactions in the order of their commits.
type tailer struct {
	*app
	st    *filestorage.Storage
	last  storage.TID // printed, or left out on purpose
	first bool        // nothing was printed yet
}

// begin prints the newest n transactions.
func (t *tailer) begin(ctx context.Context, n int) error {
	snap, damage, err := t.st.Examine(ctx)
	if err != nil {
		return err
	}
	defer snap.Release()
	var newest []storage.Transaction
	if n > 0 {
		for tx, err := range t.st.History(snap, 0, math.MaxUint64, true) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
			if newest = append(newest, tx); len(newest) == n {
				break
			}
		}
	}
	t.last = snap.TID()
	for _, tx := range slices.Backward(newest) {
		if err := t.print(&tx); err != nil {
			return err
		}
	}
	return errors.Join(t.out.Flush(), damage)
}

// follow prints what is committed from now on. What has become of the file on
// the way is told, and it goes on with what is there.
func (t *tailer) follow(ctx context.Context) error {
	for stuck := false; ; stuck = true {
		last := t.last
		err := t.news(ctx)
		if t.last != last {
			stuck = false
		}
		switch {
		case stuck: // twice in a row, and nothing between: it cannot
			return err
		case errors.Is(err, storage.ErrRewound):
			t.note("%s: going on with what the file holds now", err)
			t.last, err = t.st.LastTID()
		case errors.Is(err, storage.ErrPacked):
			t.last = t.st.Header().Horizon
			t.note("a pack has removed transactions up to %s before they could be shown", t.last)
			err = nil
		}
		if err != nil {
			return err
		}
	}
}

// news prints the transactions behind the last one until an error ends it.
func (t *tailer) news(ctx context.Context) error {
	cursor := t.st.Follow(t.last)
	defer cursor.Close()
	for {
		w, err := cursor.Next(ctx)
		if err != nil {
			return err
		}
		w.State.Release()
		if err := t.print(&w.Transaction); err != nil {
			return err
		}
		t.last = w.TID
		if err := t.out.Flush(); err != nil {
			return err
		}
	}
}

func (t *tailer) print(tx *storage.Transaction) error {
	err := t.printTransaction(tx, t.first)
	t.first = false
	return err
}
