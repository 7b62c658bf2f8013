package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/pack"
	"github.com/durusdb/durus/storage"
)

func (a *app) packCommand() *cobra.Command {
	var keep, from string
	var o pack.Options
	var rate int64
	cmd := &cobra.Command{
		Use:   "pack FILE [--keep AGE] [--keep-from TID] [--dry-run] [--rate MB]",
		Short: "Remove what nothing refers to, and old history",
		Long: `Write a new file without objects that nothing refers to and without states that
were replaced, and put it in the place of the old one. Other processes read and
write meanwhile; their commits wait for some milliseconds at the end. It needs
room for the new file beside the old one. Ctrl-C ends it and changes nothing.

Without --keep all history goes: only the newest states are left. --keep 7d
keeps the transactions of the last seven days, and the state before them.
Units are s, m, h, d and w. With --dry-run nothing is written or locked.`,
		Example: `  durusctl pack bank.durus --dry-run
  durusctl pack bank.durus --keep 7d`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.Keep, err = parseAge(keep); err != nil {
				return usageError{err.Error(), cmd.CommandPath()}
			}
			if o.KeepFrom, err = storage.ParseTID(from); err != nil {
				return usageError{err.Error(), cmd.CommandPath()}
			}
			if rate < 0 {
				return usageError{"--rate must not be negative", cmd.CommandPath()}
			}
			o.BytesPerSecond = rate << 20
			return a.pack(cmd.Context(), args[0], o)
		},
	}
	cmd.Flags().StringVar(&keep, "keep", "", "keep the history of this `AGE`, such as 12h or 7d")
	cmd.Flags().StringVar(&from, "keep-from", "", "keep the history from transaction `TID` on")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "say what would be done, and do nothing")
	cmd.Flags().Int64Var(&rate, "rate", 0, "write at most so many `MB` a second; 0: as fast as it goes")
	return fileArgs(cmd, 0)
}

// parseAge reads a duration that may be given in days and weeks.
func parseAge(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	for unit, d := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if n, ok := strings.CutSuffix(s, unit); ok {
			if v, err := strconv.ParseFloat(n, 64); err == nil && v >= 0 && v*float64(d) < 1<<62 {
				return time.Duration(v * float64(d)), nil
			}
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not an age: give a number and a unit, such as 12h or 7d", s)
	}
	return d, nil
}

type packJSON struct {
	DryRun        bool            `json:"dry_run"`
	Nothing       bool            `json:"nothing"`
	Horizon       storage.TID     `json:"horizon"`
	Before        int64           `json:"bytes_before"`
	After         int64           `json:"bytes_after"`
	Kept          countJSON       `json:"kept"`
	Dropped       countJSON       `json:"dropped"`
	Transactions  int             `json:"transactions"`
	Classes       []packClassJSON `json:"classes"`
	Dangling      []danglingJSON  `json:"dangling"`
	DanglingTotal uint64          `json:"dangling_total"`
	Seconds       float64         `json:"seconds"`
	LockSeconds   float64         `json:"lock_seconds"`
}

type countJSON struct {
	Objects uint64 `json:"objects"`
	Bytes   int64  `json:"bytes"`
}

type packClassJSON struct {
	Class   string    `json:"class"`
	Kept    countJSON `json:"kept"`
	Dropped countJSON `json:"dropped"`
}

type danglingJSON struct {
	From storage.OID `json:"from"`
	To   storage.OID `json:"to"`
}

func (a *app) pack(ctx context.Context, path string, o pack.Options) error {
	openIt := openToWrite
	if o.DryRun {
		openIt = open
	}
	st, err := openIt(path)
	if err != nil {
		return err
	}
	bar := a.progress("pack")
	o.Progress = func(p pack.Progress) { bar.update(min(p.Written, p.Before), p.Before) }
	r, err := pack.Pack(ctx, st, o)
	bar.end()
	if closeErr := st.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(packOf(&r))
	}
	a.printPack(&r)
	return nil
}

func packOf(r *pack.Report) packJSON {
	j := packJSON{
		DryRun: r.DryRun, Nothing: r.Nothing, Horizon: r.Horizon, Before: r.Before, After: r.After,
		Kept: countJSON(r.Kept), Dropped: countJSON(r.Dropped), Transactions: r.Transactions,
		Classes: []packClassJSON{}, Dangling: []danglingJSON{}, DanglingTotal: r.DanglingTotal,
		Seconds: r.Took.Seconds(), LockSeconds: r.Lock.Seconds(),
	}
	for _, c := range r.Classes {
		j.Classes = append(j.Classes, packClassJSON{c.Name, countJSON(c.Kept), countJSON(c.Dropped)})
	}
	for _, d := range r.Dangling {
		j.Dangling = append(j.Dangling, danglingJSON(d))
	}
	return j
}

func (a *app) printPack(r *pack.Report) {
	if r.Nothing {
		fmt.Fprintln(a.out, "nothing to do: it is packed, and nothing was committed since")
		return
	}
	var f facts
	if r.DryRun {
		f.add("dry run", "nothing was changed")
	}
	f.add("size", fmt.Sprintf("%s -> %s", sizeText(r.Before), sizeText(r.After)))
	f.add("kept", fmt.Sprintf("%s, %s", count(r.Kept.Objects, "object"), sizeText(r.Kept.Bytes)))
	f.add("dropped", fmt.Sprintf("%s, %s", count(r.Dropped.Objects, "object"), sizeText(r.Dropped.Bytes)))
	if r.Transactions == 0 {
		f.add("history", fmt.Sprintf("none before transaction %s", r.Horizon))
	} else {
		f.add("history", fmt.Sprintf("%s, those after %s", count(uint64(r.Transactions), "transaction"), r.Horizon))
	}
	if r.DanglingTotal > 0 {
		f.add("dangling", a.red(fmt.Sprintf("%s to objects that do not exist", count(r.DanglingTotal, "reference"))))
	}
	if !r.DryRun {
		f.add("time", fmt.Sprintf("%v, of which commits had to wait for %v", r.Took.Round(time.Millisecond), r.Lock.Round(100*time.Microsecond)))
	}
	a.printFacts(f)
	if len(r.Classes) > 0 {
		t := table{header: []string{"CLASS", "KEPT", "BYTES", "DROPPED", "BYTES"}, right: map[int]bool{1: true, 2: true, 3: true, 4: true}}
		for _, c := range r.Classes {
			t.add(plain(c.Name), strconv.FormatUint(c.Kept.Objects, 10), shortSize(c.Kept.Bytes),
				strconv.FormatUint(c.Dropped.Objects, 10), shortSize(c.Dropped.Bytes))
		}
		fmt.Fprintln(a.out)
		a.printTable(&t)
	}
	for _, d := range r.Dangling {
		a.note("object %s refers to object %s, which does not exist", d.From, d.To)
	}
}
