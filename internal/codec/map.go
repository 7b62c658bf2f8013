package codec

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"unsafe"

	"github.com/durusdb/durus/storage"
)

// mapCoder stores a map, its keys in one order whatever the iteration gives.
type mapCoder struct {
	typ        reflect.Type
	key, value coder
	strings    bool // the keys are stored as strings and ordered as such
	refs       bool // references may be in the keys
	floats     bool // NaNs may be in the keys
}

// entry is a pair of a map while it is encoded.
type entry struct {
	key        []byte // as stored
	keyAt, val unsafe.Pointer
}

func (c *mapCoder) encode(w *Writer, p unsafe.Pointer, x *unknown) error {
	m := reflect.NewAt(c.typ, p).Elem()
	if m.IsNil() {
		w.Buf = append(w.Buf, codeNil)
		return nil
	}
	if err := w.enter(); err != nil {
		return err
	}
	n := m.Len()
	if err := w.room(2 * n); err != nil {
		return err
	}
	w.Buf = appendMapHead(w.Buf, n)
	if n > 0 {
		entries, keys, err := c.entries(w, m, n)
		if err != nil {
			return err
		}
		for i := range entries {
			if err := c.encodeEntry(w, &entries[i], x); err != nil {
				return at(err, c.step(entries[i].keyAt))
			}
			if err := w.room(0); err != nil {
				return err
			}
		}
		w.keys = keys[:0] // only now: maps inside this one have used their own
	}
	w.depth--
	return nil
}

func (c *mapCoder) encodeEntry(w *Writer, e *entry, x *unknown) error {
	if c.refs {
		// Once more, now that the order is known: this time the references count.
		if err := c.key.encode(w, e.keyAt, nil); err != nil {
			return err
		}
	} else {
		w.Buf = append(w.Buf, e.key...)
	}
	return c.value.encode(w, e.val, x.key(e.key))
}

// entries returns the pairs of m in the order in which they are stored, with
// their keys encoded into the memory that is returned too.
func (c *mapCoder) entries(w *Writer, m reflect.Value, n int) ([]entry, []byte, error) {
	// The pairs are copied: what is in a map has no address, and custom
	// encoders with pointer receivers need one.
	ks := reflect.MakeSlice(reflect.SliceOf(c.typ.Key()), n, n)
	vs := reflect.MakeSlice(reflect.SliceOf(c.typ.Elem()), n, n)
	entries := make([]entry, n)
	ends := make([]int, n)

	buf := w.Buf
	w.Buf, w.keys = w.keys[:0], nil
	w.quiet++
	restore := func() []byte {
		keys := w.Buf
		w.Buf = buf
		w.quiet--
		return keys
	}
	iter := m.MapRange()
	for i := 0; i < n && iter.Next(); i++ {
		k, v := ks.Index(i), vs.Index(i)
		k.SetIterKey(iter)
		v.SetIterValue(iter)
		e := &entries[i]
		e.keyAt, e.val = k.Addr().UnsafePointer(), v.Addr().UnsafePointer()
		if c.floats && !k.Equal(k) {
			restore()
			return nil, nil, foreign("a map key is or holds a NaN, which no lookup ever finds: use another key", nil)
		}
		if err := c.key.encode(w, e.keyAt, nil); err != nil {
			restore()
			return nil, nil, at(err, c.step(e.keyAt))
		}
		ends[i] = len(w.Buf)
	}
	keys := restore()
	start := 0
	for i, end := range ends {
		entries[i].key = keys[start:end]
		start = end
	}
	if c.strings {
		slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(*(*string)(a.keyAt), *(*string)(b.keyAt)) })
	} else {
		slices.SortFunc(entries, func(a, b entry) int { return bytes.Compare(a.key, b.key) })
	}
	for i := 1; i < n; i++ {
		if bytes.Equal(entries[i-1].key, entries[i].key) {
			return nil, nil, at(foreign("two keys of the map encode to the same bytes, so one would be lost: use keys that differ in what is stored", nil), c.step(entries[i].keyAt))
		}
	}
	return entries, keys, nil
}

// step is the key as a step of a path.
func (c *mapCoder) step(key unsafe.Pointer) string {
	return keyStep(reflect.NewAt(c.typ.Key(), key).Elem())
}

func (c *mapCoder) decode(r *reader, p unsafe.Pointer) (*unknown, error) {
	n, err := r.container(kindMap, "a map")
	if err != nil || n < 0 {
		return nil, err
	}
	if n > (len(r.buf)-r.pos)/2 {
		return nil, corrupt(r.pos, "%d pairs where only %d bytes are left", n, len(r.buf)-r.pos)
	}
	var (
		m = reflect.MakeMapWithSize(c.typ, n)
		k = reflect.New(c.typ.Key()).Elem()
		v = reflect.New(c.typ.Elem()).Elem()
		x *unknown
	)
	reflect.NewAt(c.typ, p).Elem().Set(m)
	for i := range n {
		start := r.pos
		k.SetZero()
		v.SetZero()
		r.keys++
		if _, err := c.key.decode(r, k.Addr().UnsafePointer()); err != nil {
			return nil, at(err, "[key]")
		}
		r.keys--
		stored := r.buf[start:r.pos]
		if c.floats && !k.Equal(k) {
			return nil, at(faultf(storage.ErrCorrupt, "a map key is or holds a NaN"), keyStep(k))
		}
		below, err := c.value.decode(r, v.Addr().UnsafePointer())
		if err != nil {
			return nil, at(err, keyStep(k))
		}
		m.SetMapIndex(k, v)
		if m.Len() != i+1 {
			return nil, at(faultf(storage.ErrCorrupt, "two pairs of a map have this key"), keyStep(k))
		}
		x = x.putKey(stored, below)
	}
	return x, nil
}

func (c *mapCoder) empty(p unsafe.Pointer, _ *unknown) bool {
	return reflect.NewAt(c.typ, p).Elem().Len() == 0
}
