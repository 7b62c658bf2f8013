package codec_test

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/internal/codec"
)

type embedded struct{ X int }

func (embedded) EncodeMsgpack(e *msgpack.Encoder) error  { return e.EncodeNil() }
func (*embedded) DecodeMsgpack(d *msgpack.Decoder) error { return d.DecodeNil() }

type embedder struct {
	embedded
	Lost string
}

type Generic[T any] struct {
	embedded
	Value T
}

func (Generic[T]) EncodeMsgpack(e *msgpack.Encoder) error  { return e.EncodeInt(1) }
func (*Generic[T]) DecodeMsgpack(d *msgpack.Decoder) error { return d.Skip() }

type GenericEmbedder[T any] struct {
	embedded
	Lost T
}

// overrider has both: the methods are its own.
type overrider struct {
	embedded
	Kept string
}

func (o overrider) EncodeMsgpack(e *msgpack.Encoder) error { return e.EncodeString(o.Kept) }
func (o *overrider) DecodeMsgpack(d *msgpack.Decoder) (err error) {
	o.Kept, err = d.DecodeString()
	return err
}

// delegator calls what it embeds first.
type delegator struct {
	embedded
	Kept string
}

func (o *delegator) EncodeMsgpack(e *msgpack.Encoder) error {
	if err := e.EncodeArrayLen(2); err != nil {
		return err
	}
	if err := o.embedded.EncodeMsgpack(e); err != nil {
		return err
	}
	return e.EncodeString(o.Kept)
}

func (o *delegator) DecodeMsgpack(d *msgpack.Decoder) (err error) {
	if _, err := d.DecodeArrayLen(); err != nil {
		return err
	}
	if err := o.embedded.DecodeMsgpack(d); err != nil {
		return err
	}
	o.Kept, err = d.DecodeString()
	return err
}

// half of a delegator: encodes itself, is decoded by what it embeds.
type halfDelegator struct {
	embedded
	Lost string
}

func (h halfDelegator) EncodeMsgpack(e *msgpack.Encoder) error { return e.EncodeString(h.Lost) }

type writeOnly struct{ X int }

func (writeOnly) MarshalText() ([]byte, error) { return nil, nil }

type readOnly struct{ X int }

func (*readOnly) UnmarshalBinary([]byte) error { return nil }

type stringer interface{ String() string }

type base struct{ Name string }

type deep struct {
	Owner struct {
		Hooks []map[string]func()
	}
}

type onlyHidden struct{ _ int }

type hiddenBase struct{ _ sync.Mutex }

