package codec_test

import (
	"bytes"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/internal/codec"
)

// Ref and Weak are what package durus declares.
type Ref[T any] struct {
	_   [0]*T
	raw codec.Strong
}

func (r Ref[T]) EncodeMsgpack(e *msgpack.Encoder) error {
	return codec.EncodeRef(e, uint64(r.raw), false)
}

func (r *Ref[T]) DecodeMsgpack(d *msgpack.Decoder) error {
	raw, err := codec.DecodeRef(d, false)
	r.raw = codec.Strong(raw)
	return err
}

type WeakRef[T any] struct {
	_   [0]*T
	raw codec.Weak
}

func ref[T any](raw uint64) Ref[T]      { return Ref[T]{raw: codec.Strong(raw)} }
func weak[T any](raw uint64) WeakRef[T] { return WeakRef[T]{raw: codec.Weak(raw)} }

const tag = 7

// tagged is an oid as references to it look in memory.
func tagged(oid uint64) uint64 { return tag<<48 | oid }

func compile[T any](t testing.TB) *codec.Plan {
	t.Helper()
	p, err := codec.Compile(reflect.TypeFor[T]())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func encode[T any](t testing.TB, v T, extra codec.Extra) []byte {
	t.Helper()
	var w codec.Writer
	if err := compile[T](t).Encode(&w, &v, extra); err != nil {
		t.Fatal(err)
	}
	if err := codec.Scan(w.Buf); err != nil {
		t.Fatalf("Scan refuses what Encode wrote: %v\n% x", err, w.Buf)
	}
	return w.Buf
}

func decode[T any](t testing.TB, payload []byte) (T, codec.Extra) {
	t.Helper()
	var v T
	owned := bytes.Clone(payload)
	x, err := compile[T](t).Decode(owned, tag, &v)
	if err != nil {
		t.Fatalf("%v\n% x", err, payload)
	}
	// What was decoded must not live in the payload.
	for i := range owned {
		owned[i] = 0xc1
	}
	return v, x
}

// roundTrip returns the bytes of v, after it has come back as it was.
func roundTrip[T any](t testing.TB, v T) []byte {
	t.Helper()
	b := encode(t, v, nil)
	got, x := decode[T](t, b)
	if x != nil {
		t.Errorf("%T: unknown fields in its own encoding", v)
	}
	if !reflect.DeepEqual(v, got) {
		t.Errorf("%T: wrote %+v, read %+v\n% x", v, v, got, b)
	}
	return b
}

type celsius float64
type level int8
type name string

type inner struct {
	A int
	B string
}

type leaf struct {
	Bool    bool
	Int     int
	Int8    int8
	Int16   int16
	Int32   int32
	Int64   int64
	Uint    uint
	Uint8   uint8
	Uint16  uint16
	Uint32  uint32
	Uint64  uint64
	Float32 float32
	Float64 float64
	String  string
	Bytes   []byte
	Hash    [4]byte
	Level   level
	Temp    celsius
	Name    name
	Took    time.Duration
	Inner   inner
	Ptr     *inner
	Slice   []inner
	Array   [2]int
	Strings []string
	Map     map[string]string
	Bools   map[string]bool
	Ints    []int64
}

func leaves() []leaf {
	return []leaf{
		{},
		{Bytes: []byte{}, Slice: []inner{}, Strings: []string{}, Map: map[string]string{}, Bools: map[string]bool{}},
		{
			Bool: true, Int: -1, Int8: math.MinInt8, Int16: math.MinInt16, Int32: math.MinInt32, Int64: math.MinInt64,
			Uint: 127, Uint8: math.MaxUint8, Uint16: math.MaxUint16, Uint32: math.MaxUint32, Uint64: math.MaxUint64,
			Float32: 1.5, Float64: -math.MaxFloat64, String: "grüß", Bytes: []byte{0}, Hash: [4]byte{1, 2, 3, 4},
			Level: -33, Temp: 36.6, Name: "n", Took: time.Hour, Inner: inner{1, "x"}, Ptr: &inner{2, "y"},
			Slice: []inner{{3, "z"}, {}}, Array: [2]int{128, -129}, Strings: []string{"", "a"},
			Map:   map[string]string{"b": "1", "aa": "2", "": "3"},
			Bools: map[string]bool{"b": true, "aa": false}, Ints: []int64{-32, -33, 127, 128, 255, 256, 1 << 20, 1 << 40},
		},
		{
			String: string(make([]byte, 31)), Bytes: make([]byte, 255), Strings: []string{string(make([]byte, 32)), string(make([]byte, 256)), string(make([]byte, 1<<16))},
			Slice: make([]inner, 16), Ints: make([]int64, 1<<16),
		},
		{Bytes: make([]byte, 256), Slice: make([]inner, 15)},
		{Bytes: make([]byte, 1<<16), String: string(make([]byte, 255))},
	}
}

// What we write is what msgpack v5 writes, and each reads the other.
func TestSameBytesAsMsgpack(t *testing.T) {
	for i, v := range leaves() {
		ours := roundTrip(t, v)
		var buf bytes.Buffer
		e := msgpack.NewEncoder(&buf)
		e.UseCompactInts(true)
		e.SetSortMapKeys(true)
		if err := e.Encode(&v); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(ours, buf.Bytes()) {
			t.Errorf("%d: ours and msgpack's bytes differ\n% x\n% x", i, ours, buf.Bytes())
		}
		var theirs leaf
		if err := msgpack.Unmarshal(ours, &theirs); err != nil {
			t.Fatal(err)
		}
		if len(v.Strings) == 0 {
			theirs.Strings = v.Strings // v5 reads an empty []string as it finds it
		}
		if !reflect.DeepEqual(v, theirs) {
			t.Errorf("%d: msgpack reads %+v", i, theirs)
		}
	}
}

func TestTimes(t *testing.T) {
	zone := time.FixedZone("x", 3600)
	for _, v := range []time.Time{
		{}, time.Unix(0, 0), time.Unix(1, 1), time.Unix(1<<32-1, 0), time.Unix(1<<32, 0), time.Unix(1<<34-1, 999999999),
		time.Unix(1<<34, 0), time.Unix(-1, 5), time.Now(), time.Date(2024, 2, 29, 1, 2, 3, 4, zone),
	} {
		b := encode(t, v, nil)
		if again := encode(t, v.In(zone), nil); !bytes.Equal(b, again) {
			t.Errorf("%v: the zone changes the bytes", v)
		}
		theirs, err := msgpack.Marshal(v)
		if err != nil || !bytes.Equal(b, theirs) {
			t.Errorf("%v: msgpack writes % x, we % x", v, theirs, b)
		}
		got, _ := decode[time.Time](t, b)
		if !got.Equal(v) || got.Location() != time.UTC {
			t.Errorf("%v came back as %v", v, got)
		}
	}
}

func TestFloatsKeepTheirBits(t *testing.T) {
	for _, bits := range []uint64{0, 1 << 63, 0x7ff8000000000001, 0x7ff0000000000001, math.Float64bits(math.Inf(-1))} {
		got, _ := decode[float64](t, encode(t, math.Float64frombits(bits), nil))
		if math.Float64bits(got) != bits {
			t.Errorf("%#x came back as %#x", bits, math.Float64bits(got))
		}
	}
	type T struct {
		A float64 `msgpack:",omitempty"`
		B float32 `msgpack:",omitempty"`
	}
	got, _ := decode[T](t, encode(t, T{math.Copysign(0, -1), float32(math.Copysign(0, -1))}, nil))
	if !math.Signbit(got.A) || !math.Signbit(float64(got.B)) {
		t.Error("omitempty lost the sign of -0")
	}
}

type node struct {
	Name  string
	Left  *node
	Right *node
	Sub   map[string]node
}

func TestRecursiveTypes(t *testing.T) {
	roundTrip(t, node{"a", &node{Name: "b"}, nil, map[string]node{"c": {Left: &node{}}}})
	type list []list
	roundTrip(t, list{nil, {}, {{}}})
}

// Slices have no room to append to: readers share what was decoded.
func TestNoSpareCapacity(t *testing.T) {
	v, _ := decode[struct {
		S []int
		T []string
	}](t, encode(t, struct {
		S []int
		T []string
	}{[]int{1, 2, 3}, make([]string, 5)}, nil))
	if cap(v.S) != 3 || cap(v.T) != 5 {
		t.Errorf("capacities %d and %d", cap(v.S), cap(v.T))
	}
}

func TestUseOfPlan(t *testing.T) {
	p := compile[inner](t)
	var w codec.Writer
	if err := p.Encode(&w, inner{}, nil); err == nil {
		t.Error("Encode took a value for a pointer")
	}
	if err := p.Encode(&w, (*inner)(nil), nil); err == nil {
		t.Error("Encode took a nil pointer")
	}
	if _, err := p.Decode([]byte{0x80}, 0, new(int)); err == nil {
		t.Error("Decode took another type")
	}
	if _, err := codec.Compile(nil); err == nil {
		t.Error("Compile took a nil type")
	}
	if p.String() != "plan for codec_test.inner" {
		t.Error(p)
	}
}
