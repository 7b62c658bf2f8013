package filestorage_test

import (
	"context"
	"slices"
	"testing"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/pack"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/mem"
)

// SCENARIO 73: references that lead nowhere are reported with their referrer, by
// verify and by pack, and keep nobody from packing.
func TestDanglingIsReported(t *testing.T) {
	s, err := filestorage.Open("/db", filestorage.Options{FS: mem.NewDisk().Process("a")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	class, err := s.ClassID(context.Background(), "thing")
	if err != nil {
		t.Fatal(err)
	}
	var oids [3]storage.OID
	for i := range oids {
		if oids[i], err = s.NewOID(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	record := func(oid storage.OID, refs ...storage.OID) storage.Record {
		return storage.Record{OID: oid, Class: class, Codec: storage.CodecMsgpack, Payload: []byte{0xc0}, Strong: refs}
	}
	if err := s.CommitUnchecked([]storage.Record{record(1, oids[0], oids[1]), record(oids[0], oids[2])}); err != nil {
		t.Fatal(err)
	}
	want := []pack.Dangling{{From: 1, To: oids[1]}, {From: oids[0], To: oids[2]}}
	for _, keep := range []storage.TID{1, 0} {
		r, err := pack.Pack(context.Background(), s, pack.Options{KeepFrom: keep})
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(r.Dangling, func(a, b pack.Dangling) int { return int(a.From) - int(b.From) })
		if !slices.Equal(r.Dangling, want) || r.DanglingTotal != 2 {
			t.Errorf("%+v, want %v", r, want)
		}
		v, err := s.Verify(context.Background(), nil)
		if err != nil || len(v.Problems) != 2 || v.Objects != 2 {
			t.Errorf("verify: %+v, %v", v, err)
		}
	}
}
