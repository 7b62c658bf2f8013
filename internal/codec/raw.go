package codec

import (
	"math"
	"time"

	"github.com/durusdb/durus/storage"
)

// What follows is for payloads that are put together and taken apart without a
// Go type: the nodes of containers (package collection).

// AppendMapHead appends the head of a map of n pairs.
func AppendMapHead(b []byte, n int) []byte { return appendMapHead(b, n) }

// AppendArrayHead appends the head of an array of n values.
func AppendArrayHead(b []byte, n int) []byte { return appendArrayHead(b, n) }

// AppendString appends a string.
func AppendString(b []byte, s string) []byte { return appendString(b, s) }

// AppendUint appends an integer.
func AppendUint(b []byte, n uint64) []byte { return appendUint(b, n) }

// AppendInt appends an integer.
func AppendInt(b []byte, n int64) []byte { return appendInt(b, n) }

// AppendFloat32 appends a float.
func AppendFloat32(b []byte, f float32) []byte { return appendFloat32(b, math.Float32bits(f)) }

// AppendFloat64 appends a float.
func AppendFloat64(b []byte, f float64) []byte { return appendFloat64(b, math.Float64bits(f)) }

// AppendTime appends an instant.
func AppendTime(b []byte, t time.Time) []byte { return appendTime(b, t) }

// AppendReference appends a reference to an object; nil for 0.
func AppendReference(b []byte, oid uint64, weak bool) []byte {
	if oid == 0 {
		return append(b, codeNil)
	}
	return appendReference(b, oid, weak)
}

// Cursor walks over a payload that Scan has accepted. What it returns belongs
// to the payload. A value of another kind than asked for sets Err, which sticks,
// and gives a zero.
type Cursor struct {
	b   []byte
	pos int
	err error
}

// NewCursor returns a cursor at the beginning of a payload.
func NewCursor(payload []byte) Cursor { return Cursor{b: payload} }

// Err is ErrType after a value of another kind than asked for.
func (c *Cursor) Err() error { return c.err }

// Pos is where the next value begins.
func (c *Cursor) Pos() int { return c.pos }

func (c *Cursor) next(want kind, what string) uint64 {
	if c.err != nil {
		return 0
	}
	k, n, next := parseHead(c.b, c.pos)
	if k != want {
		c.err = misfit(k, what)
		return 0
	}
	c.pos = next
	return n
}

// Map reads the head of a map.
func (c *Cursor) Map() int { return int(c.next(kindMap, "a map")) }

// Array reads the head of an array.
func (c *Cursor) Array() int { return int(c.next(kindArray, "an array")) }

// Uint reads an integer that is not negative.
func (c *Cursor) Uint() uint64 { return c.next(kindUint, "an integer that is not negative") }

// Int reads an integer.
func (c *Cursor) Int() int64 {
	if c.err != nil {
		return 0
	}
	k, n, next := parseHead(c.b, c.pos)
	if k != kindUint && k != kindInt || k == kindUint && n > math.MaxInt64 {
		c.err = misfit(k, "an integer of 64 bits with a sign")
		return 0
	}
	c.pos = next
	return int64(n)
}

// String reads a string; it belongs to the payload.
func (c *Cursor) String() []byte {
	n := int(c.next(kindString, "a string"))
	start := c.pos
	c.pos += n
	return c.b[start:c.pos]
}

// Float reads a float of either size.
func (c *Cursor) Float() float64 {
	if c.err != nil {
		return 0
	}
	switch k, n, next := parseHead(c.b, c.pos); k {
	case kindFloat32:
		c.pos = next
		return float64(math.Float32frombits(uint32(n)))
	case kindFloat64:
		c.pos = next
		return math.Float64frombits(n)
	default:
		c.err = misfit(k, "a float")
		return 0
	}
}

// Time reads an instant, in UTC.
func (c *Cursor) Time() time.Time {
	n := int(c.next(kindExt, "a time"))
	if c.err != nil || int8(c.b[c.pos-1]) != extTime {
		if c.err == nil {
			c.err = misfit(kindExt, "a time")
		}
		return time.Time{}
	}
	sec, nsec, _ := parseTime(c.b[c.pos : c.pos+n])
	c.pos += n
	return time.Unix(sec, int64(nsec)).UTC()
}

// Reference reads a strong reference, 0 for nil.
func (c *Cursor) Reference() uint64 {
	if c.err != nil {
		return 0
	}
	r := reader{buf: c.b, pos: c.pos}
	oid, err := r.reference(false)
	if err != nil {
		c.err = err
		return 0
	}
	c.pos = r.pos
	return oid
}

// Skip moves behind the next value and returns its bytes.
func (c *Cursor) Skip() []byte {
	if c.err != nil {
		return nil
	}
	start := c.pos
	c.pos = skipValue(c.b, c.pos)
	return c.b[start:c.pos]
}

// Ends moves behind as many values as ends has elements, and notes where each ends.
func (c *Cursor) Ends(ends []uint32) {
	if c.err != nil {
		return
	}
	for i := range ends {
		c.pos = skipValue(c.b, c.pos)
		ends[i] = uint32(c.pos) // fits: a payload is at most storage.MaxPayload long
	}
}

// skipValue returns where the value at b[pos] ends, of a payload that Scan has
// accepted.
func skipValue(b []byte, pos int) int {
	for due := uint64(1); due > 0; due-- {
		k, n, next := parseHead(b, pos)
		switch k {
		case kindString, kindBytes, kindExt:
			next += int(n)
		case kindArray:
			due += n
		case kindMap:
			due += 2 * n
		}
		pos = next
	}
	return pos
}

// NoteAll notes the references of the whole payload in Buf, which was put
// together from values that are stored already. The error is storage.ErrTooLarge
// for a payload that nobody could read.
func (w *Writer) NoteAll() error {
	if err := w.room(0); err != nil {
		return err
	}
	w.depth = 0
	if err := w.written(0); err != nil {
		return faultf(storage.ErrTooLarge, "%v", err)
	}
	return nil
}

// Note notes the references of one value in a payload that was put together from
// values that are stored already, below depth arrays and maps. Errors are those of
// NoteAll.
func (w *Writer) Note(value []byte, depth int) error {
	if _, err := scan(value, 0, 1, depth, func(_, _ int, oid uint64, weak bool) error { return w.note(oid, weak) }); err != nil {
		return faultf(storage.ErrTooLarge, "%v", err)
	}
	return nil
}

// Misfit sets Err: what was read last does not fit.
func (c *Cursor) Misfit(stored string) {
	if c.err == nil {
		c.err = misfitText(stored, "another key")
	}
}
