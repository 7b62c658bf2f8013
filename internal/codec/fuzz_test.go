package codec_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"

	"github.com/durusdb/durus/internal/codec"
)

func seeds(f *testing.F) {
	for _, v := range leaves()[:3] {
		f.Add(encode(f, v, nil))
	}
	f.Add(encode(f, someLinks(), nil))
	f.Add(encode(f, somePerson(), nil))
	f.Add(encode(f, anAccount(), nil))
	for _, b := range hostile() {
		if len(b) < 1<<12 {
			f.Add(b)
		}
	}
}

// What Scan accepts can be read by everybody, without a panic and in memory that
// the payload warrants; what it refuses, nobody reads. (Acceptance 23.)
func FuzzScan(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		scanned := codec.Scan(b)
		var tree any
		var err error
		size := allocated(func() { tree, err = codec.Readable(b) })
		if (scanned == nil) != (err == nil) {
			t.Fatalf("Scan said %v, Readable said %v", scanned, err)
		}
		if limit := uint64(64*len(b) + 1<<16); size > limit {
			t.Fatalf("Readable took %d bytes for %d", size, len(b))
		}
		if scanned != nil {
			return
		}
		if _, err := json.Marshal(tree); err != nil {
			t.Fatal(err)
		}
		// msgpack's own decoder finds one value as well.
		rest := bytes.NewReader(b)
		if err := msgpack.NewDecoder(rest).Skip(); err != nil || rest.Len() > 0 {
			t.Fatalf("msgpack skips all but %d bytes: %v", rest.Len(), err)
		}
	})
}

// Any bytes into any type: no panic, bounded memory; and what could be read is
// written and read again without a change, unknown fields included.
func FuzzDecode(f *testing.F) {
	seeds(f)
	plans := []*codec.Plan{
		compile[leaf](f), compile[links](f), compile[personV1](f), compile[personV2](f), compile[node](f), compile[account](f),
		compile[[]msgpack.RawMessage](f), compile[map[string]unsettled](f), compile[[]time.Time](f), compile[map[float64]pointered](f), compile[map[[2]Ref[int]]string](f),
	}
	types := []reflect.Type{
		reflect.TypeFor[leaf](), reflect.TypeFor[links](), reflect.TypeFor[personV1](), reflect.TypeFor[personV2](), reflect.TypeFor[node](), reflect.TypeFor[account](),
		reflect.TypeFor[[]msgpack.RawMessage](), reflect.TypeFor[map[string]unsettled](), reflect.TypeFor[[]time.Time](), reflect.TypeFor[map[float64]pointered](), reflect.TypeFor[map[[2]Ref[int]]string](),
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for i, p := range plans {
			v := reflect.New(types[i])
			var x codec.Extra
			var err error
			size := allocated(func() { x, err = p.Decode(b, tag, v.Interface()) })
			// An empty map of one byte may stand for a whole element of a slice.
			if limit := uint64(1024*len(b) + 1<<16); size > limit {
				t.Fatalf("%s took %d bytes for %d", p, size, len(b))
			}
			if err != nil {
				continue
			}
			var w codec.Writer
			if err := p.Encode(&w, v.Interface(), x); err != nil {
				t.Fatalf("%s: read from % x, not written: %v", p, b, err)
			}
			again := reflect.New(types[i])
			y, err := p.Decode(w.Buf, tag, again.Interface())
			if err != nil {
				t.Fatalf("%s: written and not read: %v", p, err)
			}
			var w2 codec.Writer
			if err := p.Encode(&w2, again.Interface(), y); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(w.Buf, w2.Buf) || !slices.Equal(w.Strong, w2.Strong) || !slices.Equal(w.Weak, w2.Weak) {
				t.Fatalf("%s: not stable\n% x\n% x", p, w.Buf, w2.Buf)
			}
		}
	})
}

// shapes is what types are drawn from.
type shapes struct {
	basic, keys []reflect.Type
	mapped      func(t *rapid.T, depth int) reflect.Type // the values of maps
}

