package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/storage"
)

func (a *app) historyCommand() *cobra.Command {
	n := 0
	cmd := objectArgs(&cobra.Command{
		Use:   "history FILE OID [-n N] [--json]",
		Short: "The states that an object has had, newest first",
		Long: `The states that an object has had, as far back as packs have kept them, with the
transactions that wrote them: the newest first. durusctl diff shows what two of
them have in common and what not. A root's name, or class@oid as references are
printed, may stand in place of OID.`,
		Example: `  durusctl history bank.durus 17
  durusctl history bank.durus bank.Account@17
  durusctl history bank.durus 17 --json | jq .description`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if n < 0 {
				return usageError{"-n must not be negative", cmd.CommandPath()}
			}
			if err := checkTarget(cmd, args[1]); err != nil {
				return err
			}
			return a.history(cmd.Context(), args[0], args[1], n)
		},
	})
	cmd.Flags().IntVarP(&n, "number", "n", 0, "print at most `N` states; 0 prints all")
	return cmd
}

type historyJSON struct {
	logJSON
	Class    string           `json:"class"`
	Version  int              `json:"version,omitempty"` // absent: written without one
	Position storage.Position `json:"position"`
	Size     int64            `json:"size"`
}

func (a *app) history(ctx context.Context, path, target string, n int) error {
	v, oid, err := a.viewOf(ctx, path, target)
	if err != nil {
		return err
	}
	defer v.close()
	k := 0
	for r, err := range v.st.Revisions(v.snap, oid) {
		switch {
		case errors.Is(err, storage.ErrNotFound):
			return v.missing(oid)
		case err == nil:
			err = ctx.Err()
		}
		if err == nil {
			spelling, _ := v.snap.ClassName(r.Class)
			err = a.printRevision(oid, &r, spelling, k == 0)
		}
		if err != nil {
			return err
		}
		if k++; k == n {
			break
		}
	}
	return v.damage // there may be newer states behind it
}

func (a *app) printRevision(oid storage.OID, r *storage.Revision, spelling string, first bool) error {
	class, version := classOf(spelling, r.Class)
	if a.json {
		return a.printJSON(historyJSON{logJSON{transactionOf(&r.Transaction), []string{oid.String()}}, class, version, r.Position, r.Size})
	}
	const user, cls, size = 2, 3, 4
	c := a.columns("DESCRIPTION", []int{cls, user, size},
		column{title: "TRANSACTION", width: 16}, column{title: "TIME", width: a.momentWidth()}, column{title: "USER", width: 10, least: 6},
		column{title: "CLASS", width: 20, least: 12}, column{title: "SIZE", width: 10, least: 8, right: true})
	if first {
		fmt.Fprintln(a.out, a.bold(c.header()))
	}
	class = plain(class)
	if version > 0 {
		class += " version " + versionText(version)
	}
	line := c.line(plain(r.Description), r.TID.String(), a.moment(r.Time), plain(r.User), class, shortSize(r.Size))
	_, err := fmt.Fprintln(a.out, line)
	return err
}
