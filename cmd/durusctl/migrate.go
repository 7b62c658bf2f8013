package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/storage"
)

func (a *app) migrateCommand() *cobra.Command {
	return fileArgs(&cobra.Command{
		Use:   "migrate FILE [--json]",
		Short: "Which objects are of older versions of their class",
		Long: `Count objects by class and version, and tell how many are not of the newest
version of their class in the file. Nothing is written: how an older object
becomes a newer one, only the program knows that registers the class. It
upgrades each object that it loads, and rewrites all of them with DB.Migrate;
then its steps from older versions may go. Names that a program gives as an
Alias are not known here: see durusctl retype.`,
		Example: `  durusctl migrate bank.durus --json | jq .older`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.migrate(cmd.Context(), args[0])
		},
	}, 0)
}

type migrateJSON struct {
	Objects    uint64             `json:"objects"`
	Older      uint64             `json:"older"`
	Unreadable uint64             `json:"unreadable"`
	Classes    []classVersionJSON `json:"classes"`
}

type classVersionJSON struct {
	Class   string `json:"class"`
	Version int    `json:"version"` // 0: written without one
	Objects uint64 `json:"objects"`
	Newest  bool   `json:"newest"`
}

func (a *app) migrate(ctx context.Context, path string) error {
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
	bar := a.progress("migrate")
	bar.unit = objectCount
	j, err := countVersions(ctx, snap, func(done uint64) { bar.update(int64(done), int64(st.Stats().Objects)) })
	bar.end()
	if err != nil {
		return err
	}
	if a.json {
		err = a.printJSON(j)
	} else {
		a.printVersions(j)
	}
	if err == nil {
		err = damage // what lies behind it is missing
	}
	return err
}

// countVersions counts the objects of a snapshot.
func countVersions(ctx context.Context, snap storage.Snapshot, progress func(done uint64)) (*migrateJSON, error) {
	j := &migrateJSON{Classes: []classVersionJSON{}}
	table, objects, newest := classTable{}, map[classVersion]uint64{}, map[string]int{}
	for p, err := range snap.Objects(0) {
		if err != nil {
			return nil, err
		}
		if j.Objects++; j.Objects%4096 == 0 {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			progress(j.Objects)
		}
		c, err := table.at(snap, p)
		switch {
		case errors.Is(err, storage.ErrCorrupt):
			j.Unreadable++
			continue
		case err != nil:
			return nil, err
		}
		objects[c]++
		newest[c.name] = max(newest[c.name], c.version)
	}
	for c, n := range objects {
		v := classVersionJSON{c.name, c.version, n, c.version == newest[c.name]}
		if !v.Newest {
			j.Older += n
		}
		j.Classes = append(j.Classes, v)
	}
	slices.SortFunc(j.Classes, func(a, b classVersionJSON) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Version, b.Version))
	})
	return j, nil
}

func (a *app) printVersions(j *migrateJSON) {
	t := table{header: []string{"CLASS", "VERSION", "OBJECTS", "OLDER"}, right: map[int]bool{1: true, 2: true, 3: true}}
	for _, c := range j.Classes {
		older := ""
		if !c.Newest {
			older = strconv.FormatUint(c.Objects, 10)
		}
		t.add(plain(c.Class), versionText(c.Version), strconv.FormatUint(c.Objects, 10), older)
	}
	a.printTable(&t)
	switch {
	case j.Unreadable > 0:
		a.note("%s cannot be read: durusctl verify tells which", count(j.Unreadable, "object"))
	case j.Older > 0:
		a.note("%s of older versions: a program upgrades them when it loads them, and rewrites them with DB.Migrate", count(j.Older, "object"))
	default:
		a.note("every object is of the newest version of its class in this file")
	}
}
