package main

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// tree prints the state of an object, in the manner of YAML: maps and lists
// as indented lines, references as class@oid. Its depth is bounded by
// codec.MaxDepth.
type tree struct {
	out    io.Writer
	name   func(storage.OID) string            // class@oid; nil: the class is not known
	follow func(ref codec.RefValue, depth int) // prints behind a reference what it leads to; nil: nothing
	most   int                                 // bytes of a string that are shown; 0: maxString
	raw    int                                 // bytes of a byte slice that are shown; 0: maxBytes
	full   bool                                // nothing is cut
	cuts   *int                                // counts what was cut
}

// Longer strings and bytes are cut, unless all is wanted: this is for reading,
// --json for using.
const (
	maxString = 400
	maxBytes  = 32
)

func (t tree) print(v any) {
	t.value(v, 0)
	fmt.Fprint(t.out, "\n")
}

// value prints v behind what is on the line already, or below it.
func (t tree) value(v any, depth int) {
	switch v := v.(type) {
	case codec.Map:
		for i, e := range v {
			t.line(i+depth > 0, depth)
			fmt.Fprint(t.out, t.key(e.Key)+":")
			t.inner(e.Value, depth+1)
		}
		if len(v) == 0 {
			fmt.Fprint(t.out, "{}")
		}
	case []any:
		for i, e := range v {
			t.line(i+depth > 0, depth)
			fmt.Fprint(t.out, "-")
			t.inner(e, depth+1)
		}
		if len(v) == 0 {
			fmt.Fprint(t.out, "[]")
		}
	case codec.RefValue:
		fmt.Fprint(t.out, t.scalar(v))
		if t.follow != nil {
			t.follow(v, depth)
		}
	default:
		fmt.Fprint(t.out, t.scalar(v))
	}
}

// line begins a line.
func (t tree) line(feed bool, depth int) {
	if feed {
		fmt.Fprint(t.out, "\n")
	}
	for range depth {
		fmt.Fprint(t.out, "  ")
	}
}

// inner prints the value that belongs to a key or a dash.
func (t tree) inner(v any, depth int) {
	if !nested(v) {
		fmt.Fprint(t.out, " ")
	}
	t.value(v, depth)
}

// nested reports whether v takes lines of its own.
func nested(v any) bool {
	switch v := v.(type) {
	case codec.Map:
		return len(v) > 0
	case []any:
		return len(v) > 0
	}
	return false
}

// key spells the key of a map: names as they are, everything else as a value.
func (t tree) key(v any) string {
	s, ok := v.(string)
	if ok && s != "" && strings.IndexFunc(s, func(r rune) bool {
		return r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r < utf8.RuneSelf
	}) < 0 && plain(s) == s {
		return s
	}
	if nested(v) {
		return fmt.Sprintf("%v", v) // a map or list as a key: on one line
	}
	return t.scalar(v)
}

func (t tree) scalar(v any) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case string:
		return t.text(v)
	case []byte:
		return t.bytes(v)
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case codec.Instant:
		return fmt.Sprintf("%d s and %d ns since 1970", v.Seconds, v.Nanoseconds)
	case codec.RefValue:
		name := fmt.Sprintf("?@%d", v.OID)
		if t.name != nil {
			name = t.name(storage.OID(v.OID))
		}
		if v.Weak {
			name += " (weak)"
		}
		return plain(name)
	case float32:
		return strconv.FormatFloat(float64(v), 'g', -1, 32)
	case codec.Map:
		return "{}" // only the empty one comes here
	case []any:
		return "[]"
	}
	return fmt.Sprint(v) // bool, integers, float64, codec.NonFinite
}

func (t tree) text(s string) string {
	most := cmp.Or(t.most, maxString)
	if t.full || len(s) <= most {
		return strconv.Quote(s)
	}
	t.wasCut()
	return quoted(s, most)
}

// quoted is the begin of a string, and how long all of it is.
func quoted(s string, most int) string {
	if len(s) <= most {
		return strconv.Quote(s)
	}
	cut := most
	for cut > most-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return fmt.Sprintf("%s... (%d bytes)", strconv.Quote(s[:cut]), len(s))
}

func (t tree) bytes(b []byte) string {
	most := cmp.Or(t.raw, maxBytes)
	if t.full || len(b) <= most {
		return "0x" + hex.EncodeToString(b)
	}
	t.wasCut()
	return fmt.Sprintf("0x%s... (%d bytes)", hex.EncodeToString(b[:most]), len(b))
}

func (t tree) wasCut() {
	if t.cuts != nil {
		*t.cuts++
	}
}
