package filestorage

import (
	"sync"

	"github.com/durusdb/durus/storage"
)

// past is what a snapshot of the past remembers: an object is looked up each time
// that it is used, and the way back to its state may be long.
type past struct {
	found sync.Map // storage.OID -> storage.Position, 0 for none; what a long way led to
}

const (
	// wayNear is how many previous records are followed before the other way
	// is tried as well, and what a long way is.
	wayNear = 8
	// waySteps is how many previous records are followed for each frame that
	// is looked at, and one more for each wayEntries of its table: that takes
	// longer than the look.
	waySteps   = 4
	wayEntries = 64
	// wayBlock is how much of the frames is read at a time.
	wayBlock = 16 << 10
	// wayTable is the largest table of a frame that is searched.
	wayTable = 4096
)

// wayBack finds the record that was current in the snapshot, from a newer one
// at p. There are two ways: from the newest record along the previous ones, and
// from the end of the snapshot along the frames before it. The one is short for
// an object that has hardly changed since, the other for one that was changed
// often, then as well as since, however long ago that is. Nobody can tell before
// which is shorter, so both are gone by turns: that costs little more than the
// shorter one.
func (s *snapshot) wayBack(oid storage.OID, p storage.Position) (storage.Position, error) {
	if s.past != nil {
		if v, ok := s.past.found.Load(oid); ok {
			return s.arrived(v.(storage.Position))
		}
	}
	var frames *framesBack
	steps := 0
	for ; int64(p) >= s.end; steps++ {
		if steps == wayNear {
			frames = newFramesBack(s)
		}
		if steps >= wayNear && frames.due(steps) {
			if q, found := frames.look(oid, steps); found {
				p = q
				break
			}
		}
		h, err := s.l.recordHeader(oid, p)
		if err != nil {
			return 0, err
		}
		if h.prev >= p {
			return 0, s.l.damaged(oid, p, "its previous record lies behind it")
		}
		p = h.prev
	}
	if s.past != nil && steps >= wayNear {
		s.past.found.Store(oid, p)
	}
	return s.arrived(p)
}

func (s *snapshot) arrived(p storage.Position) (storage.Position, error) {
	if p <= 0 {
		return 0, s.l.absent(p)
	}
	return p, nil
}

// framesBack goes along the frames before the end of a snapshot, the newest first.
type framesBack struct {
	seeker
	pos   int64  // all frames from there on were looked at; 0: this way is barred
	next  int    // after so many steps along the other way one more is due
	table []byte // memory for tables
}

func newFramesBack(s *snapshot) *framesBack {
	return &framesBack{
		seeker{l: s.l, end: s.end, near: window{file: s.l.file, size: s.end, least: frameHeaderSize}}, s.end, 0, nil,
	}
}

// due tells whether it is this way's turn.
func (b *framesBack) due(steps int) bool { return b.pos > 0 && steps >= b.next }

// look looks for a record of oid in one more frame. found is also true, with the
// position 0, when there are no more frames: then it was not there yet. A frame
// that cannot be read, or has a table that takes too long to search, bars this
// way; the other one tells why, or leads there.
func (b *framesBack) look(oid storage.OID, steps int) (pos storage.Position, found bool) {
	end := b.pos
	if b.pos = 0; end == headerSize {
		return 0, true
	}
	if b.fill(end) != nil {
		return 0, false
	}
	h, ok, err := b.before(end)
	if err != nil || !ok || h.records > wayTable {
		return 0, false
	}
	if h.records > 0 {
		sc := scanner{salt: b.l.header.Salt, win: &b.near, scratch: b.table}
		f, v, _, err := sc.next(chain{pos: h.pos}, false, false)
		if b.table = sc.scratch; err != nil || v != verdictWhole {
			return 0, false
		}
		if i, ok := f.find(oid); ok {
			return f.recordPos(i), true
		}
	}
	b.pos, b.next = h.pos, steps+waySteps+h.records/wayEntries
	return 0, false
}

// fill reads what lies in front of end, unless it is in memory: one read brings
// many small frames.
func (b *framesBack) fill(end int64) error {
	if w := &b.near; end-trailerSize >= w.off && end <= w.off+int64(len(w.buf)) {
		return nil
	}
	from := max(headerSize, end-wayBlock)
	_, err := b.near.bytes(from, int(end-from))
	return err
}

// frameAt reads the frame that begins at start, but not its records; what is
// behind size is not looked at.
func (l *lineage) frameAt(start, size int64) (f frame, v verdict, reason string, err error) {
	sc := scanner{salt: l.header.Salt, win: &window{file: l.file, size: size, least: frameHeaderSize}}
	return sc.next(chain{pos: start}, false, false)
}
