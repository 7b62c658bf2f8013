package durus

import (
	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/internal/codec"
)

// WeakRef is a typed reference that does not keep its object alive: 8 bytes,
// comparable, usable as a map key; the zero value is nil. Ref.Weak makes one.
// Use it for caches, indexes and back links whose objects may go: a pack
// collects an object to which only weak references lead.
//
// What it leads to may be gone, which is no error, and need never have been
// there: an object that was added in this transaction and is reached by nothing
// strong is not stored, and a weak reference to it says so from then on.
//
// In memory it carries the database handle that it came from; see Ref.
type WeakRef[T any] struct {
	_   [0]*T // WeakRef[A] and WeakRef[B] do not convert into each other
	raw codec.Weak
}

// Weak returns a reference to the same object that does not keep it alive.
func (r Ref[T]) Weak() WeakRef[T] { return WeakRef[T]{raw: codec.Weak(r.raw)} }

// Load returns the object as Ref.Load does, and whether it is there. It is not
// when the reference is nil, when the object was never stored, and when a pack
// has collected it; between the moment in which it was unlinked and the pack it
// still is. In a writable session the answer enters the read set, "gone"
// included: the commit conflicts if another transaction changes it.
//
// Errors: ErrType (an object of another type, or T is not registered),
// ErrForeign, ErrCorrupt, ErrTxDone, ErrClosed.
func (w WeakRef[T]) Load(s Session) (v *T, ok bool, err error) {
	if w.IsNil() {
		return nil, false, s.core().usable()
	}
	v, err = load[T](s.core(), uint64(w.raw), true)
	if isNotFound(err) {
		return nil, false, nil
	}
	return v, err == nil, err
}

// OID returns the object's id, 0 for nil.
func (w WeakRef[T]) OID() OID { return OID(w.raw & oidMask) }

// IsNil reports whether the reference leads nowhere.
func (w WeakRef[T]) IsNil() bool { return w.raw&oidMask == 0 }

// String is the object's id as a decimal number, "" for nil.
func (w WeakRef[T]) String() string { return w.OID().String() }

// MarshalText implements encoding.TextMarshaler with the spelling of String.
func (w WeakRef[T]) MarshalText() ([]byte, error) { return w.OID().MarshalText() }

// UnmarshalText implements encoding.TextUnmarshaler. The reference belongs to
// any database, as one of RefTo.
func (w *WeakRef[T]) UnmarshalText(text []byte) error {
	var raw codec.Strong
	err := unmarshalRef(&raw, text)
	if err == nil {
		w.raw = codec.Weak(raw)
	}
	return err
}

// EncodeMsgpack implements msgpack.CustomEncoder, for the custom encoders of
// types that hold references.
func (w WeakRef[T]) EncodeMsgpack(e *msgpack.Encoder) error {
	return codec.EncodeRef(e, uint64(w.raw), true)
}

// DecodeMsgpack implements msgpack.CustomDecoder.
func (w *WeakRef[T]) DecodeMsgpack(d *msgpack.Decoder) error {
	raw, err := codec.DecodeRef(d, true)
	if err == nil {
		w.raw = codec.Weak(raw)
	}
	return err
}
