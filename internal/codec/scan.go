package codec

import (
	"fmt"

	"github.com/durusdb/durus/storage"
)

// MaxDepth is how many arrays and maps may lie inside each other in a payload,
// the outermost included. Encode refuses deeper values, Scan deeper payloads.
const MaxDepth = 128

// Scan reports whether payload is exactly one msgpack value that is safe to
// decode: no deeper than MaxDepth, with no length that goes beyond the bytes
// that are there and, over the whole payload, no more elements declared
// than bytes are left for them; with no other ext types than time and
// references, and those well formed. It neither recurses nor allocates, and
// its time is linear in what it has accepted. Equal names in one map are left to
// Decode, which knows what is a struct. Its errors are storage.ErrCorrupt.
func Scan(payload []byte) error {
	return References(payload, nil)
}

// References calls f for every reference in payload, in the order in which they
// are stored and as often as they are stored, without knowing the type. It
// accepts what Scan accepts; f may have been called before an error is found.
func References(payload []byte, f func(oid uint64, weak bool)) error {
	if len(payload) > storage.MaxPayload {
		return faultf(storage.ErrCorrupt, "a payload of %d bytes: the greatest is %d", len(payload), storage.MaxPayload)
	}
	var visit visitor
	if f != nil {
		visit = func(_, _ int, oid uint64, weak bool) error {
			f(oid, weak)
			return nil
		}
	}
	end, err := scan(payload, 0, 1, 0, visit)
	if err != nil {
		return err
	}
	if end != len(payload) {
		return corrupt(end, "the value ends here, but more bytes follow")
	}
	return nil
}

// visitor is told of a reference: where it starts and ends and what it refers to.
type visitor func(start, end int, oid uint64, weak bool) error

// scan checks that b[pos:] begins with the given number of values, at least
// one, which lie inside depth containers already, and returns where they end.
func scan(b []byte, pos, values, depth int, visit visitor) (int, error) {
	var (
		stack [MaxDepth]uint32 // values still to come in the containers around the current one
		top   int              // how many of stack are in use
		left  = uint64(values) // values still to come in the current container
		due   = left           // values still to come in all of them; each needs a byte at least
	)
	for {
		k, n, next := parseHead(b, pos)
		rest := uint64(len(b) - next)
		due--
		left--
		switch k {
		case kindShort:
			return 0, corrupt(pos, "the value is cut off")
		case kindInvalid:
			return 0, corrupt(pos, "byte c1 is not msgpack")
		case kindString, kindBytes:
			if n > rest {
				return 0, corrupt(pos, "a length of %d where only %d bytes are left", n, rest)
			}
			next += int(n)
			rest -= n
		case kindExt:
			if n > rest {
				return 0, corrupt(pos, "a length of %d where only %d bytes are left", n, rest)
			}
			if err := scanExt(b, pos, next, next+int(n), visit); err != nil {
				return 0, err
			}
			next += int(n)
			rest -= n
		case kindArray, kindMap:
			if depth+top >= MaxDepth {
				return 0, corrupt(pos, "nested deeper than %d", MaxDepth)
			}
			if k == kindMap {
				n *= 2
			}
			// n is less than 2^33: no overflow here or in due.
			if due+n > rest {
				return 0, corrupt(pos, "%d elements where only %d bytes are left", due+n, rest)
			}
			due += n
			stack[top] = uint32(left) // fits: left <= due <= len(b) <= storage.MaxPayload + 5
			top++
			left = n
		}
		if due > rest {
			return 0, corrupt(pos, "%d elements where only %d bytes are left", due, rest)
		}
		pos = next
		for left == 0 {
			if top == 0 {
				return pos, nil
			}
			top--
			left = uint64(stack[top])
		}
	}
}

// scanExt checks the ext value b[start:end] whose data begins at data.
func scanExt(b []byte, start, data, end int, visit visitor) error {
	switch ext := int8(b[data-1]); ext {
	case extTime:
		if _, _, ok := parseTime(b[data:end]); !ok {
			return corrupt(start, "a malformed time")
		}
	case extStrong, extWeak:
		oid, ok := parseReference(b[data:end])
		if !ok {
			return corrupt(start, "a malformed reference")
		}
		if visit != nil {
			return visit(start, end, oid, ext == extWeak)
		}
	default:
		return corrupt(start, "ext type %d: only times and references are stored as ext", ext)
	}
	return nil
}

func corrupt(pos int, format string, args ...any) error {
	f := faultf(storage.ErrCorrupt, format, args...)
	f.text = fmt.Sprintf("malformed payload at byte %d: %s", pos, f.text)
	return f
}
