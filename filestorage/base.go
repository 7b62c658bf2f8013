package filestorage

import (
	"encoding/binary"
	"fmt"
	"io"
	"sort"

	"github.com/durusdb/durus/storage"
)

// A base frame holds states that a pack has kept without the transactions that
// wrote them. Its objects stand in the order in which they are likely to be
// read, not in that of their ids, and none of them has a previous record, but for
// those that Salvage has found without their transaction. Its
// metadata says for each which transaction wrote the state, and when.

const (
	baseEntrySize = 16 // transaction id and time, 8 bytes each

	// baseFrameTarget is the size at which a base frame is closed: large enough
	// that headers cost nothing, small enough that the way from a record to its
	// transaction is one read.
	baseFrameTarget = 256 << 10
)

// baseFrame is a base frame in the making. Its body is collected first: how
// much comes before it is known when it is closed.
type baseFrame struct {
	records []draftRecord // off is relative to the body
	meta    []byte
	body    []byte
	time    int64 // of the horizon
}

// size is that of the whole frame, in bytes.
func (b *baseFrame) size() int64 {
	return frameHeaderSize + int64(len(b.meta)+len(b.records)*tableEntrySize+len(b.body)) + trailerSize
}

// write puts the frame behind the others, using the memory of d.
func (b *baseFrame) write(out *generation, d *draft) error {
	b.close(d)
	return out.add(d, 0, b.time)
}

// add takes a record, of which everything is copied.
func (b *baseFrame) add(r *rawRecord) {
	le := binary.LittleEndian
	b.records = append(b.records, draftRecord{oid: r.oid, off: int64(len(b.body)), refsLen: r.refsLen(), sum: r.sum})
	b.meta = le.AppendUint64(b.meta, uint64(r.tid))
	b.meta = le.AppendUint64(b.meta, uint64(r.time))
	b.body = append(b.body, r.raw...)
}

// close returns the frame and begins another one, in the memory of d.
func (b *baseFrame) close(d *draft) { b.closeAs(kindBase, d) }

// closeAs is close for a frame of any kind that has records.
func (b *baseFrame) closeAs(k kind, d *draft) {
	n := len(b.records)
	d.header = frameHeader{kind: k, metaLen: len(b.meta), records: n}
	off := d.header.bodyOff()
	d.header.length = b.size()
	if int64(cap(d.buf)) < d.header.length {
		d.buf = make([]byte, d.header.length)
	}
	d.buf = d.buf[:d.header.length]
	copy(d.buf[frameHeaderSize:], b.meta)
	copy(d.buf[off:], b.body)
	d.records = append(d.records[:0], b.records...)
	le := binary.LittleEndian
	for i := range d.records {
		r := &d.records[i]
		r.off += off
		le.PutUint64(d.buf[r.off+16:], uint64(r.off))
		entry := d.buf[frameHeaderSize+d.header.metaLen+i*tableEntrySize:]
		le.PutUint64(entry, uint64(r.oid))
		le.PutUint32(entry[8:], uint32(r.off))
	}
	b.records, b.meta, b.body = b.records[:0], b.meta[:0], b.body[:0]
}

// writer tells which transaction wrote the record of a frame that begins off
// behind it, and when.
func (f *frame) writer(off int64) (tid storage.TID, time int64, ok bool) {
	if f.kind != kindBase {
		return f.tid, f.time, true
	}
	i := sort.Search(f.records, func(i int) bool { return f.off(i) >= off })
	if i == f.records || f.off(i) != off || len(f.meta) < (i+1)*baseEntrySize {
		return 0, 0, false
	}
	le := binary.LittleEndian
	return storage.TID(le.Uint64(f.meta[i*baseEntrySize:])), int64(le.Uint64(f.meta[i*baseEntrySize+8:])), true
}

// newest is the time of the newest state in a base frame.
func (f *frame) newest() (t int64) {
	for b := f.meta; len(b) >= baseEntrySize; b = b[baseEntrySize:] {
		t = max(t, int64(binary.LittleEndian.Uint64(b[8:])))
	}
	return t
}

// frameOf reads the frame of a record, but not its records.
func (l *lineage) frameOf(oid storage.OID, pos storage.Position, r *recordHeader) (f frame, err error) {
	start := int64(pos) - r.frame
	if start < headerSize {
		return f, l.damaged(oid, pos, "its frame begins before the first one")
	}
	size, err := l.file.Size()
	if err != nil {
		return f, fmt.Errorf("durus: %s: %w", l.path, err)
	}
	f, v, reason, err := l.frameAt(start, size)
	if err != nil {
		return f, fmt.Errorf("durus: read %s: %w", l.path, err)
	}
	if v != verdictWhole {
		return f, corrupt(l.path, start, reason)
	}
	return f, nil
}

// writerOf tells which transaction wrote a record, and when.
func (l *lineage) writerOf(oid storage.OID, pos storage.Position) (tid storage.TID, time int64, err error) {
	h, err := l.recordHeader(oid, pos)
	if err != nil {
		return 0, 0, err
	}
	fh, ok, err := l.headerAt(int64(pos) - h.frame)
	if err != nil {
		return 0, 0, err
	}
	if ok && fh.kind != kindBase {
		return fh.tid, fh.time, nil
	}
	f, err := l.frameOf(oid, pos, &h)
	if err != nil {
		return 0, 0, err
	}
	tid, time, ok = f.writer(h.frame)
	if !ok {
		return 0, 0, l.damaged(oid, pos, "its frame does not name it")
	}
	return tid, time, nil
}

// readFull is ReadAt that treats a file that ends too early as an error.
func readFull(f io.ReaderAt, b []byte, off int64) error {
	n, err := f.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		return errShrunk
	}
	return err
}
