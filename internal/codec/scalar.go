package codec

import (
	"math"
	"reflect"
	"strconv"
	"time"
	"unsafe"
)

type boolCoder struct{}

func (boolCoder) encode(w *Writer, p unsafe.Pointer, _ *unknown) error {
	if *(*bool)(p) {
		w.Buf = append(w.Buf, codeTrue)
	} else {
		w.Buf = append(w.Buf, codeFalse)
	}
	return nil
}

func (boolCoder) decode(r *reader, p unsafe.Pointer) (*unknown, error) {
	switch k, n := r.head(); k {
	case kindBool:
		*(*bool)(p) = n != 0
	case kindNil:
	default:
		return nil, misfit(k, "a bool")
	}
	return nil, nil
}

func (boolCoder) empty(p unsafe.Pointer, _ *unknown) bool { return !*(*bool)(p) }

// signedCoder stores an integer type of the size of T.
type signedCoder[T int8 | int16 | int32 | int64] struct{}

func (signedCoder[T]) encode(w *Writer, p unsafe.Pointer, _ *unknown) error {
	w.Buf = appendInt(w.Buf, int64(*(*T)(p)))
	return nil
}

func (signedCoder[T]) decode(r *reader, p unsafe.Pointer) (*unknown, error) {
	k, n := r.head()
	v := T(n)
	switch {
	case k == kindUint && v >= 0 && uint64(v) == n, k == kindInt && uint64(v) == n:
		*(*T)(p) = v
	case k == kindNil:
	default:
		return nil, misfitInteger(k, n, reflect.TypeFor[T]())
	}
	return nil, nil
}

func (signedCoder[T]) empty(p unsafe.Pointer, _ *unknown) bool { return *(*T)(p) == 0 }

// unsignedCoder stores an integer type of the size of T.
type unsignedCoder[T uint8 | uint16 | uint32 | uint64] struct{}

func (unsignedCoder[T]) encode(w *Writer, p unsafe.Pointer, _ *unknown) error {
	w.Buf = appendUint(w.Buf, uint64(*(*T)(p)))
	return nil
}

func (unsignedCoder[T]) decode(r *reader, p unsafe.Pointer) (*unknown, error) {
	k, n := r.head()
	v := T(n)
	switch {
	case k == kindUint && uint64(v) == n:
		*(*T)(p) = v
	case k == kindNil:
	default:
		return nil, misfitInteger(k, n, reflect.TypeFor[T]())
	}
	return nil, nil
}

func (unsignedCoder[T]) empty(p unsafe.Pointer, _ *unknown) bool { return *(*T)(p) == 0 }

func misfitInteger(k kind, n uint64, t reflect.Type) error {
	switch k {
	case kindUint:
		return misfitText("the integer "+strconv.FormatUint(n, 10), t.String())
	case kindInt:
		return misfitText("the integer "+strconv.FormatInt(int64(n), 10), t.String())
	}
	return misfit(k, t.String())
}

type float32Coder struct{}

func (float32Coder) encode(w *Writer, p unsafe.Pointer, _ *unknown) error {
	// The bits are copied without a conversion, which would make a signalling NaN quiet.
	w.Buf = appendFloat32(w.Buf, *(*uint32)(p))
	return nil
}

func (float32Coder) decode(r *reader, p unsafe.Pointer) (*unknown, error) {
	k, n := r.head()
	switch k {
	case kindFloat32:
		*(*uint32)(p) = uint32(n)
		return nil, nil
	case kindNil:
		return nil, nil
	case kindUint, kindInt:
		if f, ok := exactFloat(k, n, 1<<24); ok {
			*(*float32)(p) = float32(f)
			return nil, nil
		}
	}
	return nil, misfit(k, "a float32")
}

// The sign counts: -0 is not empty for us, since it would come back as +0. In
// msgpack v5 it is; the bytes differ there, on purpose.
func (float32Coder) empty(p unsafe.Pointer, _ *unknown) bool { return *(*uint32)(p) == 0 }

type float64Coder struct{}

func (float64Coder) encode(w *Writer, p unsafe.Pointer, _ *unknown) error {
	w.Buf = appendFloat64(w.Buf, *(*uint64)(p))
	return nil
}

func (float64Coder) decode(r *reader, p unsafe.Pointer) (*unknown, error) {
	k, n := r.head()
	switch k {
	case kindFloat64:
		*(*uint64)(p) = n
		return nil, nil
	case kindFloat32:
		*(*float64)(p) = float64(math.Float32frombits(uint32(n)))
		return nil, nil
	case kindNil:
		return nil, nil
	case kindUint, kindInt:
		if f, ok := exactFloat(k, n, 1<<53); ok {
			*(*float64)(p) = f
			return nil, nil
		}
	}
	return nil, misfit(k, "a float64")
}

