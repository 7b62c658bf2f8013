package durus

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/durusdb/durus/internal/codec"
)

// keyPlan is how the keys of one type are compared and stored. It is compiled
// once per type; comparing allocates nothing. Keys are reached by pointers to
// them.
type keyPlan struct {
	// name is what the file says about the keys of a container: a program with
	// another kind of key is refused. It is part of the file format.
	name    string
	compare func(a, b unsafe.Pointer) int
	// prefix is a number whose order agrees with compare: keys of different
	// prefixes are ordered by it. With exact, equal prefixes are equal keys.
	prefix func(k unsafe.Pointer) uint64
	exact  bool
	text   bool // a string, whose prefix may be taken from any place
	refs   bool // a reference, or holds some
	// encoded: keys as they are stored, of whatever type. See encodedKeys.
	encoded bool
	encode  func(b []byte, k unsafe.Pointer, own func(uint64) (uint64, error)) ([]byte, error)
	decode  func(c *codec.Cursor, k unsafe.Pointer, tag uint64)
}

var keyPlans sync.Map // reflect.Type -> *keyPlan

// keyPlanOf returns the plan of a key type, or what is wrong with it.
func keyPlanOf(t reflect.Type) (*keyPlan, error) {
	if p, ok := keyPlans.Load(t); ok {
		return p.(*keyPlan), nil
	}
	p, err := compileKey(t, "")
	if err != nil {
		return nil, err
	}
	v, _ := keyPlans.LoadOrStore(t, p)
	return v.(*keyPlan), nil
}

var timeType = reflect.TypeFor[time.Time]()

func compileKey(t reflect.Type, field string) (*keyPlan, error) {
	if t == timeType {
		return timeKey, nil
	}
	if isReference(t) {
		return referenceKey, nil
	}
	switch t.Kind() {
	case reflect.Int:
		return signedKey[int](), nil
	case reflect.Int8:
		return signedKey[int8](), nil
	case reflect.Int16:
		return signedKey[int16](), nil
	case reflect.Int32:
		return signedKey[int32](), nil
	case reflect.Int64:
		return signedKey[int64](), nil
	case reflect.Uint:
		return unsignedKey[uint](), nil
	case reflect.Uint8:
		return unsignedKey[uint8](), nil
	case reflect.Uint16:
		return unsignedKey[uint16](), nil
	case reflect.Uint32:
		return unsignedKey[uint32](), nil
	case reflect.Uint64:
		return unsignedKey[uint64](), nil
	case reflect.Float32:
		return floatKey[float32]("float32", func(b []byte, f float32) []byte { return codec.AppendFloat32(b, f) }), nil
	case reflect.Float64:
		return floatKey[float64]("float64", func(b []byte, f float64) []byte { return codec.AppendFloat64(b, f) }), nil
	case reflect.String:
		return stringKey, nil
	case reflect.Array:
		return arrayKey(t, field)
	case reflect.Struct:
		return structKey(t, field)
	}
	where := ""
	if field != "" {
		where = fmt.Sprintf(" (field %s)", strings.TrimPrefix(field, "."))
	}
	return nil, fmt.Errorf("%w: a %s%s cannot be a key: use an integer, float or string, time.Time, a Ref, or an array or struct of these", ErrType, t, where)
}

// isReference tells whether t is Ref[T] or AnyRef, for any T.
func isReference(t reflect.Type) bool {
	if t.Kind() != reflect.Struct || !t.Implements(reflect.TypeFor[strongReference]()) {
		return false
	}
	// A struct that embeds one has its methods, and is more than that.
	return reflect.Zero(t).Interface().(strongReference).strongReference() == t
}

// strongReference is what Ref and AnyRef have in common: eight bytes, a codec.Strong.
type strongReference interface{ strongReference() reflect.Type }

func (Ref[T]) strongReference() reflect.Type { return reflect.TypeFor[Ref[T]]() }
func (AnyRef) strongReference() reflect.Type { return reflect.TypeFor[AnyRef]() }

