package codec

import (
	"fmt"
	"slices"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/storage"
)

// Writer collects what Encode writes. It is made to be used again: Reset keeps
// the memory. One goroutine at a time. The zero Writer is ready.
type Writer struct {
	// Buf is the payload. Encode appends to it.
	Buf []byte
	// Strong and Weak are the oids that the payload refers to, each once, in
	// order of first appearance.
	Strong, Weak []uint64
	// Out turns a reference in memory (tag and oid) into the oid to store. Its
	// error ends Encode. It is called for every reference that is not nil, for
	// one in a map key twice, and for those in unknown fields with the tag
	// that Decode was given. nil: the tag is cut off.
	Out func(raw uint64) (oid uint64, err error)

	strong, weak map[uint64]struct{} // Strong and Weak once they are long; else nil or empty
	depth        int                 // containers around the value being written
	quiet        int                 // > 0: references are not noted (map keys before they are sorted)
	keys         []byte              // memory for the keys of a map; nil while it is in use
	enc          *msgpack.Encoder    // for custom encoders; nil until the first
}

// linear is the length up to which a list is searched without a map.
const linear = 16

// Reset empties w for the next object. What Buf, Strong and Weak held is
// overwritten later: copy what is still needed. Out stays.
func (w *Writer) Reset() {
	w.Buf, w.Strong, w.Weak = w.Buf[:0], w.Strong[:0], w.Weak[:0]
	clear(w.strong)
	clear(w.weak)
	w.depth, w.quiet = 0, 0
}

// Write appends p to the payload. It is here for custom encoders: Encoder.Writer
// of the encoder which they are given is the Writer.
func (w *Writer) Write(p []byte) (int, error) {
	if len(p) > storage.MaxPayload-min(len(w.Buf), storage.MaxPayload) {
		return 0, w.tooLarge()
	}
	w.Buf = append(w.Buf, p...)
	return len(p), nil
}

// WriteByte appends one byte, like Write.
func (w *Writer) WriteByte(c byte) error {
	if len(w.Buf) >= storage.MaxPayload {
		return w.tooLarge()
	}
	w.Buf = append(w.Buf, c)
	return nil
}

func (w *Writer) tooLarge() error {
	return faultf(storage.ErrTooLarge, "the object takes more than %d bytes: divide it into several and connect them with references", storage.MaxPayload)
}

// room reports an error if n more bytes would make the payload too large.
func (w *Writer) room(n int) error {
	if n > storage.MaxPayload-len(w.Buf) {
		return w.tooLarge()
	}
	return nil
}

// enter counts a container; the caller counts down when it is done. After an
// error nobody counts: Encode sets the depth back.
func (w *Writer) enter() error {
	if w.depth == MaxDepth {
		return faultf(storage.ErrTooLarge, "nested deeper than %d: if this is a cycle or a long chain of pointers, connect the objects with references", MaxDepth)
	}
	w.depth++
	return w.room(0)
}

// reference writes a reference in memory.
func (w *Writer) reference(raw uint64, weak bool) error {
	if raw == 0 {
		w.Buf = append(w.Buf, codeNil)
		return nil
	}
	oid := raw & oidMask
	if w.Out != nil {
		var err error
		if oid, err = w.Out(raw); err != nil {
			return foreign("", err)
		}
	}
	if oid == 0 || oid > oidMask {
		return faultf(storage.ErrType, "reference %#x does not name an object: get references from Add, Load or RefTo", raw)
	}
	w.Buf = appendReference(w.Buf, oid, weak)
	return w.note(oid, weak)
}

// note adds oid to Strong or Weak if it is not there.
func (w *Writer) note(oid uint64, weak bool) error {
	if w.quiet > 0 {
		return nil
	}
	list, set := &w.Strong, &w.strong
	if weak {
		list, set = &w.Weak, &w.weak
	}
	if len(*list) <= linear {
		if slices.Contains(*list, oid) {
			return nil
		}
	} else if len(*set) == len(*list) {
		if _, ok := (*set)[oid]; ok {
			return nil
		}
	} else {
		// The list has just become long, or an Encode that failed has cut it.
		if *set == nil {
			*set = make(map[uint64]struct{}, 4*linear)
		}
		clear(*set)
		for _, o := range *list {
			(*set)[o] = struct{}{}
		}
		if _, ok := (*set)[oid]; ok {
			return nil
		}
	}
	if len(w.Strong)+len(w.Weak) >= storage.MaxReferences {
		return faultf(storage.ErrTooLarge, "the object holds more than %d references: divide it, or use a container", storage.MaxReferences)
	}
	*list = append(*list, oid)
	if len(*set) > 0 {
		(*set)[oid] = struct{}{}
	}
	return nil
}

// encoder returns the msgpack encoder that custom encoders get. It is set up
// anew each time, since they may have changed it.
func (w *Writer) encoder() *msgpack.Encoder {
	if w.enc == nil {
		w.enc = msgpack.NewEncoder(w)
	}
	w.enc.Reset(w)
	w.enc.UseCompactInts(true)
	w.enc.SetSortMapKeys(true)
	return w.enc
}

// written checks what somebody else's code has appended since start: one value
// that Scan will accept. It notes the references in it, which a copy of
// encoded bytes (msgpack.RawMessage) brings along without EncodeRef.
func (w *Writer) written(start int) error {
	end, err := scan(w.Buf, start, 1, w.depth, func(_, _ int, oid uint64, weak bool) error {
		return w.note(oid, weak)
	})
	if err == nil && end != len(w.Buf) {
		err = fmt.Errorf("%d bytes after the first value", len(w.Buf)-end)
	}
	return err
}
