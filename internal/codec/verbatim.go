package codec

import (
	"reflect"
	"unsafe"

	"github.com/durusdb/durus/storage"
)

// Raw is a value as it is stored, whatever its Go type is. A plan of it writes
// the bytes as they are, and notes the references in them.
type Raw []byte

var rawType = reflect.TypeFor[Raw]()

// rawCoder stores a Raw.
type rawCoder struct{}

func (rawCoder) encode(w *Writer, p unsafe.Pointer, _ *unknown) error {
	b := *(*Raw)(p)
	if err := w.room(len(b)); err != nil {
		return err
	}
	start := len(w.Buf)
	w.Buf = append(w.Buf, b...)
	if err := w.written(start); err != nil {
		return faultf(storage.ErrCorrupt, "a stored value: %v", err)
	}
	return nil
}

func (rawCoder) decode(r *reader, p unsafe.Pointer) (*unknown, error) {
	start, err := r.skip()
	if err != nil {
		return nil, err
	}
	*(*Raw)(p) = r.buf[start:r.pos:r.pos]
	return nil, nil
}

func (rawCoder) empty(p unsafe.Pointer, _ *unknown) bool { return len(*(*Raw)(p)) == 0 }
