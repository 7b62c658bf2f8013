package filestorage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
)

// fuzzHeader is the file header of all fuzzed files.
var fuzzHeader = Header{Format: formatNumber, ID: [16]byte{1, 2, 3}, Salt: 42, HighOID: firstOID, Synced: headerSize, Created: 1_700_000_000_000_000}

// fuzzFrames is a small history behind that header.
func fuzzFrames() []byte {
	c := chain{pos: headerSize, sum: fuzzHeader.checksum()}
	last := map[storage.OID]storage.Position{}
	var out []byte
	add := func(d *draft, tid storage.TID) {
		d.seal(place{pos: c.pos, tid: tid, time: 1_700_000_000_000_000, salt: fuzzHeader.Salt, durable: headerSize, prev: c.sum}, func(o storage.OID) storage.Position { return last[o] })
		for _, r := range d.records {
			last[r.oid] = storage.Position(c.pos + r.off)
		}
		out = append(out, d.buf...)
		c.pos, c.sum = d.header.end(), d.header.sum
	}
	add(newClassDraft(1, "fuzz.Thing"), 0)
	add(newLeaseDraft(firstOID, 8), 0)
	for i := range 3 {
		d := new(draft)
		err := d.encode([]storage.Record{
			{OID: 2, Class: 1, Codec: storage.CodecMsgpack, Payload: []byte{0x81, 0xa1, 'n', byte(i)}, Strong: []storage.OID{3}},
			{OID: 3, Class: 1, Codec: storage.CodecMsgpack, Payload: bytes.Repeat([]byte{0xc0}, 20*i), Weak: []storage.OID{2}},
		}, &storage.Meta{User: "u", Ext: map[string]string{"k": "v"}})
		if err != nil {
			panic(err)
		}
		add(d, storage.TID(10+i))
	}
	return out
}

// reseal makes hostile bytes pass as far as checksums go: whatever stands in
// the place of frames gets their magic, place, salt and chain, and all
// checksums, so that the values behind them are reached.
func reseal(b []byte, from int64) {
	le := binary.LittleEndian
	prev := fuzzHeader.checksum()
	for pos := int64(0); int64(len(b))-pos >= frameHeaderSize; {
		f := b[pos:]
		at := from + pos
		le.PutUint32(f, frameMagic)
		le.PutUint16(f[6:], frameHeaderSize)
		le.PutUint64(f[16:], uint64(at))
		le.PutUint64(f[40:], fuzzHeader.Salt)
		le.PutUint32(f[56:], prev)
		clear(f[84:92])
		var h frameHeader
		h.get(f)
		fits := h.length >= h.bodyOff()+trailerSize && h.length <= int64(len(f))
		if fits {
			resealRecords(f, &h, at)
			le.PutUint32(f[68:], seal(crc32.Checksum(f[frameHeaderSize:h.bodyOff()], castagnoli), fuzzHeader.Salt, at))
		}
		prev = crc32.Checksum(f[:92], castagnoli)
		le.PutUint32(f[92:], prev)
		if !fits {
			return
		}
		putTrailer(f[h.length-trailerSize:], h.length, prev)
		pos += h.length
	}
}

func resealRecords(f []byte, h *frameHeader, at int64) {
	le := binary.LittleEndian
	for i := range h.records {
		off := int64(le.Uint64(f[frameHeaderSize+h.metaLen+i*tableEntrySize+8:]))
		if off < 0 || off > h.length-trailerSize-recordHeaderSize {
			continue
		}
		r := f[off:]
		var rh recordHeader
		if !rh.get(r) || rh.length() > int64(len(r)) {
			continue
		}
		payload := r[recordHeaderSize+rh.refsLen() : rh.length()]
		sealRecord(r, rh.refsLen(), rh.prev, crc32.Checksum(payload, castagnoli), fuzzHeader.Salt, at+off)
	}
}

func seedFrames(f *testing.F) {
	frames := fuzzFrames()
	f.Add(frames, false)
	f.Add(frames, true)
	f.Add(frames[:len(frames)-7], false)
	f.Add([]byte{}, false)
	f.Add(make([]byte, 300), true)
	f.Add(bytes.Repeat([]byte{0xff}, 300), true)
	hole := bytes.Clone(frames)
	clear(hole[200:400])
	f.Add(hole, false)
	f.Add(append(hole[400:], frames...), false)
}

