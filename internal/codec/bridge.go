package codec

import (
	"cmp"
	"reflect"
	"slices"
	"unsafe"

	"github.com/durusdb/durus/storage"
)

// Bridge carries over what a value of one type and one of the type that
// follows it have in common: the fields of equal stored name and equal type,
// and what neither of them knows. It is immutable.
type Bridge struct {
	from, to *Plan
	fields   *structCoder // of to; nil if it is not stored field by field
	moves    []move
}

// move is a field that both types have.
type move struct {
	from, to int // indexes of the field
	src, dst uintptr
	typ      reflect.Type
}

// NewBridge returns the bridge from values of one plan to those of another. A
// type that encodes itself has no fields to carry over.
func NewBridge(from, to *Plan) *Bridge {
	b := &Bridge{from: from, to: to}
	old, _ := from.root.(*structCoder)
	b.fields, _ = to.root.(*structCoder)
	if old == nil || b.fields == nil {
		return b
	}
	var taken bitset
	moved := make([]bool, len(old.fields))
	// A field's own name goes before an alias of another one.
	for _, own := range []bool{true, false} {
		for i := range old.fields {
			f := &old.fields[i]
			j, ok := b.fields.byName[f.name]
			if !ok || moved[i] || own != (b.fields.fields[j].name == f.name) {
				continue
			}
			g := &b.fields.fields[j]
			if g.typ != f.typ || !taken.add(j, len(b.fields.fields)) {
				continue
			}
			moved[i] = true
			b.moves = append(b.moves, move{from: i, to: j, src: f.offset, dst: g.offset, typ: f.typ})
		}
	}
	return b
}

// Carry copies into *to, which is zero, what *from has in common with it.
// extra is what Decode, or Carry, returned with *from. What of it *to knows
// is decoded into it: the older type need not declare what its step does not
// look at. The rest is returned, for Encode with *to. Lost are the unknown
// fields inside of a field that is not carried over itself.
//
// The two values share memory afterwards. Errors are those of Decode.
func (b *Bridge) Carry(from, to any, extra Extra) (Extra, error) {
	src, err := b.from.pointer(from)
	if err != nil {
		return nil, err
	}
	dst, err := b.to.pointer(to)
	if err != nil {
		return nil, err
	}
	for _, m := range b.moves {
		reflect.NewAt(m.typ, unsafe.Add(dst, m.dst)).Elem().Set(reflect.NewAt(m.typ, unsafe.Add(src, m.src)).Elem())
	}
	if extra == nil || b.fields == nil {
		return nil, nil
	}
	r := readers.Get().(*reader)
	defer func() {
		r.buf = nil
		readers.Put(r)
	}()
	return b.unknown(r, dst, extra)
}

// unknown sorts what was unknown in the older value: into fields of the newer
// one at dst, and into what is unknown there as well.
func (b *Bridge) unknown(r *reader, dst unsafe.Pointer, old *unknown) (*unknown, error) {
	var (
		x     = new(unknown)
		taken bitset
	)
	for _, m := range b.moves {
		taken.add(m.to, len(b.fields.fields))
		x.put(m.to, old.at(m.from))
	}
	for _, u := range old.runs {
		kept := run{after: len(b.fields.fields) - 1, tag: u.tag}
		r.buf, r.pos, r.tag, r.keys = u.raw, 0, u.tag, 0
		for range u.count {
			start := r.pos
			k, size := r.head()
			if k != kindString {
				return nil, misfit(k, "the name of a field")
			}
			name, err := r.data(size)
			if err != nil {
				return nil, err
			}
			i, known := b.fields.byName[string(name)]
			if !known {
				if _, err := r.skip(); err != nil {
					return nil, err
				}
				kept.count++
				kept.raw = append(kept.raw, r.buf[start:r.pos]...)
				continue
			}
			f := &b.fields.fields[i]
			if !taken.add(i, len(b.fields.fields)) {
				return nil, faultf(storage.ErrType, "%q is stored, and another name of the field %s: declare both in the older type", name, f.name)
			}
			below, err := f.coder.decode(r, unsafe.Add(dst, f.offset))
			if err != nil {
				return nil, atField(err, f.name)
			}
			x.put(i, below)
		}
		if kept.count > 0 {
			x.runs = append(x.runs, kept)
		}
	}
	if x.runs == nil && x.below == nil {
		return nil, nil
	}
	slices.SortFunc(x.below, func(a, b child) int { return cmp.Compare(a.index, b.index) })
	return x, nil
}
