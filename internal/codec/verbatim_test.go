package codec

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/durusdb/durus/storage"
)

// A Raw is stored as it is, and brings its references along.
func TestRaw(t *testing.T) {
	plan, err := Compile(reflect.TypeFor[Raw]())
	if err != nil {
		t.Fatal(err)
	}
	for _, stored := range [][]byte{
		AppendString(nil, "text"),
		AppendReference(AppendReference(AppendArrayHead(nil, 2), 7, false), 9, true),
		{codeNil},
		{0xcd, 0, 1}, // longer than it has to be
	} {
		var v Raw
		if _, err := plan.Decode(stored, 3, &v); err != nil {
			t.Fatalf("%x: %v", stored, err)
		}
		var w Writer
		if err := plan.Encode(&w, &v, nil); err != nil || !bytes.Equal(w.Buf, stored) {
			t.Errorf("%x becomes %x, %v", stored, w.Buf, err)
		}
		if len(stored) > 12 && (!slices.Equal(w.Strong, []uint64{7}) || !slices.Equal(w.Weak, []uint64{9})) {
			t.Errorf("references %v and %v", w.Strong, w.Weak)
		}
	}
	for _, bad := range []Raw{nil, {0xc1}, {0x92, 1}, {1, 1}} {
		var w Writer
		if err := plan.Encode(&w, &bad, nil); !errors.Is(err, storage.ErrCorrupt) || len(w.Buf) > 0 {
			t.Errorf("%x: %v", []byte(bad), err)
		}
	}
}
