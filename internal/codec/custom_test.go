package codec_test

import (
	"bytes"
	"encoding"
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/internal/codec"
)

type textual struct{ s string }

func (x textual) MarshalText() ([]byte, error)  { return []byte(x.s), nil }
func (x *textual) UnmarshalText(b []byte) error { x.s = "<" + string(b) + ">"; return nil }

// pointered encodes itself with pointer receivers only, which msgpack v5 cannot
// do for map values, since they have no address.
type pointered struct{ n int }

func (x *pointered) EncodeMsgpack(e *msgpack.Encoder) error { return e.EncodeInt(int64(x.n)) }
func (x *pointered) DecodeMsgpack(d *msgpack.Decoder) (err error) {
	x.n, err = d.DecodeInt()
	return err
}

type marshaled struct{ s string }

func (x marshaled) MarshalMsgpack() ([]byte, error)  { return msgpack.Marshal(x.s) }
func (x *marshaled) UnmarshalMsgpack(b []byte) error { return msgpack.Unmarshal(b, &x.s) }

// unsettled changes the encoder that it is given, and writes maps.
type unsettled map[string]any

func (x unsettled) EncodeMsgpack(e *msgpack.Encoder) error {
	if err := e.EncodeMapSorted(x); err != nil {
		return err
	}
	e.UseCompactInts(false)
	e.SetSortMapKeys(false)
	return nil
}

func (x *unsettled) DecodeMsgpack(d *msgpack.Decoder) error {
	m, err := d.DecodeMap()
	*x = m
	return err
}

func TestCustomEncoders(t *testing.T) {
	type T struct {
		Raw      msgpack.RawMessage
		Texts    []textual
		ByNumber map[int]pointered
		ByKey    map[[2]pointered]*pointered
		Addr     netip.Addr
		ByAddr   map[netip.Addr]int
		Big      *big.Int
		Value    big.Int
		Mar      marshaled
		Un       unsettled
		After    int64
		Embedded struct{ time.Time }
	}
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::1")
	v := T{
		Raw:      msgpack.RawMessage{0x91, 0x01},
		ByNumber: map[int]pointered{3: {4}, 1: {2}},
		ByKey:    map[[2]pointered]*pointered{{{1}, {2}}: {3}, {}: nil},
		Addr:     a, ByAddr: map[netip.Addr]int{a: 1, b: 2},
		Big: big.NewInt(-5), Value: *new(big.Int).Lsh(big.NewInt(1), 100),
		Mar: marshaled{"m"}, Un: unsettled{"k": int8(1)}, After: 3,
		Embedded: struct{ time.Time }{time.Unix(9, 9).UTC()},
	}
	roundTrip(t, v)
	zero, _ := decode[T](t, encode(t, T{}, nil))
	if zero.Un != nil || zero.Raw != nil || zero.Big != nil {
		t.Errorf("%+v", zero)
	}
	got, _ := decode[[]textual](t, encode(t, []textual{{"a"}, {}}, nil))
	if !slices.Equal(got, []textual{{"<a>"}, {"<>"}}) {
		t.Errorf("%+v", got)
	}
}

var _ encoding.TextMarshaler = textual{}

type reads func(d *msgpack.Decoder) error

// greedy reads as its test tells it to.
type greedy struct{}

var greed reads

func (greedy) EncodeMsgpack(e *msgpack.Encoder) error  { return e.EncodeInt(1) }
func (*greedy) DecodeMsgpack(d *msgpack.Decoder) error { return greed(d) }

// A custom decoder sees its own value, all of it and nothing else.
func TestCustomDecodersAreFenced(t *testing.T) {
	type T struct {
		A greedy
		B int
	}
	b := encode(t, T{B: 2}, nil)
	for name, read := range map[string]reads{
		"too much":  func(d *msgpack.Decoder) error { d.DecodeInt(); _, err := d.DecodeString(); return err },
		"nothing":   func(d *msgpack.Decoder) error { return nil },
		"as string": func(d *msgpack.Decoder) error { _, err := d.DecodeString(); return err },
		"raw bytes": func(d *msgpack.Decoder) error { return d.ReadFull(make([]byte, 9)) },
		"backwards": func(d *msgpack.Decoder) error {
			for d.Buffered().(interface{ UnreadByte() error }).UnreadByte() == nil {
			}
			return nil
		},
		"error":  func(d *msgpack.Decoder) error { return fmt.Errorf("no") },
		"as ref": func(d *msgpack.Decoder) error { _, err := codec.DecodeRef(d, false); return err },
	} {
		greed = read
		var v T
		_, err := compile[T](t).Decode(b, 0, &v)
		if err == nil || !strings.HasPrefix(err.Error(), "codec: field A: DecodeMsgpack of codec_test.greedy: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	greed = func(d *msgpack.Decoder) error { _, err := d.DecodeInt(); return err }
	if v, _ := decode[T](t, b); v.B != 2 {
		t.Error(v)
	}
}

// A decoder that failed while it recorded must not record for the next object.
func TestDecoderAfterFailure(t *testing.T) {
	p := compile[greedy](t)
	greed = func(d *msgpack.Decoder) error {
		if _, err := d.DecodeRaw(); err != nil {
			return err
		}
		_, err := d.DecodeRaw() // there is no second value
		return err
	}
	var v greedy
	for range 10 {
		if _, err := p.Decode([]byte{1}, 0, &v); err == nil {
			t.Fatal("two values were read where one is stored")
		}
		if got, _ := decode[struct{ R msgpack.RawMessage }](t, []byte{0x81, 0xa1, 'R', 0x91, 7}); !bytes.Equal(got.R, []byte{0x91, 7}) {
			t.Fatalf("% x", got.R)
		}
	}
}
