package filestorage

import (
	"errors"
	"fmt"
	"hash/crc32"
	"runtime/debug"

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

	// mapped, if it is not nil, is the file in memory, and blocks are not used.
	// Nobody cuts the file in front of end, but somebody from outside may: so
	// it is touched in guarded calls only.
	mapped  []byte
	unmap   func() error
	touched byte // so that touching is not left out

	frame      frame // of the record that was read last, without its records
	frameKnown bool
	frameBuf   []byte
	writers    [sourceWriters]frameWriter // of transactions, by where their frames begin
}

// frameWriter is what a transaction's frame says of all its records.
type frameWriter struct {
	start int64
	tid   storage.TID
	time  int64
}

const (
	sourceBlockSize = 64 << 10
	sourceBlocks    = 64 // 4 MiB in all
	sourceSmall     = 2 << 10
)

// sourceWriters is how many frames are remembered.
const sourceWriters = 4096

type sourceBlock struct {
	off int64 // of its first byte in the file
	buf []byte
}

// newSource maps the file where that can be done.
func newSource(fsys vfs.FS, l *lineage, end int64) *source {
	s := &source{l: l, end: end, big: true}
	if int64(int(end)) != end || !fsys.Props(l.path).Mapping {
		return s
	}
	if m := mapperOf(l.file); m != nil {
		if b, unmap, err := m.Map(0, int(end)); err == nil {
			s.mapped, s.unmap = b, unmap
		}
	}
	return s
}

// close gives back what was mapped. Nothing is read any more.
func (s *source) close() error {
	if s == nil || s.unmap == nil {
		return nil
	}
	err := s.unmap()
	s.mapped, s.unmap = nil, nil
	return err
}

// errCut: the file was cut under a reader who has mapped it.
var errCut = errors.New("the file was cut while it was read")

// guard turns the fault of touching memory whose file is gone into an error. It
// is to be deferred, with what enter has returned.
func (s *source) guard(was bool, err *error) {
	debug.SetPanicOnFault(was)
	if cutOff(recover()) {
		*err = fmt.Errorf("durus: read %s: %w", s.l.path, errCut)
	}
}

func (s *source) enter() (was bool) { return debug.SetPanicOnFault(true) }

// bytes returns at least need bytes at off, and more if they come for nothing.
// They are valid until the next call.
func (s *source) bytes(off int64, need int) ([]byte, error) {
	if s.mapped != nil {
		if off < 0 || off+int64(need) > int64(len(s.mapped)) {
			return nil, errShrunk
		}
		return s.mapped[off:], nil
	}
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
	off := int64(pos)
	if r.recordHeader, err = s.header(oid, pos); err != nil {
		return r, err
	}
	// Who wrote it first: it may take the room of the bytes.
	if r.tid, r.time, err = s.writer(&r.recordHeader, pos); err != nil {
		return r, err
	}
	b, err := s.bytes(off, recordHeaderSize)
	if err != nil {
		return r, s.failed(oid, pos, err)
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
func (s *source) writer(h *recordHeader, pos storage.Position) (storage.TID, int64, error) {
	start := int64(pos) - h.frame
	w := &s.writers[(uint64(start)*0x9E3779B97F4A7C15)>>52] // 12 bits
	if w.start == start && start != 0 {
		return w.tid, w.time, nil
	}
	if !s.frameKnown || s.frame.pos != start {
		if err := s.readFrame(start); err != nil {
			return 0, 0, err
		}
	}
	if s.frame.kind != kindBase {
		*w = frameWriter{start, s.frame.tid, s.frame.time}
	}
	tid, time, ok := s.frame.writer(h.frame)
	if !ok {
		s.frameKnown = false
		return 0, 0, s.l.damaged(h.oid, pos, "its frame does not name it")
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
