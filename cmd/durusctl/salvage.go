package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/posix"
)

func (a *app) salvageCommand() *cobra.Command {
	var tail bool
	cmd := fileArgs(&cobra.Command{
		Use:   "salvage IN OUT [--tail] [--json]",
		Short: "Make a new database of what is intact in a damaged one",
		Long: `Write every frame and record of IN whose checksums are good to OUT, a new
database: wherever the damage is, also when the file header is gone or pieces
are missing. IN is only read. Transactions keep ids and times; of those that are
damaged, intact records are kept. Objects whose newest state is lost have an
older one, or none: then references to them lead nowhere. Classes whose names
are lost are called lost.class7, and without a root directory a new one has the
names lost1, lost2, ... for objects that nothing refers to. All is reported.

An undamaged file is copied. What an interrupted commit has left at the end is
left out, unless --tail says that it is damage, too. Exit code 3: something is
lost.

JSON: identical, complete, size, written, frames, transactions, objects,
torn_tail, missing (from, to) and missing_bytes, header_repaired, header_lost,
foreign_frames, partial, gone (ids of transactions), orphans (records), older,
lost (objects), dangling (from, to), classes, root ("kept", "made"), named,
unnamed; lists hold 1000 entries, the numbers with _total count all.`,
		Example: `  durusctl salvage bank.durus rescued.durus && durusctl verify rescued.durus`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.salvage(cmd.Context(), args[0], args[1], tail)
		},
	}, 1)
	accept := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return errors.New("salvage needs IN and OUT: the damaged file and the new one")
		}
		return accept(cmd, args)
	}
	cmd.ValidArgsFunction = nil // both are names of files
	cmd.Flags().BoolVar(&tail, "tail", false, "what lies behind the last whole frame is damage, too")
	return cmd
}

// lossError says that a salvage could not recover everything.
type lossError struct{ path string }

func (e lossError) Error() string {
	return fmt.Sprintf("%s holds what could be salvaged, and something is missing: see above; keep the damaged file", e.path)
}

type rangeJSON struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

type salvageJSON struct {
	Identical     bool           `json:"identical"`
	Complete      bool           `json:"complete"`
	Size          int64          `json:"size"`
	Written       int64          `json:"written"`
	Frames        uint64         `json:"frames"`
	Transactions  uint64         `json:"transactions"`
	Objects       uint64         `json:"objects"`
	TornTail      int64          `json:"torn_tail"`
	HeaderFixed   bool           `json:"header_repaired"`
	HeaderLost    bool           `json:"header_lost"`
	Missing       []rangeJSON    `json:"missing"`
	MissingBytes  int64          `json:"missing_bytes"`
	Foreign       uint64         `json:"foreign_frames"`
	Partial       []storage.TID  `json:"partial"`
	PartialTotal  uint64         `json:"partial_total"`
	Gone          []storage.TID  `json:"gone"`
	GoneTotal     uint64         `json:"gone_total"`
	Orphans       uint64         `json:"orphans"`
	Older         []storage.OID  `json:"older"`
	OlderTotal    uint64         `json:"older_total"`
	Lost          []storage.OID  `json:"lost"`
	LostTotal     uint64         `json:"lost_total"`
	Dangling      []danglingJSON `json:"dangling"`
	DanglingTotal uint64         `json:"dangling_total"`
	Classes       []string       `json:"classes"`
	Root          string         `json:"root"`
	Named         uint64         `json:"named"`
	Unnamed       uint64         `json:"unnamed"`
}

func (a *app) salvage(ctx context.Context, in, out string, tail bool) error {
	bar := a.progress("salvage")
	r, err := filestorage.Salvage(ctx, filestorage.SalvageOptions{FS: posix.New(), In: in, Out: out, Tail: tail, Progress: bar.update})
	bar.end()
	if errors.Is(err, fs.ErrNotExist) {
		return explainMissing(in, err)
	}
	if err != nil {
		return err
	}
	if a.json {
		err = a.printJSON(salvageOf(r))
	} else {
		a.printSalvage(r)
	}
	if err == nil && !r.Complete() {
		err = lossError{out}
	}
	return err
}

