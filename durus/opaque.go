package durus

import (
	"fmt"
	"slices"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// Opaque is an object whose class this program has not registered. It can be
// looked at without its type, referred to, and stored again as it is with Add
// (which makes another object). It cannot be edited. Once its type is
// registered it loads as that. It is immutable.
type Opaque struct {
	class   string
	version int // 0: it has none
	payload []byte
	strong  []OID
	weak    []OID
	tag     uint64
}

func newOpaque(tag uint64, class *class, rec storage.Record) *Opaque {
	return &Opaque{class: class.name, version: class.version, payload: rec.Payload, strong: rec.Strong, weak: rec.Weak, tag: tag}
}

func isOpaque(v any) bool {
	_, ok := v.(*Opaque)
	return ok
}

// Class is the name of the object's class.
func (o *Opaque) Class() string { return o.class }

// Version is the version of its type that the object was written with, 0 if
// the program that wrote it gave the type none. Add keeps it.
func (o *Opaque) Version() int { return o.version }

// Payload returns a copy of the stored bytes: one msgpack value.
func (o *Opaque) Payload() []byte { return slices.Clone(o.payload) }

// References returns the objects that this one refers to, each once.
func (o *Opaque) References() []AnyRef {
	refs := make([]AnyRef, len(o.strong))
	for i, oid := range o.strong {
		refs[i] = AnyRef{codec.Strong(o.tag<<tagShift | uint64(oid))}
	}
	return refs
}

// Readable returns the stored value as a tree that encoding/json can write.
// The error is ErrCorrupt when the bytes are damaged.
func (o *Opaque) Readable() (any, error) {
	v, err := codec.Readable(o.payload)
	if err != nil {
		return nil, fmt.Errorf("%w: an object of class %s: %w", ErrCorrupt, o.class, err)
	}
	return v, nil
}

// encode stores the object as it was loaded: w gets its bytes and references.
func (o *Opaque) encode(w *codec.Writer, own func(uint64) (uint64, error)) error {
	w.Buf = append(w.Buf, o.payload...)
	for _, refs := range []struct {
		oids []OID
		to   *[]uint64
	}{{o.strong, &w.Strong}, {o.weak, &w.Weak}} {
		for _, oid := range refs.oids {
			if _, err := own(o.tag<<tagShift | uint64(oid)); err != nil {
				return err
			}
			*refs.to = append(*refs.to, uint64(oid))
		}
	}
	return nil
}
