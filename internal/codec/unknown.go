package codec

import (
	"bytes"
	"cmp"
	"slices"
)

// Extra is what Decode found in a payload and the type does not know; nil if
// there was nothing. It is immutable, and of use only to Encode, with the object
// that it came from or a copy of it. Package documentation: "Unknown fields".
type Extra *unknown

// Element returns what is unknown in element i of a slice that Decode has filled,
// for Encode with that element alone.
func Element(x Extra, i int) Extra { return (*unknown)(x).at(i) }

// unknown is what one value has in it that its type does not know.
type unknown struct {
	runs  []run               // of a struct: its own unknown fields
	below []child             // of a struct: what is unknown in its fields; of a slice: in its elements. By index
	keyed map[string]*unknown // of a map: what is unknown in its values, by the encoded key
}

// run is some unknown fields that follow each other.
type run struct {
	after int    // index of the known field before them; -1: none
	count int    // how many they are
	raw   []byte // names and values
	tag   uint64 // of the references in raw
}

type child struct {
	index int
	x     *unknown
}

// size returns how many unknown fields a struct has itself.
func (x *unknown) size() int {
	n := 0
	if x != nil {
		for i := range x.runs {
			n += x.runs[i].count
		}
	}
	return n
}

// at returns what is unknown in the field or element with the index.
func (x *unknown) at(index int) *unknown {
	if x == nil || len(x.below) == 0 {
		return nil
	}
	i, ok := slices.BinarySearchFunc(x.below, index, func(c child, index int) int { return cmp.Compare(c.index, index) })
	if !ok {
		return nil
	}
	return x.below[i].x
}

// key returns what is unknown in the map value with the encoded key.
func (x *unknown) key(key []byte) *unknown {
	if x == nil {
		return nil
	}
	return x.keyed[string(key)]
}

// put adds what is unknown in a field or element; x may be nil. It returns x.
func (x *unknown) put(index int, below *unknown) *unknown {
	if below == nil {
		return x
	}
	if x == nil {
		x = new(unknown)
	}
	x.below = append(x.below, child{index, below})
	return x
}

// putKey is put for a map value.
func (x *unknown) putKey(key []byte, below *unknown) *unknown {
	if below == nil {
		return x
	}
	if x == nil {
		x = &unknown{keyed: make(map[string]*unknown)}
	}
	x.keyed[string(key)] = below
	return x
}

// seal brings below in order, after a struct whose fields were stored in another.
func (x *unknown) seal() {
	if x != nil {
		slices.SortFunc(x.below, func(a, b child) int { return cmp.Compare(a.index, b.index) })
	}
}

// encodeAfter writes the unknown fields that followed the known field after.
func (x *unknown) encodeAfter(w *Writer, after int) error {
	for i := range x.runs {
		if x.runs[i].after == after {
			if err := x.runs[i].encode(w); err != nil {
				return err
			}
		}
	}
	return nil
}

// encode writes the fields as they were, but for the references: these are
// given to Out like any other.
func (u *run) encode(w *Writer) error {
	if err := w.room(len(u.raw)); err != nil {
		return err
	}
	from := 0
	_, err := scan(u.raw, 0, 2*u.count, w.depth, func(start, end int, oid uint64, weak bool) error {
		w.Buf = append(w.Buf, u.raw[from:start]...)
		from = end
		return w.reference(u.tag<<tagShift|oid, weak)
	})
	w.Buf = append(w.Buf, u.raw[from:]...)
	return err
}

// gather collects the unknown fields of a struct while it is decoded.
type gather struct {
	runs  []run
	names [][]byte            // the names met, to refuse the second of a pair
	many  map[string]struct{} // the same once they are many; else nil
	start int                 // of the current run in the payload
}

// met notes a name and tells whether it was there before.
func (g *gather) met(name []byte) bool {
	if g.many != nil {
		_, ok := g.many[string(name)]
		g.many[string(name)] = struct{}{}
		return ok
	}
	for _, n := range g.names {
		if bytes.Equal(n, name) {
			return true
		}
	}
	if g.names = append(g.names, name); len(g.names) > linear {
		g.many = make(map[string]struct{}, 2*linear)
		for _, n := range g.names {
			g.many[string(n)] = struct{}{}
		}
	}
	return false
}

// add takes the field which begins at start, whose name is name, and whose value
// is the next one in r.
func (g *gather) add(r *reader, start int, name []byte, after int) error {
	if g.met(name) {
		return corrupt(start, "two fields %q", name)
	}
	if _, err := r.skip(); err != nil {
		return err
	}
	if n := len(g.runs); n > 0 && g.start+len(g.runs[n-1].raw) == start {
		g.runs[n-1].count++
		g.runs[n-1].raw = r.buf[g.start:r.pos]
		return nil
	}
	g.start = start
	g.runs = append(g.runs, run{after: after, count: 1, raw: r.buf[start:r.pos], tag: r.tag})
	return nil
}

// unknown returns what was gathered, in memory of its own.
func (g *gather) unknown(x *unknown) *unknown {
	if g == nil || len(g.runs) == 0 {
		return x
	}
	for i := range g.runs {
		g.runs[i].raw = slices.Clone(g.runs[i].raw)
	}
	if x == nil {
		x = new(unknown)
	}
	x.runs = g.runs
	return x
}