// measured fails when f takes too long or allocates more than n bytes warrant.
func measured(t *testing.T, n int, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	f()
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	if took > 2*time.Second {
		t.Errorf("%d bytes took %v", n, took)
	}
	if got, most := after.TotalAlloc-before.TotalAlloc, uint64(16<<20+256*n); got > most {
		t.Errorf("%d bytes made it allocate %d", n, got)
	}
}

// FuzzScan scans arbitrary bytes for frames: never a panic, never for ever,
// frames lie within the bytes and follow one another, and behind finds no more
// than there is room for. F5 F28 F8 S57
func FuzzScan(f *testing.F) {
	seedFrames(f)
	f.Fuzz(func(t *testing.T, b []byte, good bool) {
		if good {
			b = bytes.Clone(b)
			reseal(b, headerSize)
		}
		measured(t, len(b), func() { scanAll(t, b) })
	})
}

func scanAll(t *testing.T, b []byte) {
	end := headerSize + int64(len(b))
	for _, link := range []bool{true, false} {
		for _, deep := range []bool{true, false} {
			sc := scanner{salt: fuzzHeader.Salt, win: memWindow(b, headerSize)}
			c := chain{pos: headerSize, sum: fuzzHeader.checksum(), high: firstOID}
			for c.pos < end {
				f, v, reason, err := sc.next(c, link, deep)
				if err != nil {
					t.Fatalf("bytes in memory cannot be read: %v", err)
				}
				if (v == verdictWhole) != (reason == "") {
					t.Fatalf("verdict %d with the reason %q", v, reason)
				}
				if v != verdictWhole {
					break
				}
				if f.pos != c.pos || f.length < frameHeaderSize+trailerSize || f.end() > end {
					t.Fatalf("a frame at %d..%d in %d..%d", f.pos, f.end(), c.pos, end)
				}
				f.transaction()
				high, cls := c.high, c.cls
				if f.leaseFirst != 0 {
					high = f.leaseFirst + storage.OID(f.leaseCount)
				}
				if f.kind == kindClass {
					cls++
				}
				c = chain{f.end(), f.sum, f.tid, f.time, high, max(c.top, greatest(&f)), cls}
			}
		}
	}
	sc := scanner{salt: fuzzHeader.Salt, win: memWindow(b, headerSize)}
	if _, n, err := sc.behind(headerSize); err != nil || n > len(b)/frameHeaderSize { // of a newer format a header is enough
		t.Fatalf("%d frames in %d bytes, %v", n, len(b), err)
	}
}

// answered reports whether an error is one that a hostile file may be answered
// with: it says what is wrong with the file, or refuses what the file has no
// room for.
func answered(err error) bool {
	return err == nil || typed(err) || errors.Is(err, storage.ErrTooLarge) || errors.Is(err, storage.ErrNotFound)
}

// FuzzOpen opens arbitrary bytes as a database, reads everything, verifies, and
// lets a writer commit and close: answers or typed errors, in bounded memory
// and time. What was read before a commit is the same after it.
// F5 F28 S57 H8
func FuzzOpen(f *testing.F) {
	seedFrames(f)
	f.Fuzz(func(t *testing.T, b []byte, good bool) {
		b = bytes.Clone(b)
		if good {
			reseal(b, headerSize)
		}
		d := mem.NewVolatile()
		if err := d.WriteFile(worldPath, append(fuzzHeader.encode(), b...)); err != nil {
			t.Fatal(err)
		}
		measured(t, len(b), func() { openAll(t, d, len(b), good) })
	})
}

// FuzzHeader is FuzzOpen for the file header.
func FuzzHeader(f *testing.F) {
	h := fuzzHeader.encode()
	f.Add(h)
	f.Add(h[:headerCopy+headerUsed])
	f.Add(append(make([]byte, headerCopy), h[headerCopy:]...))
	f.Add([]byte("durus"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := mem.NewVolatile()
		if err := d.WriteFile(worldPath, bytes.Clone(b)); err != nil {
			t.Fatal(err)
		}
		measured(t, len(b), func() { openAll(t, d, len(b), false) })
	})
}

