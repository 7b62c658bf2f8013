package codec

import (
	"encoding"
	"reflect"
	"runtime"
	"strings"
	"unsafe"

	"github.com/vmihailenco/msgpack/v5"
)

// customCoder stores a type that has methods to encode and decode itself. Both
// are always called on the address of the value, so that it makes no difference
// whether their receivers are pointers. msgpack's conventions for nil hold:
// a nil map or slice is nil without the method being asked, and a stored nil
// is the zero value.
type customCoder struct {
	typ      reflect.Type
	protocol *protocol
}

// protocol is a pair of methods by which types encode and decode themselves.
type protocol struct {
	marshaler, unmarshaler reflect.Type
	encodeName, decodeName string
	encode                 func(w *Writer, v any) error
	decode                 func(r *reader, v any) error
	// methods finds the pair in t. The names are constants here, since a call
	// of MethodByName with a variable makes the linker keep every method of a program.
	methods func(t reflect.Type) (enc, dec reflect.Method)
}

// protocols, in the order in which msgpack v5 looks for them.
var protocols = []*protocol{
	{
		marshaler: reflect.TypeFor[msgpack.CustomEncoder](), encodeName: "EncodeMsgpack",
		unmarshaler: reflect.TypeFor[msgpack.CustomDecoder](), decodeName: "DecodeMsgpack",
		encode: func(w *Writer, v any) error { return v.(msgpack.CustomEncoder).EncodeMsgpack(w.encoder()) },
		decode: func(r *reader, v any) error { return v.(msgpack.CustomDecoder).DecodeMsgpack(r.decoder()) },
		methods: func(t reflect.Type) (enc, dec reflect.Method) {
			enc, _ = t.MethodByName("EncodeMsgpack")
			dec, _ = t.MethodByName("DecodeMsgpack")
			return enc, dec
		},
	},
	{
		marshaler: reflect.TypeFor[msgpack.Marshaler](), encodeName: "MarshalMsgpack",
		unmarshaler: reflect.TypeFor[msgpack.Unmarshaler](), decodeName: "UnmarshalMsgpack",
		encode: func(w *Writer, v any) error {
			b, err := v.(msgpack.Marshaler).MarshalMsgpack()
			if err != nil {
				return err
			}
			_, err = w.Write(b)
			return err
		},
		decode: func(r *reader, v any) error {
			b := append([]byte(nil), r.buf[r.pos:]...) // a copy: it may be kept
			r.pos = len(r.buf)
			return v.(msgpack.Unmarshaler).UnmarshalMsgpack(b)
		},
		methods: func(t reflect.Type) (enc, dec reflect.Method) {
			enc, _ = t.MethodByName("MarshalMsgpack")
			dec, _ = t.MethodByName("UnmarshalMsgpack")
			return enc, dec
		},
	},
	{
		marshaler: reflect.TypeFor[encoding.BinaryMarshaler](), encodeName: "MarshalBinary",
		unmarshaler: reflect.TypeFor[encoding.BinaryUnmarshaler](), decodeName: "UnmarshalBinary",
		encode: func(w *Writer, v any) error {
			b, err := v.(encoding.BinaryMarshaler).MarshalBinary()
			return w.marshaled(b, err)
		},
		decode: func(r *reader, v any) error {
			b, err := r.marshaled()
			if err != nil {
				return err
			}
			return v.(encoding.BinaryUnmarshaler).UnmarshalBinary(b)
		},
		methods: func(t reflect.Type) (enc, dec reflect.Method) {
			enc, _ = t.MethodByName("MarshalBinary")
			dec, _ = t.MethodByName("UnmarshalBinary")
			return enc, dec
		},
	},
	{
		marshaler: reflect.TypeFor[encoding.TextMarshaler](), encodeName: "MarshalText",
		unmarshaler: reflect.TypeFor[encoding.TextUnmarshaler](), decodeName: "UnmarshalText",
		encode: func(w *Writer, v any) error {
			b, err := v.(encoding.TextMarshaler).MarshalText()
			return w.marshaled(b, err)
		},
		decode: func(r *reader, v any) error {
			b, err := r.marshaled()
			if err != nil {
				return err
			}
			return v.(encoding.TextUnmarshaler).UnmarshalText(b)
		},
		methods: func(t reflect.Type) (enc, dec reflect.Method) {
			enc, _ = t.MethodByName("MarshalText")
			dec, _ = t.MethodByName("UnmarshalText")
			return enc, dec
		},
	},
}

// marshaled writes the result of a BinaryMarshaler or TextMarshaler.
func (w *Writer) marshaled(b []byte, err error) error {
	if err != nil {
		return err
	}
	if err := w.room(len(b)); err != nil {
		return err
	}
	if b == nil {
		// msgpack v5 writes nil here, and then never calls the unmarshaler.
		b = []byte{}
	}
	w.Buf = appendBytes(w.Buf, b)
	return nil
}

// marshaled reads what Writer.marshaled wrote, as a copy.
func (r *reader) marshaled() ([]byte, error) {
	var b []byte
	_, err := bytesCoder{}.decode(r, unsafe.Pointer(&b))
	return b, err
}

