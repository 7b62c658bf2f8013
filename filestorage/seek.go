package filestorage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/durusdb/durus/storage"
)

// seeker finds a place in the past without reading what lies before or behind:
// ids and times never go back along the file, so it searches by halves. From any
// place it finds the next frame by its first bytes; see confirm for why it is one.
//
// Each step also goes one frame forward from the lower bound and one frame back
// from the upper one, so that a large frame is stepped over, and not searched
// twice.
type seeker struct {
	l    *lineage
	end  int64 // of the last frame that is looked at
	scan window
	near window // for headers and trailers
}

const (
	seekNear   = 16       // so many frames are tried by their trailers first: most questions are about the last ones
	seekLinear = 16 << 10 // so much is read in one go rather than halved
	seekStep   = 4 << 10  // how much a search for a frame reads at first
)

// errAstray: the bounds of a search do not fit together. Then something was
// taken for a frame that is none, or the file is damaged.
var errAstray = errors.New("frames that do not follow each other")

// seek returns the first place in front of end, which is the end of a valid
// frame, or end itself, at which a frame begins that is not older: all frames
// before it are. last is the header of the one before, empty if there is none.
// older must hold for no frame behind one for which it does not.
func (l *lineage) seek(end int64, older func(*frameHeader) bool) (pos int64, last frameHeader, err error) {
	s := &seeker{
		l: l, end: end,
		scan: window{file: l.file, size: end, least: seekStep},
		near: window{file: l.file, size: end, least: frameHeaderSize},
	}
	pos, last, err = s.halve(older)
	if errors.Is(err, errAstray) { // the walk from the begin takes nothing for granted
		pos, last, err = s.walk(headerSize, frameHeader{}, end, older)
	}
	if errors.Is(err, errAstray) {
		return 0, last, l.damaged(0, storage.Position(pos), err.Error())
	}
	if err != nil {
		return 0, last, fmt.Errorf("durus: read %s: %w", l.path, err)
	}
	return pos, last, nil
}

// halve is seek by halves. Between lo and hi lies what is looked for; no frame
// begins between limit and hi.
func (s *seeker) halve(older func(*frameHeader) bool) (int64, frameHeader, error) {
	lo, hi := int64(headerSize), s.end
	var last frameHeader // that ends at lo
	limit := hi
	for step := 0; hi > lo; step++ {
		h, ok, err := s.before(hi)
		if err != nil {
			return 0, last, err
		}
		if ok {
			if older(&h) {
				return hi, h, nil
			}
			hi, limit = h.pos, min(limit, h.pos)
		}
		if ok && step < seekNear {
			continue
		}
		if hi-lo <= seekLinear || lo >= limit {
			break
		}
		if h, ok, err = s.at(lo); err != nil {
			return 0, last, err
		}
		if ok {
			if !older(&h) {
				return lo, last, nil
			}
			lo, last = h.end(), h
		}
		mid := lo + (limit-lo)/2
		h, ok, err = s.find(mid, limit)
		switch {
		case err != nil:
			return 0, last, err
		case !ok:
			limit = mid
		case older(&h):
			lo, last = h.end(), h
		default:
			hi, limit = h.pos, h.pos
		}
	}
	return s.walk(lo, last, hi, older)
}

// walk is seek from the end of a frame, last, frame by frame up to hi.
func (s *seeker) walk(pos int64, last frameHeader, hi int64, older func(*frameHeader) bool) (int64, frameHeader, error) {
	w := window{file: s.l.file, size: s.end, least: min(max(hi-pos, frameHeaderSize), windowSize)}
	for pos < hi {
		h, ok, err := s.header(&w, pos)
		if err != nil {
			return pos, last, err
		}
		if !ok {
			return pos, last, errAstray
		}
		if !older(&h) {
			break
		}
		pos, last = h.end(), h
	}
	if pos > hi {
		return pos, last, errAstray
	}
	return pos, last, nil
}

