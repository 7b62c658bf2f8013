package filestorage

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/durusdb/durus/storage"
	"pgregory.net/rapid"
)

// Pages come in order, far and near, wherever the walk begins.
func TestIndexFrom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x index
		var want []uint64
		for range rapid.IntRange(0, 50).Draw(t, "n") {
			n := rapid.OneOf(rapid.Uint64Range(0, 1<<12), rapid.Uint64Range(0, 1<<40)).Draw(t, "page")
			x.set(storage.OID(n<<indexPageBits|1), 1)
			want = append(want, n)
		}
		slices.Sort(want)
		want = slices.Compact(want)
		first := rapid.OneOf(rapid.Uint64Range(0, 1<<12), rapid.Uint64Range(0, 1<<40)).Draw(t, "first")
		want = slices.DeleteFunc(want, func(n uint64) bool { return n < first })
		var got []uint64
		for n := range x.from(first) {
			got = append(got, n)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

// A snapshot's objects are those that it finds, in order, while others add
// and change objects; their classes come without their payloads.
func TestObjects(t *testing.T) {
	st := openTest(t, filepath.Join(t.TempDir(), "a.durus"), Options{})
	var classes []storage.ClassID
	for i := range 3 {
		id, err := st.ClassID(t.Context(), fmt.Sprint("c", i))
		if err != nil {
			t.Fatal(err)
		}
		classes = append(classes, id)
	}
	var oids []storage.OID
	for range 600 {
		oid, err := st.NewOID(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		oids = append(oids, oid)
	}
	class := func(oid storage.OID) storage.ClassID { return classes[oid%3] }
	write := func(oids ...storage.OID) {
		base, err := st.Begin(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		defer base.Release()
		var recs []storage.Record
		for _, oid := range oids {
			recs = append(recs, storage.Record{OID: oid, Class: class(oid), Codec: storage.CodecMsgpack, Payload: []byte{0xc0}})
		}
		put(t, st, base, recs...)
	}
	write(oids[:300]...)
	snap, err := st.Begin(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	write(oids[200:]...) // changed and new ones
	want := slices.Sorted(slices.Values(oids[:300]))
	for _, from := range []storage.OID{0, 1, want[0], want[100], want[100] + 1, storage.MaxOID} {
		var got []storage.OID
		for p, err := range snap.Objects(from) {
			if err != nil {
				t.Fatal(err)
			}
			if pos, err := snap.Find(p.OID); err != nil || pos != p.Position {
				t.Fatalf("object %s: %d, found at %d, %v", p.OID, p.Position, pos, err)
			}
			if id, err := snap.Class(p.OID, p.Position); err != nil || id != class(p.OID) {
				t.Fatalf("object %s: class %d, %v", p.OID, id, err)
			}
			got = append(got, p.OID)
		}
		if want := slices.DeleteFunc(slices.Clone(want), func(oid storage.OID) bool { return oid < from }); !slices.Equal(got, want) {
			t.Fatalf("from %s: got %v, want %v", from, got, want)
		}
	}
	for range snap.Objects(0) {
		break
	}
}

// A walk over a million objects takes no memory and milliseconds.
func BenchmarkObjects(b *testing.B) {
	l := &lineage{}
	for oid := range storage.OID(1 << 20) {
		l.index.set(oid+1, storage.Position(oid+1))
	}
	s := &snapshot{l: l, end: 1 << 40}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for range s.Objects(0) {
			n++
		}
		if n != 1<<20 {
			b.Fatal(n)
		}
	}
}
