package codec_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// walkedByMsgpack has its references encoded by msgpack, which finds our writer
// through the Ref's EncodeMsgpack.
type walkedByMsgpack struct{ refs []Ref[node] }

func (x walkedByMsgpack) EncodeMsgpack(e *msgpack.Encoder) error  { return e.Encode(x.refs) }
func (x *walkedByMsgpack) DecodeMsgpack(d *msgpack.Decoder) error { return d.Decode(&x.refs) }

type links struct {
	One    Ref[node]
	Nil    Ref[node]
	Weak   WeakRef[node]
	Many   []Ref[int]
	Keys   map[Ref[node]]Ref[node]
	Nested map[[2]Ref[node]]WeakRef[node]
	Walked walkedByMsgpack
	Strong codec.Strong
	Handle struct {
		_   struct{}
		raw codec.Strong
	}
	Omitted Ref[node] `msgpack:",omitempty"`
}

const far = 1<<48 - 1 // the greatest oid

func someLinks() links {
	v := links{
		One: ref[node](tagged(1)), Weak: weak[node](tagged(1)), Many: []Ref[int]{ref[int](tagged(2)), ref[int](tagged(far)), {}},
		Keys:   map[Ref[node]]Ref[node]{ref[node](tagged(9)): ref[node](tagged(8)), ref[node](tagged(4)): ref[node](tagged(1)), {}: ref[node](tagged(1 << 32))},
		Nested: map[[2]Ref[node]]WeakRef[node]{{ref[node](tagged(20)), ref[node](tagged(21))}: weak[node](tagged(22))},
		Walked: walkedByMsgpack{[]Ref[node]{ref[node](tagged(30)), {}}},
		Strong: codec.Strong(tagged(31)),
	}
	v.Handle.raw = codec.Strong(tagged(32))
	return v
}