// unfit are the kinds with which omitempty is not tried.
var unfit = []reflect.Kind{reflect.Slice, reflect.Map, reflect.Float32, reflect.Float64}

// plainTypes are those of which msgpack v5 writes the same bytes as we do.
var plainTypes = []reflect.Type{
	reflect.TypeFor[bool](), reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](), reflect.TypeFor[int64](),
	reflect.TypeFor[uint](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](), reflect.TypeFor[uint64](),
	reflect.TypeFor[float32](), reflect.TypeFor[float64](), reflect.TypeFor[string](), reflect.TypeFor[[]byte](), reflect.TypeFor[[3]byte](),
	reflect.TypeFor[time.Time](), reflect.TypeFor[time.Duration](),
}

// all is every kind of type that can be stored.
func all() *shapes {
	s := &shapes{basic: append(slices.Clone(plainTypes), reflect.TypeFor[Ref[int]](), reflect.TypeFor[WeakRef[int]](), reflect.TypeFor[pointered]())}
	s.keys = slices.DeleteFunc(slices.Clone(s.basic), func(t reflect.Type) bool { return !t.Comparable() })
	s.mapped = s.draw
	return s
}

// plain is the types that msgpack v5 can store in a determined order.
func plain() *shapes {
	return &shapes{
		basic: plainTypes,
		keys:  []reflect.Type{reflect.TypeFor[string]()},
		mapped: func(t *rapid.T, _ int) reflect.Type {
			return rapid.SampledFrom([]reflect.Type{reflect.TypeFor[string](), reflect.TypeFor[bool]()}).Draw(t, "mapped")
		},
	}
}

// draw draws a type that can be stored.
func (s *shapes) draw(t *rapid.T, depth int) reflect.Type {
	if depth == 0 {
		return rapid.SampledFrom(s.basic).Draw(t, "basic")
	}
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0:
		return reflect.SliceOf(s.draw(t, depth-1))
	case 1:
		return reflect.ArrayOf(rapid.IntRange(0, 3).Draw(t, "len"), s.draw(t, depth-1))
	case 2:
		return reflect.MapOf(rapid.SampledFrom(s.keys).Draw(t, "key"), s.mapped(t, depth-1))
	case 3:
		elem := s.draw(t, depth-1)
		if _, err := codec.Compile(reflect.PointerTo(elem)); err != nil {
			return elem
		}
		return reflect.PointerTo(elem)
	case 4, 5:
		var fields []reflect.StructField
		for i := range rapid.IntRange(1, 6).Draw(t, "fields") {
			f := reflect.StructField{Name: string(rune('A' + i)), Type: s.draw(t, depth-1)}
			// omitempty makes an empty slice nil; and -0 stays with us, but not with msgpack.
			if rapid.IntRange(0, 3).Draw(t, "omit") == 0 && !slices.Contains(unfit, f.Type.Kind()) {
				f.Tag = `msgpack:",omitempty"`
			}
			fields = append(fields, f)
		}
		return reflect.StructOf(fields)
	}
	return rapid.SampledFrom(s.basic).Draw(t, "basic")
}

// fill draws a value.
func fill(t *rapid.T, v reflect.Value) {
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "sec"), rapid.Int64Range(0, 999999999).Draw(t, "nsec")).UTC()
		return
	case *Ref[int]:
		*x = ref[int](drawRef(t))
		return
	case *WeakRef[int]:
		*x = weak[int](drawRef(t))
		return
	case *pointered:
		x.n = rapid.Int().Draw(t, "n")
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "int") >> (64 - v.Type().Bits()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, "uint") >> (64 - v.Type().Bits()))
	case reflect.Float32:
		v.SetFloat(float64(rapid.Float32().Draw(t, "float32")))
	case reflect.Float64:
		v.SetFloat(rapid.Float64().Draw(t, "float64"))
	case reflect.String:
		v.SetString(rapid.String().Draw(t, "string"))
	case reflect.Slice:
		if n := rapid.IntRange(-1, 20).Draw(t, "len"); n >= 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				fill(t, v.Index(i))
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i))
		}
	case reflect.Map:
		if n := rapid.IntRange(-1, 20).Draw(t, "len"); n >= 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range n {
				key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				fill(t, key)
				fill(t, elem)
				v.SetMapIndex(key, elem)
			}
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "nil") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	}
}

