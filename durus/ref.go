package durus

import (
	"fmt"
	"reflect"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// Ref is a typed reference to an object: 8 bytes, comparable, usable as a map
// key; the zero value is nil. Stored in an object it keeps the object that it
// leads to alive.
//
// In memory it carries the database handle that it came from; a Load or a
// commit through another handle is ErrForeign. RefTo makes references that
// belong to any database; they do not compare equal to loaded ones: compare
// OIDs then.
type Ref[T any] struct {
	_   [0]*T // Ref[A] and Ref[B] do not convert into each other
	raw codec.Strong
}

// AnyRef is a reference to an object of any type; the zero value is nil.
type AnyRef struct{ raw codec.Strong }

const (
	tagShift = 48
	oidMask  = 1<<tagShift - 1
)

// Load returns the object as the session sees it: shared, to be read by
// anybody for ever, never to be written (use Edit). After Edit or Add in the
// same transaction it is what they gave. In a writable session the object
// enters the read set: the commit conflicts if another one changes it.
//
// Errors: ErrNotFound (nil, or no such object in the snapshot), ErrType (an
// object of another type, T is not registered, or there is no Upgrade from the
// version of the object), ErrTooNew (a program with a higher Version of the type
// wrote the object), ErrForeign, ErrCorrupt, ErrTxDone, ErrClosed, and what a
// function given to Upgrade returned.
func (r Ref[T]) Load(s Session) (*T, error) { return load[T](s.core(), uint64(r.raw), true) }

// Peek is Load without the promise: the object does not enter the read set,
// so the transaction commits although somebody changed it.
func (r Ref[T]) Peek(s Session) (*T, error) { return load[T](s.core(), uint64(r.raw), false) }

func load[T any](c *core, raw uint64, depend bool) (*T, error) {
	if e := c.hot(raw); e != nil {
		if v, ok := e.value.(*T); ok {
			return v, nil
		}
	}
	v, err := c.load(raw, depend)
	return typed[T](c, OID(raw&oidMask), v, err)
}

// Edit returns a private copy of the object, the same one each time in a
// transaction. It is written at commit if its bytes have changed. It is yours
// until the transaction ends, and to be read only afterwards. Errors are those
// of Load, and ErrReadOnly.
func (r Ref[T]) Edit(s Session) (*T, error) {
	c := s.core()
	v, err := c.edit(uint64(r.raw), reflect.TypeFor[T]())
	return typed[T](c, r.OID(), v, err)
}

// typed returns v as a *T.
func typed[T any](c *core, oid OID, v any, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	if p, ok := v.(*T); ok {
		return p, nil
	}
	return nil, c.typeError(oid, v, reflect.TypeFor[T]())
}

// OID returns the object's id, 0 for nil.
func (r Ref[T]) OID() OID { return OID(r.raw & oidMask) }

// IsNil reports whether the reference leads nowhere.
func (r Ref[T]) IsNil() bool { return r.raw&oidMask == 0 }

// Any returns the reference without its type.
func (r Ref[T]) Any() AnyRef { return AnyRef{r.raw} }

// String is the object's id as a decimal number, "" for nil.
func (r Ref[T]) String() string { return r.OID().String() }

// MarshalText implements encoding.TextMarshaler with the spelling of String.
func (r Ref[T]) MarshalText() ([]byte, error) { return r.OID().MarshalText() }

// UnmarshalText implements encoding.TextUnmarshaler. The reference belongs to
// any database, as one of RefTo.
func (r *Ref[T]) UnmarshalText(text []byte) error { return unmarshalRef(&r.raw, text) }

// EncodeMsgpack implements msgpack.CustomEncoder, for the custom encoders of
// types that hold references.
func (r Ref[T]) EncodeMsgpack(e *msgpack.Encoder) error {
	return codec.EncodeRef(e, uint64(r.raw), false)
}

// DecodeMsgpack implements msgpack.CustomDecoder.
func (r *Ref[T]) DecodeMsgpack(d *msgpack.Decoder) error { return decodeRef(&r.raw, d) }

// RefTo returns a reference to an object of any database. It is unchecked:
// the first Load says ErrNotFound or ErrType. It panics for an oid above
// storage.MaxOID, which no object has.
func RefTo[T any](oid OID) Ref[T] { return Ref[T]{raw: rawRef(oid)} }

// AnyRefTo is RefTo without a type.
func AnyRefTo(oid OID) AnyRef { return AnyRef{rawRef(oid)} }

// As gives a reference a type. It is unchecked: the first Load says ErrType.
func As[T any](r AnyRef) Ref[T] { return Ref[T]{raw: r.raw} }

// Load returns the object: a shared *T of the registered type, or *Opaque when
// this program does not know its class. See Ref.Load.
func (r AnyRef) Load(s Session) (any, error) {
	c := s.core()
	if e := c.hot(uint64(r.raw)); e != nil && !isOpaque(e.value) && !isNode(e.value) {
		return e.value, nil
	}
	return c.load(uint64(r.raw), true)
}

// Class returns the name of the object's class, also where this program cannot
// read the object. It does not enter the read set, because programs do not
// change the class of an object.
func (r AnyRef) Class(s Session) (string, error) { return s.core().classOf(uint64(r.raw)) }

// OID returns the object's id, 0 for nil.
func (r AnyRef) OID() OID { return OID(r.raw & oidMask) }

// IsNil reports whether the reference leads nowhere.
func (r AnyRef) IsNil() bool { return r.raw&oidMask == 0 }

// String is the object's id as a decimal number, "" for nil.
func (r AnyRef) String() string { return r.OID().String() }

// MarshalText implements encoding.TextMarshaler with the spelling of String.
func (r AnyRef) MarshalText() ([]byte, error) { return r.OID().MarshalText() }

// UnmarshalText implements encoding.TextUnmarshaler; see Ref.UnmarshalText.
func (r *AnyRef) UnmarshalText(text []byte) error { return unmarshalRef(&r.raw, text) }

// EncodeMsgpack implements msgpack.CustomEncoder.
func (r AnyRef) EncodeMsgpack(e *msgpack.Encoder) error {
	return codec.EncodeRef(e, uint64(r.raw), false)
}

// DecodeMsgpack implements msgpack.CustomDecoder.
func (r *AnyRef) DecodeMsgpack(d *msgpack.Decoder) error { return decodeRef(&r.raw, d) }

func rawRef(oid OID) codec.Strong {
	if oid > storage.MaxOID {
		panic(fmt.Sprintf("durus: %d is not an object id: the greatest is %d", uint64(oid), uint64(storage.MaxOID)))
	}
	return codec.Strong(oid)
}

func unmarshalRef(raw *codec.Strong, text []byte) error {
	oid, err := storage.ParseOID(string(text))
	if err == nil {
		*raw = codec.Strong(oid)
	}
	return err
}

func decodeRef(raw *codec.Strong, d *msgpack.Decoder) error {
	v, err := codec.DecodeRef(d, false)
	if err == nil {
		*raw = codec.Strong(v)
	}
	return err
}
