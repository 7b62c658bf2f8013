package durus

import (
	"encoding"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"
	"weak"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/internal/codec"
)

// shape is what a registered type looks like in memory: whether a value may be
// put aside (see relief), and what of it is not stored.
type shape struct {
	// spillable: a value is its stored fields and nothing else, and whoever
	// can change it holds it, or one of inner.
	spillable bool
	// unstored: some of the fields of the struct itself are not stored.
	unstored bool
	// inner are the places of slices, maps and pointers whose elements hold
	// nothing that can be changed; more than one level is not looked through.
	inner []innerField
}

// innerField is a place in a value that leads to memory of its own.
type innerField struct {
	offset uintptr
	kind   reflect.Kind // Slice, Map, Pointer, or String, which is only measured
	typ    reflect.Type
	elem   int64 // size of an element
}

// maxInner bounds the places of one type: arrays of slices can have many.
const maxInner = 64

// shapeOf looks at a type.
func shapeOf(t reflect.Type) *shape {
	s := &shape{spillable: true}
	s.walk(t, 0, t)
	return s
}

// walk looks at what lies at an offset of the value, in the struct top or below.
func (s *shape) walk(t reflect.Type, offset uintptr, top reflect.Type) {
	switch {
	case t.Size() == 0:
		return
	case isFlat(t):
		if t.Kind() == reflect.String {
			s.add(t, offset, 1)
		}
		return
	case isCustom(t): // what it hides leads to memory that nobody knows
		s.spillable = false
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		for f := range t.Fields() {
			s.field(f, offset+f.Offset, t == top)
		}
	case reflect.Array:
		for i := range t.Len() {
			if len(s.inner) > maxInner {
				break
			}
			s.walk(t.Elem(), offset+uintptr(i)*t.Elem().Size(), nil)
		}
	case reflect.Slice, reflect.Pointer:
		s.spillable = s.spillable && isFlat(t.Elem())
		s.add(t, offset, int64(t.Elem().Size()))
	case reflect.Map:
		s.spillable = s.spillable && isFlat(t.Key()) && isFlat(t.Elem())
		s.add(t, offset, int64(t.Key().Size()+t.Elem().Size()))
	default:
		s.spillable = false
	}
}

func (s *shape) field(f reflect.StructField, offset uintptr, outermost bool) {
	if !isStored(f) {
		if f.Type.Size() > 0 && f.Name != "_" {
			s.spillable = false
			s.unstored = s.unstored || outermost
		}
		return
	}
	next := reflect.Type(nil)
	if outermost && f.Anonymous {
		next = f.Type // its fields are those of the struct
	}
	s.walk(f.Type, offset, next)
}

func (s *shape) add(t reflect.Type, offset uintptr, elem int64) {
	if len(s.inner) >= maxInner {
		s.spillable = false
		return
	}
	s.inner = append(s.inner, innerField{offset, t.Kind(), t, elem})
}

// isStored tells whether the codec stores a field; see its documentation.
func isStored(f reflect.StructField) bool {
	tag, _, _ := strings.Cut(f.Tag.Get("msgpack"), ",")
	return tag != "-" && (f.IsExported() || f.Anonymous && f.Type.Kind() == reflect.Struct)
}

// isCustom tells whether a type stores itself.
func isCustom(t reflect.Type) bool {
	for _, i := range customs {
		if t.Implements(i) || reflect.PointerTo(t).Implements(i) {
			return true
		}
	}
	return false
}

var customs = []reflect.Type{
	reflect.TypeFor[msgpack.CustomEncoder](), reflect.TypeFor[msgpack.Marshaler](),
	reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.TextMarshaler](),
}

// isFlat tells whether a value is changed in place only: it holds no memory
// that can be changed, and all of it is stored.
func isFlat(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() || storedAsReference(t) {
			return true
		}
		custom := isCustom(t)
		for f := range t.Fields() {
			if f.Type.Size() > 0 && (!isFlat(f.Type) || !custom && !isStored(f) && f.Name != "_") {
				return false
			}
		}
		return true
	case reflect.Array:
		return t.Size() == 0 || isFlat(t.Elem())
	case reflect.String:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface, reflect.Func, reflect.Chan, reflect.UnsafePointer:
		return false
	}
	return true
}

// storedAsReference tells whether a struct is a Ref, a container, or the like: one
// number, stored as a reference.
func storedAsReference(t reflect.Type) bool {
	n := 0
	for f := range t.Fields() {
		switch {
		case f.Type.Size() == 0:
		case f.Type == reflect.TypeFor[codec.Strong](), f.Type == reflect.TypeFor[codec.Weak]():
			n++
		default:
			return false
		}
	}
	return n == 1
}

// size estimates what a value takes, with what its own fields lead to.
func (s *shape) size(v any) int64 {
	p := reflect.ValueOf(v).UnsafePointer()
	n := int64(0)
	for i := range s.inner {
		f := &s.inner[i]
		at := unsafe.Add(p, f.offset)
		switch f.kind {
		case reflect.String:
			n += int64(len(*(*string)(at)))
		case reflect.Slice:
			n += int64((*sliceHeader)(at).cap) * f.elem
		case reflect.Map:
			if *(*unsafe.Pointer)(at) != nil {
				n += 2 * int64(reflect.NewAt(f.typ, at).Elem().Len()) * f.elem
			}
		case reflect.Pointer:
			if *(*unsafe.Pointer)(at) != nil {
				n += f.elem
			}
		}
	}
	return n
}

type sliceHeader struct {
	data     unsafe.Pointer
	len, cap int
}