// decoder returns the msgpack decoder that custom decoders get, set up anew.
func (r *reader) decoder() *msgpack.Decoder {
	if r.dec == nil {
		r.dec = msgpack.NewDecoder(r)
	}
	r.dec.Reset(r)
	return r.dec
}

func (c *customCoder) encode(w *Writer, p unsafe.Pointer, _ *unknown) error {
	v := reflect.NewAt(c.typ, p)
	if nilable(c.typ) && v.Elem().IsNil() {
		w.Buf = append(w.Buf, codeNil)
		return nil
	}
	start := len(w.Buf)
	err := c.protocol.encode(w, v.Interface())
	if err == nil {
		err = w.written(start)
	}
	if err != nil {
		return foreign(c.protocol.encodeName+" of "+c.typ.String(), err)
	}
	return nil
}

func (c *customCoder) decode(r *reader, p unsafe.Pointer) (*unknown, error) {
	start, err := r.skip()
	if err != nil {
		return nil, err
	}
	if r.buf[start] == codeNil {
		return nil, nil
	}
	// The decoder sees its own value and nothing behind it.
	all, end := r.buf, r.pos
	r.buf, r.pos = r.buf[:end], start
	err = c.protocol.decode(r, reflect.NewAt(c.typ, p).Interface())
	if err == nil && r.pos != end {
		err = foreign("it did not read what was stored to its end", nil)
	}
	r.buf, r.pos = all, end
	if err != nil {
		r.dec = nil // it may be in the middle of recording, which Reset does not end
		return nil, foreign(c.protocol.decodeName+" of "+c.typ.String(), err)
	}
	return nil, nil
}

// empty takes the zero value for empty if the type has no IsZero: nothing is
// lost when that is omitted. (msgpack v5 takes any struct without exported fields.)
func (c *customCoder) empty(p unsafe.Pointer, _ *unknown) bool {
	v := reflect.NewAt(c.typ, p).Elem()
	switch c.typ.Kind() {
	case reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	}
	return v.IsZero()
}

func nilable(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Map, reflect.Slice:
		return true
	}
	return false
}

// asCustom finds how t encodes itself; nil if it does not.
func asCustom(t reflect.Type, path string) (coder, error) {
	ptr := reflect.PointerTo(t)
	for _, p := range protocols {
		enc, dec := ptr.Implements(p.marshaler), ptr.Implements(p.unmarshaler)
		switch {
		case !enc && !dec:
			continue
		case !dec:
			return nil, refusal(path, "%s has %s but not %s, so it could be written and not read: add the method, or tag the field `msgpack:\"-\"`", t, p.encodeName, p.decodeName)
		case !enc:
			return nil, refusal(path, "%s has %s but not %s, so it could not be read as it is written: add the method, or tag the field `msgpack:\"-\"`", t, p.decodeName, p.encodeName)
		}
		if from := p.promoted(t); from != "" {
			return nil, refusal(path, "the embedded %s brings %s and %s along, so the other fields of %s would be lost: give the field a name, or write the methods for %s", from, p.encodeName, p.decodeName, t, t)
		}
		return &customCoder{typ: t, protocol: p}, nil
	}
	return nil, nil
}

// promoted names the embedded field from which the struct type t has the
// methods, if t has other fields to store, which the methods know nothing of.
func (p *protocol) promoted(t reflect.Type) string {
	if t.Kind() != reflect.Struct {
		return ""
	}
	var (
		from  string
		other bool
	)
	for i := range t.NumField() {
		f := t.Field(i)
		typ := f.Type
		if typ.Kind() != reflect.Pointer && typ.Kind() != reflect.Interface {
			typ = reflect.PointerTo(typ)
		}
		switch {
		case f.Anonymous && from == "" && (typ.Implements(p.marshaler) || typ.Implements(p.unmarshaler)):
			from = f.Name
		case f.IsExported() || f.Anonymous:
			other = other || parseTag(f.Tag.Get("msgpack")).name != "-"
		}
	}
	if from == "" || !other {
		return ""
	}
	// The method set of *t has wrappers for the value methods of t as well, so
	// both sets are looked at.
	vEnc, vDec := p.methods(t)
	pEnc, pDec := p.methods(reflect.PointerTo(t))
	if (declared(t, vEnc) || declared(t, pEnc)) && (declared(t, vDec) || declared(t, pDec)) {
		return ""
	}
	return from
}

// declared tells whether a method of t or *t was written for t: the compiler
// makes a wrapper, without a place in the source, for a promoted one.
func declared(t reflect.Type, m reflect.Method) bool {
	if !m.Func.IsValid() {
		return false
	}
	pc := m.Func.Pointer()
	f := runtime.FuncForPC(pc)
	if f == nil {
		return false
	}
	if file, _ := f.FileLine(pc); strings.HasPrefix(file, "<") {
		return false // <autogenerated>
	}
	// What the compiler inlined into a wrapper may answer in its place, but has
	// its own name. The names of generic types are spelled in other ways there.
	name := f.Name()
	return strings.Contains(name, "."+t.Name()+".") || strings.Contains(name, "(*"+t.Name()+")") || strings.Contains(t.Name(), "[")
}
