package filestorage_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/pack"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/mem"
)

func TestX(t *testing.T) {
	d := mem.NewDisk()
	open := func(n string) *filestorage.Storage {
		s, err := filestorage.Open("/db", filestorage.Options{FS: d.Process(n)})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, b := open("a"), open("b")
	ctx := context.Background()
	cls, err := a.ClassID(ctx, "x")
	if err != nil {
		t.Fatal(err)
	}
	put := func(s *filestorage.Storage, oid storage.OID, p string, refs ...storage.OID) {
		t.Helper()
		snap, err := s.Begin(ctx, true)
		if err != nil {
			t.Fatal(err)
		}
		defer snap.Release()
		if _, err := s.Commit(ctx, &storage.Commit{Base: snap, Records: []storage.Record{{OID: oid, Class: cls, Codec: 1, Payload: []byte(p), Strong: refs}}}); err != nil {
			t.Fatal(err)
		}
	}
	var oids []storage.OID
	for i := range 10 {
		o, err := a.NewOID(ctx)
		if err != nil {
			t.Fatal(err)
		}
		oids = append(oids, o)
		put(a, o, fmt.Sprint("v", i))
	}
	put(a, 1, "root", oids[:5]...)
	put(b, oids[0], "again", oids[1])
	old, err := b.Begin(ctx, true)
	if err != nil {
		t.Fatal(err)
	}
	dry, err := pack.Pack(ctx, a, pack.Options{DryRun: true})
	t.Logf("%+v %v", dry, err)
	r, err := pack.Pack(ctx, a, pack.Options{})
	t.Logf("%+v %v", r, err)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*filestorage.Storage{a, b} {
		rep, err := s.Verify(ctx, nil)
		t.Logf("%+v %v", rep, err)
		tid, err := s.LastTID()
		t.Log(tid, err, s.Header().Generation)
	}
	if _, err := b.Commit(ctx, &storage.Commit{Base: old, Records: []storage.Record{{OID: oids[2], Class: cls, Codec: 1, Payload: []byte("late")}}}); err != nil {
		t.Fatal(err)
	}
	o, err := b.NewOID(ctx)
	t.Log(o, err)
	put(b, o, "new")
	put(a, 1, "root", oids[3], o)
	time.Sleep(time.Millisecond)
	r, err = pack.Pack(ctx, b, pack.Options{Keep: time.Hour})
	t.Logf("%+v %v", r, err)
	r, err = pack.Pack(ctx, b, pack.Options{})
	t.Logf("%+v %v", r, err)
	r, err = pack.Pack(ctx, b, pack.Options{})
	t.Logf("%+v %v", r, err)
	rep, err := a.Verify(ctx, nil)
	t.Logf("%+v %v", rep, err)
	for n, err := range d.Process("l").List("/") {
		t.Log(n, err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	old.Release()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}
