package codec_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// hostile is the table of RELIABILITY fact 9 and F29 and their like.
func hostile() map[string][]byte {
	nested := func(code string, n int) []byte { return []byte(strings.Repeat(code, n)) }
	return map[string][]byte{
		"nothing":                    {},
		"64 GiB of array in 5 bytes": {0xdd, 0xff, 0xff, 0xff, 0xff},
		"64 GiB of map in 5 bytes":   {0xdf, 0xff, 0xff, 0xff, 0xff},
		"4 GiB of bytes in 8":        {0xc6, 0xff, 0xff, 0xff, 0xff, 1, 2, 3},
		"4 GiB of string in 8":       {0xdb, 0xff, 0xff, 0xff, 0xff, 1, 2, 3},
		"4 GiB of ext in 8":          {0xc9, 0xff, 0xff, 0xff, 0xff, 1, 2, 3},
		"map of one, cut":            {0x81},
		"map of 64 Ki in 4 bytes":    {0xde, 0xff, 0xff, 0xc0},
		"arrays 129 deep":            append(nested("\x91", 129), 0xc0),
		"empty array 129 deep":       append(nested("\x91", 128), 0x90),
		"maps 129 deep":              append(nested("\x81\xa0", 129), 0xc0),
		"a million deep":             nested("\x91", 1e6),
		"ten million deep, in maps":  nested("\x81\xa0", 1e7),
		"100 million deep":           nested("\x91", 1e8),
		"keys a million deep":        nested("\x81", 1e6),
		"chain of dc ffff, 73 KB":    nested("\xdc\xff\xff", 24<<10),
		"chain of dc ffff, filled":   append(nested("\xdc\xff\xff", 100), make([]byte, 1<<20)...),
		"chain of de ffff":           append(nested("\xde\xff\xff\xa0", 100), make([]byte, 1<<20)...),
		"two values":                 {0xc0, 0xc0},
		"a byte after":               {0x91, 0x01, 0x00},
		"c1":                         {0xc1},
		"c1 inside":                  {0x92, 0x01, 0xc1},
		"cut uint":                   {0xcf, 0, 0, 0},
		"cut str8 head":              {0xd9},
		"cut string":                 {0xa2, 'a'},
		"cut ext head":               {0xd6},
		"cut ext":                    {0xd6, 1, 0, 0},
		"string over its sibling":    {0x92, 0xa2, 'a', 'b'},
		"ext 0":                      {0xd6, 0, 0, 0, 0, 1},
		"ext 3":                      {0xd6, 3, 0, 0, 0, 1},
		"ext -128":                   {0xd4, 0x80, 0},
		"reference of 1 byte":        {0xd4, 1, 1},
		"reference to 0":             {0xd6, 1, 0, 0, 0, 0},
		"long reference, small oid":  {0xd7, 2, 0, 0, 0, 0, 0, 0, 0, 1},
		"reference above 2^48":       {0xd7, 1, 0, 1, 0, 0, 0, 0, 0, 0},
		"time of 1 byte":             {0xd4, 0xff, 1},
		"time with a billion ns":     append([]byte{0xd7, 0xff}, binary.BigEndian.AppendUint64(nil, 1e9<<34)...),
		"time of 12 with a billion":  append([]byte{0xc7, 12, 0xff, 0x3b, 0x9a, 0xca, 0x00}, make([]byte, 8)...),
		"time of 16 bytes":           append([]byte{0xd8, 0xff}, make([]byte, 16)...),
	}
}

// allocated returns how many bytes f allots.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// RELIABILITY fact 9, F29; acceptance 22: all refused, <= 64 MiB, <= 10 ms each.
func TestHostilePayloads(t *testing.T) {
	into := []func() any{
		func() any { return new([]any2) }, func() any { return new(leaf) }, func() any { return new(node) },
		func() any { return new(map[string]string) }, func() any { return new(msgpack.RawMessage) }, func() any { return new(unsettled) },
		func() any { return new([]byte) }, func() any { return new(string) }, func() any { return new(links) },
	}
	for name, payload := range hostile() {
		var err error
		size := allocated(func() { err = codec.Scan(payload) })
		took := time.Hour
		for range 3 { // the machine may be busy with other things once or twice
			start := time.Now()
			_ = codec.Scan(payload)
			took = min(took, time.Since(start))
		}
		if took > 10*time.Millisecond {
			t.Errorf("%s: Scan took %v", name, took)
		}
		if !errors.Is(err, storage.ErrCorrupt) || !strings.HasPrefix(err.Error(), "codec: malformed payload at byte ") {
			t.Errorf("%s: Scan said %v", name, err)
		}
		if size > 1<<20 {
			t.Errorf("%s: Scan took %d bytes", name, size)
		}
		if _, err := codec.Readable(payload); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("%s: Readable said %v", name, err)
		}
		for _, v := range into {
			v := v()
			p, err := codec.Compile(reflect.TypeOf(v).Elem())
			if err != nil {
				t.Fatal(err)
			}
			size := allocated(func() { _, err = p.Decode(payload, 0, v) })
			if !errors.Is(err, storage.ErrCorrupt) || size > 1<<20 {
				t.Errorf("%s into %T: %v, %d bytes", name, v, err, size)
			}
		}
	}
}

