package main

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

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

// The file is looked at every shortest pause while transactions arrive, and
// up to every longest pause while none does. A look is one system call.
const (
	shortestPause = 2 * time.Millisecond
	longestPause  = 50 * time.Millisecond
)

func (t *tailer) follow(ctx context.Context) error {
	pause, rewound := shortestPause, false
	for {
		news, err := t.news(ctx)
		switch {
		case errors.Is(err, storage.ErrRewound) && !rewound:
			// The handle goes on with the new history; the next look shows
			// it. A second time in a row means that it cannot.
			rewound = true
			t.note("%s: going on with what the file holds now", err)
			continue
		case err != nil:
			return err
		}
		rewound = false
		if news {
			pause = shortestPause
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		if !news {
			pause = min(pause+pause/2, longestPause)
		}
	}
}

// news prints what was committed since the last look.
func (t *tailer) news(ctx context.Context) (bool, error) {
	snap, err := t.st.Begin(ctx, false)
	if err != nil {
		return false, err
	}
	defer snap.Release()
	newest := snap.TID()
	if newest <= t.last {
		t.last = newest // smaller: a backup was restored
		return false, nil
	}
	if h := t.st.Header().Horizon; h > t.last {
		t.note("a pack has removed transactions up to %s before they could be shown", h)
	}
	for tx, err := range t.st.History(snap, t.last+1, newest, false) {
		if err != nil {
			return false, err
		}
		if err := t.print(&tx); err != nil {
			return false, err
		}
		t.last = tx.TID
	}
	t.last = newest
	return true, t.out.Flush()
}

func (t *tailer) print(tx *storage.Transaction) error {
	err := t.printTransaction(tx, t.first)
	t.first = false
	return err
}