func signedKey[T int | int8 | int16 | int32 | int64]() *keyPlan {
	return &keyPlan{
		name:    "integer",
		exact:   true,
		compare: func(a, b unsafe.Pointer) int { return cmp.Compare(*(*T)(a), *(*T)(b)) },
		prefix:  func(k unsafe.Pointer) uint64 { return uint64(int64(*(*T)(k))) ^ 1<<63 },
		encode: func(b []byte, k unsafe.Pointer, _ func(uint64) (uint64, error)) ([]byte, error) {
			return codec.AppendInt(b, int64(*(*T)(k))), nil
		},
		decode: func(c *codec.Cursor, k unsafe.Pointer, _ uint64) {
			v := c.Int()
			if *(*T)(k) = T(v); int64(T(v)) != v {
				c.Misfit(fmt.Sprintf("%d, which does not fit the key type of the program", v))
			}
		},
	}
}

func unsignedKey[T uint | uint8 | uint16 | uint32 | uint64]() *keyPlan {
	return &keyPlan{
		name:    "integer",
		exact:   true,
		compare: func(a, b unsafe.Pointer) int { return cmp.Compare(*(*T)(a), *(*T)(b)) },
		prefix:  func(k unsafe.Pointer) uint64 { return uint64(*(*T)(k)) },
		encode: func(b []byte, k unsafe.Pointer, _ func(uint64) (uint64, error)) ([]byte, error) {
			return codec.AppendUint(b, uint64(*(*T)(k))), nil
		},
		decode: func(c *codec.Cursor, k unsafe.Pointer, _ uint64) {
			v := c.Uint()
			if *(*T)(k) = T(v); uint64(T(v)) != v {
				c.Misfit(fmt.Sprintf("%d, which does not fit the key type of the program", v))
			}
		},
	}
}

// floatKey orders a NaN before all other floats, as package cmp does; all NaNs
// are one key, and so are the two zeros.
func floatKey[T float32 | float64](name string, put func([]byte, T) []byte) *keyPlan {
	return &keyPlan{
		name:    name,
		exact:   true,
		compare: func(a, b unsafe.Pointer) int { return cmp.Compare(*(*T)(a), *(*T)(b)) },
		prefix: func(k unsafe.Pointer) uint64 {
			f := float64(*(*T)(k))
			switch bits := math.Float64bits(f); {
			case f != f:
				return 0
			case f == 0:
				return 1 << 63
			case bits>>63 != 0:
				return ^bits
			default:
				return bits | 1<<63
			}
		},
		encode: func(b []byte, k unsafe.Pointer, _ func(uint64) (uint64, error)) ([]byte, error) {
			f := *(*T)(k)
			if f != f {
				f = T(math.NaN())
			} else if f == 0 {
				f = 0 // not -0
			}
			return put(b, f), nil
		},
		decode: func(c *codec.Cursor, k unsafe.Pointer, _ uint64) { *(*T)(k) = T(c.Float()) },
	}
}

var stringKey = &keyPlan{
	name:    "string",
	text:    true,
	compare: func(a, b unsafe.Pointer) int { return strings.Compare(*(*string)(a), *(*string)(b)) },
	prefix:  func(k unsafe.Pointer) uint64 { return textPrefix(*(*string)(k)) },
	encode: func(b []byte, k unsafe.Pointer, _ func(uint64) (uint64, error)) ([]byte, error) {
		return codec.AppendString(b, *(*string)(k)), nil
	},
	decode: func(c *codec.Cursor, k unsafe.Pointer, _ uint64) { *(*string)(k) = string(c.String()) },
}

// textPrefix is the first eight bytes of a string.
func textPrefix(s string) uint64 {
	if len(s) >= 8 {
		return binary.BigEndian.Uint64(unsafe.Slice(unsafe.StringData(s), 8))
	}
	var v uint64
	for i := range len(s) {
		v |= uint64(s[i]) << (56 - 8*i)
	}
	return v
}

var timeKey = &keyPlan{
	name: "time",
	// By what is stored: far beyond any calendar time.Time.Compare goes its own ways.
	compare: func(a, b unsafe.Pointer) int {
		x, y := (*time.Time)(a), (*time.Time)(b)
		return cmp.Or(cmp.Compare(x.Unix(), y.Unix()), cmp.Compare(x.Nanosecond(), y.Nanosecond()))
	},
	prefix: func(k unsafe.Pointer) uint64 { return uint64((*time.Time)(k).Unix()) ^ 1<<63 },
	encode: func(b []byte, k unsafe.Pointer, _ func(uint64) (uint64, error)) ([]byte, error) {
		return codec.AppendTime(b, *(*time.Time)(k)), nil
	},
	decode: func(c *codec.Cursor, k unsafe.Pointer, _ uint64) { *(*time.Time)(k) = c.Time() },
}

