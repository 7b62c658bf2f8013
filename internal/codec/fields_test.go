package codec_test

import (
	"bytes"
	"math/big"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

type tags struct {
	A      int            `msgpack:"a"`
	B      string         `msgpack:"b,omitempty"`
	C      int            `msgpack:"-"`
	D      []int          `msgpack:",omitempty"`
	inner                 // inlined: its type is unexported, its fields are not
	E      other          `msgpack:"e,omitempty"`
	F      *inner         `msgpack:",omitempty"`
	G      time.Time      `msgpack:",omitempty"`
	H      money          `msgpack:",omitempty"`
	I      float64        `msgpack:",omitempty"`
	J      bool           `msgpack:",omitempty"`
	K      uint8          `msgpack:",omitempty"`
	L      map[string]int `msgpack:",omitempty"`
	M      [2]int         `msgpack:",omitempty"`
	N      *money         `msgpack:",omitempty"`
	O      []byte         `msgpack:",omitempty"`
	P      float32        `msgpack:",omitempty"`
	hidden int
}

type other struct {
	X int `msgpack:",omitempty"`
	Y int `msgpack:",omitempty"`
}

type money struct{ Cents int }

func (m money) IsZero() bool { return m.Cents == 0 }

func TestTags(t *testing.T) {
	all := tags{A: 1, B: "b", C: 3, D: []int{}, inner: inner{5, "i"}, E: other{Y: 1}, F: &inner{}, G: time.Unix(1, 0).UTC(), H: money{1},
		I: 1, J: true, K: 1, L: map[string]int{"": 0}, N: &money{2}, O: []byte{1}, P: 1, hidden: 4}
	for _, v := range []tags{{}, all, {M: [2]int{1, 2}}} {
		ours := encode(t, v, nil)
		var buf bytes.Buffer
		e := msgpack.NewEncoder(&buf)
		e.UseCompactInts(true)
		// v5 marshals from the value of an unexported embedded struct as we do.
		if err := e.Encode(&v); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(ours, buf.Bytes()) {
			t.Errorf("ours and msgpack's bytes differ\n% x\n% x", ours, buf.Bytes())
		}
		got, _ := decode[tags](t, ours)
		v.C, v.hidden = 0, 0
		if len(v.D) == 0 {
			v.D = nil
		}
		if !reflect.DeepEqual(v, got) {
			t.Errorf("wrote %+v, read %+v", v, got)
		}
	}
}

func TestOmitEmptyForAll(t *testing.T) {
	type T struct {
		_msgpack struct{} `msgpack:",omitempty"`
		A, B     int
	}
	v := T{B: 1}
	_ = v._msgpack
	if b := roundTrip(t, v); !bytes.Equal(b, []byte{0x81, 0xa1, 'B', 1}) {
		t.Errorf("% x", b)
	}
}

func TestAlias(t *testing.T) {
	type Old struct{ Colour string }
	type New struct {
		Color string `msgpack:",alias:Colour"`
	}
	got, x := decode[New](t, encode(t, Old{"red"}, nil))
	if got.Color != "red" || x != nil {
		t.Errorf("%+v %v", got, x)
	}
}

// omitempty leaves out what comes back as it was: of a type that encodes itself
// and has no IsZero, the zero value. (msgpack v5 leaves out every big.Int.)
func TestOmitEmptyOfCustomTypes(t *testing.T) {
	type T struct {
		Big  big.Int            `msgpack:",omitempty"`
		Raw  msgpack.RawMessage `msgpack:",omitempty"`
		Addr netip.Addr         `msgpack:"'address',omitempty"`
		Mar  map[int]marshaled  `msgpack:",omitempty"`
		Ref  Ref[int]           `msgpack:",omitempty"`
		Inc  money              `msgpack:",omitempty"`
		Pens *[]byte            `msgpack:"-"`
		ZMap zeroMap            `msgpack:",omitempty"`
	}
	if b := encode(t, T{}, nil); !bytes.Equal(b, []byte{0x80}) {
		t.Errorf("% x", b)
	}
	b := roundTrip(t, T{*big.NewInt(7), msgpack.RawMessage{1}, netip.MustParseAddr("::1"), map[int]marshaled{1: {"x"}}, ref[int](tagged(1)), money{1}, nil, zeroMap{"a": 1}})
	if !bytes.Contains(b, []byte("\xa7address")) {
		t.Errorf("%q", b)
	}
}

// zeroMap says itself what is empty.
type zeroMap map[string]int

func (m zeroMap) IsZero() bool { return m["a"] == 0 }
