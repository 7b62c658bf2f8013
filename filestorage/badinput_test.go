package filestorage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/mem"
)

// TestNotADatabase opens files that are none, or of another version: a typed
// error says which file and what to do, and nothing is touched or created.
// F36 S48 S50
func TestNotADatabase(t *testing.T) {
	newer := fuzzHeader
	newer.Format = formatNumber + 1
	wide := fuzzHeader.encode()
	for _, at := range []int{0, headerCopy} { // a header of another size
		binary.LittleEndian.PutUint32(wide[at+12:], 2*headerSize)
		binary.LittleEndian.PutUint32(wide[at+headerUsed-4:], crc32.Checksum(wide[at:at+headerUsed-4], castagnoli))
	}
	impossible := fuzzHeader
	impossible.HighOID = storage.MaxOID + 1
	broken := fuzzHeader.encode()
	broken[20] ^= 1
	broken[headerCopy+20] ^= 1
	cases := []struct {
		name string
		data []byte
		is   error
		says string
	}{
		{"empty", nil, storage.ErrNotDurus, "remove it"},
		{"one byte", []byte{'x'}, storage.ErrNotDurus, "right file"},
		{"first byte only", []byte{'d'}, storage.ErrCorrupt, "inside its header"},
		{"text", []byte(strings.Repeat("once upon a time ", 100)), storage.ErrNotDurus, "right file"},
		{"zeros", make([]byte, 5000), storage.ErrNotDurus, "right file"},
		{"a sqlite file", append([]byte("SQLite format 3\x00"), make([]byte, 4080)...), storage.ErrNotDurus, "right file"},
		{"newer", newer.encode(), storage.ErrTooNew, "newer program"},
		{"another header size", wide, storage.ErrTooNew, "newer program"},
		{"impossible values", impossible.encode(), storage.ErrCorrupt, "backup"},
		{"both copies damaged", broken, storage.ErrCorrupt, "backup"},
		{"cut in the header", fuzzHeader.encode()[:700], storage.ErrCorrupt, "backup"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, readOnly := range []bool{true, false} {
				d := mem.NewVolatile()
				if err := d.WriteFile(worldPath, bytes.Clone(c.data)); err != nil {
					t.Fatal(err)
				}
				opts := simulated(d.Process("A"))
				opts.ReadOnly = readOnly
				_, err := Open(worldPath, opts)
				if !errors.Is(err, c.is) || !strings.Contains(err.Error(), worldPath) || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("read-only %v: %v", readOnly, err)
				}
				for _, other := range []error{storage.ErrNotDurus, storage.ErrCorrupt, storage.ErrTooNew} {
					if other != c.is && errors.Is(err, other) {
						t.Fatalf("the error is %v as well: %v", other, err)
					}
				}
				if got, err := d.ReadFile(worldPath); err != nil || !bytes.Equal(got, c.data) || len(d.Names()) != 1 {
					t.Fatalf("something was touched: %q, %v", d.Names(), err)
				}
			}
		})
	}
}

// TestNewerFrames appends a frame of a kind that this program does not know.
// One that must be understood stops everybody with ErrTooNew, and nothing is
// cut; one that need not be is stepped over, and kept. F7 of DESIGN 3, F36
func TestNewerFrames(t *testing.T) {
	for _, must := range []bool{true, false} {
		for _, behind := range []bool{false, true} { // is there a handle already?
			t.Run(fmt.Sprintf("must=%v/open=%v", must, behind), func(t *testing.T) {
				newerFrame(t, must, behind)
			})
		}
	}
}

