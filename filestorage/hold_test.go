package filestorage

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
)

// thing opens a database with one object id and one class.
func thing(t *testing.T, path string, opts Options) (s *Storage, rec storage.Record) {
	t.Helper()
	s = openTest(t, path, opts)
	oid, err := s.NewOID(t.Context())
	must(t, err)
	cls, err := s.ClassID(t.Context(), "x.Thing")
	must(t, err)
	must(t, s.Sync(t.Context()))
	return s, storage.Record{OID: oid, Class: cls, Codec: storage.CodecMsgpack, Payload: []byte("\xa1x")}
}

func beginTest(t *testing.T, s *Storage) storage.Snapshot {
	t.Helper()
	snap, err := s.Begin(t.Context(), true)
	must(t, err)
	t.Cleanup(snap.Release)
	return snap
}

// A commit tells where its records are: where the next snapshot finds them.
func TestPlaced(t *testing.T) {
	s, rec := thing(t, filepath.Join(t.TempDir(), "x.durus"), Options{})
	first := beginTest(t, s)
	told := 0
	c := &storage.Commit{Base: first, Records: []storage.Record{rec}}
	var pos, none storage.Position
	c.Placed = func(lineage uint64, position func(storage.OID) storage.Position) {
		if told++; lineage != first.Lineage() {
			t.Errorf("lineage %d, the snapshot's is %d", lineage, first.Lineage())
		}
		pos, none = position(rec.OID), position(rec.OID+1)
	}
	_, err := s.Commit(t.Context(), c)
	must(t, err)
	now := beginTest(t, s)
	found, err := now.Find(rec.OID)
	must(t, err)
	if told != 1 || pos != found || pos == 0 || none != 0 {
		t.Fatalf("told %d times: %d, another %d; found at %d", told, pos, none, found)
	}
	if _, err := s.Commit(t.Context(), c); !errors.Is(err, storage.ErrConflict) || told != 1 {
		t.Fatalf("a commit that failed, %v, told %d times", err, told)
	}
}

// A record of one frame does not pass in another frame of the same shape at the
// same place, and two frames with different contents have different checksums:
// no mixture that a power cut leaves is a transaction. H1 F9
func TestFrameStandsForItsRecords(t *testing.T) {
	sealed := func(tid storage.TID, a, b byte) []byte {
		var d draft
		must(t, d.encode([]storage.Record{
			{OID: 1, Class: 1, Codec: 1, Payload: bytes.Repeat([]byte{a}, 600)},
			{OID: 2, Class: 1, Codec: 1, Payload: bytes.Repeat([]byte{b}, 600)},
		}, nil))
		d.seal(place{pos: 1024, tid: tid, time: 5, salt: 7, durable: 1024, prev: 9}, func(storage.OID) storage.Position { return 0 })
		return d.buf
	}
	one, two := sealed(100, 'a', 'a'), sealed(200, 'b', 'b')
	mixed := bytes.Clone(two)
	second := len(two) - trailerSize - recordHeaderSize - 600
	copy(mixed[second:len(two)-trailerSize], one[second:])
	sc := scanner{salt: 7, win: memWindow(mixed, 1024)}
	if _, v, _, err := sc.next(chain{pos: 1024, sum: 9, tid: 50, high: 100}, true, true); v != verdictRecords || err != nil {
		t.Errorf("a mixture of two frames is %d, %v", v, err)
	}
	if bytes.Equal(sealed(100, 'a', 'a')[:frameHeaderSize], sealed(100, 'a', 'b')[:frameHeaderSize]) {
		t.Error("two frames that differ in a payload have equal headers")
	}
}

