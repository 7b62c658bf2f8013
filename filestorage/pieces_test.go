package filestorage

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/mem"
)

// spilledRecords is a storage.Spilled over records in memory.
type spilledRecords struct {
	recs []storage.Record
	read func(n int, p []byte) error // after a payload was read; nil: nothing
}

func (s *spilledRecords) Len() int { return len(s.recs) }

func (s *spilledRecords) Record(n int) storage.SpilledRecord {
	r := &s.recs[n]
	return storage.SpilledRecord{OID: r.OID, Class: r.Class, Codec: r.Codec, Size: len(r.Payload), Sum: crc32.Checksum(r.Payload, castagnoli), Strong: r.Strong, Weak: r.Weak}
}

func (s *spilledRecords) ReadPayload(n int, p []byte) error {
	copy(p, s.recs[n].Payload)
	if s.read != nil {
		return s.read(n, p)
	}
	return nil
}

// pieceWorld is a disk with one handle, that writes pieces of n bytes, and ids
// to use.
func pieceWorld(t *testing.T, n int) (*mem.Disk, *Storage, storage.ClassID, []storage.OID) {
	t.Helper()
	d := mem.NewDisk()
	clock := time.UnixMicro(1_700_000_000_000_000)
	h := newHeader(clock)
	h.ID, h.Salt = [16]byte{1}, 2
	process := d.Process("A")
	if err := createWith(process, worldPath, 0o600, &h); err != nil {
		t.Fatal(err)
	}
	s, err := Open(worldPath, Options{FS: process, Foreground: true, Logger: quiet, Now: func() time.Time { return clock }})
	if err != nil {
		t.Fatal(err)
	}
	s.piece = n
	class, err := s.ClassID(context.Background(), className)
	if err != nil {
		t.Fatal(err)
	}
	var oids []storage.OID
	for range 40 {
		oid, err := s.NewOID(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		oids = append(oids, oid)
	}
	return d, s, class, oids
}

// pieceRecords returns records that refer to each other, all of one content.
func pieceRecords(class storage.ClassID, oids []storage.OID, content byte) (recs []storage.Record) {
	for i, oid := range oids {
		r := storage.Record{OID: oid, Class: class, Codec: storage.CodecMsgpack, Payload: bytes.Repeat([]byte{content}, 10+29*i)}
		r.Strong = oids[i/2 : i]
		if i%3 == 0 {
			r.Weak = []storage.OID{1 << 40}
		}
		recs = append(recs, r)
	}
	return recs
}

func commitSpilled(s *storage.Commit, st *Storage) error {
	snap, err := st.Begin(context.Background(), true)
	if err != nil {
		return err
	}
	defer snap.Release()
	s.Base = snap
	_, err = st.Commit(context.Background(), s)
	return err
}

// A frame that was appended in pieces is, byte for byte, the one that would
// have been appended at once, wherever the pieces end and whichever of the
// records were spilled.
func TestPiecesAreTheSameFrame(t *testing.T) {
	var want []byte
	for _, c := range []struct{ piece, every int }{{pieceSize, 0}, {pieceSize, 2}, {1, 2}, {7, 1}, {100, 2}, {100, 3}, {4096, 1}} {
		d, s, class, oids := pieceWorld(t, c.piece)
		for _, content := range []byte{3, 4} { // the second time there are previous records
			recs := pieceRecords(class, oids, content)
			commit := &storage.Commit{Meta: storage.Meta{User: "somebody"}}
			var spilled spilledRecords
			for i := range recs {
				if c.every > 0 && i%c.every == 0 {
					spilled.recs = append(spilled.recs, recs[i])
				} else {
					commit.Records = append(commit.Records, recs[i])
				}
			}
			slices.Reverse(commit.Records)
			commit.Spilled = &spilled
			if err := commitSpilled(commit, s); err != nil {
				t.Fatalf("pieces of %d: %v", c.piece, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := d.ReadFile(worldPath)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		if !bytes.Equal(got, want) {
			t.Errorf("pieces of %d, one spilled of %d: another file", c.piece, c.every)
		}
	}
}

// What cannot be appended to its end is not there: the database is as before
// and takes the next commit, whether the disk or the spill has failed, at any
// piece.
func TestPiecesFail(t *testing.T) {
	for _, what := range []string{"disk", "short write", "read", "damage"} {
		for n := 0; ; n++ {
			d, s, class, oids := pieceWorld(t, 100)
			if err := commitSpilled(&storage.Commit{Records: pieceRecords(class, oids, 1)}, s); err != nil {
				t.Fatal(err)
			}
			before := s.current().end()
			calls, fired := 0, false
			spilled := &spilledRecords{recs: pieceRecords(class, oids, 2)}
			switch what {
			case "disk", "short write":
				d.Hook = func(op mem.Op) mem.Action {
					if op.Kind != mem.OpAppend || op.Name != worldPath {
						return mem.Proceed()
					}
					calls++
					if fired || calls <= n {
						return mem.Proceed()
					}
					fired = true
					if what == "disk" {
						return mem.Fail(syscall.ENOSPC)
					}
					return mem.ShortWrite(51, syscall.ENOSPC)
				}
			default:
				spilled.read = func(i int, p []byte) error {
					if i != n {
						return nil
					}
					fired = true
					if what == "damage" {
						p[0]++
						return nil
					}
					return syscall.EIO
				}
			}
			err := commitSpilled(&storage.Commit{Spilled: spilled}, s)
			if !fired {
				if err != nil || n == 0 {
					t.Fatalf("%s %d: %v", what, n, err)
				}
				break
			}
			if err == nil && what == "short write" && s.current().end() > before {
				continue // it was not short: the last piece was smaller
			}
			if err == nil || what == "read" && !errors.Is(err, syscall.EIO) {
				t.Fatalf("%s %d: %v", what, n, err)
			}
			if end := s.current().end(); end != before {
				t.Fatalf("%s %d: the end moved from %d to %d", what, n, before, end)
			}
			if err := commitSpilled(&storage.Commit{Records: pieceRecords(class, oids[:3], 5)}, s); err != nil {
				t.Fatalf("%s %d: the next commit: %v", what, n, err)
			}
			checkContents(t, s, oids, func(i int) byte {
				if i < 3 {
					return 5
				}
				return 1
			})
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func checkContents(t *testing.T, s *Storage, oids []storage.OID, want func(i int) byte) {
	t.Helper()
	snap, err := s.Begin(context.Background(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	for i, oid := range oids {
		pos, err := snap.Find(oid)
		if err != nil {
			t.Fatal(err)
		}
		r, err := snap.Read(oid, pos)
		if err != nil || r.Payload[0] != want(i) {
			t.Fatalf("object %d: %v, %v", oid, r, err)
		}
	}
}

// Conflicts, dangling references and limits are those of any commit.
func TestSpilledRecordsAreChecked(t *testing.T) {
	for _, piece := range []int{10, pieceSize} {
		_, s, class, oids := pieceWorld(t, piece)
		recs := pieceRecords(class, oids, 1)
		if err := commitSpilled(&storage.Commit{Spilled: &spilledRecords{recs: recs}}, s); err != nil {
			t.Fatal(err)
		}
		snap, err := s.Begin(context.Background(), true)
		if err != nil {
			t.Fatal(err)
		}
		if err := commitSpilled(&storage.Commit{Records: recs[7:8]}, s); err != nil {
			t.Fatal(err)
		}
		_, err = s.Commit(context.Background(), &storage.Commit{Base: snap, Spilled: &spilledRecords{recs: recs}})
		var conflict *storage.ConflictError
		if !errors.As(err, &conflict) || len(conflict.Objects) != 1 || conflict.Objects[0].OID != oids[7] || conflict.Objects[0].Reason != "both wrote it" {
			t.Errorf("pieces of %d: %v", piece, err)
		}
		snap.Release()
		for _, c := range []struct {
			name    string
			records []storage.Record
			spilled []storage.Record
			is      error
		}{
			{"dangling", nil, []storage.Record{{OID: oids[0], Class: class, Codec: storage.CodecMsgpack, Payload: make([]byte, 100), Strong: []storage.OID{1 << 30}}}, storage.ErrDangling},
			{"twice", recs[:1], recs[:1], nil},
			{"out of order", nil, []storage.Record{recs[1], recs[0]}, nil},
			{"no object", nil, []storage.Record{{Payload: make([]byte, 100)}}, nil},
			{"not given out", nil, []storage.Record{{OID: 1 << 40, Class: class, Codec: storage.CodecMsgpack, Payload: make([]byte, 100)}}, nil},
		} {
			if c.name == "out of order" && piece == pieceSize {
				continue // put in order on the way
			}
			err := commitSpilled(&storage.Commit{Records: c.records, Spilled: &spilledRecords{recs: c.spilled}}, s)
			if err == nil || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%s, pieces of %d: %v", c.name, piece, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A View of the same handle, and another process, look at the file between any
// two pieces: they see the state before, and never a part.
func TestViewsBetweenPieces(t *testing.T) {
	d, s, class, oids := pieceWorld(t, 100)
	if err := commitSpilled(&storage.Commit{Records: pieceRecords(class, oids, 1)}, s); err != nil {
		t.Fatal(err)
	}
	other, err := Open(worldPath, Options{FS: d.Process("B"), Foreground: true, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	looks := 0
	spilled := &spilledRecords{recs: pieceRecords(class, oids, 2)}
	spilled.read = func(int, []byte) error {
		looks++
		for _, h := range []*Storage{s, other} {
			checkContents(t, h, oids, func(int) byte { return 1 })
		}
		return nil
	}
	if err := commitSpilled(&storage.Commit{Spilled: spilled}, s); err != nil {
		t.Fatal(err)
	}
	if looks < 10 {
		t.Errorf("%d looks", looks)
	}
	for _, h := range []*Storage{s, other} {
		checkContents(t, h, oids, func(int) byte { return 2 })
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// What a commit in pieces takes of memory does not depend on its payloads.
func TestPiecesTakeLittleMemory(t *testing.T) {
	_, s, class, oids := pieceWorld(t, pieceSize)
	big := make([]byte, 4<<20)
	binary.LittleEndian.PutUint64(big, 7)
	recs := make([]storage.Record, len(oids))
	for i, oid := range oids {
		recs[i] = storage.Record{OID: oid, Class: class, Codec: storage.CodecMsgpack, Payload: big}
	}
	var d draft
	c := &storage.Commit{Spilled: &spilledRecords{recs: recs}}
	if err := d.encodeAll(c, s.piece); err != nil {
		t.Fatal(err)
	}
	if d.pieces == nil || len(d.buf) > 4096 || d.header.length < int64(len(oids)*len(big)) {
		t.Errorf("%d bytes in memory of %d", len(d.buf), d.header.length)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