// API.md, Objects: a type that cannot be stored faithfully is refused with an
// error that names the field, and says what to do.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		v          any
		path, hint string
	}{
		{deep{}, "codec_test.deep.Owner.Hooks[][value]", "func"},
		{struct{ C chan int }{}, ".C", "make it anew"},
		{struct{ P unsafe.Pointer }{}, ".P", "address"},
		{struct{ P uintptr }{}, ".P", "uint64"},
		{struct{ Z complex128 }{}, ".Z", "float64"},
		{struct{ Z [2]complex64 }{}, ".Z[]", "float64"},
		{struct{ V any }{}, ".V", "AnyRef"},
		{struct{ V stringer }{}, ".V", "concrete type"},
		{struct{ E error }{}, ".E", "concrete type"},
		{struct{ Mu sync.Mutex }{}, ".Mu", "unexported fields only"},
		{struct{ sync.Mutex }{}, ".Mutex", "unexported fields only"},
		{struct{ H onlyHidden }{}, ".H", "EncodeMsgpack"},
		{onlyHidden{}, "codec_test.onlyHidden", "export them"},
		{struct {
			T time.Time
			U struct {
				time.Time
				Lost int
			}
		}{}, ".U", "embedded Time brings MarshalBinary"},
		{embedder{}, "codec_test.embedder", "embedded embedded brings EncodeMsgpack"},
		{GenericEmbedder[int]{}, "GenericEmbedder", "give the field a name"},
		{halfDelegator{}, "halfDelegator", "brings EncodeMsgpack"},
		{struct {
			Ref[node]
			Lost int
		}{}, "struct", "embedded Ref brings EncodeMsgpack"},
		{writeOnly{}, "writeOnly", "not UnmarshalText"},
		{struct{ R map[string]readOnly }{}, ".R[value]", "not MarshalBinary"},
		{struct{ P *[]int }{}, ".P", "store the slice itself"},
		{struct{ P **int }{}, ".P", "store the pointer itself"},
		{struct{ P *map[string]int }{}, ".P", "store the map itself"},
		{struct{ P *Ref[node] }{}, ".P", "store the reference itself"},
		{struct{ M map[*int]int }{}, ".M[key]", "*int"},
		{struct{ M map[any]int }{}, ".M[key]", "interface {}"},
		{struct{ M map[struct{ C chan int }]int }{}, ".M[key]", "chan int"},
		{struct{ M map[[2]struct{ P *int }]int }{}, ".M[key]", "*int"},
		{struct {
			_msgpack struct{} `msgpack:",as_array"`
			A        int
		}{}, "._msgpack", "as_array"},
		{struct {
			A string `msgpack:",intern"`
		}{}, ".A", "intern"},
		{struct {
			A base `msgpack:",inline"`
		}{}, ".A", "inline is for embedded"},
		{struct {
			*Pointed `msgpack:",inline"`
			A        int
		}{}, ".Pointed", "inline is for embedded"},
		{struct {
			A int `msgpack:"x"`
			B int `msgpack:"x"`
		}{}, ".B", `stored as "x" too`},
		{struct {
			A int `msgpack:",alias:B"`
			B int
		}{}, ".B", `stored as "B" too`},
		{struct {
			base
			Name string
		}{}, ".Name", "noinline"},
		{struct {
			Name string
			base
		}{}, ".Name", "noinline"},
		{struct {
			*base
			A int
		}{}, ".base", "embed the struct itself"},
		{struct {
			a int `msgpack:"a"`
			A int
		}{}, ".a", "export it"},
		{struct {
			a int `msgpack:",omitempty"`
			A int
		}{}, ".a", "export it"},
	} {
		typ := reflect.TypeOf(c.v)
		_, err := codec.Compile(typ)
		if err == nil {
			t.Errorf("%s was not refused", typ)
			continue
		}
		msg := err.Error()
		if !strings.HasPrefix(msg, "codec: ") || !strings.Contains(msg, c.path) || !strings.Contains(msg, c.hint) {
			t.Errorf("%s: %v; want the path %q and %q", typ, err, c.path, c.hint)
		}
	}
}

func TestAccepted(t *testing.T) {
	roundTrip(t, struct {
		Empty  struct{}
		Set    map[string]struct{}
		NoInit [0]int
	}{Set: map[string]struct{}{"a": {}}})
	roundTrip(t, overrider{Kept: "k"})
	roundTrip(t, delegator{Kept: "k"})
	roundTrip(t, struct{ D []*overrider }{[]*overrider{{Kept: "k"}, nil}})
	encode(t, Generic[int]{Value: 1}, nil)
	roundTrip(t, struct {
		base `msgpack:",noinline"`
		Name string
	}{Name: "outer"})
	roundTrip(t, struct {
		*Pointed
		Name string
	}{&Pointed{"in"}, "out"})
	roundTrip(t, struct {
		hiddenBase
		A int
	}{A: 1})
	roundTrip(t, struct {
		A  int
		mu sync.Mutex
		f  func()
		Mu sync.Mutex `msgpack:"-"`
	}{A: 1})
	roundTrip(t, struct{ Ref[node] }{ref[node](tagged(3))})
}

type Pointed struct{ Name string }

func TestForbidden(t *testing.T) {
	type Bad struct{ X int }
	type T struct {
		A Bad
		B []map[string]*Bad
	}
	asked := map[string]bool{}
	opts := codec.Options{Forbidden: func(t reflect.Type) string {
		asked[t.String()] = true
		if t == reflect.TypeFor[*Bad]() {
			return fmt.Sprintf("%s is registered: use Ref[%s]", t.Elem(), t.Elem())
		}
		return ""
	}}
	_, err := codec.CompileWith(reflect.TypeFor[T](), opts)
	if err == nil || !strings.Contains(err.Error(), "T.B[][value]: codec_test.Bad is registered") {
		t.Error(err)
	}
	if !asked["codec_test.Bad"] || asked["codec_test.T"] {
		t.Errorf("asked about %v", asked)
	}
	type U struct{ Pointed }
	opts.Forbidden = func(t reflect.Type) string { return t.Name() }
	if _, err := codec.CompileWith(reflect.TypeFor[U](), opts); err == nil {
		t.Error("nobody was asked about an inlined struct")
	}
}
