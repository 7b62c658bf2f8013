package codec

import (
	"fmt"
	"reflect"
	"strings"
	"unsafe"
)

// tag is a struct tag in the spelling of msgpack v5.
type tag struct {
	name                        string
	alias                       string
	omitempty, inline, noinline bool
	asArray, intern             bool
}

// parseTag reads `name,option,alias:other`. A value may be in single quotes, as
// msgpack v5 has it. Options that do not exist are ignored there and here.
func parseTag(s string) tag {
	var t tag
	for i, part := range strings.Split(s, ",") {
		key, value, valued := strings.Cut(part, ":")
		key, value = unquote(key), unquote(value)
		switch {
		case valued && key == "alias":
			t.alias = value
		case i == 0 && !valued:
			t.name = key
		case key == "omitempty":
			t.omitempty = true
		case key == "inline":
			t.inline = true
		case key == "noinline":
			t.noinline = true
		case key == "as_array", key == "asArray":
			t.asArray = true
		case key == "intern":
			t.intern = true
		}
	}
	return t
}

func unquote(s string) string {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && s[0] == '\'' && s[len(s)-1] == '\'' {
		return s[1 : len(s)-1]
	}
	return s
}

func (c *compiler) structure(t reflect.Type, path string) (coder, error) {
	made := &structCoder{byName: make(map[string]int)}
	c.done[t] = made
	if err := c.fields(made, t, 0, path); err != nil {
		return nil, err
	}
	return made, nil
}

// fields adds the stored fields of t, which begins at offset, to made.
func (c *compiler) fields(made *structCoder, t reflect.Type, offset uintptr, path string) error {
	var (
		exported  bool // some field can be stored or was taken out on purpose
		state     bool // some field cannot, and has a size
		omitempty bool // for all fields, from a field _msgpack
	)
	for i := range t.NumField() {
		f := t.Field(i)
		tag := parseTag(f.Tag.Get("msgpack"))
		here := path + "." + f.Name
		if f.Name == "_msgpack" {
			if tag.asArray {
				return refusal(here, "as_array is not supported, since an array cannot keep the fields that a newer program adds: remove the tag")
			}
			omitempty = omitempty || tag.omitempty
			continue
		}
		if tag.name == "-" {
			exported = true
			continue
		}
		inlined := f.Anonymous && f.Type.Kind() == reflect.Struct && !tag.noinline && plain(f.Type) && (f.IsExported() || promotes(f.Type))
		if !f.IsExported() && !inlined {
			if reason := hides(f, tag); reason != "" {
				return refusal(here, "%s", reason)
			}
			state = state || f.Type.Size() > 0
			continue
		}
		exported = true
		switch {
		case tag.intern:
			return refusal(here, "intern is not supported: remove it from the tag")
		case tag.inline && !inlined:
			return refusal(here, "inline is for embedded structs that do not encode themselves: remove it from the tag")
		}
		if inlined {
			if err := c.allowed(f.Type, here); err != nil {
				return err
			}
			if err := c.fields(made, f.Type, offset+f.Offset, here); err != nil {
				return err
			}
			continue
		}
		if err := c.field(made, f, offset, tag, omitempty, here); err != nil {
			return err
		}
	}
	if state && !exported {
		return refusal(path, "%s has unexported fields only, so nothing of it would be stored: export them, give it EncodeMsgpack and DecodeMsgpack, or tag the field `msgpack:\"-\"`", t)
	}
	return nil
}

// hides says why an unexported field, which is not stored, would be missed.
func hides(f reflect.StructField, tag tag) string {
	if t := f.Type; f.Anonymous && t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct && promotes(t.Elem()) {
		return fmt.Sprintf("the embedded %s is unexported, so the fields that it brings would not be stored: embed the struct itself, export its type, or tag it `msgpack:\"-\"`", t)
	}
	if tag.name != "" || tag.alias != "" || tag.omitempty {
		return "it has a tag and is not stored, since it is unexported: export it, or remove the tag"
	}
	return ""
}

// promotes tells whether a struct type has fields that an embedding type exports.
func promotes(t reflect.Type) bool {
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() || f.Anonymous {
			return true
		}
	}
	return false
}

// plain tells whether a struct type is stored as a map.
func plain(t reflect.Type) bool {
	_, ref := asReference(t)
	return !ref && t != timeType && !customised(t)
}

func (c *compiler) field(made *structCoder, f reflect.StructField, offset uintptr, tag tag, omitempty bool, path string) error {
	elem, err := c.compile(f.Type, path)
	if err != nil {
		return err
	}
	name := tag.name
	if name == "" {
		name = f.Name
	}
	omit := omitempty || tag.omitempty
	if omit && f.Type != timeType && f.Type.Implements(zeroerType) {
		_, plain := elem.(*structCoder)
		elem = &zeroCoder{coder: elem, typ: f.Type, plain: plain}
	}
	index := len(made.fields)
	made.fields = append(made.fields, field{
		name:   name,
		key:    appendString(nil, name),
		typ:    f.Type,
		offset: offset + f.Offset,
		coder:  elem,
		omit:   omit,
	})
	made.omits = made.omits || omit
	names := []string{name}
	if tag.alias != "" {
		names = append(names, tag.alias)
	}
	for _, n := range names {
		if _, ok := made.byName[n]; ok {
			return refusal(path, "another field is stored as %q too: give one of them another name with a tag, or tag an embedded struct `msgpack:\",noinline\"`", n)
		}
		made.byName[n] = index
	}
	return nil
}

// zeroer is what msgpack v5 asks a value with omitempty, if it can answer.
type zeroer interface{ IsZero() bool }

var zeroerType = reflect.TypeFor[zeroer]()

// zeroCoder stores a field with omitempty whose type tells itself what is empty.
type zeroCoder struct {
	coder
	typ   reflect.Type
	plain bool // unknown fields may be in it
}

func (c *zeroCoder) empty(p unsafe.Pointer, x *unknown) bool {
	if c.plain && x != nil {
		return false
	}
	v := reflect.NewAt(c.typ, p).Elem()
	if (nilable(c.typ) || c.typ.Kind() == reflect.Pointer) && v.IsNil() {
		return true
	}
	return v.Interface().(zeroer).IsZero()
}
