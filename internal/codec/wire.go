package codec

import (
	"encoding/binary"
	"math"
	"time"
)

// The format bytes of msgpack that are not ranges.
const (
	codeNil      = 0xc0
	codeFalse    = 0xc2
	codeTrue     = 0xc3
	codeBin8     = 0xc4
	codeBin16    = 0xc5
	codeBin32    = 0xc6
	codeExt8     = 0xc7
	codeExt16    = 0xc8
	codeExt32    = 0xc9
	codeFloat32  = 0xca
	codeFloat64  = 0xcb
	codeUint8    = 0xcc
	codeUint16   = 0xcd
	codeUint32   = 0xce
	codeUint64   = 0xcf
	codeInt8     = 0xd0
	codeInt16    = 0xd1
	codeInt32    = 0xd2
	codeInt64    = 0xd3
	codeFixExt1  = 0xd4
	codeFixExt2  = 0xd5
	codeFixExt4  = 0xd6
	codeFixExt8  = 0xd7
	codeFixExt16 = 0xd8
	codeStr8     = 0xd9
	codeStr16    = 0xda
	codeStr32    = 0xdb
	codeArray16  = 0xdc
	codeArray32  = 0xdd
	codeMap16    = 0xde
	codeMap32    = 0xdf
)

// The ext types that a payload may hold. They are part of the file format.
const (
	extTime   = -1
	extStrong = 1
	extWeak   = 2
)

// kind is what the head of a msgpack value says about it.
type kind uint8

const (
	kindShort   kind = iota // the bytes end inside the head
	kindInvalid             // 0xc1, which msgpack never uses
	kindNil
	kindBool    // n is 0 or 1
	kindUint    // n is the number, an integer that is not negative
	kindInt     // n is the two's complement of a negative integer
	kindFloat32 // n is the bits
	kindFloat64 // n is the bits
	kindString  // n bytes follow
	kindBytes   // n bytes follow
	kindArray   // n values follow
	kindMap     // n pairs of values follow
	kindExt     // n bytes follow; the type is the last byte of the head
)

var kindNames = [...]string{
	kindShort: "a cut value", kindInvalid: "an invalid byte", kindNil: "nil", kindBool: "a bool",
	kindUint: "an integer", kindInt: "a negative integer", kindFloat32: "a float32", kindFloat64: "a float64",
	kindString: "a string", kindBytes: "bytes", kindArray: "an array", kindMap: "a map", kindExt: "an ext value",
}

func (k kind) String() string { return kindNames[k] }

// parseHead reads the head of the value at b[pos] and returns where the head
// ends. It is the only place that knows the format bytes of msgpack. What
// follows the head (strings, elements) may lie outside b: the caller checks.
func parseHead(b []byte, pos int) (k kind, n uint64, next int) {
	if uint(pos) >= uint(len(b)) {
		return kindShort, 0, pos
	}
	c := b[pos]
	pos++
	switch {
	case c < 0x80:
		return kindUint, uint64(c), pos
	case c < 0x90:
		return kindMap, uint64(c & 0x0f), pos
	case c < 0xa0:
		return kindArray, uint64(c & 0x0f), pos
	case c < 0xc0:
		return kindString, uint64(c & 0x1f), pos
	case c >= 0xe0:
		return kindInt, uint64(int64(int8(c))), pos
	}
	h := &heads[c-0xc0]
	if len(b)-pos < int(h.size)+int(h.ext) {
		return kindShort, 0, pos
	}
	switch h.size {
	case 0:
		n = uint64(h.n)
	case 1:
		n = uint64(b[pos])
	case 2:
		n = uint64(binary.BigEndian.Uint16(b[pos:]))
	case 4:
		n = uint64(binary.BigEndian.Uint32(b[pos:]))
	case 8:
		n = binary.BigEndian.Uint64(b[pos:])
	}
	pos += int(h.size) + int(h.ext)
	if h.kind == kindInt {
		shift := 64 - 8*uint(h.size)
		n = uint64(int64(n<<shift) >> shift)
		if int64(n) >= 0 {
			return kindUint, n, pos
		}
	}
	return h.kind, n, pos
}

// heads describes the format bytes 0xc0 to 0xdf: the kind, how many bytes of
// number follow, the number if none follow, and whether an ext type follows.
var heads = [32]struct {
	kind      kind
	size, ext uint8
	n         uint8
}{
	codeNil - 0xc0:      {kind: kindNil},
	0xc1 - 0xc0:         {kind: kindInvalid},
	codeFalse - 0xc0:    {kind: kindBool},
	codeTrue - 0xc0:     {kind: kindBool, n: 1},
	codeBin8 - 0xc0:     {kind: kindBytes, size: 1},
	codeBin16 - 0xc0:    {kind: kindBytes, size: 2},
	codeBin32 - 0xc0:    {kind: kindBytes, size: 4},
	codeExt8 - 0xc0:     {kind: kindExt, size: 1, ext: 1},
	codeExt16 - 0xc0:    {kind: kindExt, size: 2, ext: 1},
	codeExt32 - 0xc0:    {kind: kindExt, size: 4, ext: 1},
	codeFloat32 - 0xc0:  {kind: kindFloat32, size: 4},
	codeFloat64 - 0xc0:  {kind: kindFloat64, size: 8},
	codeUint8 - 0xc0:    {kind: kindUint, size: 1},
	codeUint16 - 0xc0:   {kind: kindUint, size: 2},
	codeUint32 - 0xc0:   {kind: kindUint, size: 4},
	codeUint64 - 0xc0:   {kind: kindUint, size: 8},
	codeInt8 - 0xc0:     {kind: kindInt, size: 1},
	codeInt16 - 0xc0:    {kind: kindInt, size: 2},
	codeInt32 - 0xc0:    {kind: kindInt, size: 4},
	codeInt64 - 0xc0:    {kind: kindInt, size: 8},
	codeFixExt1 - 0xc0:  {kind: kindExt, ext: 1, n: 1},
	codeFixExt2 - 0xc0:  {kind: kindExt, ext: 1, n: 2},
	codeFixExt4 - 0xc0:  {kind: kindExt, ext: 1, n: 4},
	codeFixExt8 - 0xc0:  {kind: kindExt, ext: 1, n: 8},
	codeFixExt16 - 0xc0: {kind: kindExt, ext: 1, n: 16},
	codeStr8 - 0xc0:     {kind: kindString, size: 1},
	codeStr16 - 0xc0:    {kind: kindString, size: 2},
	codeStr32 - 0xc0:    {kind: kindString, size: 4},
	codeArray16 - 0xc0:  {kind: kindArray, size: 2},
	codeArray32 - 0xc0:  {kind: kindArray, size: 4},
	codeMap16 - 0xc0:    {kind: kindMap, size: 2},
	codeMap32 - 0xc0:    {kind: kindMap, size: 4},
}

