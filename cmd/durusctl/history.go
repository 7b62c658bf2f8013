package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/storage"
)

func (a *app) historyCommand() *cobra.Command {
	n := 0
	cmd := &cobra.Command{
		Use:   "history FILE OID [-n N] [--json]",
		Short: "The states that an object has had, newest first",
		Long: `The states that an object has had, as far back as packs have kept them, with the
transactions that wrote them: the newest first. durusctl diff shows what two of
them have in common and what not.`,
		Example: `  durusctl history bank.durus 17
  durusctl history bank.durus 17 --json | jq .description`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usageError{"history needs an OID", cmd.CommandPath()}
			}
			oid, err := storage.ParseOID(args[1])
			if err != nil || oid == 0 {
				return usageError{fmt.Sprintf("%q is not an object id: give a decimal number such as durusctl log prints", args[1]), cmd.CommandPath()}
			}
			if n < 0 {
				return usageError{"-n must not be negative", cmd.CommandPath()}
			}
			return a.history(cmd.Context(), args[0], oid, n)
		},
	}
	cmd.Flags().IntVarP(&n, "number", "n", 0, "print at most `N` states; 0 prints all")
	return fileArgs(cmd, 1)
}

type historyJSON struct {
	logJSON
	Class    string           `json:"class"`
	Version  int              `json:"version,omitempty"` // absent: written without one
	Position storage.Position `json:"position"`
	Size     int64            `json:"size"`
}

// Columns have a fixed width, as those of log.
const historyLine = "%-16s  %-27s  %-10s  %-20s  %10s  %s"

func (a *app) history(ctx context.Context, path string, oid storage.OID, n int) error {
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
	k := 0
	for r, err := range st.Revisions(snap, oid) {
		switch {
		case errors.Is(err, storage.ErrNotFound) && damage != nil:
			return damage // it may lie behind it
		case errors.Is(err, storage.ErrNotFound):
			return explain(err, fmt.Sprintf("%s has no object %s: durusctl log tells which objects were written", path, oid))
		case err == nil:
			err = ctx.Err()
		}
		if err == nil {
			spelling, _ := snap.ClassName(r.Class)
			err = a.printRevision(oid, &r, spelling, k == 0)
		}
		if err != nil {
			return err
		}
		if k++; k == n {
			break
		}
	}
	return damage // there may be newer states behind it
}

func (a *app) printRevision(oid storage.OID, r *storage.Revision, spelling string, first bool) error {
	class, version := classOf(spelling, r.Class)
	if a.json {
		return a.printJSON(historyJSON{logJSON{transactionOf(&r.Transaction), []string{oid.String()}}, class, version, r.Position, r.Size})
	}
	if first {
		fmt.Fprintln(a.out, a.bold(fmt.Sprintf(historyLine, "TRANSACTION", "TIME", "USER", "CLASS", "SIZE", "DESCRIPTION")))
	}
	class = plain(class)
	if version > 0 {
		class += " version " + versionText(version)
	}
	line := fmt.Sprintf(historyLine, r.TID, timeText(r.Time), plain(r.User), class, strconv.FormatInt(r.Size, 10), plain(r.Description))
	_, err := fmt.Fprintln(a.out, strings.TrimRight(line, " "))
	return err
}
