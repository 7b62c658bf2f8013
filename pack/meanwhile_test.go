package pack_test

import (
	"testing"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/pack"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/wrap"
)

// A pack that was about to begin when another one put its file in place packs
// that file. To be told that the database was replaced would help nobody.
func TestPackBehindAnother(t *testing.T) {
	b, s := newBed(t)
	raced := false
	late, err := filestorage.Open(path, filestorage.Options{Foreground: true, FS: wrap.New(b.disk.Process("b"), func(c *wrap.Call) {
		if c.Op == wrap.Create && c.Name == path+".pack" && !raced { // it has its state, and not the lock
			raced = true
			b.must(b.put(s, 1, b.state[1]))
			b.pack(s, pack.Options{})
		}
		c.Next()
	})})
	b.must(err)
	b.must(b.put(late, 1, b.state[1]))
	if r, err := pack.Pack(ctx, late, pack.Options{}); err != nil || !raced || !r.Nothing {
		t.Errorf("another pack came first: %v; %+v, %v", raced, r, err)
	}
	b.check(late, true)
	b.must(late.Close())
}

// Who verifies a file reads it to its end, whatever takes its place meanwhile.
func TestVerifyWhilePacking(t *testing.T) {
	b, s := newBed(t)
	const n = 20_000 // more than is read at once
	for range n {
		b.must(b.put(s, 1, b.state[1]))
	}
	packed := false
	r, err := s.VerifyRecords(ctx, func(*storage.Record) string {
		if !packed {
			packed = true
			b.pack(s, pack.Options{})
			snap, err := s.Begin(ctx, false) // the handle is on the new file
			b.must(err)
			snap.Release()
		}
		return ""
	}, nil)
	if err != nil || !packed || !r.OK() || r.Records != n+1 {
		t.Errorf("packed %v: %v, %v", packed, r, err)
	}
}

// A Sync that has begun on the old file ends well on whichever there is.
func TestSyncWhilePacking(t *testing.T) {
	b, other := newBed(t)
	var s *filestorage.Storage
	armed, packed := false, false
	s, err := filestorage.Open(path, filestorage.Options{Foreground: true, FS: wrap.New(b.disk.Process("b"), func(c *wrap.Call) {
		if c.Op == wrap.Size && c.Name == path && armed {
			armed, packed = false, true
			b.pack(s, pack.Options{}) // the handle moves on, and would close the file
		}
		c.Next()
	})})
	b.must(err)
	b.must(b.put(s, 1, b.state[1]))
	armed = true
	if err := s.Sync(ctx); err != nil || !packed {
		t.Errorf("packed %v: %v", packed, err)
	}
	b.check(other, true)
	b.must(s.Close())
}
