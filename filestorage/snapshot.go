package filestorage

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// snapshot is a state of the file up to a position: records below it are in
// it, and committed bytes never change.
type snapshot struct {
	l    *lineage
	st   *state
	end  int64
	tid  storage.TID
	done atomic.Bool
	past *past // of a state that storage.Historian has found; nil: of one that was the newest
}

// begin takes the newest published state. No lock: it takes a reference first
// and then looks whether the state is still the newest. If so, the poller that
// replaces it later sees the reference (publish) and keeps what the snapshot
// needs; if not, it tries again.
func (l *lineage) begin(writable bool) *snapshot {
	for {
		st := l.state.Load()
		st.refs.Add(1)
		if l.state.Load() == st {
			s := &snapshot{l: l, st: st, end: st.visible, tid: st.visibleTID}
			if writable {
				s.end, s.tid = st.end, st.tid
			}
			return s
		}
		st.refs.Add(-1)
	}
}

// Release implements storage.Snapshot.
func (s *snapshot) Release() {
	if s.done.Swap(true) {
		return
	}
	if s.st.refs.Add(-1) == 0 && s.l.dead.Load() {
		s.l.mu.Lock()
		defer s.l.mu.Unlock()
		if err := s.l.closeFiles(); err != nil {
			s.l.logger.Warn("durus: close", "path", s.l.path, "err", err)
		}
	}
}

// TID implements storage.Snapshot.
func (s *snapshot) TID() storage.TID { return s.tid }

// Lineage implements storage.Snapshot.
func (s *snapshot) Lineage() uint64 { return s.l.id }

// Find implements storage.Snapshot. The usual case is one look into the index.
func (s *snapshot) Find(oid storage.OID) (storage.Position, error) {
	p := s.l.index.get(oid)
	if int64(p) >= s.end {
		return s.older(oid, p)
	}
	if p <= 0 {
		return 0, s.l.absent(p)
	}
	return p, nil
}

// absent is the error for an answer of the index that is no position.
func (l *lineage) absent(p storage.Position) error {
	if p == 0 {
		return storage.ErrNotFound
	}
	return l.index.failure()
}

// older finds the record that was current in this snapshot, when a newer one
// stands at p.
func (s *snapshot) older(oid storage.OID, p storage.Position) (storage.Position, error) {
	if q, known := s.l.recent.before(oid, s.end); known {
		p = q
	}
	if int64(p) >= s.end {
		return s.wayBack(oid, p)
	}
	return s.arrived(p)
}

// ClassName implements storage.Snapshot.
func (s *snapshot) ClassName(id storage.ClassID) (string, bool) { return s.l.classes.name(id) }

// Read implements storage.Snapshot.
func (s *snapshot) Read(oid storage.OID, pos storage.Position) (storage.Record, error) {
	return s.l.readRecord(oid, pos, s.end)
}

// WrittenBy implements storage.Snapshot.
func (s *snapshot) WrittenBy(oid storage.OID, pos storage.Position) (storage.TID, error) {
	r, err := s.l.recordHeader(oid, pos)
	if err != nil {
		return 0, err
	}
	h, ok, err := s.l.headerAt(int64(pos) - r.frame)
	if err == nil && !ok {
		err = s.l.damaged(oid, pos, "its frame has no header")
	}
	return h.tid, err
}

const (
	prefetchGap = 4 << 10   // records that lie this close are read as one piece
	prefetchMax = 256 << 10 // the largest piece
)

// Prefetch implements storage.Snapshot: it tells the file layer what will be
// read, in as few pieces as is sensible.
func (s *snapshot) Prefetch(positions []storage.Position) {
	slices.Sort(positions)
	for i := 0; i < len(positions); {
		from := int64(positions[i])
		to := from + readGuess
		for i++; i < len(positions) && int64(positions[i]) <= to+prefetchGap && int64(positions[i])-from < prefetchMax; i++ {
			to = int64(positions[i]) + readGuess
		}
		vfs.Advise(s.l.file, vfs.WillNeed, from, min(to, s.end)-from)
	}
}

// readGuess is how much is read at once for a record whose size is not known
// yet: most objects come with one system call.
const readGuess = 2048

var readBuffers = sync.Pool{New: func() any { return new([readGuess]byte) }}

