package filestorage

import (
	"context"
	"errors"
	"testing"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/posix"
)

func openTest(t testing.TB, path string, opts Options) *Storage {
	t.Helper()
	opts.FS = posix.New()
	s, err := Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t testing.TB, s *Storage, base storage.Snapshot, recs ...storage.Record) storage.TID {
	t.Helper()
	tid, err := s.Commit(context.Background(), &storage.Commit{Base: base, Records: recs})
	if err != nil {
		t.Fatal(err)
	}
	return tid
}

func TestTwoHandles(t *testing.T) {
	ctx := context.Background()
	path := t.TempDir() + "/a.durus"
	a := openTest(t, path, Options{})
	defer a.Close()
	b := openTest(t, path, Options{})
	defer b.Close()
	cls, err := a.ClassID(ctx, "x.Thing")
	if err != nil {
		t.Fatal(err)
	}
	oid, err := a.NewOID(ctx)
	if err != nil {
		t.Fatal(err)
	}
	sa, err := a.Begin(ctx, true)
	if err != nil {
		t.Fatal(err)
	}
	t1 := put(t, a, sa, storage.Record{OID: oid, Class: cls, Payload: []byte("one")})
	sb, err := b.Begin(ctx, true)
	if err != nil {
		t.Fatal(err)
	}
	if sb.TID() != t1 {
		t.Fatalf("B sees %v, want %v", sb.TID(), t1)
	}
	pos, err := sb.Find(oid)
	if err != nil {
		t.Fatal(err)
	}
	r, err := sb.Read(oid, pos)
	if err != nil || string(r.Payload) != "one" {
		t.Fatal(r, err)
	}
	put(t, b, sb, storage.Record{OID: oid, Class: cls, Payload: []byte("two")})
	sa2, _ := a.Begin(ctx, true)
	_, err = a.Commit(ctx, &storage.Commit{Base: sa, Records: []storage.Record{{OID: oid, Class: cls, Payload: []byte("three")}}})
	var c *storage.ConflictError
	if !errors.As(err, &c) {
		t.Fatal(err)
	}
	t.Log(err)
	put(t, a, sa2, storage.Record{OID: oid, Class: cls, Payload: []byte("three")})
	pos, _ = sb.Find(oid)
	if r, err := sb.Read(oid, pos); err != nil || string(r.Payload) != "one" {
		t.Fatal(r, err)
	}
	n := 0
	for tx, err := range b.Transactions(0, 1<<62) {
		if err != nil {
			t.Fatal(err)
		}
		t.Log(tx)
		n++
	}
	if n != 3 {
		t.Fatal(n)
	}
}

func BenchmarkCommitRaw(b *testing.B) {
	for _, p := range []storage.SyncPolicy{storage.SyncAlways, storage.SyncNever} {
		b.Run([]string{"always", "", "never"}[p], func(b *testing.B) {
			ctx := context.Background()
			s := openTest(b, b.TempDir()+"/a.durus", Options{Sync: p})
			defer s.Close()
			oid, _ := s.NewOID(ctx)
			cls, _ := s.ClassID(ctx, "x")
			pay := make([]byte, 100)
			b.ReportAllocs()
			for b.Loop() {
				sn, err := s.Begin(ctx, true)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := s.Commit(ctx, &storage.Commit{Base: sn, Records: []storage.Record{{OID: oid, Class: cls, Payload: pay}}}); err != nil {
					b.Fatal(err)
				}
				sn.Release()
			}
		})
	}
}

func BenchmarkBegin(b *testing.B) {
	ctx := context.Background()
	s := openTest(b, b.TempDir()+"/a.durus", Options{})
	defer s.Close()
	b.ReportAllocs()
	for b.Loop() {
		sn, _ := s.Begin(ctx, false)
		sn.Release()
	}
}
