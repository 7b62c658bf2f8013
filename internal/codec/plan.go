package codec

import (
	"fmt"
	"reflect"
	"unsafe"

	"github.com/durusdb/durus/storage"
)

// Plan is how the values of one type are stored. It is immutable: any number of
// goroutines may use it, each with its own Writer.
type Plan struct {
	ptr  reflect.Type // *T
	root coder
}

// coder stores the values of one Go type. p points to the value, x is what was
// unknown in it when it was decoded, or nil. Coders know the types of what they
// point to, so that the walk needs no reflection for most of them.
type coder interface {
	encode(w *Writer, p unsafe.Pointer, x *unknown) error
	// decode fills in the value at p, which is zero.
	decode(r *reader, p unsafe.Pointer) (*unknown, error)
	// empty is what omitempty asks.
	empty(p unsafe.Pointer, x *unknown) bool
}

// Options change what Compile accepts.
type Options struct {
	// Forbidden is asked about every type which the walk meets below T, pointer
	// types (as such, before what they point to) included. It returns what is
	// wrong with the type and what to do instead, or "".
	Forbidden func(t reflect.Type) string
}

// Compile makes the plan for T, a struct type or any other that can be stored.
// Its error names the path of the field that cannot, and what to do instead.
func Compile(t reflect.Type) (*Plan, error) {
	return CompileWith(t, Options{})
}

// CompileWith is Compile with options.
func CompileWith(t reflect.Type, opts Options) (*Plan, error) {
	if t == nil {
		return nil, refusal("nil", "there is no type to store")
	}
	c := compiler{opts: opts, done: make(map[reflect.Type]coder)}
	root, err := c.compile(t, t.String())
	if err != nil {
		return nil, err
	}
	return &Plan{ptr: reflect.PointerTo(t), root: root}, nil
}

// Encode appends *v to w.Buf, and its references to w.Strong and w.Weak. v is
// a *T; extra is what Decode returned for this object, or nil. After an error w
// is as it was before. Its errors name the path of the field, and are
// storage.ErrTooLarge for what is too large or too deep, what Out returned, or
// what a custom encoder returned.
func (p *Plan) Encode(w *Writer, v any, extra Extra) error {
	ptr, err := p.pointer(v)
	if err != nil {
		return err
	}
	buf, strong, weak := len(w.Buf), len(w.Strong), len(w.Weak)
	w.depth, w.quiet = 0, 0
	if err = p.root.encode(w, ptr, extra); err == nil {
		err = w.room(0)
	}
	if err != nil {
		w.Buf, w.Strong, w.Weak = w.Buf[:buf], w.Strong[:strong], w.Weak[:weak]
		clear(w.strong) // they are built again when needed
		clear(w.weak)
		return err
	}
	return nil
}

// Decode fills in *into, a *T that is zero, from payload. The references in it
// get tag as their upper 16 bits. The payload is scanned first and stays the
// caller's: neither *into nor Extra share memory with it. After an error *into
// is partly filled: throw it away. Its errors name the path of the field, and are
// storage.ErrCorrupt for bytes that are no payload, storage.ErrType for what does
// not fit the type, storage.ErrTooNew for what an older program must not
// touch, or what a custom decoder returned.
func (p *Plan) Decode(payload []byte, tag uint64, into any) (Extra, error) {
	ptr, err := p.pointer(into)
	if err != nil {
		return nil, err
	}
	if err := Scan(payload); err != nil {
		return nil, err
	}
	r := readers.Get().(*reader)
	r.buf, r.pos, r.tag, r.keys = payload, 0, tag, 0
	x, err := p.root.decode(r, ptr)
	r.buf = nil
	readers.Put(r)
	if err != nil {
		return nil, err
	}
	return x, nil
}

// pointer checks that v is a *T, not nil.
func (p *Plan) pointer(v any) (unsafe.Pointer, error) {
	if reflect.TypeOf(v) != p.ptr {
		return nil, faultf(storage.ErrType, "the plan is for %s, the value is a %T", p.ptr, v)
	}
	ptr := reflect.ValueOf(v).UnsafePointer()
	if ptr == nil {
		return nil, faultf(storage.ErrType, "the %s is nil", p.ptr)
	}
	return ptr, nil
}

// String names the type that the plan is for.
func (p *Plan) String() string { return fmt.Sprintf("plan for %s", p.ptr.Elem()) }
