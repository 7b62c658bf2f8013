package codec

import (
	"reflect"
	"unsafe"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/storage"
)

// Strong is a reference in memory: the oid in the lower 48 bits, the tag of
// the database in the upper 16; 0 is nil. A struct type whose only field of
// any size is a Strong is stored as that reference, wherever it stands.
type Strong uint64

// Weak is like Strong, for references that do not keep their object alive.
type Weak uint64

const (
	tagShift = 48
	oidMask  = 1<<tagShift - 1
)

var (
	strongType = reflect.TypeFor[Strong]()
	weakType   = reflect.TypeFor[Weak]()
)

// EncodeRef writes a reference from within a custom encoder. It works with the
// encoder that Plan.Encode gives to custom encoders only: any other one does
// not know which objects a payload refers to, and they would be collected.
func EncodeRef(e *msgpack.Encoder, raw uint64, weak bool) error {
	w, ok := e.Writer().(*Writer)
	if !ok {
		return faultf(storage.ErrType, "a reference was encoded outside of a database: use the encoder that EncodeMsgpack is given, or store the reference's OID")
	}
	return w.reference(raw, weak)
}

// DecodeRef reads what EncodeRef wrote. It works with the decoder that
// Plan.Decode gives to custom decoders only.
func DecodeRef(d *msgpack.Decoder, weak bool) (raw uint64, err error) {
	r, ok := d.Buffered().(*reader)
	if !ok {
		return 0, faultf(storage.ErrType, "a reference was decoded outside of a database: use the decoder that DecodeMsgpack is given, or store the reference's OID")
	}
	return r.reference(weak)
}

// referenceCoder stores a Strong, a Weak, or a struct around one of them: all
// of them are eight bytes with nothing but the number at some offset.
type referenceCoder struct {
	offset uintptr
	weak   bool
}

// asReference tells whether t is a reference.
func asReference(t reflect.Type) (referenceCoder, bool) {
	switch {
	case t == strongType:
		return referenceCoder{}, true
	case t == weakType:
		return referenceCoder{weak: true}, true
	case t.Kind() != reflect.Struct:
		return referenceCoder{}, false
	}
	var (
		found referenceCoder
		ok    bool
	)
	for i := range t.NumField() {
		switch f := t.Field(i); {
		case f.Type.Size() == 0:
		case ok, f.Type != strongType && f.Type != weakType:
			return referenceCoder{}, false
		default:
			found, ok = referenceCoder{offset: f.Offset, weak: f.Type == weakType}, true
		}
	}
	return found, ok
}

func (c referenceCoder) encode(w *Writer, p unsafe.Pointer, _ *unknown) error {
	return w.reference(*(*uint64)(unsafe.Add(p, c.offset)), c.weak)
}

func (c referenceCoder) decode(r *reader, p unsafe.Pointer) (*unknown, error) {
	raw, err := r.reference(c.weak)
	*(*uint64)(unsafe.Add(p, c.offset)) = raw
	return nil, err
}

func (c referenceCoder) empty(p unsafe.Pointer, _ *unknown) bool {
	return *(*uint64)(unsafe.Add(p, c.offset)) == 0
}
