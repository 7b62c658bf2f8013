package filestorage

import (
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
)

// What a handle counts: its commits and their bytes, and how long it waited
// while another one held the lock.
func TestStats(t *testing.T) {
	path := t.TempDir() + "/a.durus"
	a, b := openTest(t, path, Options{}), openTest(t, path, Options{})
	defer a.Close()
	defer b.Close()
	commit := func(s *Storage) {
		snap, err := s.Begin(t.Context(), true)
		must(t, err)
		defer snap.Release()
		oid, err := s.NewOID(t.Context())
		must(t, err)
		put(t, s, snap, storage.Record{OID: oid, Class: 1, Codec: storage.CodecMsgpack, Payload: []byte("x")})
	}
	_, err := a.ClassID(t.Context(), "test.Thing")
	must(t, err)
	commit(a)
	before := a.Stats()
	commit(a)
	s := a.Stats()
	if s.Commits != before.Commits+1 || int64(s.Appended-before.Appended) != s.End-before.End || s.LockWaits != 0 || s.LockWaited != 0 {
		t.Errorf("after a commit %+v, before %+v", s, before)
	}
	commit(b) // with its lease
	h, err := a.Hold(t.Context(), time.Second)
	must(t, err)
	const held = 20 * time.Millisecond
	time.AfterFunc(held, h.Release)
	commit(b)
	if s := b.Stats(); s.LockWaits != 1 || s.LockWaited < held/2 || s.LockWaited > time.Minute {
		t.Errorf("it waited %d times, %v", s.LockWaits, s.LockWaited)
	}
}
