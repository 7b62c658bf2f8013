package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/backup"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/posix"
)

func (a *app) restoreCommand() *cobra.Command {
	var at string
	var o backup.RestoreOptions
	cmd := &cobra.Command{
		Use:   "restore SRC FILE [--at TID|TIME] [--run N] [--overwrite] [--json]",
		Short: "Make a database of a backup, as it was at any time",
		Long: `Make the database FILE of SRC, a directory of backups or a copy of a database.
With --at it is as it was at a transaction or a time: the newest transaction
that is not later counts. Every checksum is looked at on the way. FILE gets its
name when all of it is on the disk.

--overwrite replaces a database that is there, in one step, also while programs
have it open: they are told, and go on with what was restored. What was
committed since the backup is lost with the old file: keep a copy of that.

TIME is 2026-01-02T15:04:05Z, or of here: 2026-01-02 15:04:05 or 2026-01-02.`,
		Example: `  durusctl restore /backups/bank bank.durus
  durusctl restore /backups/bank before.durus --at "2026-01-02 15:04:05"`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if len(args) < 2 {
				return usageError{"restore needs a backup and the FILE to make", cmd.CommandPath()}
			}
			if o.AtTID, o.AtTime, err = parseAt(at, time.Local); err != nil {
				return usageError{err.Error(), cmd.CommandPath()}
			}
			if o.Run < 0 {
				return usageError{"--run must not be negative", cmd.CommandPath()}
			}
			return a.restore(cmd.Context(), args[0], args[1], o)
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "as it was at this `TID or TIME`")
	cmd.Flags().IntVar(&o.Run, "run", 0, "from run `N`; 0: from the newest that holds it")
	cmd.Flags().BoolVar(&o.Overwrite, "overwrite", false, "replace the database that is there")
	return fileArgs(cmd, 1)
}

// parseAt reads a transaction id or a time.
func parseAt(s string, here *time.Location) (storage.TID, time.Time, error) {
	if s == "" {
		return 0, time.Time{}, nil
	}
	if tid, err := storage.ParseTID(s); err == nil && tid > 0 {
		return tid, time.Time{}, nil
	}
	if t, err := parseTime(s, here); err == nil {
		return 0, t, nil
	}
	return 0, time.Time{}, fmt.Errorf("%q is neither a transaction id nor a time: give a number such as durusctl log prints, or a time such as 2026-01-02T15:04:05Z", s)
}

type restoreJSON struct {
	Path    string      `json:"path"`
	Run     int         `json:"run"` // 0: from a file
	TID     storage.TID `json:"tid"`
	Time    string      `json:"time"`
	Bytes   int64       `json:"bytes"`
	Seconds float64     `json:"seconds"`
}

func (a *app) restore(ctx context.Context, from, to string, o backup.RestoreOptions) error {
	bar := a.progress("restore")
	o.Progress = bar.update
	r, err := backup.Restore(ctx, posix.New(), from, to, o)
	bar.end()
	if errors.Is(err, fs.ErrExist) {
		return explain(err, to+" is there already, and nothing was changed: give another name, or --overwrite")
	}
	if errors.Is(err, fs.ErrNotExist) {
		return explainMissing(from, err)
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(restoreJSON{r.Path, r.Run, r.TID, timeText(r.Time), r.Bytes, r.Took.Seconds()})
	}
	fmt.Fprintf(a.out, "%s: %s, as of transaction %s, %s\n", plain(r.Path), sizeText(r.Bytes), r.TID, timeText(r.Time))
	return nil
}
