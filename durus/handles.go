package durus

import (
	"fmt"
	"reflect"
	"strings"
	"unsafe"

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
	// problem says why no such container can be stored, "" if it can. forbidden is
	// asked about every type below its values.
	problem(forbidden func(reflect.Type) string) string
}

var handleType = reflect.TypeFor[containerHandle]()

var (
	_ containerHandle = (*BTree[int, int])(nil)
	_ containerHandle = (*Dict[int, int])(nil)
	_ containerHandle = (*Set[int])(nil)
	_ containerHandle = (*List[int])(nil)
	_ containerHandle = (*Counter)(nil)
	_ containerHandle = (*Table[int, struct{}])(nil)
)

// isHandle tells whether t is a container.
func isHandle(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && reflect.PointerTo(t).Implements(handleType)
}

// forbidding returns what codec.Options.Forbidden is to be: it says why a type
// that is met cannot be stored, because of first, or because it is a container of
// something impossible, at any depth: containers hold containers.
func forbidding(first func(reflect.Type) string) func(reflect.Type) string {
	seen := map[reflect.Type]bool{} // a type may hold containers of itself
	var ask func(t reflect.Type) string
	ask = func(t reflect.Type) string {
		if problem := first(t); problem != "" {
			return problem
		}
		if seen[t] || !isHandle(t) {
			return ""
		}
		seen[t] = true
		return reflect.New(t).Interface().(containerHandle).problem(ask)
	}
	return ask
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
	v := visit{handleWalk: w, f: f}
	if _, err := v.walk(p.Elem()); err != nil {
		return err
	}
	if v.tooDeep {
		return fmt.Errorf("%w: a value is nested deeper than %d: if it is a long chain of pointers, connect objects with references", ErrTooLarge, maxWalk)
	}
	return nil
}

// maxWalk is how deep a walk goes: further than any value that can be stored.
const maxWalk = 8 * codec.MaxDepth

// visit is one walk over a value.
type visit struct {
	*handleWalk
	f       func(containerHandle) (changed bool, err error)
	seen    map[referent]bool // pointers may meet, and go in circles
	depth   int
	tooDeep bool // what is deeper was left out
}

// referent is what a pointer, slice or map refers to.
type referent struct {
	at  unsafe.Pointer
	len int
	typ reflect.Type
}

// again tells whether what v refers to was visited before.
func (w *visit) again(v reflect.Value) bool {
	p := referent{at: v.UnsafePointer(), typ: v.Type()}
	if v.Kind() == reflect.Slice {
		p.len = v.Len()
	}
	if w.seen[p] {
		return true
	}
	if w.seen == nil {
		w.seen = make(map[referent]bool)
	}
	w.seen[p] = true
	return false
}

func (w *visit) walk(v reflect.Value) (changed bool, err error) {
	t := v.Type()
	if !w.types[t] {
		return false, nil
	}
	if isHandle(t) {
		return w.f(reflect.NewAt(t, v.Addr().UnsafePointer()).Interface().(containerHandle))
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		if v.IsNil() || w.again(v) {
			return false, nil
		}
	}
	if w.depth == maxWalk {
		w.tooDeep = true
		return false, nil
	}
	w.depth++
	defer func() { w.depth-- }()
	each := func(v reflect.Value) error {
		c, err := w.walk(v)
		changed = changed || c
		return err
	}
	switch t.Kind() {
	case reflect.Pointer:
		err = each(v.Elem())
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
			if key := it.Key(); !key.Equal(key) { // a NaN: nothing can be put back there
				return changed, fmt.Errorf("%w: a map key is or holds a NaN, which no lookup ever finds: use another key", ErrType)
			}
			if c, err = w.walk(value); c {
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
		oid, err := h.create(c)
		if err != nil {
			return false, err
		}
		*h.at() = c.reference(oid)
		made[*h.at()] = true
		return true, nil
	})
	if len(made) > 0 {
		c.filled = append(c.filled, func(stored func(OID) bool) {
			_ = w.each(p, func(h containerHandle) (bool, error) {
				if raw := *h.at(); made[raw] && !stored(OID(raw&oidMask)) {
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
func (c *core) empty() { c.emptyUnless(func(OID) bool { return false }) }

// committed takes back what fill has made in values to which nothing leads: it is
// not in the file.
func (c *core) committed() {
	c.emptyUnless(func(oid OID) bool {
		if p := c.containers[oid]; p != nil {
			return p.common().kept
		}
		table := c.used[oid].edited // is an object like others
		return table != nil && table.round == c.round
	})
}

func (c *core) emptyUnless(stored func(OID) bool) {
	for _, undo := range c.filled {
		undo(stored)
	}
	if c.writable {
		c.filled = nil
	}
}
