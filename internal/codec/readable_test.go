package codec_test

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/internal/codec"
)

func TestReadable(t *testing.T) {
	type T struct {
		Nil   []int
		Yes   bool
		Small uint8
		Neg   int
		F32   float32
		F64   float64
		NaN   float32
		Inf   float64
		S     string
		B     []byte
		L     []int
		M     map[string]int
		I     map[int]string
		At    time.Time
		Far   time.Time
		Ref   Ref[node]
		Weak  WeakRef[node]
	}
	at := time.Date(2024, 2, 29, 1, 2, 3, 4, time.UTC)
	b := encode(t, T{
		Yes: true, Small: 200, Neg: -5, F32: 1.5, F64: 0.1, NaN: float32(math.NaN()), Inf: math.Inf(-1), S: "s", B: []byte{1}, L: []int{1, 2},
		M: map[string]int{"b": 1, "a": 2}, I: map[int]string{2: "x", 1: "y"}, At: at, Far: time.Unix(1<<40, 7), Ref: ref[node](5), Weak: weak[node](1 << 40),
	}, nil)
	got, err := codec.Readable(b)
	if err != nil {
		t.Fatal(err)
	}
	m := got.(codec.Map)
	if !math.IsNaN(float64(m[6].Value.(codec.NonFinite))) {
		t.Errorf("NaN is %v", m[6].Value)
	}
	m[6].Value = nil // it equals nothing
	want := codec.Map{
		{"Nil", nil}, {"Yes", true}, {"Small", uint64(200)}, {"Neg", int64(-5)}, {"F32", float32(1.5)}, {"F64", 0.1}, {"NaN", nil},
		{"Inf", codec.NonFinite(math.Inf(-1))}, {"S", "s"}, {"B", []byte{1}}, {"L", []any{uint64(1), uint64(2)}},
		{"M", codec.Map{{"a", uint64(2)}, {"b", uint64(1)}}}, {"I", codec.Map{{uint64(1), "y"}, {uint64(2), "x"}}},
		{"At", at}, {"Far", codec.Instant{Seconds: 1 << 40, Nanoseconds: 7}}, {"Ref", codec.RefValue{OID: 5}}, {"Weak", codec.RefValue{OID: 1 << 40, Weak: true}},
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("\n%#v\n%#v", m, want)
	}
	m[6].Value = codec.NonFinite(math.NaN())
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	wantText := `{"Nil":null,"Yes":true,"Small":200,"Neg":-5,"F32":1.5,"F64":0.1,"NaN":"NaN","Inf":"-Inf","S":"s","B":"AQ==","L":[1,2],` +
		`"M":{"a":2,"b":1},"I":[[1,"y"],[2,"x"]],"At":"2024-02-29T01:02:03.000000004Z","Far":{"seconds":1099511627776,"nanoseconds":7},` +
		`"Ref":{"ref":"5"},"Weak":{"weak_ref":"1099511627776"}}`
	if string(text) != wantText {
		t.Errorf("\n%s\n%s", text, wantText)
	}
}

// Two equal names would be one in a JSON object.
func TestReadableKeepsEqualNames(t *testing.T) {
	v, err := codec.Readable([]byte{0x82, 0xa1, 'a', 1, 0xa1, 'a', 2})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := json.Marshal(v); err != nil || string(text) != `[["a",1],["a",2]]` {
		t.Errorf("%s %v", text, err)
	}
	if text, err := json.Marshal(codec.Map{}); err != nil || string(text) != `{}` {
		t.Errorf("%s %v", text, err)
	}
	for _, m := range []codec.Map{{{make(chan int), 1}}, {{1, make(chan int)}}} {
		if _, err := json.Marshal(m); err == nil {
			t.Errorf("%v has a JSON", m)
		}
	}
}

// The years that JSON can spell, and the next ones.
func TestReadableTimes(t *testing.T) {
	for _, v := range []time.Time{
		{}, time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(0, 1, 1, 0, 0, 0, -1, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC),
		time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(math.MaxInt64, 0), time.Unix(math.MinInt64, 0),
	} {
		got, err := codec.Readable(encode(t, v, nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal(got); err != nil {
			t.Errorf("%v: %v", got, err)
		}
		if at, ok := got.(time.Time); ok && !at.Equal(v) {
			t.Errorf("%v is %v", v, at)
		}
	}
}

func TestReadableOfOtherEncoders(t *testing.T) {
	b, err := msgpack.Marshal(map[string]any{"list": []any{int64(1), "x", nil, []byte{}}})
	if err != nil {
		t.Fatal(err)
	}
	v, err := codec.Readable(b)
	if err != nil {
		t.Fatal(err)
	}
	if want := (codec.Map{{"list", []any{uint64(1), "x", nil, []byte{}}}}); !reflect.DeepEqual(v, want) {
		t.Errorf("%#v", v)
	}
}
