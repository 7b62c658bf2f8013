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
	// is looked at: that takes about as long.
	waySteps = 4
	// wayTable is the largest table of a frame that is searched.
	wayTable = 4096
)

// wayBack finds the record that was current in the snapshot, from a newer one
// at p. There are two ways: from the newest record along the previous ones, and
// from the end of the snapshot along the frames before it. The one is short for
// an object that has hardly changed since, the other for one that was changed
// often, then as well as since, however long ago that is. Nobody can tell before
// which is shorter, so both are gone by turns, and the cost is about twice that
// of the shorter one.
func (s *snapshot) wayBack(oid storage.OID, p storage.Position) (storage.Position, error) {
	if s.past != nil {
		if v, ok := s.past.found.Load(oid); ok {
			return s.arrived(v.(storage.Position))
		}
	}
	steps, frames := 0, s.end // all frames from there on were looked at
	for ; int64(p) >= s.end; steps++ {
		if steps > wayNear && steps%waySteps == 0 && frames > headerSize {
			q, start, ok := s.l.lookBefore(oid, frames)
			if ok && (q > 0 || start == headerSize) {
				p = q
				break
			}
			if frames = start; !ok {
				frames = headerSize // this way is barred; the other one tells why, or leads there
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
	if s.past != nil && steps > wayNear {
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

// lookBefore looks for a record of oid in the frame that ends at end. It returns
// where that is, 0 if there is none, and where the frame begins. ok is false when
// the frame cannot be read, or has a table that takes too long to search.
func (l *lineage) lookBefore(oid storage.OID, end int64) (pos storage.Position, start int64, ok bool) {
	sk := seeker{l: l, end: end, near: window{file: l.file, size: end, least: frameHeaderSize}}
	h, known, err := sk.before(end)
	if err != nil || !known || h.records > wayTable {
		return 0, 0, false
	}
	if h.records == 0 {
		return 0, h.pos, true
	}
	f, v, _, err := l.frameAt(h.pos, end)
	if err != nil || v != verdictWhole {
		return 0, 0, false
	}
	if i, found := f.find(oid); found {
		pos = f.recordPos(i)
	}
	return pos, f.pos, true
}

// frameAt reads the frame that begins at start, but not its records; what is
// behind size is not looked at.
func (l *lineage) frameAt(start, size int64) (f frame, v verdict, reason string, err error) {
	sc := scanner{salt: l.header.Salt, win: &window{file: l.file, size: size, least: frameHeaderSize}}
	return sc.next(chain{pos: start}, false, false)
}
