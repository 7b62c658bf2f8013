package codec_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// carry decodes a payload as a From and takes it over the bridge to a To.
func carry[From, To any](t testing.TB, payload []byte) (to To, extra codec.Extra, err error) {
	t.Helper()
	from, extra := decode[From](t, payload)
	extra, err = codec.NewBridge(compile[From](t), compile[To](t)).Carry(&from, &to, extra)
	return to, extra, err
}

// What two types have in common is carried over, unknown parts below included.
func TestBridge(t *testing.T) {
	type stored struct {
		First  string
		Home   placeV2
		Past   []placeV2
		Best   Ref[node]
		Worst  WeakRef[node]
		Name   string
		Gone   placeV2
		Strays map[string]Ref[node]
	}
	type older struct {
		Name string
		Home placeV1
		Past []placeV1
		Gone placeV1
	}
	type newer struct {
		Best Ref[node] // not declared by older
		Gone string    // of another type
		Past []placeV1
		Home placeV1
		Full string `msgpack:",alias:Name"`
	}
	type reread struct { // what is stored in the end
		First  string
		Best   Ref[node]
		Worst  WeakRef[node]
		Past   []placeV2
		Home   placeV2
		Full   string
		Strays map[string]Ref[node]
		Gone   string
		Name   string
	}
	place := placeV2{Street: "s", Zip: "z", Owner: ref[node](tagged(3))}
	place.Geo.Lat, place.Geo.Lon = 1, 2
	payload := encode(t, stored{
		First: "f", Home: place, Past: []placeV2{place}, Best: ref[node](tagged(4)), Worst: weak[node](tagged(5)),
		Name: "n", Gone: place, Strays: map[string]Ref[node]{"x": ref[node](tagged(6))},
	}, nil)
	v, extra, err := carry[older, newer](t, payload)
	if err != nil {
		t.Fatal(err)
	}
	if v.Best != ref[node](tagged(4)) || v.Full != "n" || v.Home.Street != "s" || v.Home.Geo.Lat != 1 || v.Past[0].Street != "s" || v.Gone != "" {
		t.Errorf("got %+v", v)
	}
	got, rest := decode[reread](t, encode(t, v, extra))
	want := reread{
		First: "f", Best: ref[node](tagged(4)), Worst: weak[node](tagged(5)), Past: []placeV2{place}, Home: place,
		Full: "n", Strays: map[string]Ref[node]{"x": ref[node](tagged(6))},
	}
	if !reflect.DeepEqual(got, want) || rest != nil {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// A field's own name goes before another one's alias.
func TestBridgeAlias(t *testing.T) {
	type older struct{ A, B int }
	type newer struct {
		B int `msgpack:",alias:A"`
	}
	payload := encode(t, older{1, 2}, nil)
	if v, _, err := carry[older, newer](t, payload); err != nil || v.B != 2 {
		t.Errorf("%+v, %v", v, err)
	}
	type part struct{ A int }
	_, _, err := carry[part, newer](t, payload)
	if !errors.Is(err, storage.ErrType) || !strings.Contains(err.Error(), "declare both") {
		t.Errorf("got %v", err)
	}
}

// A field that the newer type knows with a type that does not fit is an error:
// the older one must declare it.
func TestBridgeMisfit(t *testing.T) {
	type stored struct {
		A int
		B string
	}
	type older struct{ A int }
	type newer struct{ A, B int }
	_, _, err := carry[older, newer](t, encode(t, stored{1, "x"}, nil))
	if !errors.Is(err, storage.ErrType) || !strings.Contains(err.Error(), "field B") {
		t.Errorf("got %v", err)
	}
}

// Types that encode themselves have nothing to carry; wide structs do.
func TestBridgeExtremes(t *testing.T) {
	type fields struct{ Kept string }
	if v, extra, err := carry[overrider, fields](t, encode(t, overrider{Kept: "k"}, nil)); err != nil || v.Kept != "" || extra != nil {
		t.Errorf("%+v, %v, %v", v, extra, err)
	}
	if v, extra, err := carry[fields, overrider](t, encode(t, struct{ Kept, More string }{"k", "m"}, nil)); err != nil || v.Kept != "" || extra != nil {
		t.Errorf("%+v, %v, %v", v, extra, err)
	}
	if v, extra, err := carry[struct{}, struct{}](t, encode(t, fields{"k"}, nil)); err != nil || extra == nil {
		t.Errorf("%+v, %v, %v", v, extra, err)
	}
	wide := func(n int) reflect.Type {
		var f []reflect.StructField
		for i := range n {
			f = append(f, reflect.StructField{Name: "F" + strings.Repeat("x", i), Type: reflect.TypeFor[int]()})
		}
		return reflect.StructOf(f)
	}
	plan := func(typ reflect.Type) *codec.Plan {
		p, err := codec.Compile(typ)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	from, to := reflect.New(wide(150)), reflect.New(wide(200))
	for i := range 150 {
		from.Elem().Field(i).SetInt(int64(i))
	}
	if _, err := codec.NewBridge(plan(wide(150)), plan(wide(200))).Carry(from.Interface(), to.Interface(), nil); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if got := to.Elem().Field(i).Int(); got != int64(i) && i < 150 || i >= 150 && got != 0 {
			t.Errorf("field %d is %d", i, got)
		}
	}
	b := codec.NewBridge(plan(wide(150)), plan(wide(200)))
	if _, err := b.Carry(to.Interface(), from.Interface(), nil); !errors.Is(err, storage.ErrType) {
		t.Errorf("got %v", err)
	}
	if _, err := b.Carry(from.Interface(), from.Interface(), nil); !errors.Is(err, storage.ErrType) {
		t.Errorf("got %v", err)
	}
}

// Any payload that an older type can be read from: carrying it over does not
// panic, and what comes out is written and read again without a change.
func FuzzBridge(f *testing.F) {
	seeds(f)
	type part struct {
		Age  int
		Home placeV1
		Past []placeV1
	}
	type next struct {
		First  string
		Age    int
		Past   []placeV1
		Fixed  [2]*placeV2
		ByRef  map[Ref[node]]*placeV1
		Ending map[string]any2 `msgpack:",alias:Last"`
	}
	from, to := compile[part](f), compile[next](f)
	bridge := codec.NewBridge(from, to)
	f.Fuzz(func(t *testing.T, b []byte) {
		var old part
		extra, err := from.Decode(b, tag, &old)
		if err != nil {
			return
		}
		var v next
		if extra, err = bridge.Carry(&old, &v, extra); err != nil {
			if !errors.Is(err, storage.ErrType) && !errors.Is(err, storage.ErrCorrupt) && !errors.Is(err, storage.ErrTooNew) {
				t.Fatalf("not one of the errors of Decode: %v", err)
			}
			return
		}
		var w, again codec.Writer
		if err := to.Encode(&w, &v, extra); err != nil {
			t.Fatalf("carried over, not written: %v", err)
		}
		var reread next
		extra, err = to.Decode(w.Buf, tag, &reread)
		if err != nil {
			t.Fatalf("written and not read: %v", err)
		}
		if err := to.Encode(&again, &reread, extra); err != nil || !bytes.Equal(w.Buf, again.Buf) {
			t.Fatalf("% x became % x, %v", w.Buf, again.Buf, err)
		}
	})
}
