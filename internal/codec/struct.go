package codec

import (
	"reflect"
	"unsafe"

	"github.com/durusdb/durus/storage"
)

// structCoder stores a struct as a map from names to values.
type structCoder struct {
	fields []field
	byName map[string]int // index in fields by name and alias
	omits  bool           // some field is omitempty
}

// field is a stored field, its own or one of an inlined struct.
type field struct {
	name   string
	key    []byte // the name as it is stored
	typ    reflect.Type
	offset uintptr
	coder  coder
	omit   bool // omitempty
}

func (f *field) omitted(p unsafe.Pointer, i int, x *unknown) bool {
	return f.omit && f.coder.empty(unsafe.Add(p, f.offset), x.at(i))
}

// present counts the fields that are not omitted.
func (c *structCoder) present(p unsafe.Pointer, x *unknown) int {
	n := len(c.fields)
	if c.omits {
		for i := range c.fields {
			if c.fields[i].omitted(p, i, x) {
				n--
			}
		}
	}
	return n
}

func (c *structCoder) encode(w *Writer, p unsafe.Pointer, x *unknown) error {
	if err := w.enter(); err != nil {
		return err
	}
	n := c.present(p, x)
	w.Buf = appendMapHead(w.Buf, n+x.size())
	if x != nil {
		if err := x.encodeAfter(w, -1); err != nil {
			return err
		}
	}
	for i := range c.fields {
		f := &c.fields[i]
		if !c.omits || !f.omitted(p, i, x) {
			n--
			w.Buf = append(w.Buf, f.key...)
			if err := f.coder.encode(w, unsafe.Add(p, f.offset), x.at(i)); err != nil {
				return atField(err, f.name)
			}
		}
		if x != nil {
			if err := x.encodeAfter(w, i); err != nil {
				return err
			}
		}
	}
	if n != 0 {
		return foreign("IsZero of a field with omitempty gave two answers for one value", nil)
	}
	w.depth--
	return nil
}

func (c *structCoder) decode(r *reader, p unsafe.Pointer) (*unknown, error) {
	n, err := r.container(kindMap, "a struct")
	if err != nil {
		return nil, err
	}
	var (
		x    *unknown
		more *gather
		seen bitset
		last = -1 // index of the known field before
	)
	for range n {
		start := r.pos
		k, size := r.head()
		if k != kindString {
			return nil, misfit(k, "the name of a field")
		}
		name, err := r.data(size)
		if err != nil {
			return nil, err
		}
		// Fields mostly come in the order of declaration.
		i := last + 1
		if i >= len(c.fields) || c.fields[i].name != string(name) {
			var ok bool
			if i, ok = c.byName[string(name)]; !ok {
				if r.keys > 0 {
					return nil, faultf(storage.ErrTooNew, "a map key has a field %q that this program does not know, and keys may differ in it only: use the newer program", name)
				}
				if more == nil {
					more = new(gather)
				}
				if err := more.add(r, start, name, last); err != nil {
					return nil, err
				}
				continue
			}
		}
		f := &c.fields[i]
		if !seen.add(i, len(c.fields)) {
			return nil, corrupt(start, "two fields %q", name)
		}
		last = i
		below, err := f.coder.decode(r, unsafe.Add(p, f.offset))
		if err != nil {
			return nil, atField(err, f.name)
		}
		x = x.put(i, below)
	}
	x.seal()
	return more.unknown(x), nil
}

// empty follows msgpack v5: nothing of the struct would be stored.
func (c *structCoder) empty(p unsafe.Pointer, x *unknown) bool {
	return c.present(p, x) == 0 && x.size() == 0
}

// bitset is a set of small numbers. The first 64 take no memory of their own.
type bitset struct {
	first uint64
	rest  []uint64
}

// add puts i, below limit, into the set; false if it was there.
func (s *bitset) add(i, limit int) bool {
	word := &s.first
	if i >= 64 {
		if s.rest == nil {
			s.rest = make([]uint64, limit/64)
		}
		word = &s.rest[i/64-1]
	}
	bit := uint64(1) << (i % 64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}
