package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/storage"
)

func (a *app) logCommand() *cobra.Command {
	var q logQuery
	q.to = math.MaxUint64
	cmd := &cobra.Command{
		Use:   "log FILE [--from TID] [--since TIME] [--user NAME] [-n N] [--reverse]",
		Short: "The transactions, oldest first",
		Long: `The transactions of a database that are visible, which is, safe on the disk: the
oldest first, or the newest with --reverse. With --json each is one line:
tid, time, user, description, ext and the oids of the objects that it wrote.

TIME is 2026-01-02T15:04:05Z, or of here: 2026-01-02 15:04:05 or 2026-01-02, or
how long ago it was: 90m, 7d.`,
		Example: `  durusctl log bank.durus --reverse -n 20
  durusctl log bank.durus --since 7d --user ada
  durusctl log bank.durus --from 1767225600000000 --json | jq .description`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if q.n < 0 {
				return usageError{"-n must not be negative", cmd.CommandPath()}
			}
			if q.from > q.to {
				return usageError{fmt.Sprintf("--from %s comes after --to %s", q.from, q.to), cmd.CommandPath()}
			}
			if !q.until.IsZero() && q.since.After(q.until) {
				return usageError{fmt.Sprintf("--since %s comes after --until %s", timeText(q.since), timeText(q.until)), cmd.CommandPath()}
			}
			return a.log(cmd.Context(), args[0], q)
		},
	}
	cmd.Flags().Var(tidFlag{&q.from}, "from", "leave out what is older than this `TID`")
	cmd.Flags().Var(tidFlag{&q.to}, "to", "leave out what is newer than this `TID`")
	cmd.Flags().Var(timeFlag{&q.since}, "since", "leave out what was committed before this `TIME`")
	cmd.Flags().Var(timeFlag{&q.until}, "until", "leave out what was committed after this `TIME`")
	cmd.Flags().StringVar(&q.user, "user", "", "leave out what others than `NAME` have done")
	cmd.Flags().IntVarP(&q.n, "number", "n", 0, "print at most `N` transactions; 0 prints all")
	cmd.Flags().BoolVar(&q.reverse, "reverse", false, "newest first")
	return fileArgs(cmd, 0)
}

type logQuery struct {
	from, to     storage.TID
	since, until time.Time // zero: no limit
	user         string    // empty: any
	n            int       // 0: no limit
	reverse      bool
}

// narrow makes from and to of since and until, where the file can tell: so what
// is left out is not read. keeps has the last word.
func (q *logQuery) narrow(ctx context.Context, st *filestorage.Storage) {
	if !q.since.IsZero() {
		if tid, err := st.TIDAt(ctx, q.since.Add(-time.Microsecond)); err == nil {
			q.from = max(q.from, tid+1)
		}
	}
	if !q.until.IsZero() {
		if tid, err := st.TIDAt(ctx, q.until); err == nil {
			q.to = min(q.to, tid)
		}
	}
}

// keeps tells whether a transaction is asked for.
func (q *logQuery) keeps(tx *storage.Transaction) bool {
	return !tx.Time.Before(q.since) && (q.until.IsZero() || !tx.Time.After(q.until)) && (q.user == "" || tx.User == q.user)
}

// timeFlag is a flag that takes a moment.
type timeFlag struct{ time *time.Time }

func (f timeFlag) String() string { return "" }
func (f timeFlag) Type() string   { return "TIME" }
func (f timeFlag) Set(s string) error {
	if t, err := parseTime(s, time.Local); err == nil {
		*f.time = t
		return nil
	}
	if age, err := parseAge(s); err == nil && s != "" {
		*f.time = time.Now().Add(-age)
		return nil
	}
	return errors.New("not a time: give one such as 2026-01-02, 2026-01-02T15:04:05Z, or an age such as 90m or 7d")
}

// tidFlag is a flag that takes a transaction id. Nothing, the value from the
// start, prints as no default.
type tidFlag struct{ tid *storage.TID }

func (f tidFlag) String() string { return "" }
func (f tidFlag) Type() string   { return "TID" }
func (f tidFlag) Set(s string) error {
	tid, err := storage.ParseTID(s)
	if err != nil || s == "" {
		return errors.New("not a transaction id: give a decimal number such as durusctl log prints")
	}
	*f.tid = tid
	return nil
}

func (a *app) log(ctx context.Context, path string, q logQuery) error {
	st, err := open(path)
	if err != nil {
		return err
	}
	defer st.Close()
	snap, damage, err := st.Examine(ctx)
	if err != nil {
		return err
	}
	defer snap.Release()
	q.narrow(ctx, st)
	n := 0
	for tx, err := range st.History(snap, q.from, q.to, q.reverse) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil && !q.keeps(&tx) {
			continue
		}
		if err == nil {
			err = a.printTransaction(&tx, n == 0)
		}
		if err != nil {
			return err
		}
		if n++; n == q.n {
			break
		}
	}
	return damage // whatever lies behind it is missing above
}

type transactionJSON struct {
	TID         storage.TID       `json:"tid"`
	Time        string            `json:"time"`
	User        string            `json:"user"`
	Description string            `json:"description"`
	Ext         map[string]string `json:"ext,omitempty"`
}

type logJSON struct {
	transactionJSON
	OIDs []string `json:"oids"`
}

func transactionOf(tx *storage.Transaction) transactionJSON {
	return transactionJSON{tx.TID, timeText(tx.Time), tx.User, tx.Description, tx.Ext}
}

// printTransaction prints one line of log and tail.
func (a *app) printTransaction(tx *storage.Transaction, first bool) error {
	if a.json {
		return a.printJSON(logJSON{transactionOf(tx), oidStrings(tx.OIDs)})
	}
	const user, objects = 2, 3
	c := a.columns("DESCRIPTION", []int{user, objects},
		column{title: "TRANSACTION", width: 16}, column{title: "TIME", width: a.momentWidth()}, column{title: "USER", width: 10, least: 6}, column{title: "OBJECTS", width: 20, least: 10})
	if first {
		fmt.Fprintln(a.out, a.bold(c.header()))
	}
	description := plain(tx.Description)
	if n := tx.Conflicts(); n > 0 {
		description = strings.TrimSpace(fmt.Sprintf("%s (after %s)", description, count(n, "conflict")))
	}
	line := c.line(description, tx.TID.String(), a.moment(tx.Time), plain(tx.User), objectsText(tx.OIDs, c.widths[objects]))
	_, err := fmt.Fprintln(a.out, line)
	return err
}

// objectsText names as many objects as fit into a column, and counts the others.
func objectsText(oids []storage.OID, width int) string {
	for n := min(len(oids), width/2); n > 0; n-- {
		s := strings.Join(oidStrings(oids[:n]), ",")
		if rest := len(oids) - n; rest > 0 {
			s += fmt.Sprintf(",+%d", rest)
		}
		if len(s) <= width {
			return s
		}
	}
	return count(uint64(len(oids)), "object")
}