func appendUint(b []byte, n uint64) []byte {
	switch {
	case n < 0x80:
		return append(b, byte(n))
	case n <= math.MaxUint8:
		return append(b, codeUint8, byte(n))
	case n <= math.MaxUint16:
		return append(b, codeUint16, byte(n>>8), byte(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, codeUint32), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, codeUint64), n)
}

func appendInt(b []byte, n int64) []byte {
	switch {
	case n >= 0:
		return appendUint(b, uint64(n))
	case n >= -32:
		return append(b, byte(n))
	case n >= math.MinInt8:
		return append(b, codeInt8, byte(n))
	case n >= math.MinInt16:
		return append(b, codeInt16, byte(n>>8), byte(n))
	case n >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(b, codeInt32), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, codeInt64), uint64(n))
}

func appendFloat32(b []byte, bits uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, codeFloat32), bits)
}

func appendFloat64(b []byte, bits uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, codeFloat64), bits)
}

func appendString(b []byte, s string) []byte {
	switch n := len(s); {
	case n < 32:
		b = append(b, 0xa0|byte(n))
	case n <= math.MaxUint8:
		b = append(b, codeStr8, byte(n))
	case n <= math.MaxUint16:
		b = append(b, codeStr16, byte(n>>8), byte(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, codeStr32), uint32(n))
	}
	return append(b, s...)
}

func appendBytes(b, data []byte) []byte {
	switch n := len(data); {
	case n <= math.MaxUint8:
		b = append(b, codeBin8, byte(n))
	case n <= math.MaxUint16:
		b = append(b, codeBin16, byte(n>>8), byte(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, codeBin32), uint32(n))
	}
	return append(b, data...)
}

func appendArrayHead(b []byte, n int) []byte {
	return appendHead(b, n, 0x90, codeArray16, codeArray32)
}

func appendMapHead(b []byte, n int) []byte {
	return appendHead(b, n, 0x80, codeMap16, codeMap32)
}

func appendHead(b []byte, n int, fix, code16, code32 byte) []byte {
	switch {
	case n < 16:
		return append(b, fix|byte(n))
	case n <= math.MaxUint16:
		return append(b, code16, byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint32(append(b, code32), uint32(n))
}

// appendTime writes the shortest timestamp that holds the instant.
func appendTime(b []byte, t time.Time) []byte {
	return appendInstant(b, t.Unix(), uint32(t.Nanosecond()))
}

// appendInstant is appendTime for seconds that a Time may not be able to hold.
func appendInstant(b []byte, seconds int64, nsec uint32) []byte {
	sec := uint64(seconds)
	switch {
	case sec>>34 != 0:
		b = append(b, codeExt8, 12, 0xff) // 0xff is extTime
		b = binary.BigEndian.AppendUint32(b, nsec)
		return binary.BigEndian.AppendUint64(b, sec)
	case nsec != 0 || sec>>32 != 0:
		return binary.BigEndian.AppendUint64(append(b, codeFixExt8, 0xff), uint64(nsec)<<34|sec)
	}
	return binary.BigEndian.AppendUint32(append(b, codeFixExt4, 0xff), uint32(sec))
}

// parseTime reads the data of a timestamp; false if it is none.
func parseTime(data []byte) (sec int64, nsec uint32, ok bool) {
	switch len(data) {
	case 4:
		return int64(binary.BigEndian.Uint32(data)), 0, true
	case 8:
		v := binary.BigEndian.Uint64(data)
		sec, nsec = int64(v&(1<<34-1)), uint32(v>>34)
	case 12:
		sec, nsec = int64(binary.BigEndian.Uint64(data[4:])), binary.BigEndian.Uint32(data)
	default:
		return 0, 0, false
	}
	return sec, nsec, nsec < 1e9
}

// appendReference writes an oid that is not 0.
func appendReference(b []byte, oid uint64, weak bool) []byte {
	ext := byte(extStrong)
	if weak {
		ext = extWeak
	}
	if oid <= math.MaxUint32 {
		return binary.BigEndian.AppendUint32(append(b, codeFixExt4, ext), uint32(oid))
	}
	return binary.BigEndian.AppendUint64(append(b, codeFixExt8, ext), oid)
}

// parseReference reads the data of a reference; false if it is not what
// appendReference writes for some oid.
func parseReference(data []byte) (oid uint64, ok bool) {
	switch len(data) {
	case 4:
		oid = uint64(binary.BigEndian.Uint32(data))
		return oid, oid != 0
	case 8:
		oid = binary.BigEndian.Uint64(data)
		return oid, oid > math.MaxUint32 && oid <= oidMask
	}
	return 0, false
}
