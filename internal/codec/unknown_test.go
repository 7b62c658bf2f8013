package codec_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// The newer program's types, and what an older program knows of them.
type (
	personV2 struct {
		First  string // unknown in front of all
		Name   string
		Best   Ref[node] // unknown in the middle
		Worst  WeakRef[node]
		Age    int
		Home   placeV2
		Work   *placeV2
		Past   []placeV2
		Fixed  [2]*placeV2
		ByName map[string]placeV2
		ByRef  map[Ref[node]]*placeV2
		Deep   map[int][]map[string]*placeV2
		baseV2
		Last map[string]any2 // unknown at the end
	}
	placeV2 struct {
		Street string
		Zip    string
		Owner  Ref[node]
		Geo    struct{ Lat, Lon float64 }
	}
	baseV2 struct{ Old, New int }
	any2   struct{ Refs []Ref[node] }

	personV1 struct {
		Name   string
		Age    int
		Home   placeV1
		Work   *placeV1
		Past   []placeV1
		Fixed  [2]*placeV1
		ByName map[string]placeV1
		ByRef  map[Ref[node]]*placeV1
		Deep   map[int][]map[string]*placeV1
		baseV1
	}
	placeV1 struct {
		Street string
		Geo    struct{ Lat float64 }
	}
	baseV1 struct{ Old int }
)

func somePerson() personV2 {
	place := func(n uint64) placeV2 {
		p := placeV2{Street: "s", Zip: strings.Repeat("z", int(n)), Owner: ref[node](tagged(n))}
		p.Geo.Lat, p.Geo.Lon = 1, float64(n)
		return p
	}
	at := func(n uint64) *placeV2 { p := place(n); return &p }
	return personV2{
		First: "f", Name: "ada", Best: ref[node](tagged(100)), Worst: weak[node](tagged(101)), Age: 36,
		Home: place(1), Work: at(2), Past: []placeV2{place(3), {}, place(4)}, Fixed: [2]*placeV2{nil, at(5)},
		ByName: map[string]placeV2{"a": place(6), "bb": place(7)},
		ByRef:  map[Ref[node]]*placeV2{ref[node](tagged(8)): at(9), {}: nil},
		Deep:   map[int][]map[string]*placeV2{-1: {nil, {"x": at(10)}}},
		baseV2: baseV2{1, 2},
		Last:   map[string]any2{"l": {[]Ref[node]{ref[node](tagged(200)), ref[node](tagged(1<<40 + 1))}}},
	}
}

// SCENARIOS 91: an older program keeps what a newer one wrote. Unchanged, the
// object has the same bytes and the same references.
func TestUnknownFieldsAreKept(t *testing.T) {
	v2 := somePerson()
	var newer, older codec.Writer
	if err := compile[personV2](t).Encode(&newer, &v2, nil); err != nil {
		t.Fatal(err)
	}
	v1, x := decode[personV1](t, newer.Buf)
	if x == nil {
		t.Fatal("nothing was unknown")
	}
	p := compile[personV1](t)
	older.Out = func(raw uint64) (uint64, error) {
		if raw>>48 != tag {
			t.Errorf("Out was given %#x", raw)
		}
		return raw & far, nil
	}
	for range 2 { // Extra is not used up
		older.Reset()
		if err := p.Encode(&older, &v1, x); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(newer.Buf, older.Buf) {
			t.Fatalf("the bytes differ\n%q\n%q", newer.Buf, older.Buf)
		}
		if !slices.Equal(newer.Strong, older.Strong) || !slices.Equal(newer.Weak, older.Weak) {
			t.Errorf("references %v and %v became %v and %v", newer.Strong, newer.Weak, older.Strong, older.Weak)
		}
	}

	// A change, and what it takes away.
	v1.Name, v1.Age = "eve", 17
	v1.Work = nil
	v1.Past = v1.Past[:1]
	delete(v1.ByName, "a")
	v1.ByName["c"] = placeV1{Street: "new"}
	v1.Home.Street = "moved"
	want := somePerson()
	want.Name, want.Age, want.Work, want.Past, want.Home.Street = "eve", 17, nil, want.Past[:1], "moved"
	delete(want.ByName, "a")
	want.ByName["c"] = placeV2{Street: "new"}
	older.Reset()
	if err := p.Encode(&older, &v1, x); err != nil {
		t.Fatal(err)
	}
	got, x := decode[personV2](t, older.Buf)
	if x != nil {
		t.Error("the newer program does not know its own fields")
	}
	if a, b := encode(t, got, nil), encode(t, want, nil); !bytes.Equal(a, b) {
		t.Errorf("\n%q\n%q", a, b)
	}
}

