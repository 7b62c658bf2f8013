package codec_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/durusdb/durus/internal/codec"
)

// payloads generates any msgpack value, in the shortest encoding.
func payloads(depth int) *rapid.Generator[[]byte] {
	be := binary.BigEndian
	scalars := []*rapid.Generator[[]byte]{
		rapid.SampledFrom([][]byte{{0xc0}, {0xc2}, {0xc3}}),
		rapid.Map(rapid.Uint64(), func(n uint64) []byte { return codec.AppendUint(nil, n) }),
		rapid.Map(rapid.Int64(), func(n int64) []byte { return codec.AppendInt(nil, n) }),
		rapid.Map(rapid.Uint32(), func(n uint32) []byte { return codec.AppendFloat32(nil, math.Float32frombits(n)) }),
		rapid.Map(rapid.Uint64(), func(n uint64) []byte { return codec.AppendFloat64(nil, math.Float64frombits(n)) }),
		rapid.Map(rapid.Float64(), func(f float64) []byte { return codec.AppendFloat64(nil, f) }),
		rapid.Map(rapid.String(), func(s string) []byte { return codec.AppendString(nil, s) }),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 300), func(b []byte) []byte { return codec.AppendString(nil, string(b)) }),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 200), func(b []byte) []byte { return append([]byte{0xc4, byte(len(b))}, b...) }),
		rapid.Map(rapid.Uint64Range(1, 1<<48-1), func(n uint64) []byte { return codec.AppendReference(nil, n, n%2 == 0) }),
		rapid.Map(rapid.Uint32(), func(n uint32) []byte { return be.AppendUint32([]byte{0xd6, 0xff}, n) }),
		rapid.Custom(func(t *rapid.T) []byte {
			sec, nsec := rapid.Uint64Range(1<<34, math.MaxUint64).Draw(t, "seconds"), rapid.Uint32Range(0, 999_999_999).Draw(t, "nanoseconds")
			return be.AppendUint64(be.AppendUint32([]byte{0xc7, 12, 0xff}, nsec), sec)
		}),
	}
	if depth == 0 {
		return rapid.OneOf(scalars...)
	}
	inner := payloads(depth - 1)
	name := rapid.Map(rapid.SampledFrom([]string{"a", "b", "Name", "$ref", "$", "", "\x00", "\xff"}), func(s string) []byte { return codec.AppendString(nil, s) })
	entries := func(key *rapid.Generator[[]byte]) *rapid.Generator[[]byte] {
		return rapid.Custom(func(t *rapid.T) []byte {
			n := rapid.IntRange(0, 20).Draw(t, "entries")
			b := codec.AppendMapHead(nil, n)
			for range n {
				b = append(append(b, key.Draw(t, "key")...), inner.Draw(t, "value")...)
			}
			return b
		})
	}
	return rapid.OneOf(append(scalars,
		rapid.Map(rapid.SliceOfN(inner, 0, 20), func(list [][]byte) []byte {
			return append(codec.AppendArrayHead(nil, len(list)), bytes.Join(list, nil)...)
		}),
		entries(name), entries(inner))...)
}

// Every payload in the shortest encoding comes back as it was.
func TestTextIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := payloads(3).Draw(t, "payload")
		text, err := codec.AppendText(nil, payload)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(text) || bytes.ContainsAny(text, "\n\r") {
			t.Fatalf("not JSON in a line: %s", text)
		}
		back, err := codec.ParseText(text)
		if err != nil || !bytes.Equal(back, payload) {
			t.Fatalf("%x is %s is %x: %v", payload, text, back, err)
		}
	})
}

func TestText(t *testing.T) {
	for want, payload := range map[string][]byte{
		`null`:                               {0xc0},
		`[1,-2,1.0,-0.0]`:                    {0x94, 1, 0xfe, 0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xcb, 0x80, 0, 0, 0, 0, 0, 0, 0},
		`{"b":"\u0007\"\\\u009bä","a":true}`: {0x82, 0xa1, 'b', 0xa7, 7, '"', '\\', 0xc2, 0x9b, 0xc3, 0xa4, 0xa1, 'a', 0xc3},
		`{"$ref":"12"}`:                      {0xd6, 1, 0, 0, 0, 12},
		`{"$weak":"4294967296"}`:             {0xd7, 2, 0, 0, 0, 1, 0, 0, 0, 0},
		`{"$bin":"AQID"}`:                    {0xc4, 3, 1, 2, 3},
		`{"$str":"/w=="}`:                    {0xa1, 0xff},
		`{"$f32":0.5}`:                       {0xca, 0x3f, 0, 0, 0},
		`{"$f32":"7fc00001"}`:                {0xca, 0x7f, 0xc0, 0, 1},
		`{"$f64":"fff0000000000000"}`:        {0xcb, 0xff, 0xf0, 0, 0, 0, 0, 0, 0},
		`{"$map":[[1,2],["a",{}]]}`:          {0x82, 1, 2, 0xa1, 'a', 0x80},
		`{"$map":[["$ref","1"]]}`:            {0x81, 0xa4, '$', 'r', 'e', 'f', 0xa1, '1'},
		`{"$map":[["a",1],["a",2]]}`:         {0x82, 0xa1, 'a', 1, 0xa1, 'a', 2},
		`{"$time":"2023-11-14T22:13:20Z"}`:   {0xd6, 0xff, 0x65, 0x53, 0xf1, 0},
		`{"$time":[-9223372036854775808,5]}`: {0xc7, 12, 0xff, 0, 0, 0, 5, 0x80, 0, 0, 0, 0, 0, 0, 0},
	} {
		text, err := codec.AppendText(nil, payload)
		if err != nil || string(text) != want {
			t.Errorf("%x is %s, want %s (%v)", payload, text, want, err)
		}
		if back, err := codec.ParseText(text); err != nil || !bytes.Equal(back, payload) {
			t.Errorf("%s is %x, want %x (%v)", text, back, payload, err)
		}
	}
	// What others encode longer is another payload: who wants it must compare.
	long := []byte{0xcd, 0, 1}
	text, err := codec.AppendText(nil, long)
	if back, perr := codec.ParseText(text); err != nil || perr != nil || bytes.Equal(back, long) {
		t.Errorf("%x is %s is %x", long, text, back)
	}
}

// No text makes it panic, and what it accepts can be read.
func FuzzParseText(f *testing.F) {
	for _, s := range []string{`null`, `[1,[2.5,{"a":{"$ref":"12"}}]]`, `{"$map":[[1,2]]}`, `{"$time":[1,2]}`, `{"$f32":1e99}`, `{"$ref":"1","$ref":"2"}`, `{"$map":[[1]]}`, `{"$bin":"AA=="}`, `{"a":1,"$b":2}`, `1 2`, `[`, `{"$time":"10000-01-01T00:00:00Z"}`, `-`, `18446744073709551616`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		payload, err := codec.ParseText(text)
		if err != nil {
			return
		}
		if err := codec.Scan(payload); err != nil {
			t.Fatalf("%s is %x: %v", text, payload, err)
		}
		again, err := codec.AppendText(nil, payload)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := codec.ParseText(again); err != nil || !bytes.Equal(back, payload) {
			t.Fatalf("%s is %x is %s is %x: %v", text, payload, again, back, err)
		}
	})
}