func TestScanAccepts(t *testing.T) {
	for _, b := range [][]byte{
		{0xc0}, {0x90}, {0x80}, {0x91, 0x80}, {0xe0}, {0xff}, {0xd0, 0x80}, {0xdc, 0, 1, 0x81, 0xa1, 'k', 0xc3},
		append(bytes.Repeat([]byte{0x91}, codec.MaxDepth-1), 0x90), append([]byte{0xdd, 0, 1, 0, 0}, make([]byte, 1<<16)...),
		{0xc4, 2, 1, 2}, {0xda, 0, 1, 'x'}, {0xc7, 4, 1, 0, 0, 0, 1},
	} {
		if err := codec.Scan(b); err != nil {
			t.Errorf("% x: %v", b, err)
		}
	}
}

func TestScanRefusesGiants(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 1 GiB of address space")
	}
	b := make([]byte, storage.MaxPayload+1) // never touched
	if err := codec.Scan(b); !errors.Is(err, storage.ErrCorrupt) {
		t.Error(err)
	}
}

// What Scan accepts can still be wrong for the type: the error names the field.
func TestMisfits(t *testing.T) {
	type T struct {
		I8   int8
		U    uint16
		I    int
		B    bool
		S    string
		Bin  []byte
		Arr  [2]byte
		Arr2 [1]int
		F32  float32
		F64  float64
		T    time.Time
		L    []int
		M    map[string]int
		MF   map[float64]int
		MT   map[time.Time]int
		In   inner
		P    *[1]inner
		C    pointered
		Ma   marshaled
		X    textual
		N    map[name]inner
		BB   map[bool]bool
		NU   map[uint8]bool
	}
	f := func(name string, value ...byte) []byte {
		return append(append([]byte{0x81, 0xa0 | byte(len(name))}, name...), value...)
	}
	p := compile[T](t)
	for _, c := range []struct {
		payload    []byte
		path, hint string
		is         error
	}{
		{f("I8", 0xcc, 0x80), "I8", "the integer 128", storage.ErrType},
		{f("I8", 0xd1, 0xff, 0x7f), "I8", "the integer -129", storage.ErrType},
		{f("I8", 0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), "I8", "18446744073709551615", storage.ErrType},
		{f("I", 0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), "I", "18446744073709551615", storage.ErrType},
		{f("U", 0xff), "U", "the integer -1", storage.ErrType},
		{f("U", 0xce, 0, 1, 0, 0), "U", "65536", storage.ErrType},
		{f("I", 0xa1, 'x'), "I", "a string is stored", storage.ErrType},
		{f("I", 0xca, 0, 0, 0, 0), "I", "a float32 is stored", storage.ErrType},
		{f("U", 0xc3), "U", "a bool is stored", storage.ErrType},
		{f("B", 1), "B", "wants a bool", storage.ErrType},
		{f("S", 1), "S", "wants a string", storage.ErrType},
		{f("Bin", 0x90), "Bin", "an array is stored", storage.ErrType},
		{f("Arr", 0xc4, 3, 1, 2, 3), "Arr", "3 bytes", storage.ErrType},
		{f("Arr", 1), "Arr", "wants bytes", storage.ErrType},
		{f("Arr2", 0x92, 1, 2), "Arr2", "2 elements", storage.ErrType},
		{f("Arr2", 0x91, 0xc3), "Arr2[0]", "a bool", storage.ErrType},
		{f("Arr2", 0x80), "Arr2", "a map is stored", storage.ErrType},
		{f("F32", 0xcb, 0, 0, 0, 0, 0, 0, 0, 0), "F32", "a float64 is stored", storage.ErrType},
		{f("F32", 0xce, 1, 0, 0, 1), "F32", "an integer", storage.ErrType},
		{f("F64", 0xcf, 0, 0x20, 0, 0, 0, 0, 0, 1), "F64", "an integer", storage.ErrType},
		{f("F64", 0xa0), "F64", "a string", storage.ErrType},
		{f("T", 1), "T", "wants a time", storage.ErrType},
		{f("T", 0xd6, 1, 0, 0, 0, 1), "T", "wants a time", storage.ErrType},
		{f("L", 0x80), "L", "wants a slice", storage.ErrType},
		{f("L", 0x92, 1, 0xa0), "L[1]", "a string", storage.ErrType},
		{f("M", 0x90), "M", "wants a map", storage.ErrType},
		{f("M", 0x81, 0xa1, 'k', 0xa0), `M["k"]`, "a string", storage.ErrType},
		{f("M", 0x81, 0x90, 0xa0), `M[key]`, "an array", storage.ErrType},
		{f("M", 0x82, 0xa1, 'k', 1, 0xa1, 'k', 1), `M["k"]`, "two pairs", storage.ErrCorrupt},
		{f("M", 0x82, 0xa1, 'k', 1, 0xc4, 1, 'k', 1), `M["k"]`, "two pairs", storage.ErrCorrupt},
		{f("MF", 0x81, 0xca, 0x7f, 0xc0, 0, 0, 1), `MF[float64]`, "NaN", storage.ErrCorrupt},
		{f("MT", 0x81, 1, 1), `MT[key]`, "a time", storage.ErrType},
		{f("In", 0x90), "In", "wants a struct", storage.ErrType},
		{f("In", 0x81, 1, 1), "In", "the name of a field", storage.ErrType},
		{f("In", 0x82, 0xa1, 'A', 1, 0xa1, 'A', 1), "In", `two fields "A"`, storage.ErrCorrupt},
		{f("In", 0x82, 0xa1, 'q', 1, 0xa1, 'q', 1), "In", `two fields "q"`, storage.ErrCorrupt},
		{f("In", 0x83, 0xa1, 'q', 1, 0xa1, 'A', 1, 0xa1, 'q', 1), "In", `two fields "q"`, storage.ErrCorrupt},
		{f("P", 0x91, 0x81, 0xa1, 'B', 1), "P[0].B", "a string", storage.ErrType},
		{f("C", 0xa0), "C", "DecodeMsgpack of codec_test.pointered", nil},
		{f("Ma", 1), "Ma", "UnmarshalMsgpack of codec_test.marshaled", nil},
		{f("X", 1), "X", "UnmarshalText of codec_test.textual", storage.ErrType},
		{f("N", 0x81, 0xa1, 'k', 1), `N["k"]`, "wants a struct", storage.ErrType},
		{f("BB", 0x81, 0xc3, 1), `BB[bool]`, "wants a bool", storage.ErrType},
		{f("NU", 0x81, 0x7f, 1), `NU[127]`, "wants a bool", storage.ErrType},
		{[]byte{0x91, 1}, "", "wants a struct", storage.ErrType},
	} {
		var v T
		_, err := p.Decode(c.payload, 0, &v)
		prefix := "codec: "
		if c.path != "" {
			prefix = "codec: field " + c.path + ": "
		}
		if err == nil || !strings.HasPrefix(err.Error(), prefix) || !strings.Contains(err.Error(), c.hint) {
			t.Errorf("% x: %v; want %q and %q", c.payload, err, prefix, c.hint)
		}
		if c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%v is not %v", err, c.is)
		}
	}
}