func drawRef(t *rapid.T) uint64 {
	if oid := rapid.Uint64Range(0, far).Draw(t, "oid"); oid != 0 {
		return tagged(oid)
	}
	return 0
}

// Whatever the shape of a type, its values come back as they were; and as they
// were again when a program that knows only some of the fields was in between.
func TestRoundTripOfAnyShape(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := all().draw(t, 3)
		p, err := codec.Compile(typ)
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		v := reflect.New(typ)
		fill(t, v.Elem())
		var w codec.Writer
		if err := p.Encode(&w, v.Interface(), nil); err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		if err := codec.Scan(w.Buf); err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		got := reflect.New(typ)
		x, err := p.Decode(w.Buf, tag, got.Interface())
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		if x != nil || !reflect.DeepEqual(v.Interface(), got.Interface()) {
			t.Fatalf("%s: wrote %+v, read %+v", typ, v.Elem(), got.Elem())
		}

		older := forget(t, typ)
		op, err := codec.Compile(older)
		if err != nil {
			t.Fatalf("%s: %v", older, err)
		}
		old := reflect.New(older)
		x, err = op.Decode(w.Buf, tag, old.Interface())
		if err != nil {
			t.Fatalf("%s as %s: %v", typ, older, err)
		}
		var w2 codec.Writer
		if err := op.Encode(&w2, old.Interface(), x); err != nil {
			t.Fatalf("%s: %v", older, err)
		}
		if !bytes.Equal(w.Buf, w2.Buf) || !slices.Equal(w.Strong, w2.Strong) || !slices.Equal(w.Weak, w2.Weak) {
			t.Fatalf("%s as %s: the bytes changed\n% x\n% x", typ, older, w.Buf, w2.Buf)
		}
	})
}

// forget draws what an older program knew of a type.
func forget(t *rapid.T, typ reflect.Type) reflect.Type {
	switch typ.Kind() {
	case reflect.Slice:
		return reflect.SliceOf(forget(t, typ.Elem()))
	case reflect.Array:
		return reflect.ArrayOf(typ.Len(), forget(t, typ.Elem()))
	case reflect.Map:
		return reflect.MapOf(typ.Key(), forget(t, typ.Elem()))
	case reflect.Pointer:
		return reflect.PointerTo(forget(t, typ.Elem()))
	case reflect.Struct:
		if typ.Name() != "" {
			return typ
		}
		var fields []reflect.StructField
		for i := range typ.NumField() {
			if f := typ.Field(i); rapid.Bool().Draw(t, "forget") {
				f.Type = forget(t, f.Type)
				f.Offset, f.Index = 0, nil
				fields = append(fields, f)
			}
		}
		return reflect.StructOf(fields)
	}
	return typ
}

// Plain types of any shape have the bytes of msgpack v5, and it reads ours.
func TestSameBytesAsMsgpackForAnyShape(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := plain().draw(t, 3)
		p, err := codec.Compile(typ)
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		v := reflect.New(typ)
		fill(t, v.Elem())
		var w codec.Writer
		if err := p.Encode(&w, v.Interface(), nil); err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		var buf bytes.Buffer
		e := msgpack.NewEncoder(&buf)
		e.UseCompactInts(true)
		e.SetSortMapKeys(true)
		if err := e.Encode(v.Interface()); err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		if !bytes.Equal(w.Buf, buf.Bytes()) {
			t.Fatalf("%s: %+v\nours      % x\nmsgpack's % x", typ, v.Elem(), w.Buf, buf.Bytes())
		}
		theirs := reflect.New(typ)
		if err := msgpack.Unmarshal(w.Buf, theirs.Interface()); err != nil {
			t.Fatalf("%s: msgpack cannot read % x: %v", typ, w.Buf, err)
		}
	})
}