func newerFrame(t *testing.T, must, behind bool) {
	d := mem.NewVolatile()
	file := append(fuzzHeader.encode(), fuzzFrames()...)
	if err := d.WriteFile(worldPath, bytes.Clone(file)); err != nil {
		t.Fatal(err)
	}
	a := opened(t, worldPath, simulated(d.Process("A")))
	if _, err := edit(a, 2, "before"); err != nil {
		t.Fatal(err)
	}
	l := a.current()
	f := newLeaseDraft(0, 0)
	f.header.kind, f.header.leaseFirst = 9, 0
	f.seal(place{pos: l.cur.pos, tid: l.cur.tid, time: l.cur.time, salt: l.header.Salt, durable: headerSize, prev: l.cur.sum}, nil)
	if !must {
		f.header.flags &^= flagMustUnderstand
		f.header.put(f.buf)
		putTrailer(f.buf[f.header.length-trailerSize:], f.header.length, f.header.sum)
	}
	file, err := d.ReadFile(worldPath)
	if err != nil {
		t.Fatal(err)
	}
	file = append(file, f.buf...)
	if err := d.WriteFile(worldPath, bytes.Clone(file)); err != nil {
		t.Fatal(err)
	}
	s := a
	if !behind {
		s = opened(t, worldPath, simulated(d.Process("B")))
	}
	for range 2 {
		_, err := edit(s, 2, "behind")
		got, lerr := look(s, 2)
		switch {
		case must && (!errors.Is(err, storage.ErrTooNew) || !errors.Is(lerr, storage.ErrTooNew) || !strings.Contains(err.Error(), "newer program")):
			t.Fatalf("a commit said %v, a View %v", err, lerr)
		case !must && (err != nil || got != "behind"):
			t.Fatalf("a commit said %v, a View shows %q, %v", err, got, lerr)
		}
	}
	now, err := d.ReadFile(worldPath)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(now, file) || must && len(now) != len(file) {
		t.Fatalf("the file was changed: it has %d bytes and had %d", len(now), len(file))
	}
	if must { // Close must not wait for ever nor write either
		if err := s.Close(); err != nil && !errors.Is(err, storage.ErrTooNew) {
			t.Fatal(err)
		}
	}
}