// Whose leader's goroutine ends on the way is told so, and not that it was
// committed. D10
func TestLeaderThatEnds(t *testing.T) {
	path := t.TempDir() + "/a.durus"
	a, rec := thing(t, path, Options{})
	defer a.Close()
	b := openTest(t, path, Options{})
	defer b.Close()
	snap := beginTest(t, a)
	h, err := b.Hold(t.Context(), 5*time.Second)
	must(t, err)
	ended := make(chan any, 1)
	go func() {
		defer func() { ended <- recover() }()
		_ = a.underLock(context.Background(), a.current(), func(*batch) error { panic("boom") })
	}()
	time.Sleep(30 * time.Millisecond)
	done := make(chan error, 1)
	go func() {
		_, err := a.Commit(context.Background(), &storage.Commit{Base: snap, Records: []storage.Record{rec}})
		done <- err
	}()
	time.Sleep(30 * time.Millisecond)
	h.Release()
	if r := <-ended; r != "boom" {
		t.Errorf("the panic became %v", r)
	}
	err = <-done
	_, found := beginTest(t, a).Find(rec.OID)
	if (err == nil) != (found == nil) {
		t.Errorf("Commit said %v, Find says %v", err, found)
	}
}

// A courtesy ends when the file that it locks is not the database any more:
// nothing is appended there. H3 F25
func TestHoldOfReplacedFile(t *testing.T) {
	path := t.TempDir() + "/a.durus"
	a, _ := thing(t, path, Options{})
	defer a.Close()
	data, err := os.ReadFile(path)
	must(t, err)
	h, err := a.Hold(t.Context(), 5*time.Second)
	must(t, err)
	defer h.Release()
	must(t, os.WriteFile(path+".copy", data, 0o600))
	must(t, os.Rename(path+".copy", path))
	before := a.Stats().Groups
	var met error
	for range 3 * maxLeaseSize {
		if _, err := a.NewOID(t.Context()); err != nil {
			met = err
			break
		}
	}
	if met != nil && !errors.Is(met, storage.ErrRewound) {
		t.Error(met)
	}
	if n := a.Stats().Groups - before; n > 64 {
		t.Errorf("%d lock holds for a few leases", n)
	}
	if now, err := os.ReadFile(path); err != nil || len(now) < len(data) {
		t.Errorf("the new file has %d bytes, %v", len(now), err)
	}
}

// Under a courtesy a handle makes good what a failed sync left, as always. F5
func TestRewriteUnderHold(t *testing.T) {
	a, rec := thing(t, t.TempDir()+"/a.durus", Options{})
	defer a.Close()
	snap := beginTest(t, a)
	h, err := a.Hold(t.Context(), 5*time.Second)
	must(t, err)
	defer h.Release()
	a.current().distrust()
	if _, err := a.Commit(t.Context(), &storage.Commit{Base: snap, Hold: h, Records: []storage.Record{rec}}); err != nil {
		t.Error(err)
	}
}

// Close makes everything durable that was committed before it returned. H2
func TestCloseLeavesNothingUnsynced(t *testing.T) {
	for range 10 {
		a, rec := thing(t, t.TempDir()+"/a.durus", Options{Sync: storage.SyncNever})
		var commits atomic.Int64
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				snap, err := a.Begin(context.Background(), true)
				if err != nil {
					return
				}
				if _, err := a.Commit(context.Background(), &storage.Commit{Base: snap, Records: []storage.Record{rec}}); err == nil {
					commits.Add(1)
				}
				snap.Release()
			}
		}()
		for commits.Load() < 3 {
			time.Sleep(time.Millisecond)
		}
		l := a.current()
		must(t, a.Close())
		<-done
		if n := l.behind(); n != 0 {
			t.Fatalf("%d bytes are not on the disk after %d commits and Close", n, commits.Load())
		}
		if _, err := a.NewOID(t.Context()); !errors.Is(err, storage.ErrClosed) {
			t.Fatalf("NewOID after Close: %v", err)
		}
		if _, err := a.ClassID(t.Context(), "y"); !errors.Is(err, storage.ErrClosed) {
			t.Fatalf("ClassID after Close: %v", err)
		}
	}
}
