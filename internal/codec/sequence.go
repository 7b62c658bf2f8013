package codec

import (
	"reflect"
	"strconv"
	"unsafe"
)

// sliceHeader is how a slice lies in memory.
type sliceHeader struct {
	data     unsafe.Pointer
	len, cap int
}

// sliceCoder stores a slice of anything but bytes.
type sliceCoder struct {
	typ  reflect.Type
	size uintptr // of an element
	elem coder
}

func (c *sliceCoder) encode(w *Writer, p unsafe.Pointer, x *unknown) error {
	s := (*sliceHeader)(p)
	if s.data == nil {
		w.Buf = append(w.Buf, codeNil)
		return nil
	}
	return encodeElements(w, s.data, s.len, c.size, c.elem, x)
}

func (c *sliceCoder) decode(r *reader, p unsafe.Pointer) (*unknown, error) {
	n, err := r.container(kindArray, "a slice")
	switch {
	case err != nil:
		return nil, err
	case n < 0:
		return nil, nil
	case n == 0:
		*(*[]struct{})(p) = []struct{}{} // empty, not nil, whatever the elements
		return nil, nil
	}
	// The number of elements is at most that of the bytes left. What Grow allots
	// is zero. No capacity is left: two readers of a shared slice may append.
	v := reflect.NewAt(c.typ, p).Elem()
	v.Grow(n)
	v.SetLen(n)
	v.SetCap(n)
	return decodeElements(r, (*sliceHeader)(p).data, n, c.size, c.elem)
}

func (c *sliceCoder) empty(p unsafe.Pointer, _ *unknown) bool { return (*sliceHeader)(p).len == 0 }

// arrayCoder stores an array of anything but bytes.
type arrayCoder struct {
	len  int
	size uintptr // of an element
	elem coder
}

func (c *arrayCoder) encode(w *Writer, p unsafe.Pointer, x *unknown) error {
	return encodeElements(w, p, c.len, c.size, c.elem, x)
}

func (c *arrayCoder) decode(r *reader, p unsafe.Pointer) (*unknown, error) {
	n, err := r.container(kindArray, "an array")
	if err != nil || n < 0 {
		return nil, err
	}
	if n > c.len {
		return nil, misfitText(strconv.Itoa(n)+" elements", "at most "+strconv.Itoa(c.len))
	}
	return decodeElements(r, p, n, c.size, c.elem)
}

func (c *arrayCoder) empty(unsafe.Pointer, *unknown) bool { return c.len == 0 }

func encodeElements(w *Writer, data unsafe.Pointer, n int, size uintptr, elem coder, x *unknown) error {
	if err := w.enter(); err != nil {
		return err
	}
	if err := w.room(n); err != nil {
		return err
	}
	w.Buf = appendArrayHead(w.Buf, n)
	for i := range n {
		if err := elem.encode(w, unsafe.Add(data, uintptr(i)*size), x.at(i)); err != nil {
			return atIndex(err, i)
		}
		if err := w.room(0); err != nil {
			return err
		}
	}
	w.depth--
	return nil
}

func decodeElements(r *reader, data unsafe.Pointer, n int, size uintptr, elem coder) (x *unknown, err error) {
	for i := range n {
		below, err := elem.decode(r, unsafe.Add(data, uintptr(i)*size))
		if err != nil {
			return nil, atIndex(err, i)
		}
		x = x.put(i, below)
	}
	return x, nil
}

// pointerCoder stores what a pointer points to in its place.
type pointerCoder struct {
	typ  reflect.Type // of what it points to
	elem coder
}

func (c *pointerCoder) encode(w *Writer, p unsafe.Pointer, x *unknown) error {
	to := *(*unsafe.Pointer)(p)
	if to == nil {
		w.Buf = append(w.Buf, codeNil)
		return nil
	}
	start := len(w.Buf)
	if err := c.elem.encode(w, to, x); err != nil {
		return err
	}
	if w.Buf[start] == codeNil {
		return foreign("a pointer to a "+c.typ.String()+" that encodes to nil would come back as a nil pointer: store the value instead of the pointer", nil)
	}
	return nil
}

func (c *pointerCoder) decode(r *reader, p unsafe.Pointer) (*unknown, error) {
	if k, _, next := parseHead(r.buf, r.pos); k == kindNil {
		r.pos = next
		return nil, nil
	}
	v := reflect.New(c.typ)
	*(*unsafe.Pointer)(p) = v.UnsafePointer()
	return c.elem.decode(r, v.UnsafePointer())
}

func (c *pointerCoder) empty(p unsafe.Pointer, _ *unknown) bool { return *(*unsafe.Pointer)(p) == nil }