// readRecord reads a record that ends at end or before: what is behind is not
// looked at, it may still change.
func (l *lineage) readRecord(oid storage.OID, pos storage.Position, end int64) (storage.Record, error) {
	buf := readBuffers.Get().(*[readGuess]byte)
	defer readBuffers.Put(buf)
	if m := l.mapped.newest.Load(); m != nil {
		if h, b := m.take(oid, int64(pos), end, buf[:]); b != nil {
			if r, reason := l.record(oid, pos, &h, b, len(b) <= readGuess); reason == "" {
				return r, nil
			}
		}
	}
	n, h, err := l.readHead(buf[:max(recordHeaderSize, min(readGuess, end-int64(pos)))], oid, pos)
	if err != nil {
		return storage.Record{}, err
	}
	total := int(h.length())
	b := buf[:n]
	if n < total {
		// The length is believed only as far as the file reaches: no damaged
		// record makes us allocate more than that.
		size, err := l.file.Size()
		if err != nil {
			return storage.Record{}, l.readError(oid, pos, err)
		}
		if int64(pos)+int64(total) > size {
			return storage.Record{}, l.readError(oid, pos, io.EOF)
		}
		b = make([]byte, total)
		m := copy(b, buf[:n])
		if k, err := l.file.ReadAt(b[m:], int64(pos)+int64(m)); k < total-m {
			return storage.Record{}, l.readError(oid, pos, err)
		}
	}
	r, reason := l.record(oid, pos, &h, b, n >= total)
	if reason != "" {
		return storage.Record{}, l.damaged(oid, pos, reason)
	}
	l.met(int64(pos), len(b))
	return r, nil
}

// record makes a record of its bytes, which b begins with, or says what is wrong
// with it. lent tells that b is needed for something else soon.
func (l *lineage) record(oid storage.OID, pos storage.Position, h *recordHeader, b []byte, lent bool) (r storage.Record, reason string) {
	if !h.headerIntact(b, l.header.Salt, int64(pos)) {
		return r, "checksum of a record header"
	}
	if h.oid != oid {
		return r, fmt.Sprintf("object %s stands in its place", h.oid)
	}
	payload := b[recordHeaderSize+h.refsLen() : h.length()]
	if !h.payloadIntact(payload, l.header.Salt, int64(pos)) {
		return r, "checksum of its state"
	}
	if lent {
		payload = append(make([]byte, 0, len(payload)), payload...)
	}
	r = storage.Record{OID: oid, Class: h.class, Codec: h.codec, Prev: h.prev, Payload: payload}
	r.Strong, r.Weak = h.refs(b)
	return r, ""
}

// recordHeader reads the fixed part of a record and checks it.
func (l *lineage) recordHeader(oid storage.OID, pos storage.Position) (recordHeader, error) {
	return l.recordHeaderBefore(oid, pos, math.MaxInt64)
}

// recordHeaderBefore is recordHeader for a record that ends at end or before:
// what is behind is not looked at, it may still change.
func (l *lineage) recordHeaderBefore(oid storage.OID, pos storage.Position, end int64) (recordHeader, error) {
	buf := readBuffers.Get().(*[readGuess]byte)
	defer readBuffers.Put(buf)
	n, h, err := l.readHead(buf[:max(recordHeaderSize, min(readGuess, end-int64(pos)))], oid, pos)
	if err != nil {
		return h, err
	}
	if need := recordHeaderSize + h.refsLen(); n < need {
		r, err := l.readRecord(oid, pos, end)
		h.prev = r.Prev
		return h, err
	}
	if !h.headerIntact(buf[:n], l.header.Salt, int64(pos)) || h.oid != oid {
		return h, l.damaged(oid, pos, "checksum of a record header")
	}
	return h, nil
}

func (l *lineage) readHead(buf []byte, oid storage.OID, pos storage.Position) (n int, h recordHeader, err error) {
	n, err = l.file.ReadAt(buf, int64(pos))
	if n < recordHeaderSize {
		return 0, h, l.readError(oid, pos, err)
	}
	if !h.get(buf) {
		return 0, h, l.damaged(oid, pos, "impossible values in a record header")
	}
	return n, h, nil
}

// readError is for a read that brought too little.
func (l *lineage) readError(oid storage.OID, pos storage.Position, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		if !l.stable {
			return fmt.Errorf("durus: read object %s at byte %d of %s: the storage does not show yet what it has shown before: try again: %w", oid, pos, l.path, vfs.ErrStale)
		}
		return l.damaged(oid, pos, "the file ends inside its record")
	}
	return fmt.Errorf("durus: read object %s at byte %d of %s: %w", oid, pos, l.path, err)
}

// damaged is for bytes that do not hold what they did: damage, unless the
// whole file is another one now.
func (l *lineage) damaged(oid storage.OID, pos storage.Position, reason string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if size, err := l.file.Size(); err == nil {
		if err := l.checkAnchor(size); errors.Is(err, storage.ErrRewound) {
			l.broken.Store(true)
			return err
		}
	}
	return &storage.CorruptError{Path: l.path, Offset: int64(pos), OID: oid, Reason: reason}
}
