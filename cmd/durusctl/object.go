package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

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
	revisions []storage.Revision // the newest first
	more      bool               // there are older ones
}

// objectQuery is what inspect is asked to show of an object.
type objectQuery struct {
	revisions int  // at most; 0: all
	depth     int  // how many references away
	full      bool // nothing is cut
}

// maxDepth is how far inspect follows references: each step moves the text to the
// right.
const maxDepth = 64

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

func (a *app) inspectObject(ctx context.Context, path, target string, q objectQuery) error {
	v, oid, err := a.viewOf(ctx, path, target)
	if err != nil {
		return err
	}
	defer v.close()
	o, err := v.object(oid, q.revisions)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return v.missing(oid)
	case err != nil:
		return err
	}
	if o.raw {
		a.note("object %s has a state in codec %d, which this program cannot read: it is shown as bytes", oid, o.record.Codec)
	}
	if a.json {
		err = a.printObjectJSON(ctx, v, o, q)
	} else {
		err = a.printObject(ctx, v, o, q)
	}
	if err == nil {
		err = v.damage // there may be a newer state behind it
	}
	return err
}

func (v *view) object(oid storage.OID, revisions int) (*object, error) {
	rec, err := v.read(oid)
	if err != nil {
		return nil, err
	}
	spelling, _ := v.snap.ClassName(rec.Class)
	o := &object{record: rec}
	o.class, o.version = classOf(spelling, rec.Class)
	switch rec.Codec {
	case storage.CodecMsgpack:
		if o.value, err = codec.Readable(rec.Payload); err != nil {
			return nil, fmt.Errorf("object %s: %w: restore it from a backup", oid, err)
		}
	default:
		o.value, o.raw = rec.Payload, true
	}
	if o.strong, err = v.references(rec.Strong); err != nil {
		return nil, err
	}
	if o.weak, err = v.references(rec.Weak); err != nil {
		return nil, err
	}
	for r, err := range v.st.Revisions(v.snap, oid) {
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

func (v *view) references(oids []storage.OID) ([]reference, error) {
	list := make([]reference, len(oids))
	var err error
	for i, oid := range oids {
		if list[i], err = v.reference(oid); err != nil {
			return nil, err
		}
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
	Container     *containerJSON   `json:"container,omitempty"` // its entries, in place of its nodes
	Followed      []followedJSON   `json:"followed,omitempty"`
	MoreFollowed  bool             `json:"more_followed,omitempty"`
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

func (a *app) printObjectJSON(ctx context.Context, v *view, o *object, q objectQuery) error {
	j := objectOf(o)
	f := collector{view: v, full: q.full}
	if err := f.collect(ctx, &j, &o.record, q.depth); err != nil {
		return err
	}
	return a.printJSON(j)
}

func (a *app) printObject(ctx context.Context, v *view, o *object, q objectQuery) error {
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
	c, isContainer := v.container(&o.record)
	if isContainer {
		f.add("container", plain(c.summary()))
	} else if head, ok := v.headOf(&o.record); ok {
		r, err := v.reference(head)
		if err != nil {
			return err
		}
		f.add("node of", plain(r.String()))
	}
	if !isContainer { // what it refers to are its nodes
		f.add("strong", referencesText(o.strong))
		f.add("weak", referencesText(o.weak))
	}
	a.printFacts(f)

	fmt.Fprint(a.out, "\n")
	var cut bool
	var err error
	if o.raw {
		fmt.Fprint(a.out, hex.Dump(o.record.Payload))
	} else {
		cut, err = a.printState(ctx, v, o, q)
	}

	fmt.Fprint(a.out, "\n")
	t := table{
		header: []string{"REVISION", "TIME", "POSITION", "SIZE", "USER", "DESCRIPTION"},
		right:  map[int]bool{2: true, 3: true},
		whole:  map[int]bool{0: true, 1: true},
		spare:  []int{2, 3},
	}
	for i := range o.revisions {
		r := &o.revisions[i]
		t.add(r.TID.String(), a.moment(r.Time), strconv.FormatInt(int64(r.Position), 10), shortSize(r.Size), plain(r.User), plain(r.Description))
	}
	a.printTable(&t)
	if cut {
		a.note("not all is shown: --full does")
	}
	if o.more {
		a.note("there are older revisions: --revisions 0 shows all")
	}
	return err
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
