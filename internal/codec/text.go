package codec

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// A payload as JSON, for dumps: without the Go type, and exactly, where Readable
// is for reading. What JSON has is JSON: null, booleans, strings, arrays, objects
// in the order of the map. Numbers without point and exponent are integers,
// others are float64. Everything else is an object of one name:
//
//	{"$ref":"12"} {"$weak":"12"}     references
//	{"$bin":"AQID"}                  bytes, base64
//	{"$str":"/w=="}                  a string that is not UTF-8, base64
//	{"$time":"2020-02-29T12:00:00Z"} a time; of a year that has no such spelling
//	                                 {"$time":[seconds,nanoseconds]} since 1970
//	{"$f32":0.5}                     a float32; NaN and infinities by their bits:
//	{"$f32":"7fc00000"} {"$f64":"7ff0000000000000"}
//	{"$map":[[key,value],...]}       a map with other keys than strings, with equal
//	                                 ones, or with one that begins with $
//
// Lengths and integers are those of the shortest encoding, as this package
// writes them. A payload of somebody else may have longer ones: its text is of
// another payload, and the caller has to compare.
const (
	tagRef   = "$ref"
	tagWeak  = "$weak"
	tagBytes = "$bin"
	tagText  = "$str"
	tagTime  = "$time"
	tagF32   = "$f32"
	tagF64   = "$f64"
	tagMap   = "$map"
)

// AppendText appends a payload as JSON. It refuses what Scan refuses.
func AppendText(b []byte, payload []byte) ([]byte, error) {
	if err := Scan(payload); err != nil {
		return b, err
	}
	b, _ = appendText(b, payload, 0)
	return b, nil
}

// appendText appends the value at pos of a payload that Scan has accepted, which
// bounds the recursion, and returns where it ends.
func appendText(b, p []byte, pos int) ([]byte, int) {
	k, n, next := parseHead(p, pos)
	switch k {
	case kindBool:
		return strconv.AppendBool(b, n != 0), next
	case kindUint:
		return strconv.AppendUint(b, n, 10), next
	case kindInt:
		return strconv.AppendInt(b, int64(n), 10), next
	case kindFloat32:
		f := float64(math.Float32frombits(uint32(n)))
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return appendBits(b, tagF32, n, 8), next
		}
		return append(appendFloat(appendTag(b, tagF32), f, 32), '}'), next
	case kindFloat64:
		f := math.Float64frombits(n)
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return appendBits(b, tagF64, n, 16), next
		}
		return appendFloat(b, f, 64), next
	case kindString:
		end := next + int(n)
		if s := p[next:end]; utf8.Valid(s) {
			return appendJSONString(b, s), end
		}
		return appendBase64(b, tagText, p[next:end]), end
	case kindBytes:
		end := next + int(n)
		return appendBase64(b, tagBytes, p[next:end]), end
	case kindExt:
		end := next + int(n)
		return appendExtText(b, int8(p[next-1]), p[next:end]), end
	case kindArray:
		b = append(b, '[')
		for i := range n {
			if i > 0 {
				b = append(b, ',')
			}
			b, next = appendText(b, p, next)
		}
		return append(b, ']'), next
	case kindMap:
		return appendMapText(b, p, n, next)
	}
	return append(b, "null"...), next // kindNil: Scan lets nothing else through
}

func appendMapText(b, p []byte, n uint64, pos int) ([]byte, int) {
	plain := plainKeys(p, n, pos)
	open, middle, shut := "[", ",", "]"
	if plain {
		open, middle, shut = "", ":", ""
		b = append(b, '{')
	} else {
		b = append(appendTag(b, tagMap), '[')
	}
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, open...)
		b, pos = appendText(b, p, pos)
		b = append(b, middle...)
		b, pos = appendText(b, p, pos)
		b = append(b, shut...)
	}
	if !plain {
		b = append(b, ']')
	}
	return append(b, '}'), pos
}

// plainKeys reports whether the keys of a map of n pairs at pos may be the names
// of a JSON object.
func plainKeys(p []byte, n uint64, pos int) bool {
	names := make(map[string]struct{}, n)
	for range n {
		k, length, next := parseHead(p, pos)
		if k != kindString {
			return false
		}
		end := next + int(length)
		name := p[next:end]
		if !utf8.Valid(name) || len(name) > 0 && name[0] == '$' {
			return false
		}
		if _, twice := names[string(name)]; twice {
			return false
		}
		names[string(name)] = struct{}{}
		pos = skipValue(p, end)
	}
	return true
}

func appendExtText(b []byte, ext int8, data []byte) []byte {
	if ext != extTime {
		oid, _ := parseReference(data)
		tag := tagRef
		if ext == extWeak {
			tag = tagWeak
		}
		b = strconv.AppendUint(append(appendTag(b, tag), '"'), oid, 10)
		return append(b, '"', '}')
	}
	sec, nsec, _ := parseTime(data)
	b = appendTag(b, tagTime)
	if sec < minSpelled || sec > maxSpelled {
		b = strconv.AppendInt(append(b, '['), sec, 10)
		b = strconv.AppendUint(append(b, ','), uint64(nsec), 10)
		return append(b, ']', '}')
	}
	b = time.Unix(sec, int64(nsec)).UTC().AppendFormat(append(b, '"'), time.RFC3339Nano)
	return append(b, '"', '}')
}

// The seconds of the years 0 to 9999, whose times have a spelling.
const (
	minSpelled = -62167219200
	maxSpelled = 253402300799
)

// appendTag begins an object of one name.
func appendTag(b []byte, tag string) []byte {
	return append(append(append(b, '{', '"'), tag...), '"', ':')
}

// appendFloat writes a finite number, so that it cannot be taken for an integer.
func appendFloat(b []byte, f float64, bits int) []byte {
	start := len(b)
	b = strconv.AppendFloat(b, f, 'g', -1, bits)
	for _, c := range b[start:] {
		if c == '.' || c == 'e' {
			return b
		}
	}
	return append(b, '.', '0')
}

// appendBits writes a float by its bits, in so many hexadecimal digits.
func appendBits(b []byte, tag string, bits uint64, digits int) []byte {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], bits)
	b = append(appendTag(b, tag), '"')
	for i := 16 - digits; i < 16; i++ {
		b = append(b, hexDigits[raw[i/2]>>(4*(1-i%2))&15])
	}
	return append(b, '"', '}')
}

const hexDigits = "0123456789abcdef"

func appendBase64(b []byte, tag string, data []byte) []byte {
	b = append(appendTag(b, tag), '"')
	b = base64.StdEncoding.AppendEncode(b, data)
	return append(b, '"', '}')
}

// appendJSONString quotes a string of UTF-8. Control characters are escaped, also
// those that terminals act on and JSON does not mind.
func appendJSONString(b, s []byte) []byte {
	b = append(b, '"')
	for len(s) > 0 {
		r, n := utf8.DecodeRune(s)
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, '\\', 'n')
		case r == '\t':
			b = append(b, '\\', 't')
		case r < 0x20 || r >= 0x7f && r < 0xa0:
			b = append(b, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
		default:
			b = append(b, s[:n]...)
		}
		s = s[n:]
	}
	return append(b, '"')
}
