package codec_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// scribbler writes what its test tells it to.
type scribbler struct{}

var scribble func(e *msgpack.Encoder) error

func (scribbler) EncodeMsgpack(e *msgpack.Encoder) error  { return scribble(e) }
func (*scribbler) DecodeMsgpack(d *msgpack.Decoder) error { return d.Skip() }

type failing struct{ err error }

func (f failing) MarshalText() ([]byte, error) { return nil, f.err }
func (f *failing) UnmarshalText([]byte) error  { return nil }

type failingMsgpack failing

func (f failingMsgpack) MarshalMsgpack() ([]byte, error) { return nil, f.err }
func (f *failingMsgpack) UnmarshalMsgpack([]byte) error  { return nil }

// fickle has no constant opinion of being zero.
type fickle struct{ X int }

var zeroAsked int

func (fickle) IsZero() bool { zeroAsked++; return zeroAsked%2 == 0 }

// halved is a key of which only half is stored.
type halved struct {
	A int
	b int
}

// SCENARIOS 17: a value that cannot be stored is an error that names it, and
// leaves the writer as it was.
func TestEncodeFails(t *testing.T) {
	cycle := &node{Name: "c"}
	cycle.Left = cycle
	var chain *node
	for range codec.MaxDepth + 1 {
		chain = &node{Left: chain}
	}
	own := errors.New("own error")
	for _, c := range []struct {
		v        any
		scribble func(e *msgpack.Encoder) error
		want     string
		is       error
	}{
		{v: cycle, want: "Left.Left.Left", is: storage.ErrTooLarge},
		{v: chain, want: "deeper than 128", is: storage.ErrTooLarge},
		{v: &struct{ M map[float64]int }{map[float64]int{math.NaN(): 1}}, want: "field M: a map key is or holds a NaN"},
		{v: &struct {
			M map[[1]struct{ F float32 }]int
		}{map[[1]struct{ F float32 }]int{{{float32(math.NaN())}}: 1}}, want: "NaN"},
		{v: &map[halved]int{{1, 2}: 1, {1, 3}: 1}, want: "two keys of the map encode to the same bytes"},
		{v: &map[time.Time]int{time.Unix(1, 0): 1, time.Unix(1, 0).UTC(): 1}, want: "two keys"},
		{v: &struct{ P *pointerToNil }{new(pointerToNil)}, want: "field P: a pointer to a codec_test.pointerToNil that encodes to nil"},
		{v: &struct{ F []failing }{[]failing{{own}}}, want: "field F[0]: MarshalText of codec_test.failing: own error", is: own},
		{v: &struct{ F failingMsgpack }{failingMsgpack{own}}, want: "field F: MarshalMsgpack of", is: own},
		{v: &map[textKey]int{{own}: 1}, want: "own error", is: own},
		{v: &struct {
			F fickle `msgpack:",omitempty"`
		}{}, want: "IsZero"},
		{v: &struct{ S scribbler }{}, scribble: func(e *msgpack.Encoder) error { return own }, want: "field S: EncodeMsgpack of codec_test.scribbler: own error", is: own},
		{v: new(scribbler), scribble: func(e *msgpack.Encoder) error { return nil }, want: "cut off"},
		{v: new(scribbler), scribble: func(e *msgpack.Encoder) error { return e.EncodeMulti(1, 2) }, want: "1 bytes after the first value"},
		{v: new(scribbler), scribble: func(e *msgpack.Encoder) error { return e.EncodeMapLen(3) }, want: "6 elements"},
		{v: new(scribbler), scribble: func(e *msgpack.Encoder) error { return e.EncodeExtHeader(9, 0) }, want: "ext type 9"},
		{v: &[]scribbler{{}}, scribble: func(e *msgpack.Encoder) error {
			for range codec.MaxDepth {
				if err := e.EncodeArrayLen(1); err != nil {
					return err
				}
			}
			return e.EncodeNil()
		}, want: "nested deeper than 128"},
	} {
		scribble, zeroAsked = c.scribble, 0
		p, err := codec.Compile(reflect.TypeOf(c.v).Elem())
		if err != nil {
			t.Fatal(err)
		}
		w := codec.Writer{Buf: []byte{1}, Strong: []uint64{5}}
		err = p.Encode(&w, c.v, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%T: %v, want %q", c.v, err, c.want)
		}
		if !slices.Equal(w.Buf, []byte{1}) || !slices.Equal(w.Strong, []uint64{5}) {
			t.Errorf("%T: a failed Encode left % x %v", c.v, w.Buf, w.Strong)
		}
		ok := inner{1, "x"}
		if err := compile[inner](t).Encode(&w, &ok, nil); err != nil {
			t.Errorf("after %T: %v", c.v, err)
		}
	}
}