func (float64Coder) empty(p unsafe.Pointer, _ *unknown) bool { return *(*uint64)(p) == 0 }

// exactFloat returns the stored integer if its size is at most limit, below which
// a float holds every integer.
func exactFloat(k kind, n uint64, limit int64) (float64, bool) {
	if k == kindUint {
		return float64(n), n <= uint64(limit)
	}
	return float64(int64(n)), int64(n) >= -limit
}

type stringCoder struct{}

func (stringCoder) encode(w *Writer, p unsafe.Pointer, _ *unknown) error {
	s := *(*string)(p)
	if err := w.room(len(s)); err != nil {
		return err
	}
	w.Buf = appendString(w.Buf, s)
	return nil
}

func (stringCoder) decode(r *reader, p unsafe.Pointer) (*unknown, error) {
	switch k, n := r.head(); k {
	case kindString, kindBytes:
		b, err := r.data(n)
		if err != nil {
			return nil, err
		}
		*(*string)(p) = string(b)
	case kindNil:
	default:
		return nil, misfit(k, "a string")
	}
	return nil, nil
}

func (stringCoder) empty(p unsafe.Pointer, _ *unknown) bool { return len(*(*string)(p)) == 0 }

// bytesCoder stores slices whose elements are a byte kind.
type bytesCoder struct{}

func (bytesCoder) encode(w *Writer, p unsafe.Pointer, _ *unknown) error {
	b := *(*[]byte)(p)
	if b == nil {
		w.Buf = append(w.Buf, codeNil)
		return nil
	}
	if err := w.room(len(b)); err != nil {
		return err
	}
	w.Buf = appendBytes(w.Buf, b)
	return nil
}

func (bytesCoder) decode(r *reader, p unsafe.Pointer) (*unknown, error) {
	switch k, n := r.head(); k {
	case kindString, kindBytes:
		b, err := r.data(n)
		if err != nil {
			return nil, err
		}
		c := make([]byte, len(b))
		copy(c, b)
		*(*[]byte)(p) = c
	case kindNil:
	default:
		return nil, misfit(k, "bytes")
	}
	return nil, nil
}

func (bytesCoder) empty(p unsafe.Pointer, _ *unknown) bool { return len(*(*[]byte)(p)) == 0 }

// byteArrayCoder stores arrays whose elements are a byte kind.
type byteArrayCoder struct{ len int }

func (c byteArrayCoder) encode(w *Writer, p unsafe.Pointer, _ *unknown) error {
	if err := w.room(c.len); err != nil {
		return err
	}
	w.Buf = appendBytes(w.Buf, unsafe.Slice((*byte)(p), c.len))
	return nil
}

func (c byteArrayCoder) decode(r *reader, p unsafe.Pointer) (*unknown, error) {
	switch k, n := r.head(); k {
	case kindString, kindBytes:
		b, err := r.data(n)
		if err != nil {
			return nil, err
		}
		if len(b) > c.len {
			return nil, misfitText(strconv.Itoa(len(b))+" bytes", "at most "+strconv.Itoa(c.len))
		}
		copy(unsafe.Slice((*byte)(p), c.len), b)
	case kindNil:
	default:
		return nil, misfit(k, "bytes")
	}
	return nil, nil
}

func (c byteArrayCoder) empty(unsafe.Pointer, *unknown) bool { return c.len == 0 }

var timeType = reflect.TypeFor[time.Time]()

type timeCoder struct{}

func (timeCoder) encode(w *Writer, p unsafe.Pointer, _ *unknown) error {
	w.Buf = appendTime(w.Buf, *(*time.Time)(p))
	return nil
}

func (timeCoder) decode(r *reader, p unsafe.Pointer) (*unknown, error) {
	k, n := r.head()
	switch k {
	case kindExt:
		ext := int8(r.buf[r.pos-1])
		data, err := r.data(n)
		if err != nil {
			return nil, err
		}
		if sec, nsec, ok := parseTime(data); ok && ext == extTime {
			*(*time.Time)(p) = time.Unix(sec, int64(nsec)).UTC()
			return nil, nil
		}
	case kindNil:
		return nil, nil
	}
	return nil, misfit(k, "a time")
}

func (timeCoder) empty(p unsafe.Pointer, _ *unknown) bool { return (*time.Time)(p).IsZero() }