func TestReferences(t *testing.T) {
	v := someLinks()
	roundTrip(t, v)
	p := compile[links](t)
	strong, weak := []uint64{1, 2, far, 4, 9, 8, 1 << 32, 20, 21, 30, 31, 32}, []uint64{1, 22}
	for range 20 { // the order of maps is another each time
		var w codec.Writer
		if err := p.Encode(&w, &v, nil); err != nil {
			t.Fatal(err)
		}
		// The nil key comes last, since c0 is the greatest of the first bytes.
		got := slices.Clone(w.Strong)
		if i := slices.Index(got, 1<<32); i < 0 || !slices.Equal(sorted(got), sorted(strong)) || !slices.Equal(w.Weak, weak) {
			t.Fatalf("references %v and %v", w.Strong, w.Weak)
		}
		var seen []uint64
		var seenWeak []uint64
		if err := codec.References(w.Buf, func(oid uint64, weak bool) {
			list := &seen
			if weak {
				list = &seenWeak
			}
			if !slices.Contains(*list, oid) {
				*list = append(*list, oid)
			}
		}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(seen, w.Strong) || !slices.Equal(seenWeak, w.Weak) {
			t.Fatalf("the payload has %v and %v, the writer noted %v and %v", seen, seenWeak, w.Strong, w.Weak)
		}
	}
}

func sorted(s []uint64) []uint64 { s = slices.Clone(s); slices.Sort(s); return s }

// The form in the file is part of the format.
func TestReferenceBytes(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{
		{&[]Ref[int]{ref[int](tagged(1))}, "91 d6 01 00 00 00 01"},
		{&[]Ref[int]{ref[int](1<<32 - 1)}, "91 d6 01 ff ff ff ff"},
		{&[]Ref[int]{ref[int](1 << 32)}, "91 d7 01 00 00 00 01 00 00 00 00"},
		{&[]WeakRef[int]{weak[int](tagged(far))}, "91 d7 02 00 00 ff ff ff ff ff ff"},
		{&[]Ref[int]{{}}, "91 c0"},
	} {
		p, err := codec.Compile(reflect.TypeOf(c.v).Elem())
		if err != nil {
			t.Fatal(err)
		}
		var w codec.Writer
		if err := p.Encode(&w, c.v, nil); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("% x", w.Buf); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

func TestOut(t *testing.T) {
	v := someLinks()
	p := compile[links](t)
	var w codec.Writer
	w.Out = func(raw uint64) (uint64, error) {
		if raw>>48 != tag {
			t.Errorf("Out was given %#x", raw)
		}
		return raw&far%1000 + 5000, nil
	}
	if err := p.Encode(&w, &v, nil); err != nil {
		t.Fatal(err)
	}
	if w.Strong[0] != 5001 || w.Weak[0] != 5001 {
		t.Errorf("references %v and %v", w.Strong, w.Weak)
	}
	w.Reset()
	// ErrForeign of the layer above comes through, with the path of the field.
	w.Out = func(raw uint64) (uint64, error) {
		if raw == tagged(22) {
			return 0, storage.ErrForeign
		}
		return raw & far, nil
	}
	w.Buf = append(w.Buf, 1, 2, 3)
	err := p.Encode(&w, &v, nil)
	if !errors.Is(err, storage.ErrForeign) || !strings.HasPrefix(err.Error(), "codec: field Nested[[2]codec_test.Ref") {
		t.Error(err)
	}
	if !bytes.Equal(w.Buf, []byte{1, 2, 3}) || len(w.Strong)+len(w.Weak) != 0 {
		t.Errorf("a failed Encode left %v %v %v", w.Buf, w.Strong, w.Weak)
	}
	w.Out = func(uint64) (uint64, error) { return 0, nil }
	if err := p.Encode(&w, &v, nil); !errors.Is(err, storage.ErrType) {
		t.Error(err)
	}
	// Also from below an encoder of msgpack's, and from a map key.
	w.Out = func(raw uint64) (uint64, error) { return 0, storage.ErrForeign }
	if err := compile[walkedByMsgpack](t).Encode(&w, &v.Walked, nil); !errors.Is(err, storage.ErrForeign) {
		t.Error(err)
	}
	if err := compile[map[Ref[node]]Ref[node]](t).Encode(&w, &v.Keys, nil); !errors.Is(err, storage.ErrForeign) {
		t.Error(err)
	}
}

// Many references: each once, in order, across failed encodes and resets.
func TestManyReferences(t *testing.T) {
	p := compile[[]Ref[int]](t)
	var w codec.Writer
	for round := range 3 {
		w.Reset()
		var want []uint64
		for part := range 4 {
			var refs []Ref[int]
			for range 40 * part {
				oid := rand.Uint64N(100) + 1
				refs = append(refs, ref[int](tagged(oid)))
				if !slices.Contains(want, oid) {
					want = append(want, oid)
				}
			}
			if err := p.Encode(&w, &refs, nil); err != nil {
				t.Fatal(err)
			}
			bad := []Ref[int]{ref[int](tagged(500)), ref[int](tag << 48)}
			if err := p.Encode(&w, &bad, nil); err == nil {
				t.Fatal("a reference to oid 0 was stored")
			}
		}
		if !slices.Equal(w.Strong, want) {
			t.Fatalf("round %d: %v, want %v", round, w.Strong, want)
		}
	}
}

func TestReferencesOutsideOfADatabase(t *testing.T) {
	if _, err := msgpack.Marshal(ref[int](5)); !errors.Is(err, storage.ErrType) {
		t.Error(err)
	}
	var r Ref[int]
	if err := r.DecodeMsgpack(msgpack.NewDecoder(bytes.NewReader([]byte{0xc0}))); !errors.Is(err, storage.ErrType) {
		t.Error(err)
	}
}

// Encoded bytes that are handed through bring their references along.
func TestReferencesInRawMessage(t *testing.T) {
	raw := encode(t, []Ref[int]{ref[int](77)}, nil)
	v := struct{ R msgpack.RawMessage }{raw}
	var w codec.Writer
	if err := compile[struct{ R msgpack.RawMessage }](t).Encode(&w, &v, nil); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(w.Strong, []uint64{77}) {
		t.Error(w.Strong)
	}
}

func TestReferenceMisfits(t *testing.T) {
	strong, weak := encode(t, ref[int](1), nil), encode(t, weak[int](1), nil)
	for _, c := range []struct {
		payload []byte
		into    any
	}{
		{strong, new(WeakRef[int])}, {weak, new(Ref[int])}, {[]byte{1}, new(Ref[int])}, {encode(t, "x", nil), new(WeakRef[int])},
		{encode(t, leaf{}.Took, nil), new(Ref[int])}, {[]byte{0xd6, 0xff, 0, 0, 0, 0}, new(Ref[int])},
	} {
		p, err := codec.Compile(reflect.TypeOf(c.into).Elem())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Decode(c.payload, 0, c.into); !errors.Is(err, storage.ErrType) {
			t.Errorf("% x into %T: %v", c.payload, c.into, err)
		}
	}
}
