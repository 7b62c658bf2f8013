package codec

import (
	"io"
	"sync"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/storage"
)

// reader is the payload while it is decoded. Scan has accepted it; bounds are
// checked here all the same, since custom decoders may leave it anywhere.
type reader struct {
	buf  []byte // what may be read: the payload, or the part that a custom decoder owns
	pos  int
	tag  uint64           // put over every oid, shifted to its place
	keys int              // > 0: inside a map key
	dec  *msgpack.Decoder // for custom decoders; nil until the first
}

// readers keeps readers, and the decoders in them, between calls of Decode.
var readers = sync.Pool{New: func() any { return new(reader) }}

// Read, ReadByte and UnreadByte are what msgpack needs to take the reader as it
// is, without a buffer in between.
func (r *reader) Read(p []byte) (int, error) {
	if r.pos >= len(r.buf) {
		return 0, io.EOF
	}
	n := copy(p, r.buf[r.pos:])
	r.pos += n
	return n, nil
}

func (r *reader) ReadByte() (byte, error) {
	if r.pos >= len(r.buf) {
		return 0, io.EOF
	}
	r.pos++
	return r.buf[r.pos-1], nil
}

func (r *reader) UnreadByte() error {
	if r.pos == 0 {
		return io.ErrNoProgress
	}
	r.pos--
	return nil
}

// head reads the head of the next value.
func (r *reader) head() (kind, uint64) {
	k, n, next := parseHead(r.buf, r.pos)
	r.pos = next
	return k, n
}

// data reads the n bytes after a head. They belong to the payload.
func (r *reader) data(n uint64) ([]byte, error) {
	if n > uint64(len(r.buf)-r.pos) {
		return nil, corrupt(r.pos, "a length of %d where only %d bytes are left", n, len(r.buf)-r.pos)
	}
	b := r.buf[r.pos : r.pos+int(n)]
	r.pos += int(n)
	return b, nil
}

// count checks a number of values against the bytes that are left for them.
func (r *reader) count(n uint64) (int, error) {
	if n > uint64(len(r.buf)-r.pos) {
		return 0, corrupt(r.pos, "%d elements where only %d bytes are left", n, len(r.buf)-r.pos)
	}
	return int(n), nil
}

// container reads the head of an array or a map: -1 for nil.
func (r *reader) container(want kind, what string) (int, error) {
	switch k, n := r.head(); k {
	case want:
		return r.count(n)
	case kindNil:
		return -1, nil
	default:
		return 0, misfit(k, what)
	}
}

// skip moves behind the next value and returns where it began.
func (r *reader) skip() (start int, err error) {
	start = r.pos
	r.pos, err = scan(r.buf, start, 1, 0, nil)
	return start, err
}

// reference reads a reference: tag and oid, 0 for nil.
func (r *reader) reference(weak bool) (uint64, error) {
	k, n := r.head()
	if k == kindNil {
		return 0, nil
	}
	want, what := int8(extStrong), "a reference"
	if weak {
		want, what = extWeak, "a weak reference"
	}
	if k != kindExt {
		return 0, misfit(k, what)
	}
	ext := int8(r.buf[r.pos-1])
	data, err := r.data(n)
	if err != nil {
		return 0, err
	}
	switch oid, ok := parseReference(data); {
	case ext == want && ok:
		return r.tag<<tagShift | oid, nil
	case ext == extStrong:
		return 0, misfitText("a reference", what)
	case ext == extWeak:
		return 0, misfitText("a weak reference", what)
	}
	return 0, misfit(k, what)
}

// misfit says that the type of a field does not fit what is stored.
func misfit(k kind, want string) error {
	switch k {
	case kindShort, kindInvalid:
		return faultf(storage.ErrCorrupt, "malformed payload: %s", k)
	}
	return misfitText(k.String(), want)
}

func misfitText(stored, want string) error {
	return faultf(storage.ErrType, "%s is stored, the program wants %s: restore the type, or give the class a new Version with an Upgrade (if this is in a container: fill a new one of the new type)", stored, want)
}
