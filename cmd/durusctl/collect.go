package main

import (
	"context"
	"errors"
	"strings"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

// containerJSON is a container without its nodes.
type containerJSON struct {
	Kind    string `json:"kind"`           // BTree, Dict, Set, List
	Keys    string `json:"keys,omitempty"` // what the keys are
	Length  int    `json:"length"`
	Entries []any  `json:"entries"`
	More    bool   `json:"more"` // there are more entries
}

// followedJSON is an object that --depth has found.
type followedJSON struct {
	reference
	Value     any            `json:"value"` // of a container null
	Container *containerJSON `json:"container,omitempty"`
}

// maxFollowed is how many objects are collected: they are in memory together.
const maxFollowed = 10_000

// collector finds objects, breadth first, each once.
type collector struct {
	*view
	full bool // all entries of containers
}

// collect fills in what is to be told of an object besides its state.
func (f collector) collect(ctx context.Context, j *objectJSON, rec *storage.Record, depth int) error {
	seen := map[storage.OID]bool{rec.OID: true}
	var level []storage.OID
	find := func(_ field, leaf any) bool {
		if ref, ok := leaf.(codec.RefValue); ok && !seen[storage.OID(ref.OID)] {
			seen[storage.OID(ref.OID)] = true
			level = append(level, storage.OID(ref.OID))
		}
		return true
	}
	look := func(rec *storage.Record, value any) (*containerJSON, error) {
		c, ok := f.container(rec)
		if !ok {
			references(nil, value, find)
			return nil, nil
		}
		cj, err := f.entries(ctx, c)
		if err == nil {
			references(nil, cj.Entries, find)
		}
		return cj, err
	}
	var err error
	if j.Container, err = look(rec, j.Value); err != nil {
		return err
	}
	for ; depth > 0; depth-- {
		found := level
		level = nil
		for _, oid := range found {
			if len(j.Followed) == maxFollowed {
				j.MoreFollowed = true
				return nil
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			o := followedJSON{}
			if o.reference, err = f.reference(oid); err != nil {
				return err
			}
			rec, err := f.read(oid)
			if err != nil && !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrCorrupt) {
				return err
			}
			if err == nil {
				o.Value = f.value(&rec)
				if o.Container, err = look(&rec, o.Value); err != nil {
					return err
				}
			}
			if o.Container != nil {
				o.Value = nil
			}
			j.Followed = append(j.Followed, o)
		}
	}
	return nil
}

func (f collector) entries(ctx context.Context, c container) (*containerJSON, error) {
	j := &containerJSON{Kind: strings.TrimPrefix(c.class, storage.ReservedClasses), Keys: c.keys, Entries: []any{}}
	var err error
	if j.Length, err = c.length(); err != nil {
		return nil, err
	}
	err = c.each(func(key, value any) bool {
		if j.More = len(j.Entries) == ownEntries && !f.full; j.More {
			return false
		}
		switch c.class {
		case collection.ClassList:
			j.Entries = append(j.Entries, value)
		case collection.ClassSet:
			j.Entries = append(j.Entries, key)
		default:
			j.Entries = append(j.Entries, []any{key, value})
		}
		return ctx.Err() == nil
	})
	return j, errors.Join(err, ctx.Err())
}