// TestBadCommits gives Commit what it must refuse; each time the file stays as
// it was, the lock is free and the next commit succeeds. S15 S16 S17 D14
func TestBadCommits(t *testing.T) {
	im, oid := two(t)
	d := im.Disk()
	a := opened(t, worldPath, simulated(d.Process("A")))
	b := opened(t, worldPath, simulated(d.Process("B")))
	record := func(oid storage.OID) storage.Record {
		return storage.Record{OID: oid, Class: 1, Payload: []byte("bad")}
	}
	dangling := record(oid)
	dangling.Strong = []storage.OID{oid + 5}
	cases := []struct {
		name string
		c    storage.Commit
		is   error
	}{
		{"object id 0", storage.Commit{Records: []storage.Record{record(0)}}, nil},
		{"object id too large", storage.Commit{Records: []storage.Record{record(storage.MaxOID + 1)}}, nil},
		{"object id that nobody gave", storage.Commit{Records: []storage.Record{record(1 << 40)}}, nil},
		{"one object twice", storage.Commit{Records: []storage.Record{record(oid), record(oid)}}, nil},
		{"a dangling reference", storage.Commit{Records: []storage.Record{dangling}}, storage.ErrDangling},
		{"too much metadata", storage.Commit{Records: []storage.Record{record(oid)}, Meta: storage.Meta{User: strings.Repeat("u", storage.MaxMeta+1)}}, storage.ErrTooLarge},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before, err := d.ReadFile(worldPath)
			if err != nil {
				t.Fatal(err)
			}
			snap, err := a.Begin(background, true)
			if err != nil {
				t.Fatal(err)
			}
			defer snap.Release()
			c.c.Base = snap
			if _, err := a.Commit(background, &c.c); err == nil || c.is != nil && !errors.Is(err, c.is) {
				t.Fatalf("it said %v", err)
			}
			after, err := d.ReadFile(worldPath)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(before, after) {
				t.Fatal("the file was changed")
			}
			for _, s := range []*Storage{b, a} {
				if _, err := edit(s, oid, "good"); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	snap, err := a.Begin(background, true)
	if err != nil {
		t.Fatal(err)
	}
	snap.Release()
	for _, base := range []storage.Snapshot{snap, nil} { // over, or none
		if _, err := a.Commit(background, &storage.Commit{Base: base, Records: []storage.Record{record(oid)}}); !errors.Is(err, storage.ErrTxDone) {
			t.Fatalf("a commit on %v said %v", base, err)
		}
	}
	other, err := b.Begin(background, true)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Release()
	if _, err := a.Commit(background, &storage.Commit{Base: other, Records: []storage.Record{record(oid)}}); err == nil {
		t.Fatal("a commit on the snapshot of another handle succeeded")
	}
	for range 3 { // empty commits in a row
		snap, err := a.Begin(background, true)
		if err != nil {
			t.Fatal(err)
		}
		if tid, err := a.Commit(background, &storage.Commit{Base: snap}); err != nil || tid != snap.TID() {
			t.Fatalf("an empty commit is %s, %v", tid, err)
		}
		snap.Release()
	}
	if err := clean(a); err != nil {
		t.Fatal(err)
	}
}

// TestBeyond4GiB works on a file whose frames lie on both sides of 2^31 and
// 2^32: four transactions of 1 GiB of zeros, of which only the ends are
// written. Everything is found, committed behind and found again. F30
func TestBeyond4GiB(t *testing.T) {
	const big = 1 << 30
	h := fuzzHeader
	h.HighOID = 20
	class := newClassDraft(1, "big.Thing")
	c := chain{pos: headerSize, sum: h.checksum()}
	class.seal(place{pos: c.pos, time: 1, salt: h.Salt, prev: c.sum}, nil)
	d := mem.NewVolatile()
	if err := d.WriteFile(worldPath, append(h.encode(), class.buf...)); err != nil {
		t.Fatal(err)
	}
	c.pos, c.sum = class.header.end(), class.header.sum
	zeros := make([]byte, 1<<20)
	sum := uint32(0)
	for range big / len(zeros) {
		sum = crc32.Update(sum, castagnoli, zeros)
	}
	var last mark
	for i := range 5 {
		n, payload := big, sum
		if i == 4 { // the mark names a small one
			n, payload = 3, crc32.Checksum(make([]byte, 3), castagnoli)
		}
		f := frameHeader{kind: kindTransaction, flags: flagMustUnderstand, pos: c.pos, tid: storage.TID(10 + i), time: 1, salt: h.Salt, durable: c.pos, prev: c.sum, records: 1}
		f.length = f.bodyOff() + recordHeaderSize + int64(n) + trailerSize
		head := make([]byte, f.bodyOff()+recordHeaderSize)
		binary.LittleEndian.PutUint64(head[frameHeaderSize:], uint64(2+i))
		binary.LittleEndian.PutUint64(head[frameHeaderSize+8:], uint64(f.bodyOff()))
		r := recordHeader{oid: storage.OID(2 + i), codec: storage.CodecMsgpack, frame: f.bodyOff(), class: 1, payload: n}
		r.put(head[f.bodyOff():])
		sealRecord(head[f.bodyOff():], 0, 0, payload, h.Salt, f.pos+f.bodyOff())
		f.tableSum = seal(crc32.Checksum(head[frameHeaderSize:f.bodyOff()], castagnoli), h.Salt, f.pos)
		f.put(head)
		tail := make([]byte, trailerSize)
		putTrailer(tail, f.length, f.sum)
		if err := errors.Join(d.Truncate(worldPath, f.end()), d.Patch(worldPath, f.pos, head), d.Patch(worldPath, f.end()-trailerSize, tail)); err != nil {
			t.Fatal(err)
		}
		last = mark{salt: h.Salt, start: f.pos, end: f.end(), tid: f.tid, sum: f.sum}
		c.pos, c.sum = f.end(), f.sum
	}
	if c.pos < 1<<32 {
		t.Fatalf("the file has only %d bytes", c.pos)
	}
	if err := d.WriteFile(lockName(worldPath), written(last)); err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		s := opened(t, worldPath, simulated(d.Process("A")))
		for i := range 3 {
			if _, err := edit(s, storage.OID(2+3+i), fmt.Sprint("round ", round, i)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 3 {
			if got, err := look(s, storage.OID(2+3+i)); err != nil || got != fmt.Sprint("round ", round, i) {
				t.Fatalf("object %d is %.20q, %v", 2+3+i, got, err)
			}
		}
		n := 0
		for tx, err := range s.Transactions(0, 1<<62) {
			if err != nil {
				t.Fatal(err)
			}
			if n < 5 && (tx.TID != storage.TID(10+n) || len(tx.OIDs) != 1) {
				t.Fatalf("transaction %d is %v", n, tx)
			}
			n++
		}
		if n != 5+3*(round+1) {
			t.Fatalf("%d transactions", n)
		}
		snap, err := s.Begin(background, false)
		if err != nil {
			t.Fatal(err)
		}
		for oid := storage.OID(2); oid < 5; oid++ {
			pos, err := snap.Find(oid)
			if err != nil || int64(pos)/big != int64(oid-2) {
				t.Fatalf("object %s is at byte %d, %v", oid, pos, err)
			}
		}
		snap.Release()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
