package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/durusdb/durus/internal/codec"
)

// field is where a value lies in the state of an object, as Go would spell it:
// Owner, Address.City, Tags[2], Limits["a b"]. A key of a map that holds a
// reference itself is spelled Map{key}.
type field []string

func (f field) String() string {
	return strings.TrimPrefix(strings.Join(f, ""), ".")
}

// under appends the step to what a map holds under a key.
func (f field) under(key any) field {
	name, ok := key.(string)
	if ok && isName(name) {
		return append(f, "."+name)
	}
	return append(f, "["+keyText(key)+"]")
}

// at appends the step to an element of a list.
func (f field) at(i int) field { return append(f, "["+strconv.Itoa(i)+"]") }

// isName tells whether a key can be read without quotes.
func isName(s string) bool {
	return s != "" && plain(s) == s && strings.IndexFunc(s, func(r rune) bool {
		return r < 0x80 && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) < 0
}

// keyText spells the key of a map or a container on one line.
func keyText(key any) string {
	switch key := key.(type) {
	case []any:
		parts := make([]string, len(key))
		for i, e := range key {
			parts[i] = keyText(e)
		}
		return "(" + strings.Join(parts, ", ") + ")"
	case codec.Map:
		return fmt.Sprintf("map of %d", len(key))
	case codec.RefValue:
		return fmt.Sprintf("@%d", key.OID)
	}
	return tree{}.scalar(key)
}

// leaves calls f for each value that holds no others, with its field, until f
// returns false. Keys of maps are leaves, too, if they are references.
func leaves(at field, v any, f func(field, any) bool) bool {
	switch v := v.(type) {
	case codec.Map:
		for _, e := range v {
			if !references(append(at, "{key}"), e.Key, f) || !leaves(at.under(e.Key), e.Value, f) {
				return false
			}
		}
		if len(v) == 0 {
			return f(at, v)
		}
	case []any:
		for i, e := range v {
			if !leaves(at.at(i), e, f) {
				return false
			}
		}
		if len(v) == 0 {
			return f(at, v)
		}
	default:
		return f(at, v)
	}
	return true
}

// references calls f for the references in v only.
func references(at field, v any, f func(field, any) bool) bool {
	switch v.(type) {
	case codec.RefValue, []any, codec.Map:
		return leaves(at, v, func(at field, leaf any) bool {
			if _, ok := leaf.(codec.RefValue); !ok {
				return true
			}
			return f(at, leaf)
		})
	}
	return true
}
