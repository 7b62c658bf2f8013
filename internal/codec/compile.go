package codec

import (
	"reflect"
	"strings"
)

// compiler makes the coders of one plan.
type compiler struct {
	opts Options
	done map[reflect.Type]coder // what exists already, so that types may refer to themselves
}

// compile makes the coder for t, which the path leads to.
func (c *compiler) compile(t reflect.Type, path string) (coder, error) {
	if done, ok := c.done[t]; ok {
		return done, nil
	}
	if len(c.done) > 0 {
		if err := c.allowed(t, path); err != nil {
			return nil, err
		}
	}
	if ref, ok := asReference(t); ok {
		return c.keep(t, ref), nil
	}
	if t == timeType {
		return c.keep(t, timeCoder{}), nil
	}
	if t == rawType {
		return c.keep(t, rawCoder{}), nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return c.pointer(t, path)
	case reflect.Interface:
		return nil, refusal(path, "a field of type %s cannot be stored, since the file does not say which type was in it: use a concrete type, a Ref, or an AnyRef for objects of several types", t)
	}
	if custom, err := asCustom(t, path); err != nil {
		return nil, err
	} else if custom != nil {
		return c.keep(t, custom), nil
	}
	switch t.Kind() {
	case reflect.Struct:
		return c.structure(t, path)
	case reflect.Slice:
		return c.slice(t, path)
	case reflect.Array:
		return c.array(t, path)
	case reflect.Map:
		return c.mapping(t, path)
	}
	if s := scalar(t.Kind()); s != nil {
		return c.keep(t, s), nil
	}
	return nil, refusal(path, "%s cannot be stored: %s, or tag the field `msgpack:\"-\"`", aKind(t.Kind()), remedy(t.Kind()))
}

// allowed asks Forbidden.
func (c *compiler) allowed(t reflect.Type, path string) error {
	if c.opts.Forbidden != nil {
		if reason := c.opts.Forbidden(t); reason != "" {
			return refusal(path, "%s", reason)
		}
	}
	return nil
}

func (c *compiler) keep(t reflect.Type, made coder) coder {
	c.done[t] = made
	return made
}

// scalar returns the coder for a kind without parts; nil if there is none.
func scalar(k reflect.Kind) coder {
	switch k {
	case reflect.Bool:
		return boolCoder{}
	case reflect.Int:
		if wordSize == 4 {
			return signedCoder[int32]{}
		}
		return signedCoder[int64]{}
	case reflect.Int8:
		return signedCoder[int8]{}
	case reflect.Int16:
		return signedCoder[int16]{}
	case reflect.Int32:
		return signedCoder[int32]{}
	case reflect.Int64:
		return signedCoder[int64]{}
	case reflect.Uint:
		if wordSize == 4 {
			return unsignedCoder[uint32]{}
		}
		return unsignedCoder[uint64]{}
	case reflect.Uint8:
		return unsignedCoder[uint8]{}
	case reflect.Uint16:
		return unsignedCoder[uint16]{}
	case reflect.Uint32:
		return unsignedCoder[uint32]{}
	case reflect.Uint64:
		return unsignedCoder[uint64]{}
	case reflect.Float32:
		return float32Coder{}
	case reflect.Float64:
		return float64Coder{}
	case reflect.String:
		return stringCoder{}
	}
	return nil
}

// aKind is a kind in words.
func aKind(k reflect.Kind) string {
	switch k {
	case reflect.Pointer:
		return "a pointer"
	case reflect.UnsafePointer:
		return "an unsafe.Pointer"
	}
	return "a " + k.String()
}

// wordSize is the size of an int, in bytes.
const wordSize = 4 << (^uint(0) >> 63)

// remedy says what to do about a kind that cannot be stored.
func remedy(k reflect.Kind) string {
	switch k {
	case reflect.Func, reflect.Chan:
		return "it lives in one process only: make it anew after loading"
	case reflect.UnsafePointer, reflect.Uintptr:
		return "an address means nothing to another process: use a Ref, or uint64 for a number"
	}
	return "msgpack has no such number: store the two parts as float64"
}

func (c *compiler) pointer(t reflect.Type, path string) (coder, error) {
	made := &pointerCoder{typ: t.Elem()}
	c.done[t] = made
	_, reference := asReference(t.Elem())
	switch k := t.Elem().Kind(); {
	case reference:
		return nil, refusal(path, "a pointer to a reference cannot tell a nil pointer from a nil reference: store the reference itself")
	case k == reflect.Pointer, k == reflect.Slice, k == reflect.Map:
		what := strings.TrimPrefix(aKind(k), "a ")
		return nil, refusal(path, "a pointer to a %s cannot tell a nil pointer from a pointer to nil: store the %s itself", what, what)
	}
	var err error
	made.elem, err = c.compile(t.Elem(), path)
	return made, err
}

func (c *compiler) slice(t reflect.Type, path string) (coder, error) {
	if t.Elem().Kind() == reflect.Uint8 {
		return c.keep(t, bytesCoder{}), nil
	}
	made := &sliceCoder{typ: t, size: t.Elem().Size()}
	c.done[t] = made
	var err error
	made.elem, err = c.compile(t.Elem(), path+"[]")
	return made, err
}

func (c *compiler) array(t reflect.Type, path string) (coder, error) {
	if t.Elem().Kind() == reflect.Uint8 {
		return c.keep(t, byteArrayCoder{t.Len()}), nil
	}
	made := &arrayCoder{len: t.Len(), size: t.Elem().Size()}
	c.done[t] = made
	var err error
	made.elem, err = c.compile(t.Elem(), path+"[]")
	return made, err
}

func (c *compiler) mapping(t reflect.Type, path string) (coder, error) {
	made := &mapCoder{typ: t}
	c.done[t] = made
	if bad := badKey(t.Key()); bad != nil {
		return nil, refusal(path+"[key]", "a key cannot be or hold a %s: use integers, floats, strings, bools, times, references, or arrays and structs of these", bad)
	}
	var err error
	if made.key, err = c.compile(t.Key(), path+"[key]"); err != nil {
		return nil, err
	}
	_, made.strings = made.key.(stringCoder)
	made.refs = holds(t.Key(), func(t reflect.Type) bool { _, ok := asReference(t); return ok || customised(t) })
	made.floats = holds(t.Key(), func(t reflect.Type) bool { return t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64 })
	made.value, err = c.compile(t.Elem(), path+"[value]")
	return made, err
}

// badKey returns the type in a key type that makes it unfit: one whose identity
// is an address. Types that encode themselves answer for themselves.
func badKey(t reflect.Type) (bad reflect.Type) {
	holds(t, func(t reflect.Type) bool {
		switch t.Kind() {
		case reflect.Pointer, reflect.Interface, reflect.Chan:
			if bad == nil {
				bad = t
			}
		}
		return bad != nil
	})
	return bad
}

// holds tells whether is holds for t or for a part of it. Times, references and
// types that encode themselves are one piece.
func holds(t reflect.Type, is func(reflect.Type) bool) bool {
	if is(t) {
		return true
	}
	if _, ok := asReference(t); ok || t == timeType || customised(t) {
		return false
	}
	switch t.Kind() {
	case reflect.Array:
		return holds(t.Elem(), is)
	case reflect.Struct:
		for i := range t.NumField() {
			if holds(t.Field(i).Type, is) {
				return true
			}
		}
	}
	return false
}

// customised tells whether t encodes itself.
func customised(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return false
	}
	for _, p := range protocols {
		if reflect.PointerTo(t).Implements(p.marshaler) {
			return true
		}
	}
	return false
}
