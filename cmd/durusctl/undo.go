package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/storage"
)

func (a *app) undoCommand() *cobra.Command {
	dry := false
	cmd := &cobra.Command{
		Use:   "undo FILE TID... [--dry-run] [--json]",
		Short: "Take back what transactions have done",
		Long: `Commit a transaction that takes back what others have done: objects get their
states from before, keys of containers their values, counters the opposite of
what was added. Nothing is removed from the history: to redo, undo the undo.

If something that was committed later depends on it, or a pack has removed what
would be referred to, it fails and changes nothing; then the objects are named.
Several transactions are undone together or not at all, the newest first.

With --dry-run it says what would come back, and neither writes nor locks. Other
programs may use the database meanwhile. durusctl log tells the transactions.`,
		Example: `  durusctl undo bank.durus 1767323049000000 --dry-run
  durusctl undo bank.durus 1767323049000000 1767323048000000`,
		RunE: func(cmd *cobra.Command, args []string) error {
			tids, err := parseTIDs(args[1:])
			if err != nil {
				return usageError{err.Error(), cmd.CommandPath()}
			}
			return a.undo(cmd.Context(), args[0], tids, dry)
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would be done, and do nothing")
	return fileArgs(cmd, math.MaxInt-1)
}

func parseTIDs(args []string) ([]storage.TID, error) {
	if len(args) == 0 {
		return nil, errors.New("undo needs a TID, or several")
	}
	tids := make([]storage.TID, len(args))
	for i, arg := range args {
		var err error
		if tids[i], err = storage.ParseTID(arg); err != nil || tids[i] == 0 {
			return nil, fmt.Errorf("%q is not a transaction id: give a decimal number such as durusctl log prints", arg)
		}
		for _, tid := range tids[:i] {
			if tid == tids[i] {
				return nil, fmt.Errorf("transaction %s is given twice", tid)
			}
		}
	}
	return tids, nil
}

type undoJSON struct {
	OK      bool          `json:"ok"`
	DryRun  bool          `json:"dry_run"`
	Undone  []storage.TID `json:"undone"`
	TID     *storage.TID  `json:"tid"` // of the transaction that undoes; null if there is none
	Changes []undoneJSON  `json:"changes"`
	// Conflicts are what stands against it.
	Conflicts []conflictJSON `json:"conflicts"`
}

type undoneJSON struct {
	OID    storage.OID `json:"oid"`
	Class  string      `json:"class"`
	Change string      `json:"change"`
}

type conflictJSON struct {
	OID       storage.OID `json:"oid"`
	Class     string      `json:"class"`
	Committed storage.TID `json:"committed"` // "0" if it is not known
	Reason    string      `json:"reason"`
}

func (a *app) undo(ctx context.Context, path string, tids []storage.TID, dry bool) error {
	db, err := durus.Open(path, &durus.Options{
		ReadOnly: dry, MustExist: true, Types: durus.NewTypes(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return explainOpen(path, err)
	}
	j := undoJSON{DryRun: dry, Undone: tids, Changes: []undoneJSON{}, Conflicts: []conflictJSON{}}
	err = undoIn(ctx, db, &j)
	if closeErr := db.Close(); err == nil {
		err = closeErr
	}
	var lost *durus.ConflictError
	if errors.As(err, &lost) {
		for _, o := range lost.Objects {
			j.Conflicts = append(j.Conflicts, conflictJSON{o.OID, o.Class, o.Committed, o.Reason})
		}
	} else if err != nil {
		return err
	}
	j.OK = err == nil
	switch {
	case a.json:
		err = errors.Join(err, a.printJSON(j))
	case err == nil:
		a.printUndo(&j)
	}
	return err
}

// undoIn asks what there is to do first: what is undone may be what others have made
// of it since, but is never more than Undo has checked again.
func undoIn(ctx context.Context, db *durus.DB, j *undoJSON) error {
	plan, err := db.PlanUndo(ctx, j.Undone...)
	if err != nil {
		return err
	}
	for _, u := range plan {
		j.Changes = append(j.Changes, undoneJSON{u.OID, u.Class, u.Change})
	}
	if j.DryRun || len(plan) == 0 {
		return nil
	}
	tid, err := db.Undo(ctx, j.Undone...)
	if err == nil {
		j.TID = &tid
	}
	return err
}

func (a *app) printUndo(j *undoJSON) {
	if len(j.Changes) == 0 {
		fmt.Fprintln(a.out, "nothing to do: everything is as it was before")
		return
	}
	var f facts
	if j.DryRun {
		f.add("dry run", "nothing was changed")
	} else {
		f.add("transaction", j.TID.String())
	}
	f.add("undoes", count(uint64(len(j.Undone)), "transaction"))
	a.printFacts(f)
	fmt.Fprintln(a.out)
	t := table{header: []string{"OBJECT", "CLASS", "CHANGE"}}
	for _, c := range j.Changes {
		change := c.Change
		if change == "" {
			change = "comes back as it was"
		}
		t.add(c.OID.String(), plain(c.Class), plain(change))
	}
	a.printTable(&t)
}