type pointerToNil struct{}

func (pointerToNil) EncodeMsgpack(e *msgpack.Encoder) error  { return e.EncodeNil() }
func (*pointerToNil) DecodeMsgpack(d *msgpack.Decoder) error { return d.DecodeNil() }

type textKey struct{ err error }

func (f textKey) MarshalText() ([]byte, error) { return nil, f.err }
func (f *textKey) UnmarshalText([]byte) error  { return nil }

// The deepest value that is stored can be read again.
func TestDeepestValue(t *testing.T) {
	var chain *node
	for range codec.MaxDepth {
		chain = &node{Left: chain}
	}
	roundTrip(t, *chain)
}

func TestTooLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("takes address space")
	}
	// The memory is never touched: it is refused by its length.
	b := make([]byte, storage.MaxPayload+1)
	s := unsafe.String(&b[0], len(b))
	var w codec.Writer
	scribble = func(e *msgpack.Encoder) error { return e.EncodeString(s) }
	for _, err := range []error{
		compile[string](t).Encode(&w, &s, nil),
		compile[[]byte](t).Encode(&w, &b, nil),
		compile[scribbler](t).Encode(&w, new(scribbler), nil),
		compile[[]struct{}](t).Encode(&w, ptr(make([]struct{}, storage.MaxPayload+1)), nil),
		compile[[storage.MaxPayload + 1]byte](t).Encode(&w, (*[storage.MaxPayload + 1]byte)(b), nil),
	} {
		if !errors.Is(err, storage.ErrTooLarge) {
			t.Error(err)
		}
	}
}

func ptr[T any](v T) *T { return &v }

// Equal objects give equal bytes.
func TestDeterminism(t *testing.T) {
	type K struct {
		A string
		B [2]int8
	}
	type T struct {
		S map[string]int
		I map[int]string
		U map[uint8]bool
		F map[float64]int
		B map[bool]int
		K map[K]map[string]int
		A map[[2]string]int
		T map[time.Time]Ref[node]
		R map[Ref[node]]int
		W map[WeakRef[node]][]int
		N map[name]map[level]string
	}
	build := func() T {
		v := T{map[string]int{}, map[int]string{}, map[uint8]bool{}, map[float64]int{}, map[bool]int{}, map[K]map[string]int{}, map[[2]string]int{},
			map[time.Time]Ref[node]{}, map[Ref[node]]int{}, map[WeakRef[node]][]int{}, map[name]map[level]string{}}
		for _, i := range rand.Perm(40) {
			s := strings.Repeat("s", i)
			v.S[s], v.I[i-20], v.U[uint8(i)], v.F[float64(i)/3], v.B[i%2 == 0] = i, s, true, i, i%2
			v.K[K{s, [2]int8{int8(-i)}}], v.A[[2]string{s, "x"}] = map[string]int{s: i, "y": 2, "x": 1}, i
			v.T[time.Unix(int64(i), 0).UTC()] = ref[node](tagged(uint64(i + 1)))
			v.R[ref[node](tagged(uint64(i+1)<<28))], v.W[weak[node](tagged(uint64(i+1)))] = i, []int{i}
			v.N[name(s)] = map[level]string{level(i): s, 0: s, -1: s}
		}
		return v
	}
	first := build()
	want := roundTrip(t, first)
	p := compile[T](t)
	var strong, weak []uint64
	for range 20 {
		v := build()
		var w codec.Writer
		if err := p.Encode(&w, &v, nil); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(w.Buf, want) {
			t.Fatal("equal objects gave different bytes")
		}
		if strong == nil {
			strong, weak = w.Strong, w.Weak
		}
		if !slices.Equal(strong, w.Strong) || !slices.Equal(weak, w.Weak) {
			t.Fatal("equal objects gave their references in different order")
		}
	}
}

// One plan serves many goroutines.
func TestPlanIsShared(t *testing.T) {
	p := compile[leaf](t)
	errs := make(chan error)
	for g := range 4 {
		go func() {
			errs <- func() error {
				var w codec.Writer
				for i := range 50 {
					v := leaves()[2]
					v.Int, v.String = g, fmt.Sprint(g, i)
					w.Reset()
					if err := p.Encode(&w, &v, nil); err != nil {
						return err
					}
					var got leaf
					if _, err := p.Decode(w.Buf, 0, &got); err != nil {
						return err
					}
					if !reflect.DeepEqual(got, v) {
						return fmt.Errorf("goroutine %d read %+v", g, got)
					}
				}
				return nil
			}()
		}()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