var referenceKey = &keyPlan{
	name:    "reference",
	exact:   true,
	refs:    true,
	compare: func(a, b unsafe.Pointer) int { return cmp.Compare(*(*uint64)(a)&oidMask, *(*uint64)(b)&oidMask) },
	prefix:  func(k unsafe.Pointer) uint64 { return *(*uint64)(k) & oidMask },
	encode: func(b []byte, k unsafe.Pointer, own func(uint64) (uint64, error)) ([]byte, error) {
		oid, err := own(*(*uint64)(k))
		return codec.AppendReference(b, oid, false), err
	},
	decode: func(c *codec.Cursor, k unsafe.Pointer, tag uint64) {
		*(*uint64)(k) = 0
		if oid := c.Reference(); oid != 0 {
			*(*uint64)(k) = tag<<tagShift | oid
		}
	},
}

// part is an element of an array or a field of a struct.
type part struct {
	offset uintptr
	plan   *keyPlan
}

func arrayKey(t reflect.Type, field string) (*keyPlan, error) {
	elem, err := compileKey(t.Elem(), field+"[]")
	if err != nil {
		return nil, err
	}
	parts := make([]part, t.Len())
	for i := range parts {
		parts[i] = part{uintptr(i) * t.Elem().Size(), elem}
	}
	return composite(fmt.Sprintf("[%d]%s", t.Len(), elem.name), parts), nil
}

func structKey(t reflect.Type, field string) (*keyPlan, error) {
	var (
		parts []part
		names []string
	)
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "_" && f.Type.Size() == 0 {
			continue
		}
		here := field + "." + f.Name
		if !f.IsExported() {
			return nil, fmt.Errorf("%w: a %s cannot be a key: its field %s is not exported: export all fields", ErrType, t, strings.TrimPrefix(here, "."))
		}
		p, err := compileKey(f.Type, here)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part{f.Offset, p})
		names = append(names, p.name)
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("%w: a %s cannot be a key: it has no fields", ErrType, t)
	}
	return composite("("+strings.Join(names, ",")+")", parts), nil
}

// composite is the plan of an array or a struct: a msgpack array, compared
// element by element.
func composite(name string, parts []part) *keyPlan {
	p := &keyPlan{name: name, exact: len(parts) == 0}
	p.prefix = func(unsafe.Pointer) uint64 { return 0 }
	for i := range parts {
		p.refs = p.refs || parts[i].plan.refs
	}
	if len(parts) > 0 {
		p.prefix = func(k unsafe.Pointer) uint64 { return parts[0].plan.prefix(unsafe.Add(k, parts[0].offset)) }
	}
	p.compare = func(a, b unsafe.Pointer) int {
		for i := range parts {
			off := parts[i].offset
			if o := parts[i].plan.compare(unsafe.Add(a, off), unsafe.Add(b, off)); o != 0 {
				return o
			}
		}
		return 0
	}
	p.encode = func(b []byte, k unsafe.Pointer, own func(uint64) (uint64, error)) (_ []byte, err error) {
		b = codec.AppendArrayHead(b, len(parts))
		for i := range parts {
			if b, err = parts[i].plan.encode(b, unsafe.Add(k, parts[i].offset), own); err != nil {
				return b, err
			}
		}
		return b, nil
	}
	p.decode = func(c *codec.Cursor, k unsafe.Pointer, tag uint64) {
		if n := c.Array(); n != len(parts) {
			c.Misfit(fmt.Sprintf("a key of %d parts, the program's has %d", n, len(parts)))
			return
		}
		for i := range parts {
			parts[i].plan.decode(c, unsafe.Add(k, parts[i].offset), tag)
		}
	}
	return p
}

// maxKey is the greatest size of an encoded key, in bytes.
const maxKey = 32 << 10