// memory returns where an inner field leads, nil for nowhere.
func (f *innerField) memory(v unsafe.Pointer) unsafe.Pointer {
	at := unsafe.Add(v, f.offset)
	switch {
	case f.kind == reflect.String, f.kind == reflect.Slice && ((*sliceHeader)(at).cap == 0 || f.elem == 0):
		return nil
	case f.kind == reflect.Pointer && f.elem == 0:
		return nil
	}
	return *(*unsafe.Pointer)(at) // the first word of a slice is its memory
}

// grip is what may still be reached of a value that this package has let go.
type grip struct {
	outer weak.Pointer[byte]
	inner []weakField
}

// weakField is one of the inner fields that led somewhere.
type weakField struct {
	field    *innerField
	memory   weak.Pointer[byte]
	len, cap int // of a slice
}

// letGo prepares a value for being let go: the grip does not keep it alive. ok
// is false when it leads to memory that the garbage collector does not know, so
// that nobody can tell who holds it.
func (s *shape) letGo(v any, heap *heapProbe) (g grip, ok bool) {
	p := reflect.ValueOf(v).UnsafePointer()
	for i := range s.inner {
		f := &s.inner[i]
		m := f.memory(p)
		if m == nil {
			continue
		}
		if !heap.has(m) {
			return grip{}, false
		}
		w := weakField{field: f, memory: weak.Make((*byte)(m))}
		if f.kind == reflect.Slice {
			h := (*sliceHeader)(unsafe.Add(p, f.offset))
			w.len, w.cap = h.len, h.cap
		}
		g.inner = append(g.inner, w)
	}
	if !heap.has(p) {
		return grip{}, false
	}
	g.outer = weak.Make((*byte)(p))
	return g, true
}

// regain returns the value, if somebody still holds it.
func (g *grip) regain(t reflect.Type) any {
	if p := g.outer.Value(); p != nil {
		return reflect.NewAt(t, unsafe.Pointer(p)).Interface()
	}
	return nil
}

// held tells whether somebody holds a part of the value.
func (g *grip) held() bool {
	for i := range g.inner {
		if g.inner[i].memory.Value() != nil {
			return true
		}
	}
	return false
}

// graft puts the parts that somebody holds into v, an equal value that was made
// anew: whoever changes them changes v.
func (g *grip) graft(v any) {
	p := reflect.ValueOf(v).UnsafePointer()
	for i := range g.inner {
		w := &g.inner[i]
		m := unsafe.Pointer(w.memory.Value())
		if m == nil {
			continue
		}
		at := unsafe.Add(p, w.field.offset)
		if w.field.kind == reflect.Slice {
			*(*sliceHeader)(at) = sliceHeader{m, w.len, w.cap}
		} else {
			*(*unsafe.Pointer)(at) = m
		}
	}
}

// heapProbe tells which memory belongs to the garbage collector. A byte slice
// may be of a mapped file: a weak pointer to it would end the process. There is
// no function for the question, but runtime.Pinner ignores what is not of the
// heap, and shows by the length of its list that it did. Should its insides
// change, the probe says no to everything, and objects stay in memory.
type heapProbe struct {
	pin  runtime.Pinner
	list *[]unsafe.Pointer // of pin; nil: not known
}

// newHeapProbe returns a probe, to be released.
func newHeapProbe() *heapProbe {
	h := &heapProbe{}
	known := new([16]byte)
	h.pin.Pin(known)
	inside := reflect.ValueOf(&h.pin).Elem()
	if inside.Kind() != reflect.Struct || inside.NumField() != 1 || inside.Field(0).Kind() != reflect.Pointer || inside.Field(0).IsNil() {
		return h
	}
	inside = inside.Field(0).Elem()
	if inside.Kind() != reflect.Struct {
		return h
	}
	if f := inside.FieldByName("refs"); f.IsValid() && f.Type() == reflect.TypeFor[[]unsafe.Pointer]() && f.Len() == 1 {
		h.list = (*[]unsafe.Pointer)(unsafe.Pointer(f.UnsafeAddr()))
		if !h.has(unsafe.Pointer(known)) || h.has(unsafe.Pointer(&notHeap)) {
			h.list = nil
		}
	}
	return h
}

// notHeap is memory that the garbage collector did not give out.
var notHeap [64]byte

// has tells whether p leads into the heap.
func (h *heapProbe) has(p unsafe.Pointer) bool {
	if h.list == nil {
		return false
	}
	n := len(*h.list)
	h.pin.Pin(p)
	return len(*h.list) == n+1
}

func (h *heapProbe) release() {
	h.list = nil
	h.pin.Unpin()
}

// restoreInto makes *dst what *src is, both of the type of info. Fields of the
// struct that are not stored stay as they are.
func (i *typeInfo) restoreInto(dst, src any) {
	if !i.shape().unstored {
		i.assign(dst, src)
		return
	}
	copyStored(reflect.ValueOf(dst).Elem(), reflect.ValueOf(src).Elem())
}

func copyStored(dst, src reflect.Value) {
	for n := range dst.NumField() {
		f := dst.Type().Field(n)
		if !isStored(f) {
			continue
		}
		// Through their addresses: the embedded ones may have no exported name.
		to := reflect.NewAt(f.Type, unsafe.Pointer(dst.Field(n).UnsafeAddr())).Elem()
		from := reflect.NewAt(f.Type, unsafe.Pointer(src.Field(n).UnsafeAddr())).Elem()
		if f.Anonymous && f.Type.Kind() == reflect.Struct && !isCustom(f.Type) {
			copyStored(to, from)
			continue
		}
		to.Set(from)
	}
}

// lazyShape is typeInfo.shape: looked at when it is needed first.
func lazyShape(t reflect.Type) func() *shape {
	return sync.OnceValue(func() *shape { return shapeOf(t) })
}
