package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

// rootOID is the root directory: a map from the names of roots to objects.
const rootOID storage.OID = 1

// view is one state of a database, and what is needed to tell about it.
type view struct {
	path    string
	command string // that looks
	st      *filestorage.Storage
	snap    storage.Snapshot
	damage  error // the file cannot be read to its end: what is behind is missing
	classes map[storage.ClassID]string
}

// view opens a database to look at its objects.
func (a *app) view(ctx context.Context, path string) (*view, error) {
	st, err := open(path)
	if err != nil {
		return nil, err
	}
	v := &view{path: path, command: a.command, st: st, classes: make(map[storage.ClassID]string)}
	if v.snap, v.damage, err = st.Examine(ctx); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return v, nil
}

func (v *view) close() {
	v.snap.Release()
	v.st.Close() // nothing was written
}

// missing is the answer to an object that is not there: it may lie behind damage.
func (v *view) missing(oid storage.OID) error {
	if v.damage != nil {
		return v.damage
	}
	return explain(storage.ErrNotFound, fmt.Sprintf("%s has no object %s: durusctl log tells which objects were written", v.path, oid))
}

// class is what to call a class, with its version as the file spells it.
func (v *view) class(id storage.ClassID) string {
	name, ok := v.classes[id]
	if !ok {
		if name, ok = v.snap.ClassName(id); !ok {
			name = fmt.Sprintf("class %d", id)
		}
		v.classes[id] = name
	}
	return name
}

// read returns the state of an object. The error is storage.ErrNotFound itself if there is none.
func (v *view) read(oid storage.OID) (storage.Record, error) {
	pos, err := v.snap.Find(oid)
	if err != nil {
		return storage.Record{}, err
	}
	return v.snap.Read(oid, pos)
}

// value is the state of an object as a tree, nil if it cannot be decoded.
func (v *view) value(rec *storage.Record) any {
	if rec.Codec != storage.CodecMsgpack {
		return nil
	}
	value, err := codec.Readable(rec.Payload)
	if err != nil {
		return nil // verify tells
	}
	return value
}

// reference names an object that a reference leads to.
func (v *view) reference(oid storage.OID) (reference, error) {
	id, err := v.st.ClassOf(v.snap, oid)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return reference{OID: oid, Missing: true}, nil
	case errors.Is(err, storage.ErrCorrupt):
		return reference{OID: oid, Class: "damaged"}, nil
	case err != nil:
		return reference{}, err
	}
	name, _ := storage.SplitClass(v.class(id))
	return reference{OID: oid, Class: name}, nil
}

// readAhead is how many objects are announced before they are read.
const readAhead = 512

// each calls f for every object, in the order of their ids, and returns how many
// cannot be read. It keeps readAhead places in memory, and one object.
func (v *view) each(ctx context.Context, bar *progress, f func(*storage.Record) error) (unreadable uint64, err error) {
	bar.unit = objectCount
	defer bar.end()
	var (
		places []storage.Place
		done   int64
	)
	flush := func() error {
		positions := make([]storage.Position, len(places))
		for i, p := range places {
			positions[i] = p.Position
		}
		v.snap.Prefetch(positions)
		for _, p := range places {
			rec, err := v.snap.Read(p.OID, p.Position)
			switch {
			case errors.Is(err, storage.ErrCorrupt):
				unreadable++
				continue
			case err != nil:
				return err
			}
			if err := f(&rec); err != nil {
				return err
			}
		}
		done += int64(len(places))
		bar.update(done, max(done, int64(v.st.Stats().Objects)))
		places = places[:0]
		return ctx.Err()
	}
	for next, again := storage.OID(0), true; again; {
		again = false
		for p, err := range v.snap.Objects(next) {
			switch {
			case errors.Is(err, storage.ErrCorrupt): // which ends the sequence: go on behind it
				unreadable++
				next, again = p.OID+1, true
				continue
			case err != nil:
				return unreadable, err
			}
			if places = append(places, p); len(places) == readAhead {
				if err := flush(); err != nil {
					return unreadable, err
				}
			}
		}
	}
	return unreadable, flush()
}

// incomplete is the error of a command that has shown what can be read.
func (a *app) incomplete(v *view, unreadable uint64) error {
	if unreadable == 0 {
		return v.damage
	}
	return explain(storage.ErrCorrupt, fmt.Sprintf("%s cannot be read and %s left out: durusctl verify tells which", count(unreadable, "object"), wasWere(unreadable)))
}

func wasWere(n uint64) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

// headOf returns the head of the container that a node is part of.
func (v *view) headOf(rec *storage.Record) (storage.OID, bool) {
	if v.class(rec.Class) != collection.ClassNode {
		return 0, false
	}
	n, err := collection.Parse(rec.Payload)
	if err != nil || n.Head {
		return 0, false
	}
	return storage.OID(n.Of), true
}