// The references of unknown fields are given to Out, which may say no, and may
// give another oid, of another length.
func TestUnknownReferencesGoThroughOut(t *testing.T) {
	type V2 struct{ A, B Ref[node] }
	type V1 struct{ A Ref[node] }
	v1, x := decode[V1](t, encode(t, V2{ref[node](tagged(1)), ref[node](tagged(2))}, nil))
	w := codec.Writer{Out: func(raw uint64) (uint64, error) { return raw&far + 1<<40, nil }}
	if err := compile[V1](t).Encode(&w, &v1, x); err != nil {
		t.Fatal(err)
	}
	v2, _ := decode[V2](t, w.Buf)
	if v2.B != ref[node](tagged(1<<40+2)) || !slices.Equal(w.Strong, []uint64{1<<40 + 1, 1<<40 + 2}) {
		t.Errorf("%+v %v", v2, w.Strong)
	}
	w.Out = func(raw uint64) (uint64, error) {
		if raw == tagged(2) {
			return 0, storage.ErrForeign
		}
		return raw & far, nil
	}
	if err := compile[V1](t).Encode(&w, &v1, x); !errors.Is(err, storage.ErrForeign) {
		t.Error(err)
	}
}

// omitempty does not take unknown fields away.
func TestUnknownFieldsBelowOmitEmpty(t *testing.T) {
	type V2 struct {
		A struct {
			X int `msgpack:",omitempty"`
			Y int
		}
		B stamp2
		C []int
	}
	type V1 struct {
		A struct {
			X int `msgpack:",omitempty"`
		} `msgpack:",omitempty"`
		B stamp1   `msgpack:",omitempty"`
		C []inner  `msgpack:",omitempty"`
		D struct{} `msgpack:",omitempty"`
	}
	var v V2
	v.A.Y, v.B.Z = 1, 2
	b := encode(t, v, nil)
	v1, x := decode[V1](t, b)
	got, _ := decode[V2](t, encode(t, v1, x))
	if got.A.Y != 1 || got.B.Z != 2 {
		t.Errorf("%+v", got)
	}
}

type stamp1 struct{ T time.Time }

func (s stamp1) IsZero() bool { return s.T.IsZero() }

type stamp2 struct {
	T time.Time
	Z int
}

// Fields that come in another order than the type declares.
func TestFieldsInAnyOrder(t *testing.T) {
	type V2 struct {
		C, B struct{ X, Y int }
		A    int
	}
	type V1 struct {
		A    int
		B, C struct{ X int }
	}
	var v V2
	v.A, v.B.X, v.B.Y, v.C.X, v.C.Y = 1, 2, 3, 4, 5
	v1, x := decode[V1](t, encode(t, v, nil))
	if v1.A != 1 || v1.B.X != 2 || v1.C.X != 4 {
		t.Errorf("%+v", v1)
	}
	if got, _ := decode[V2](t, encode(t, v1, x)); got != v {
		t.Errorf("%+v, want %+v", got, v)
	}
}

// Two keys that differ in an unknown field only would become one.
func TestUnknownFieldsInKeysAreRefused(t *testing.T) {
	type K2 struct{ A, B int }
	type K1 struct{ A int }
	b := encode(t, map[K2]int{{1, 2}: 3, {1, 4}: 5}, nil)
	var m map[K1]int
	_, err := compile[map[K1]int](t).Decode(b, 0, &m)
	if !errors.Is(err, storage.ErrTooNew) || !strings.Contains(err.Error(), `"B"`) {
		t.Error(err)
	}
}

// More fields than fit the words that need no memory.
func TestManyFields(t *testing.T) {
	type ten struct{ A, B, C, D, E, F, G, H, I, J int }
	type hundred struct {
		T0, T1, T2, T3, T4, T5, T6, T7, T8, T9 ten `msgpack:",noinline"`
	}
	type wide struct {
		A00, A01, A02, A03, A04, A05, A06, A07, A08, A09, A10, A11, A12, A13, A14, A15, A16, A17, A18, A19 int
		B00, B01, B02, B03, B04, B05, B06, B07, B08, B09, B10, B11, B12, B13, B14, B15, B16, B17, B18, B19 int
		C00, C01, C02, C03, C04, C05, C06, C07, C08, C09, C10, C11, C12, C13, C14, C15, C16, C17, C18, C19 int
		D00, D01, D02, D03, D04, D05, D06, D07, D08, D09, D10, D11, D12, D13, D14, D15, D16, D17, D18, D19 int
	}
	roundTrip(t, wide{A00: 1, D03: 2, D04: 3, D19: 4})
	roundTrip(t, hundred{T9: ten{J: 1}})
	b := append(encode(t, wide{}, nil), "\xa3D19\x01"...)
	b[2]++ // the low byte of the number of fields
	var v wide
	if _, err := compile[wide](t).Decode(b, 0, &v); !errors.Is(err, storage.ErrCorrupt) || !strings.Contains(err.Error(), `two fields "D19"`) {
		t.Error(err)
	}
}
