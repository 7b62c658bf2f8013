package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// object is what inspect FILE OID shows.
type object struct {
	record    storage.Record
	value     any
	raw       bool // value could not be made from the payload
	class     string
	version   int // of the class, 0 for none
	strong    []reference
	weak      []reference
	revisions []storage.Revision     // the newest first
	more      bool                   // there are older ones
	names     map[storage.OID]string // what to call the objects that it refers to
}

type reference struct {
	OID     storage.OID `json:"oid"`
	Class   string      `json:"class"`
	Missing bool        `json:"missing,omitempty"`
}

// String is class@oid.
func (r reference) String() string {
	if r.Missing {
		return fmt.Sprintf("missing@%s", r.OID)
	}
	return fmt.Sprintf("%s@%s", r.Class, r.OID)
}

func (a *app) inspectObject(ctx context.Context, path string, oid storage.OID, revisions int) error {
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
	o, err := readObject(st, snap, oid, revisions)
	switch {
	case errors.Is(err, storage.ErrNotFound) && damage != nil:
		return damage // it may lie behind it
	case errors.Is(err, storage.ErrNotFound):
		return explain(err, fmt.Sprintf("%s has no object %s: durusctl log tells which objects were written", path, oid))
	case err != nil:
		return err
	}
	if o.raw {
		a.note("object %s has a state in codec %d, which this program cannot read: it is shown as bytes", oid, o.record.Codec)
	}
	if a.json {
		err = a.printJSON(objectOf(o))
	} else {
		a.printObject(o)
	}
	if err == nil {
		err = damage // there may be a newer state behind it
	}
	return err
}

func readObject(st *filestorage.Storage, snap storage.Snapshot, oid storage.OID, revisions int) (*object, error) {
	pos, err := snap.Find(oid)
	if err != nil {
		return nil, err
	}
	o := &object{names: make(map[storage.OID]string)}
	if o.record, err = snap.Read(oid, pos); err != nil {
		return nil, err
	}
	spelling, _ := snap.ClassName(o.record.Class)
	o.class, o.version = classOf(spelling, o.record.Class)
	switch o.record.Codec {
	case storage.CodecMsgpack:
		if o.value, err = codec.Readable(o.record.Payload); err != nil {
			return nil, fmt.Errorf("object %s at byte %d: %w: restore it from a backup", oid, pos, err)
		}
	default:
		o.value, o.raw = o.record.Payload, true
	}
	if o.strong, err = o.references(st, snap, o.record.Strong); err != nil {
		return nil, err
	}
	if o.weak, err = o.references(st, snap, o.record.Weak); err != nil {
		return nil, err
	}
	for r, err := range st.Revisions(snap, oid) {
		if err != nil {
			return nil, err
		}
		if revisions > 0 && len(o.revisions) == revisions {
			o.more = true
			break
		}
		o.revisions = append(o.revisions, r)
	}
	return o, nil
}

func (o *object) references(st *filestorage.Storage, snap storage.Snapshot, oids []storage.OID) ([]reference, error) {
	list := make([]reference, len(oids))
	for i, oid := range oids {
		id, err := st.ClassOf(snap, oid)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			list[i] = reference{OID: oid, Missing: true}
		case errors.Is(err, storage.ErrCorrupt):
			list[i] = reference{OID: oid, Class: "damaged"}
		case err != nil:
			return nil, err
		default:
			spelling, _ := snap.ClassName(id)
			name, _ := classOf(spelling, id)
			list[i] = reference{OID: oid, Class: name}
		}
		o.names[oid] = list[i].String()
	}
	return list, nil
}

type objectJSON struct {
	OID           storage.OID      `json:"oid"`
	Class         string           `json:"class"`
	Version       int              `json:"version,omitempty"` // absent: written without one
	Codec         storage.Codec    `json:"codec"`
	Position      storage.Position `json:"position"`
	Size          int64            `json:"size"`
	PayloadSize   int              `json:"payload_size"`
	Value         any              `json:"value"`
	Payload       []byte           `json:"payload,omitempty"` // in place of a value
	Strong        []reference      `json:"strong"`
	Weak          []reference      `json:"weak"`
	Transaction   transactionJSON  `json:"transaction"`
	Revisions     []revisionJSON   `json:"revisions"`
	MoreRevisions bool             `json:"more_revisions"`
}

type revisionJSON struct {
	transactionJSON
	Position storage.Position `json:"position"`
	Size     int64            `json:"size"`
}

func objectOf(o *object) objectJSON {
	newest := &o.revisions[0]
	j := objectJSON{
		OID:           o.record.OID,
		Class:         o.class,
		Version:       o.version,
		Codec:         o.record.Codec,
		Position:      newest.Position,
		Size:          newest.Size,
		PayloadSize:   len(o.record.Payload),
		Value:         o.value,
		Strong:        o.strong,
		Weak:          o.weak,
		Transaction:   transactionOf(&newest.Transaction),
		MoreRevisions: o.more,
	}
	if o.raw {
		j.Value, j.Payload = nil, o.record.Payload
	}
	for i := range o.revisions {
		r := &o.revisions[i]
		j.Revisions = append(j.Revisions, revisionJSON{transactionOf(&r.Transaction), r.Position, r.Size})
	}
	return j
}

func (a *app) printObject(o *object) {
	newest := &o.revisions[0]
	var f facts
	f.add("object", o.record.OID.String())
	f.add("class", plain(o.class))
	if o.version > 0 {
		f.add("version", versionText(o.version))
	}
	f.add("position", fmt.Sprintf("byte %d", newest.Position))
	f.add("size", fmt.Sprintf("%s, its state %s", sizeText(newest.Size), sizeText(int64(len(o.record.Payload)))))
	f.add("transaction", newest.TID.String())
	f.add("time", timeText(newest.Time))
	if newest.User != "" {
		f.add("user", plain(newest.User))
	}
	if newest.Description != "" {
		f.add("description", plain(newest.Description))
	}
	f.add("strong", referencesText(o.strong))
	f.add("weak", referencesText(o.weak))
	a.printFacts(f)

	fmt.Fprint(a.out, "\n")
	if o.raw {
		fmt.Fprint(a.out, hex.Dump(o.record.Payload))
	} else {
		tree{a.out, o.names}.print(o.value)
	}

	fmt.Fprint(a.out, "\n")
	t := table{header: []string{"REVISION", "TIME", "POSITION", "SIZE", "USER", "DESCRIPTION"}, right: map[int]bool{2: true, 3: true}}
	for i := range o.revisions {
		r := &o.revisions[i]
		t.add(r.TID.String(), timeText(r.Time), strconv.FormatInt(int64(r.Position), 10), strconv.FormatInt(r.Size, 10), plain(r.User), plain(r.Description))
	}
	a.printTable(&t)
	if o.more {
		a.note("there are older revisions: --revisions 0 shows all")
	}
}

const maxReferences = 6

func referencesText(refs []reference) string {
	if len(refs) == 0 {
		return "none"
	}
	var words []string
	for _, r := range refs[:min(len(refs), maxReferences)] {
		words = append(words, plain(r.String()))
	}
	if n := len(refs) - maxReferences; n > 0 {
		words = append(words, fmt.Sprintf("and %d more (--json has all)", n))
	}
	return strings.Join(words, ", ")
}
