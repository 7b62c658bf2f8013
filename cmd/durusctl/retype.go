package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/storage"
)

func (a *app) retypeCommand() *cobra.Command {
	var merge bool
	cmd := fileArgs(&cobra.Command{
		Use:   "retype FILE OLD NEW [--merge] [--json]",
		Short: "Rename a class: rewrite its objects under another name",
		Long: `Store every object of class OLD, of all versions, as one of class NEW: the same
state and the same version. This writes to the database, in transactions of at
most a thousand objects, while other programs use it; programs that know OLD
only do not find the type of these objects any more. A program can do without:
durus.Alias(OLD) reads both names.

NEW must have no objects, unless --merge says that both are the same type: also
to go on after a retype that was interrupted.`,
		Example: `  durusctl retype bank.durus bank.Acount bank.Account`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkRetype(args); err != nil {
				return usageError{err.Error(), cmd.CommandPath()}
			}
			return a.retype(cmd.Context(), args[0], args[1], args[2], merge)
		},
	}, 2)
	cmd.Flags().BoolVar(&merge, "merge", false, "NEW may have objects already")
	return cmd
}

func checkRetype(args []string) error {
	if len(args) < 3 {
		return errors.New("retype needs a FILE, the OLD class and the NEW one")
	}
	old, name := args[1], args[2]
	if _, version := storage.SplitClass(old); version != 0 {
		return fmt.Errorf("%q names one version: give the class alone, all of its versions are renamed", old)
	}
	// OLD may be a name that programs cannot register (any more).
	if strings.HasPrefix(old, storage.ReservedClasses) {
		return fmt.Errorf("%q belongs to durus itself", old)
	}
	if fault := storage.ClassFault(name, storage.MaxVersion); fault != "" {
		return fmt.Errorf("%q: %s", name, fault)
	}
	if old == name {
		return errors.New("OLD and NEW are the same")
	}
	return nil
}

// What one transaction of retype holds at most. One object may be larger.
const (
	retypeScan    = 1 << 16 // objects looked at
	retypeObjects = 1000
	retypeBytes   = 4 << 20
	retypeTries   = 20 // how often others may be faster
)

type retyping struct {
	st        *filestorage.Storage
	old, name string
	table     classTable

	retyped, looked uint64
	transactions    uint64
}

type retypeJSON struct {
	Old          string `json:"old"`
	New          string `json:"new"`
	Objects      uint64 `json:"objects"`
	Transactions uint64 `json:"transactions"`
}

func (a *app) retype(ctx context.Context, path, old, name string, merge bool) (err error) {
	st, err := openToWrite(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	r := &retyping{st: st, old: old, name: name, table: classTable{}}
	if err := r.check(ctx, path, merge); err != nil {
		return err
	}
	if err := r.keepBases(ctx); err != nil {
		return err
	}
	bar := a.progress("retype")
	bar.unit = objectCount
	for next := storage.OID(1); err == nil && next != 0; {
		next, err = r.batch(ctx, next)
		bar.update(int64(r.looked), int64(max(r.looked, st.Stats().Objects)))
	}
	bar.end()
	if err != nil {
		if r.retyped > 0 {
			a.note("%s of class %s were rewritten: go on with durusctl retype --merge", count(r.retyped, "object"), old)
		}
		return err
	}
	if a.json {
		return a.printJSON(retypeJSON{old, name, r.retyped, r.transactions})
	}
	fmt.Fprintf(a.out, "%s: %s of class %s now of class %s\n", plain(path), count(r.retyped, "object"), plain(old), plain(name))
	return nil
}

// check refuses what looks like a mistake.
func (r *retyping) check(ctx context.Context, path string, merge bool) error {
	snap, err := r.st.Begin(ctx, false)
	if err != nil {
		return err
	}
	defer snap.Release()
	counts, err := countVersions(ctx, snap, func(uint64) {})
	if err != nil {
		return err
	}
	objects := map[string]uint64{}
	for _, c := range counts.Classes {
		objects[c.Class] += c.Objects
	}
	switch {
	case objects[r.old] == 0:
		return explain(storage.ErrNotFound, fmt.Sprintf("%s has no object of class %s: durusctl migrate tells which classes it has", path, r.old))
	case objects[r.name] > 0 && !merge:
		return fmt.Errorf("%s has %s of class %s already: nothing was changed; if they are of the same type, say --merge", path, count(objects[r.name], "object"), r.name)
	}
	return nil
}

// keepBases gives the new name what the class table says of the old one's
// objects without a version: how old they are.
func (r *retyping) keepBases(ctx context.Context) error {
	snap, err := r.st.Begin(ctx, false)
	if err != nil {
		return err
	}
	defer snap.Release()
	for id := storage.ClassID(1); ; id++ {
		spelling, ok := snap.ClassName(id)
		if !ok {
			return nil
		}
		if name, version, ok := storage.SplitBase(spelling); ok && name == r.old {
			if _, err := r.st.ClassID(ctx, storage.BaseName(r.name, version)); err != nil {
				return err
			}
		}
	}
}

// batch rewrites the first objects from an id on, and returns where to go on,
// 0 for nowhere. What others change meanwhile is looked at again.
func (r *retyping) batch(ctx context.Context, from storage.OID) (next storage.OID, err error) {
	for try := 1; ; try++ {
		next, err = r.try(ctx, from, try)
		if !errors.Is(err, storage.ErrConflict) || try == retypeTries {
			return next, err
		}
	}
}

func (r *retyping) try(ctx context.Context, from storage.OID, try int) (storage.OID, error) {
	c := storage.Commit{Meta: storage.Meta{Description: fmt.Sprintf("durusctl retype %s %s", r.old, r.name)}}
	if try > 3 { // nobody starves
		hold, err := r.st.Hold(ctx, time.Second)
		if err != nil {
			return 0, err
		}
		defer hold.Release()
		c.Hold = hold
	}
	snap, err := r.st.Begin(ctx, true)
	if err != nil {
		return 0, err
	}
	defer snap.Release()
	records, looked, next, err := r.collect(ctx, snap, from)
	if err != nil {
		return 0, err
	}
	if c.Base, c.Records = snap, records; len(records) > 0 {
		if _, err := r.st.Commit(ctx, &c); err != nil {
			return 0, err
		}
		r.transactions++
	}
	r.retyped += uint64(len(records))
	r.looked += looked
	return next, nil
}

// collect reads the first records of the old class, as records of the new one.
func (r *retyping) collect(ctx context.Context, snap storage.Snapshot, from storage.OID) (records []storage.Record, looked uint64, next storage.OID, err error) {
	size := 0
	for p, err := range snap.Objects(from) {
		if err == nil && looked%1024 == 0 {
			err = ctx.Err()
		}
		if err != nil {
			return nil, 0, 0, err
		}
		if looked == retypeScan || len(records) == retypeObjects || size >= retypeBytes {
			return records, looked, p.OID, nil
		}
		looked++
		class, err := r.table.at(snap, p)
		if err != nil {
			return nil, 0, 0, err
		}
		if class.name != r.old {
			continue
		}
		rec, err := snap.Read(p.OID, p.Position)
		if err != nil {
			return nil, 0, 0, err
		}
		if rec.Class, err = r.st.ClassID(ctx, storage.ClassName(r.name, class.version)); err != nil {
			return nil, 0, 0, err
		}
		records = append(records, rec)
		size += len(rec.Payload)
	}
	return records, looked, 0, nil
}