// What a changed type reads of what an older one wrote.
func TestConversions(t *testing.T) {
	type T struct {
		I64 int64
		U8  uint8
		F64 float64
		F32 float32
		S   string
		B   []byte
		A   [4]byte
		AI  [3]int
		P   *int
		V   inner
		L   []int
		M   map[string]int
		R   Ref[int]
		W   WeakRef[int]
		T   time.Time
		C   pointered
		Bo  bool
		Ar  [1]int
	}
	one := 1
	old := map[string]msgpack.RawMessage{
		"I64": {0xd0, 5}, "U8": {0xd3, 0, 0, 0, 0, 0, 0, 0, 200}, "F64": {0xca, 0x3f, 0x80, 0, 0}, "F32": {0xe0}, "S": {0xc4, 1, 'x'}, "B": {0xa1, 'y'},
		"A": {0xc4, 1, 9}, "AI": {0x92, 1, 2}, "P": {1},
	}
	got, x := decode[T](t, encode(t, old, nil))
	want := T{I64: 5, U8: 200, F64: 1, F32: -32, S: "x", B: []byte("y"), A: [4]byte{9}, AI: [3]int{1, 2}, P: &one}
	if !reflect.DeepEqual(got, want) || x != nil {
		t.Errorf("%+v, want %+v", got, want)
	}
	nils := map[string]msgpack.RawMessage{}
	for i := range reflect.TypeFor[T]().NumField() {
		nils[reflect.TypeFor[T]().Field(i).Name] = msgpack.RawMessage{0xc0}
	}
	if got, _ := decode[T](t, encode(t, nils, nil)); !reflect.DeepEqual(got, T{}) {
		t.Errorf("nil is %+v", got)
	}
	if got, _ := decode[struct{ F float64 }](t, encode(t, struct{ F int64 }{1 << 53}, nil)); got.F != 1<<53 {
		t.Error(got)
	}
}