// find returns the first frame that begins in [from, to).
func (s *seeker) find(from, to int64) (h frameHeader, ok bool, err error) {
	var magic [4]byte
	binary.LittleEndian.PutUint32(magic[:], frameMagic)
	for pos, n := from, int64(seekStep); pos < to; n = min(2*n, windowSize) {
		b, err := s.scan.bytes(pos, int(min(n, s.end-pos)))
		if err != nil {
			return h, false, err
		}
		for i := 0; ; i++ {
			k := bytes.Index(b[i:], magic[:])
			if k < 0 {
				break
			}
			if i += k; pos+int64(i) >= to {
				return h, false, nil
			}
			if h, ok, err := s.confirm(pos + int64(i)); ok || err != nil {
				return h, ok, err
			}
		}
		pos += int64(max(1, len(b)-len(magic)+1))
	}
	return h, false, nil
}

// confirm reports whether a frame begins at pos.
//
// The state of an object may hold anything, also bytes that look like a frame: a
// copy of this very file, say. They do not pass. A header names its own place,
// and its checksum covers that; as committed bytes never move, a copy lies
// elsewhere than it says. It names the salt, a random number that only this file
// has. And its neighbours must fit: the frame before, found by its trailer, has
// the checksum that this one is linked to, and the one behind is linked to this.
// Who knows the salt, the next free place and the checksum of the last frame
// before he commits could make several such frames; he has to be able to read
// the file, and would fool the questions about his own past, but no commit, no
// View and no pack: they follow the file from its begin.
func (s *seeker) confirm(pos int64) (h frameHeader, ok bool, err error) {
	if h, ok, err = s.at(pos); !ok || err != nil {
		return h, false, err
	}
	b, err := s.near.bytes(h.end()-trailerSize, trailerSize)
	if err != nil || !goodTrailer(b, h.length, h.sum) {
		return h, false, err
	}
	if h.end() < s.end {
		next, ok, err := s.at(h.end())
		if err != nil || !ok || next.prev != h.sum {
			return h, false, err
		}
	}
	if pos == headerSize {
		return h, h.prev == s.l.header.checksum(), nil
	}
	prev, ok, err := s.before(pos)
	return h, ok && prev.sum == h.prev, err
}

// at reads the header of the frame that begins at pos; ok is false when none does.
func (s *seeker) at(pos int64) (frameHeader, bool, error) { return s.header(&s.near, pos) }

func (s *seeker) header(w *window, pos int64) (h frameHeader, ok bool, err error) {
	if s.end-pos < frameHeaderSize+trailerSize {
		return h, false, nil
	}
	b, err := w.bytes(pos, frameHeaderSize)
	if err != nil {
		return h, false, err
	}
	h.get(b)
	ok = goodHeader(b, &h, s.l.header.Salt, pos) && h.length >= frameHeaderSize+trailerSize && h.length <= s.end-pos
	return h, ok, nil
}

// before reads the header of the frame that ends at end; ok is false when no
// trailer says so.
func (s *seeker) before(end int64) (h frameHeader, ok bool, err error) {
	if end < headerSize+frameHeaderSize+trailerSize {
		return h, false, nil
	}
	b, err := s.near.bytes(end-trailerSize, trailerSize)
	if err != nil {
		return h, false, err
	}
	start := end - trailerLength(b)
	if start < headerSize || start > end-frameHeaderSize-trailerSize {
		return h, false, nil
	}
	sum := binary.LittleEndian.Uint32(b[8:])
	h, ok, err = s.at(start)
	return h, ok && h.end() == end && h.sum == sum, err
}

// since returns where the first frame begins that a transaction with id tid or
// a greater one may lie in.
func (l *lineage) since(end int64, tid storage.TID) (int64, error) {
	pos, _, err := l.seek(end, func(h *frameHeader) bool { return h.tid < tid })
	return pos, err
}