// openAll is what the fuzz targets do with a disk. With forged checksums the
// file may claim that ids in use were given back.
func openAll(t *testing.T, d *mem.Disk, n int, forged bool) {
	s, err := Open(worldPath, simulated(d.Process("A")))
	if err != nil {
		if !answered(err) {
			t.Fatalf("open: %v", err)
		}
		return
	}
	before := readAll(t, s, n)
	if _, err := s.Verify(background, nil); !answered(err) {
		t.Fatalf("verify: %v", err)
	}
	oid, err := s.NewOID(background)
	if !answered(err) {
		t.Fatalf("new oid: %v", err)
	}
	if err == nil {
		if _, used := before[oid]; used && !forged {
			t.Fatalf("object id %s is in use and was given", oid)
		}
		delete(before, oid)
		if _, err := edit(s, oid, "fuzzed"); !answered(err) {
			t.Fatalf("commit: %v", err)
		}
	}
	after := readAll(t, s, n)
	for oid, want := range before {
		if got := after[oid]; got != want {
			t.Fatalf("object %s was %q and is %q", oid, want, got)
		}
	}
	if err := s.Close(); !answered(err) {
		t.Fatalf("close: %v", err)
	}
}

// readAll reads all objects and transactions that a View shows.
func readAll(t *testing.T, s *Storage, n int) map[storage.OID]string {
	snap, err := s.Begin(background, false)
	if err != nil {
		if !answered(err) {
			t.Fatalf("begin: %v", err)
		}
		return nil
	}
	defer snap.Release()
	out := map[storage.OID]string{}
	s.current().index.each(func(oid storage.OID, _ storage.Position) bool {
		text, err := state1(snap, oid)
		if !answered(err) {
			t.Fatalf("object %s: %v", oid, err)
		}
		out[oid] = fmt.Sprint(text, err)
		return len(out) <= n
	})
	i := 0
	for _, err := range s.Transactions(0, 1<<64-1) {
		if !answered(err) {
			t.Fatalf("transactions: %v", err)
		}
		if i++; i > n+1 {
			t.Fatal("more transactions than the file has room for")
		}
	}
	return out
}

// FuzzMark gives a database an arbitrary mark, with or without a good checksum
// and the right salt: never a panic, never a cut of what is there, and answers
// or typed errors. F8 F11 S59
func FuzzMark(f *testing.F) {
	m := mark{salt: fuzzHeader.Salt, start: headerSize, end: headerSize + 126, tid: 0, sum: 5}
	f.Add(written(m), false)
	f.Add(written(mark{salt: 1, end: headerSize, sum: 7}), true)
	f.Add([]byte{}, true)
	f.Add(make([]byte, vfs.MarkSize), true)
	frames := fuzzFrames()
	var h frameHeader
	h.get(frames)
	f.Add(written(mark{salt: fuzzHeader.Salt, start: h.pos, end: h.end(), tid: h.tid, sum: h.sum}), true)
	file := append(fuzzHeader.encode(), frames...)
	f.Fuzz(func(t *testing.T, b []byte, good bool) {
		b = bytes.Clone(b)
		if good && len(b) >= vfs.MarkSize {
			copy(b, markMagic[:])
			binary.LittleEndian.PutUint64(b[8:], fuzzHeader.Salt)
			binary.LittleEndian.PutUint32(b[vfs.MarkSize-4:], crc32.Checksum(b[:vfs.MarkSize-4], castagnoli))
		}
		if len(b) >= vfs.MarkSize {
			p := (*[vfs.MarkSize]byte)(b)
			if m := parseMark(p); m.end != 0 && parseMark((*[vfs.MarkSize]byte)(written(m))) != m {
				t.Fatalf("the mark %+v is read differently when it is written again", m)
			}
		}
		d := mem.NewVolatile()
		if err := errors.Join(d.WriteFile(worldPath, bytes.Clone(file)), d.WriteFile(lockName(worldPath), b)); err != nil {
			t.Fatal(err)
		}
		measured(t, len(file), func() { openAll(t, d, len(file), false) })
		now, err := d.ReadFile(worldPath)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(now, file) {
			t.Fatal("the file was cut or changed")
		}
	})
}

// greatest is the greatest object id in a frame.
func greatest(f *frame) storage.OID {
	if f.records == 0 {
		return 0
	}
	return f.oid(f.records - 1)
}