func salvageOf(r *filestorage.SalvageReport) salvageJSON {
	j := salvageJSON{
		Identical: r.Identical, Complete: r.Complete(), Size: r.Size, Written: r.Written,
		Frames: r.Frames, Transactions: r.Transactions, Objects: r.Objects, TornTail: r.Tail,
		HeaderFixed: r.HeaderRepaired, HeaderLost: r.HeaderLost,
		Missing: []rangeJSON{}, MissingBytes: r.MissingBytes, Foreign: r.Foreign,
		Partial: orEmpty(r.Partial), PartialTotal: r.PartialTotal, Gone: orEmpty(r.Gone), GoneTotal: r.GoneTotal, Orphans: r.Orphans,
		Older: orEmpty(r.Older), OlderTotal: r.OlderTotal, Lost: orEmpty(r.Lost), LostTotal: r.LostTotal,
		Dangling: []danglingJSON{}, DanglingTotal: r.DanglingTotal,
		Classes: orEmpty(r.Classes), Root: "kept", Named: r.Named, Unnamed: r.Unnamed,
	}
	if r.Root == filestorage.RootMade {
		j.Root = "made"
	}
	for _, m := range r.Missing {
		j.Missing = append(j.Missing, rangeJSON(m))
	}
	for _, d := range r.Dangling {
		j.Dangling = append(j.Dangling, danglingJSON(d))
	}
	return j
}

// orEmpty makes a list that JSON prints as [] when it is empty.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (a *app) printSalvage(r *filestorage.SalvageReport) {
	var f facts
	f.add("recovered", fmt.Sprintf("%s, %s, %s", count(r.Frames, "whole frame"), count(r.Transactions, "transaction"), count(r.Objects, "object")))
	f.add("size", fmt.Sprintf("%s -> %s", sizeText(r.Size), sizeText(r.Written)))
	if r.Identical {
		f.add("damage", "none: it is a copy")
	}
	if r.HeaderRepaired {
		f.add("file header", "damaged, repaired from its other copy")
	}
	if r.HeaderLost {
		f.add("file header", a.red("lost: the database has a new id"))
	}
	if r.Foreign > 0 {
		f.add("foreign", count(r.Foreign, "frame")+" of other databases, left out")
	}
	if r.MissingBytes > 0 {
		f.add("missing", a.red(sizeText(r.MissingBytes)))
	}
	if n := r.PartialTotal; n > 0 {
		f.add("in part", a.red(count(n, "transaction")))
	}
	if n := r.GoneTotal; n > 0 {
		f.add("gone", a.red(count(n, "transaction")+", known by the header alone"))
	}
	if n := r.Orphans; n > 0 {
		f.add("orphans", a.red(count(n, "record")+" of unknown transactions"))
	}
	if n := r.OlderTotal; n > 0 {
		f.add("older", a.red(count(n, "object")+" in an older state, since the newest is damaged"))
	}
	if n := r.LostTotal; n > 0 {
		f.add("lost", a.red(count(n, "object")+" without any state"))
	}
	if n := r.DanglingTotal; n > 0 {
		f.add("dangling", a.red(count(n, "reference")+" to objects that are not there"))
	}
	if r.Root == filestorage.RootMade {
		f.add("root directory", a.red(fmt.Sprintf("lost: a new one names %s as lost1, lost2, ...", count(r.Named, "object"))))
	}
	if r.Unnamed > 0 {
		f.add("unnamed", a.red(count(r.Unnamed, "object")+" that nothing refers to did not fit into it: a pack would remove them"))
	}
	a.printFacts(f)
	a.noteSalvage(r)
}

// noteSalvage names what is lost.
func (a *app) noteSalvage(r *filestorage.SalvageReport) {
	if r.Tail > 0 {
		a.note("%s at the end are left out, as of an interrupted commit; if they are not, try --tail", sizeText(r.Tail))
	}
	for _, m := range r.Missing {
		a.note("bytes %d to %d of the database are damaged or missing", m.From, m.To)
	}
	for _, tid := range r.Partial {
		a.note("transaction %s is recovered in part", tid)
	}
	for _, tid := range r.Gone {
		a.note("transaction %s is gone", tid)
	}
	for _, oid := range r.Older {
		a.note("object %s has an older state", oid)
	}
	for _, oid := range r.Lost {
		a.note("object %s is lost", oid)
	}
	for _, d := range r.Dangling {
		a.note("object %s refers to object %s, which is not there", d.From, d.To)
	}
	for _, name := range r.Classes {
		a.note("a class is called %q, its own name is lost", name)
	}
}
