package codec

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/durusdb/durus/storage"
)

// ParseText returns the payload of which AppendText has written text. The error
// says what is wrong with it; what it returns, Scan accepts.
func ParseText(text []byte) ([]byte, error) {
	p := textParser{d: json.NewDecoder(bytes.NewReader(text))}
	p.d.UseNumber()
	b, err := p.value(nil, 0)
	if err != nil {
		return nil, err
	}
	if _, err := p.d.Token(); err != io.EOF {
		return nil, errors.New("more follows behind the value")
	}
	if len(b) > storage.MaxPayload {
		return nil, fmt.Errorf("it takes %d bytes, the limit is %d", len(b), storage.MaxPayload)
	}
	return b, nil
}

type textParser struct{ d *json.Decoder }

func (p *textParser) token() (json.Token, error) {
	t, err := p.d.Token()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return t, err
}

// value appends the next value, which lies inside depth arrays and maps.
func (p *textParser) value(b []byte, depth int) ([]byte, error) {
	t, err := p.token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case nil:
		return append(b, codeNil), nil
	case bool:
		if t {
			return append(b, codeTrue), nil
		}
		return append(b, codeFalse), nil
	case string:
		return appendString(b, t), nil
	case json.Number:
		return appendNumber(b, string(t))
	}
	if t == json.Delim('[') {
		return p.array(b, depth+1)
	}
	return p.object(b, depth+1)
}

// elements appends values, as many as there are, behind the head that count
// makes of their number, and ends behind the bracket that closes them.
func (p *textParser) elements(b []byte, head func([]byte, int) []byte, depth int, one func([]byte) ([]byte, error)) ([]byte, error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("nested deeper than %d", MaxDepth)
	}
	start, n := len(b), 0
	var err error
	for ; p.d.More(); n++ {
		if b, err = one(b); err != nil {
			return nil, err
		}
	}
	if _, err := p.token(); err != nil {
		return nil, err
	}
	return insertHead(b, start, head(nil, n)), nil
}

// insertHead makes room for a head in front of what follows start.
func insertHead(b []byte, start int, head []byte) []byte {
	b = append(b, head...)
	copy(b[start+len(head):], b[start:])
	copy(b[start:], head)
	return b
}

func (p *textParser) array(b []byte, depth int) ([]byte, error) {
	return p.elements(b, appendArrayHead, depth, func(b []byte) ([]byte, error) { return p.value(b, depth) })
}

// object appends a map, or what a tag says.
func (p *textParser) object(b []byte, depth int) ([]byte, error) {
	first := true
	var tagged []byte
	b, err := p.elements(b, appendMapHead, depth, func(b []byte) ([]byte, error) {
		t, err := p.token()
		if err != nil {
			return nil, err
		}
		name := t.(string) // the decoder accepts no other
		if !strings.HasPrefix(name, "$") {
			first = false
			return p.value(appendString(b, name), depth)
		}
		if !first || tagged != nil {
			return nil, fmt.Errorf("%q stands beside other names", name)
		}
		tagged, err = p.tagged(name, depth)
		return b, err
	})
	switch {
	case err != nil:
		return nil, err
	case tagged == nil:
		return b, nil
	case !first:
		return nil, errors.New("a name that begins with $ stands beside others")
	}
	return append(b[:len(b)-1], tagged...), nil // in place of the head of a map of one
}

// tagged returns the value of an object with this one name.
func (p *textParser) tagged(tag string, depth int) ([]byte, error) {
	if tag == tagMap {
		if t, err := p.token(); err != nil || t != json.Delim('[') {
			return nil, fmt.Errorf("%s needs an array", tag)
		}
		return p.elements(nil, appendMapHead, depth, func(b []byte) ([]byte, error) { return p.pair(b, depth) })
	}
	var raw json.RawMessage
	if err := p.d.Decode(&raw); err != nil {
		return nil, err
	}
	if tag == tagF32 && len(raw) > 0 && raw[0] != '"' {
		f, err := strconv.ParseFloat(string(raw), 32)
		return appendFloat32(nil, math.Float32bits(float32(f))), err
	}
	if tag == tagTime && len(raw) > 0 && raw[0] == '[' {
		return parseFarTime(raw)
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", tag, err)
	}
	b, err := parseTagged(tag, s)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tag, err)
	}
	return b, nil
}

// pair appends key and value.
func (p *textParser) pair(b []byte, depth int) ([]byte, error) {
	if t, err := p.token(); err != nil || t != json.Delim('[') {
		return nil, errors.New("an entry of a map is an array of key and value")
	}
	b, err := p.value(b, depth)
	if err != nil {
		return nil, err
	}
	if b, err = p.value(b, depth); err != nil {
		return nil, err
	}
	if t, err := p.token(); err != nil || t != json.Delim(']') {
		return nil, errors.New("an entry of a map is an array of key and value")
	}
	return b, nil
}

// parseTagged is for tags whose value is a string.
func parseTagged(tag, s string) ([]byte, error) {
	switch tag {
	case tagRef, tagWeak:
		oid, err := storage.ParseOID(s)
		if err == nil && oid == 0 {
			err = errors.New("a reference to nothing is null")
		}
		return appendReference(nil, uint64(oid), tag == tagWeak), err
	case tagBytes, tagText:
		data, err := base64.StdEncoding.Strict().DecodeString(s)
		if tag == tagText {
			return appendString(nil, string(data)), err
		}
		return appendBytes(nil, data), err
	case tagTime:
		t, err := time.Parse(time.RFC3339Nano, s)
		return appendTime(nil, t), err
	case tagF32:
		bits, err := parseBits(s, 8)
		return appendFloat32(nil, uint32(bits)), err
	case tagF64:
		bits, err := parseBits(s, 16)
		return appendFloat64(nil, bits), err
	}
	return nil, errors.New("no such tag")
}

func parseBits(s string, digits int) (uint64, error) {
	if len(s) != digits {
		return 0, fmt.Errorf("%d hexadecimal digits are needed", digits)
	}
	return strconv.ParseUint(s, 16, 64)
}

// parseFarTime reads the seconds and nanoseconds of a time.
func parseFarTime(raw json.RawMessage) ([]byte, error) {
	var parts []json.Number
	if err := json.Unmarshal(raw, &parts); err != nil || len(parts) != 2 {
		return nil, fmt.Errorf("%s is a string, or an array of seconds and nanoseconds", tagTime)
	}
	sec, err := strconv.ParseInt(string(parts[0]), 10, 64)
	if err != nil {
		return nil, err
	}
	nsec, err := strconv.ParseUint(string(parts[1]), 10, 32)
	if err != nil || nsec >= 1e9 {
		return nil, fmt.Errorf("%s: %s nanoseconds", tagTime, parts[1])
	}
	return appendInstant(nil, sec, uint32(nsec)), nil
}

// appendNumber appends an integer, or a float64 if the text has a point or an exponent.
func appendNumber(b []byte, s string) ([]byte, error) {
	if strings.ContainsAny(s, ".eE") {
		f, err := strconv.ParseFloat(s, 64)
		return appendFloat64(b, math.Float64bits(f)), err
	}
	if strings.HasPrefix(s, "-") {
		n, err := strconv.ParseInt(s, 10, 64)
		return appendInt(b, n), err
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return appendUint(b, n), err
}
