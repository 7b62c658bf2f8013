package main

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

// compareValues adds what differs between two values of one place. Maps are
// compared key by key, lists of one length element by element; anything else is
// one change.
func compareValues(to []fieldChange, path []any, old, new any) []fieldChange {
	switch o := old.(type) {
	case codec.Map:
		if n, ok := new.(codec.Map); ok {
			return compareMaps(to, path, o, n)
		}
	case []any:
		if n, ok := new.([]any); ok && len(o) == len(n) {
			for i := range o {
				to = compareValues(to, under(path, i), o[i], n[i])
			}
			return to
		}
	}
	if equal(old, new) {
		return to
	}
	return append(to, fieldChange{path: path, old: old, new: new, had: true, has: true})
}

// compareMaps goes by the order of the newer one; what is gone comes last. What
// a hostile file says of one key twice is compared once.
func compareMaps(to []fieldChange, path []any, old, new codec.Map) []fieldChange {
	spell := tree{}.key
	was := make(map[string]any, len(old))
	for _, e := range old {
		was[spell(e.Key)] = e.Value
	}
	is := make(map[string]bool, len(new))
	for _, e := range new {
		k := spell(e.Key)
		is[k] = true
		if v, ok := was[k]; ok {
			to = compareValues(to, under(path, e.Key), v, e.Value)
		} else {
			to = append(to, fieldChange{path: under(path, e.Key), new: e.Value, has: true})
		}
	}
	for _, e := range old {
		if !is[spell(e.Key)] {
			to = append(to, fieldChange{path: under(path, e.Key), old: e.Value, had: true})
		}
	}
	return to
}

// equal tells whether two values are the same, NaN included.
func equal(a, b any) bool {
	x, ok := a.(codec.NonFinite)
	y, also := b.(codec.NonFinite)
	return reflect.DeepEqual(a, b) || ok && also && x != x && y != y
}

// under is a path of its own.
func under(path []any, key any) []any { return append(path[:len(path):len(path)], key) }

// compareLists compares two states of a list: what lies between the part that
// both begin with and the one that both end with. old is nil for a new list.
func compareLists(old *collection.ListView, new collection.ListView) ([]fieldChange, error) {
	start := 0
	var was, is []any
	if old != nil {
		i, differ, err := collection.DifferList(*old, new, 0, -1)
		if err != nil || !differ {
			return nil, err
		}
		start = i
		if was, err = elements(*old, start); err != nil {
			return nil, err
		}
	}
	is, err := elements(new, start)
	if err != nil {
		return nil, err
	}
	for len(was) > 0 && len(is) > 0 && equal(was[len(was)-1], is[len(is)-1]) {
		was, is = was[:len(was)-1], is[:len(is)-1]
	}
	var fields []fieldChange
	for i := range max(len(was), len(is)) {
		if i < min(len(was), len(is)) && equal(was[i], is[i]) {
			continue
		}
		f := fieldChange{path: []any{start + i}, had: i < len(was), has: i < len(is)}
		if f.had {
			f.old = was[i]
		}
		if f.has {
			f.new = is[i]
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// elements are those of a list from an index on.
func elements(v collection.ListView, from int) (all []any, err error) {
	i := 0
	eachErr := v.Each(func(raw []byte) bool {
		if i++; i > from {
			var e any
			if e, err = codec.Readable(raw); err != nil {
				return false
			}
			all = append(all, e)
		}
		return true
	})
	if err == nil {
		err = eachErr
	}
	return all, err
}

// referencesIn adds the objects that a value refers to.
func referencesIn(to []storage.OID, v any) []storage.OID {
	switch v := v.(type) {
	case codec.RefValue:
		return append(to, storage.OID(v.OID))
	case codec.Map:
		for _, e := range v {
			to = referencesIn(referencesIn(to, e.Key), e.Value)
		}
	case []any:
		for _, e := range v {
			to = referencesIn(to, e)
		}
	}
	return to
}

type differenceJSON struct {
	OID    storage.OID  `json:"oid"`
	Class  string       `json:"class"`
	Change string       `json:"change"` // added, changed
	Value  any          `json:"value,omitempty"`
	Fields []changeJSON `json:"fields,omitempty"`
}

type changeJSON struct {
	Path []any `json:"path"`
	Old  *any  `json:"old,omitempty"` // absent: it was not there
	New  *any  `json:"new,omitempty"` // absent: it is gone
}

// maxChanges is how many changes of one container are shown to people.
const maxChanges = 50

func (a *app) printDifference(d *difference) error {
	change := "changed"
	if d.added {
		change = "added"
	}
	if a.json {
		j := differenceJSON{OID: d.oid, Class: d.class, Change: change, Value: d.value}
		for i := range d.fields {
			f := &d.fields[i]
			c := changeJSON{Path: append([]any{}, f.path...)}
			if f.had {
				c.Old = &f.old
			}
			if f.has {
				c.New = &f.new
			}
			j.Fields = append(j.Fields, c)
		}
		return a.printJSON(j)
	}
	fmt.Fprintln(a.out, a.bold(fmt.Sprintf("%s %s@%s", change, plain(d.class), d.oid)))
	t := tree{name: func(oid storage.OID) string { return d.names[oid] }}
	line := func(s string) { fmt.Fprintln(a.out, "  "+wrap(s, a.width, 4)) }
	if m, ok := d.value.(codec.Map); ok {
		for _, e := range m {
			line("+ " + t.key(e.Key) + ": " + t.flat(e.Value))
		}
	} else if d.value != nil {
		line("+ " + t.flat(d.value))
	}
	for i := range d.fields {
		if i == maxChanges {
			line(fmt.Sprintf("and %d more (--json has all)", len(d.fields)-i))
			break
		}
		line(t.change(&d.fields[i]))
	}
	return nil
}

// change is a change on one line.
func (t tree) change(f *fieldChange) string {
	var words []string
	for _, p := range f.path {
		words = append(words, t.key(p))
	}
	where := strings.Join(words, " / ")
	colon := func(v any) string {
		if v == nil {
			return where // the key of a set; nil is as good as nothing elsewhere
		}
		if where == "" {
			return t.flat(v)
		}
		return where + ": " + t.flat(v)
	}
	switch {
	case !f.had:
		return "+ " + colon(f.new)
	case !f.has:
		return "- " + colon(f.old)
	case where == "":
		return fmt.Sprintf("~ %s -> %s", t.flat(f.old), t.flat(f.new))
	}
	return fmt.Sprintf("~ %s: %s -> %s", where, t.flat(f.old), t.flat(f.new))
}

// flat is a value on one line.
func (t tree) flat(v any) string {
	var b strings.Builder
	t.flatten(&b, v)
	if s := b.String(); len(s) <= 2*maxString {
		return s
	}
	return strings.ToValidUTF8(b.String()[:2*maxString], "") + "... (--json has all)"
}

// flatten stops when there is more than flat shows.
func (t tree) flatten(b *strings.Builder, v any) {
	if b.Len() > 2*maxString {
		return
	}
	switch v := v.(type) {
	case codec.Map:
		b.WriteByte('{')
		for i, e := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(t.key(e.Key) + ": ")
			t.flatten(b, e.Value)
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			t.flatten(b, e)
		}
		b.WriteByte(']')
	default:
		b.WriteString(t.scalar(v))
	}
}
