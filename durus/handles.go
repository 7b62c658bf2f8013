package durus

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/internal/codec"
)

// containerHandle is a pointer to a BTree, Dict, Set, List, Counter or Table in
// some value of the program's.
type containerHandle interface {
	// at is where the reference to the container is.
	at() *codec.Strong
	// create makes a new, empty container.
	create(c *core) (OID, error)
	// problem says why no such container can be stored, "" if it can.
	problem() string
}

var handleType = reflect.TypeFor[containerHandle]()

// isHandle tells whether t is a container.
func isHandle(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && reflect.PointerTo(t).Implements(handleType)
}

// forbiddenContainer says why a type that is met below a registered one cannot
// be stored, because it is a container of something impossible.
func forbiddenContainer(t reflect.Type) string {
	if !isHandle(t) {
		return ""
	}
	return reflect.New(t).Interface().(containerHandle).problem()
}

// handleWalk is the way to all containers in the values of one type.
type handleWalk struct{ types map[reflect.Type]bool }

// handlesIn returns the way, nil if values of type t hold no containers.
func handlesIn(t reflect.Type) *handleWalk {
	w := &handleWalk{types: map[reflect.Type]bool{}}
	// Types may refer to each other in circles: ask until nothing changes.
	for n := -1; n != len(w.types); {
		n = len(w.types)
		w.mark(t, map[reflect.Type]bool{})
	}
	if !w.types[t] {
		return nil
	}
	return w
}

// mark enters the types at and below t that hold containers.
func (w *handleWalk) mark(t reflect.Type, visiting map[reflect.Type]bool) bool {
	if w.types[t] || visiting[t] {
		return w.types[t]
	}
	visiting[t] = true
	holds := isHandle(t)
	if !holds && !encodesItself(t) {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			holds = w.mark(t.Elem(), visiting)
		case reflect.Struct:
			for i := range t.NumField() {
				if f := t.Field(i); stored(f) && w.mark(f.Type, visiting) {
					holds = true
				}
			}
		}
	}
	if holds {
		w.types[t] = true
	}
	return holds
}

// stored tells whether a field may be in the file. (Fields of embedded structs
// are, whether the struct's name is exported or not.)
func stored(f reflect.StructField) bool {
	name, _, _ := strings.Cut(f.Tag.Get("msgpack"), ",")
	return name != "-" && (f.IsExported() || f.Anonymous && f.Type.Kind() == reflect.Struct)
}

func encodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[msgpack.CustomEncoder]()) || p.Implements(reflect.TypeFor[msgpack.Marshaler]())
}

// each calls f for every container in *p, a pointer to a value of the type of
// the walk. f returns whether it has changed the handle.
func (w *handleWalk) each(p reflect.Value, f func(containerHandle) (changed bool, err error)) error {
	_, err := w.walk(p.Elem(), f)
	return err
}

func (w *handleWalk) walk(v reflect.Value, f func(containerHandle) (bool, error)) (changed bool, err error) {
	t := v.Type()
	if !w.types[t] {
		return false, nil
	}
	if isHandle(t) {
		return f(reflect.NewAt(t, v.Addr().UnsafePointer()).Interface().(containerHandle))
	}
	each := func(v reflect.Value) error {
		c, err := w.walk(v, f)
		changed = changed || c
		return err
	}
	switch t.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			err = each(v.Elem())
		}
	case reflect.Slice, reflect.Array:
		for i := 0; i < v.Len() && err == nil; i++ {
			err = each(v.Index(i))
		}
	case reflect.Struct:
		for i := 0; i < t.NumField() && err == nil; i++ {
			if stored(t.Field(i)) {
				err = each(v.Field(i))
			}
		}
	case reflect.Map:
		// Values of maps have no address: a changed one is put back. Keys hold
		// no containers that could be filled in.
		for it := v.MapRange(); err == nil && it.Next(); {
			value := reflect.New(t.Elem()).Elem()
			value.Set(it.Value())
			var c bool
			if c, err = w.walk(value, f); c {
				v.SetMapIndex(it.Key(), value)
				changed = true
			}
		}
	}
	return changed, err
}

// fill gives every zero handle in *p a new container. What it has made is taken
// back when the session forgets its changes.
func (c *core) fill(w *handleWalk, p reflect.Value) error {
	if w == nil {
		return nil
	}
	made := map[codec.Strong]bool{}
	err := w.each(p, func(h containerHandle) (bool, error) {
		if *h.at()&oidMask != 0 {
			return false, nil
		}
		if problem := h.problem(); problem != "" {
			return false, fmt.Errorf("%w: %s", ErrType, problem)
		}
		oid, err := h.create(c)
		if err != nil {
			return false, err
		}
		*h.at() = c.reference(oid)
		made[*h.at()] = true
		return true, nil
	})
	if len(made) > 0 {
		c.filled = append(c.filled, func() {
			_ = w.each(p, func(h containerHandle) (bool, error) {
				if made[*h.at()] {
					*h.at() = 0
					return true, nil
				}
				return false, nil
			})
		})
	}
	return err
}

// empty takes back what fill has made, for the program to use its values again.
func (c *core) empty() {
	for _, undo := range c.filled {
		undo()
	}
	c.filled = nil
}
