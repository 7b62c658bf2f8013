package filestorage

import (
	"path/filepath"
	"testing"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/posix"
)

// What a lookup costs in memory, and in a mapped checkpoint.
func BenchmarkFind(b *testing.B) {
	path := filepath.Join(b.TempDir(), "x.durus")
	s, err := Open(path, Options{FS: posix.New(), Sync: storage.SyncNever, Logger: quiet})
	if err != nil {
		b.Fatal(err)
	}
	const n = 4096
	recs := make([]storage.Record, n)
	for i := range recs {
		oid, err := s.NewOID(background)
		if err != nil {
			b.Fatal(err)
		}
		recs[i] = storage.Record{OID: oid, Codec: storage.CodecMsgpack, Payload: []byte{0xc0}}
	}
	if err := s.CommitUnchecked(recs); err != nil {
		b.Fatal(err)
	}
	find := func(b *testing.B, s *Storage) {
		snap, err := s.Begin(background, false)
		if err != nil {
			b.Fatal(err)
		}
		defer snap.Release()
		for i := range b.N {
			if _, err := snap.Find(recs[i%n].OID); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("memory", func(b *testing.B) { find(b, s) })
	if err := s.WriteIndex(background); err != nil {
		b.Fatal(err)
	}
	r, err := Open(path, Options{FS: posix.New(), ReadOnly: true, Logger: quiet})
	if err != nil || !usesIndex(r) {
		b.Fatal("the checkpoint is not used", err)
	}
	b.Run("checkpoint", func(b *testing.B) { find(b, r) })
	if err := r.Close(); err != nil {
		b.Error(err)
	}
	if err := s.Close(); err != nil {
		b.Error(err)
	}
}
