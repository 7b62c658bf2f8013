package filestorage

import (
	"fmt"
	"hash/crc32"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// source reads records of a file one after the other, in any order, for
// somebody who reads a great part of them. It keeps blocks, and finds out
// whether that is worth it: where neighbours are asked for soon, one read
// brings many records; where they are not, a block costs more than it brings.
type source struct {
	l      *lineage
	end    int64 // nothing is read behind it
	blocks [sourceBlocks]sourceBlock
	small  [sourceSmall]byte
	large  []byte // a record that does not fit a block
	misses int    // since the last look at worth
	hits   int
	big    bool // whether a miss reads a whole block
	turn   int

	frame      frame // of the record that was read last, without its records
	frameKnown bool
	frameBuf   []byte
}

const (
	sourceBlockSize = 64 << 10
	sourceBlocks    = 64 // 4 MiB in all
	sourceSmall     = 2 << 10
)

type sourceBlock struct {
	off int64 // of its first byte in the file
	buf []byte
}

func newSource(l *lineage, end int64) *source { return &source{l: l, end: end, big: true} }

// bytes returns at least need bytes at off, and more if they come for nothing.
// They are valid until the next call.
func (s *source) bytes(off int64, need int) ([]byte, error) {
	b := &s.blocks[(off/sourceBlockSize)%sourceBlocks]
	if off >= b.off && off+int64(need) <= b.off+int64(len(b.buf)) {
		s.hits++
		return b.buf[off-b.off:], nil
	}
	if off+int64(need) > s.end {
		return nil, errShrunk
	}
	s.misses++
	if s.misses == 256 {
		// Where big blocks are off, one miss in 16 reads one, to see.
		s.big = s.hits > 2*256
		s.misses, s.hits = 0, 0
	}
	s.turn++
	begin := off / sourceBlockSize * sourceBlockSize
	if (s.big || s.turn%16 == 0) && off+int64(need) <= begin+sourceBlockSize {
		if b.buf == nil {
			b.buf = make([]byte, sourceBlockSize)
		}
		n := min(sourceBlockSize, s.end-begin)
		b.off, b.buf = begin, b.buf[:n]
		if err := readFull(s.l.file, b.buf, begin); err != nil {
			b.buf = b.buf[:0]
			return nil, err
		}
		return b.buf[off-begin:], nil
	}
	if need <= len(s.small) {
		n := min(int64(len(s.small)), s.end-off)
		return s.small[:n], readFull(s.l.file, s.small[:n], off)
	}
	if cap(s.large) < need {
		s.large = make([]byte, need)
	}
	return s.large[:need], readFull(s.l.file, s.large[:need], off)
}

// rawRecord is a record as it stands in the file, whole and with good checksums.
type rawRecord struct {
	recordHeader
	raw  []byte // valid until the next one is read
	sum  uint32 // plain checksum of the payload
	tid  storage.TID
	time int64
}

// read reads the record of oid at pos. A damaged one is an error.
func (s *source) read(oid storage.OID, pos storage.Position) (r rawRecord, err error) {
	if r.tid, r.time, err = s.writer(oid, pos); err != nil {
		return r, err
	}
	off := int64(pos)
	b, err := s.bytes(off, recordHeaderSize)
	if err != nil {
		return r, s.failed(oid, pos, err)
	}
	if !r.get(b) {
		return r, s.l.damaged(oid, pos, "impossible values in a record header")
	}
	n := r.length()
	if n > s.end-off {
		return r, s.l.damaged(oid, pos, "the file ends inside its record")
	}
	if int64(len(b)) < n {
		if b, err = s.bytes(off, int(n)); err != nil {
			return r, s.failed(oid, pos, err)
		}
	}
	r.raw = b[:n:n]
	if r.oid != oid || !r.headerIntact(r.raw, s.l.header.Salt, off) {
		return r, s.l.damaged(oid, pos, "checksum of a record header")
	}
	r.sum = crc32.Checksum(r.raw[recordHeaderSize+r.refsLen():], castagnoli)
	if seal(r.sum, s.l.header.Salt, off) != r.payloadSum {
		return r, s.l.damaged(oid, pos, "checksum of its state")
	}
	return r, nil
}

// header reads the fixed part of a record, and checks no more of it than that
// it could be one of oid.
func (s *source) header(oid storage.OID, pos storage.Position) (h recordHeader, err error) {
	b, err := s.bytes(int64(pos), recordHeaderSize)
	if err != nil {
		return h, s.failed(oid, pos, err)
	}
	if !h.get(b) || h.oid != oid {
		return h, s.l.damaged(oid, pos, "impossible values in a record header")
	}
	return h, nil
}

// writer tells which transaction wrote a record. Records that are read one
// after the other often share a frame.
func (s *source) writer(oid storage.OID, pos storage.Position) (storage.TID, int64, error) {
	if !s.frameKnown || int64(pos) < s.frame.pos || int64(pos) >= s.frame.end() {
		h, err := s.header(oid, pos)
		if err != nil {
			return 0, 0, err
		}
		if err := s.readFrame(int64(pos) - h.frame); err != nil {
			return 0, 0, err
		}
	}
	tid, time, ok := s.frame.writer(int64(pos) - s.frame.pos)
	if !ok {
		s.frameKnown = false
		return 0, 0, s.l.damaged(oid, pos, "its frame does not name it")
	}
	return tid, time, nil
}

// readFrame reads the header of a frame, and of a base frame what tells of its
// records' transactions.
func (s *source) readFrame(start int64) error {
	s.frameKnown = false
	if start < headerSize {
		return corrupt(s.l.path, start, "a record whose frame begins before the first one")
	}
	b, err := s.bytes(start, frameHeaderSize)
	if err != nil {
		return fmt.Errorf("durus: read %s: %w", s.l.path, err)
	}
	f := frame{}
	f.get(b)
	if !goodHeader(b, &f.frameHeader, s.l.header.Salt, start) || f.bodyOff() > f.length {
		return corrupt(s.l.path, start, "checksum of a frame header")
	}
	if f.kind == kindBase {
		n := int(f.bodyOff() - frameHeaderSize)
		if b, err = s.bytes(start+frameHeaderSize, n); err != nil {
			return fmt.Errorf("durus: read %s: %w", s.l.path, err)
		}
		s.frameBuf = append(s.frameBuf[:0], b[:n]...)
		if seal(crc32.Checksum(s.frameBuf, castagnoli), s.l.header.Salt, start) != f.tableSum {
			return corrupt(s.l.path, start, "checksum of a frame's metadata and table")
		}
		f.meta, f.table = s.frameBuf[:f.metaLen], s.frameBuf[f.metaLen:]
	}
	s.frame, s.frameKnown = f, true
	return nil
}

func (s *source) failed(oid storage.OID, pos storage.Position, err error) error {
	if err == errShrunk {
		return s.l.damaged(oid, pos, "the file ends inside its record")
	}
	return fmt.Errorf("durus: read object %s at byte %d of %s: %w", oid, pos, s.l.path, err)
}

// advise tells the file layer that the whole file will be read.
func (s *source) advise() { vfs.Advise(s.l.file, vfs.WillNeed, headerSize, min(s.end, 1<<20)) }
