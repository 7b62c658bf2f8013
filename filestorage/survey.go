package filestorage

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// survey looks for whole frames in a damaged file. They need not lie where they
// belong: a piece may have been cut out before them.
type survey struct {
	ctx  context.Context
	file vfs.File
	path string
	size int64
	win  *window

	header     Header
	headerGood bool // a copy of it is good, and it is this database's
	headerBad  bool // something else in it is not
	salt       uint64
	mark       mark
	tail       bool // see SalvageOptions

	stretches []stretch
	end       gap // what lies behind the last of them
	foreign   uint64
	budget    int64 // how many bytes may still be summed in vain: crafted headers must not make this quadratic

	sc       scanner // of the frames that lie as far from their places as the last one
	shift    int64   // how far: where a frame lies minus where it belongs
	progress func(done, total int64)
}

// stretch is a row of whole frames without anything between them.
type stretch struct {
	at   int64 // where it lies
	pos  int64 // where it belongs
	size int64
	gap  gap // what lies before it

	low, high int64 // only frames between these places count: the others are of another stretch

	horizon storage.TID // that of its first frame, if that is no transaction
}

// stop is where the place of a stretch ends.
func (s *stretch) stop() int64 { return s.pos + s.size }

// inPlace: it lies where it belongs.
func (s *stretch) inPlace() bool { return s.at == s.pos }

// gap is a part of the file without whole frames, and how far records in it may
// lie from where they belong: as far as the frames before it, or those behind.
type gap struct {
	from, to int64
	shifts   []int64
}

// shifted is a file in which everything lies elsewhere.
type shifted struct {
	vfs.File
	by int64
}

func (f shifted) ReadAt(p []byte, off int64) (int, error) { return f.File.ReadAt(p, off+f.by) }

func (s *survey) failed(err error) error {
	return fmt.Errorf("durus: salvage: read %s: %w", s.path, err)
}

func (s *survey) tooNew(at int64) error {
	return fmt.Errorf("%w: %s goes on at byte %d in a format that this program does not know: use a newer program", storage.ErrTooNew, s.path, at)
}

// step is called often. Bytes are read up to four times.
func (s *survey) step(done int64) error {
	if s.progress != nil {
		s.progress(min(done, 4*s.size), 4*s.size)
	}
	return s.ctx.Err()
}

// marked is how much the durable mark says there was, 0 if it does not say.
func (s *survey) marked() int64 {
	if s.mark.salt != s.salt {
		return 0
	}
	return s.mark.end
}

// readHeader finds out which database is to be salvaged: the one of the file
// header, or, if that is lost or stands for nothing here, the one with the
// most bytes in whole frames.
func (s *survey) readHeader() error {
	b, err := s.win.bytes(0, int(min(headerSize, s.size)))
	if err != nil {
		return s.failed(err)
	}
	h, herr := parseHeader(s.path, b, s.size)
	if errors.Is(herr, storage.ErrTooNew) {
		return herr
	}
	if herr == nil {
		s.header = h
		s.headerBad = !bytes.Equal(b, h.bytes())
	}
	sizes, err := s.salts()
	if err != nil {
		return err
	}
	most := int64(0)
	for salt, n := range sizes {
		if n > most || n == most && salt < s.salt {
			s.salt, most = salt, n
		}
	}
	s.headerGood = herr == nil && (sizes[h.Salt] > 0 || most == 0)
	switch {
	case s.headerGood:
		s.salt = h.Salt
	case most == 0 && errors.Is(herr, storage.ErrNotDurus):
		return herr
	case most == 0:
		return fmt.Errorf("%w: no whole frame is left in it: there is nothing to salvage", herr)
	}
	return nil
}

// maxSalts is how many databases are told apart.
const maxSalts = 1024

// salts counts the bytes in frames by the salts of their databases. It looks at
// headers, metadata and tables only.
func (s *survey) salts() (map[uint64]int64, error) {
	sizes := make(map[uint64]int64)
	s.refill()
	for at := int64(0); ; {
		at2, h, err := s.nextHeader(at)
		if err != nil || at2 < 0 {
			return sizes, err
		}
		at = at2 + 1
		if h.length < h.bodyOff()+trailerSize || h.length > min(s.size-at2, storage.MaxTransaction+frameHeaderSize) {
			continue
		}
		b, err := s.win.bytes(at2, int(h.bodyOff()))
		if err != nil {
			return nil, s.failed(err)
		}
		s.spend(h.bodyOff())
		if seal(crc32.Checksum(b[frameHeaderSize:], castagnoli), h.salt, h.pos) != h.tableSum {
			continue
		}
		if _, ok := sizes[h.salt]; ok || len(sizes) < maxSalts {
			sizes[h.salt] += h.length
		}
		at = at2 + h.length
		if err := s.step(at); err != nil {
			return nil, err
		}
	}
}

// refill begins another reading of the file.
func (s *survey) refill() { s.budget = 8*s.size + 1 }

func (s *survey) spend(n int64) { s.budget -= min(max(n, 0), s.budget) }

// nextHeader finds the next frame header with a good checksum, of any database
// and place. at is negative when there is none.
func (s *survey) nextHeader(from int64) (at int64, h frameHeader, err error) {
	var magic [4]byte
	binary.LittleEndian.PutUint32(magic[:], frameMagic)
	for at = from; s.size-at >= frameHeaderSize && s.budget > 0; {
		n := int(min(windowSize, s.size-at))
		b, err := s.win.bytes(at, n)
		if err != nil {
			return 0, h, s.failed(err)
		}
		i := bytes.Index(b, magic[:])
		if i < 0 {
			at += int64(n - len(magic) + 1)
			s.spend(int64(n))
			continue
		}
		s.spend(int64(i) + frameHeaderSize)
		at += int64(i)
		if s.size-at < frameHeaderSize {
			break
		}
		if b, err = s.win.bytes(at, frameHeaderSize); err != nil {
			return 0, h, s.failed(err)
		}
		if h.get(b); crc32.Checksum(b[:92], castagnoli) == h.sum {
			return at, h, nil
		}
		at++
	}
	return -1, h, s.ctx.Err()
}

// scanner returns one for frames that lie shift behind their places.
func (s *survey) scanner(shift int64) *scanner {
	if s.sc.win == nil || s.shift != shift {
		s.shift = shift
		s.sc = scanner{salt: s.salt, win: &window{file: shifted{s.file, shift}, size: s.size - shift}}
	}
	return &s.sc
}

// maxPlace is beyond every file: sums with it do not overflow.
const maxPlace = 1 << 60

// find collects the stretches, in the order in which they lie.
func (s *survey) find() error {
	s.refill()
	from := int64(0) // everything before is known
	if s.headerGood {
		from = headerSize
	}
	for at := from; ; {
		next, h, err := s.nextHeader(at)
		if err != nil {
			return err
		}
		if next < 0 {
			break
		}
		at = next + 1
		if h.salt != s.salt {
			s.foreign++
			continue
		}
		if h.pos < headerSize || h.pos > maxPlace {
			continue
		}
		f, v, _, err := s.scanner(next-h.pos).next(chain{pos: h.pos}, false, true)
		if err != nil {
			return s.failed(err)
		}
		if v == verdictTooNew {
			return s.tooNew(next)
		}
		if v != verdictWhole || !f.sensible() {
			if v != verdictShort {
				s.spend(h.length)
			}
			continue
		}
		s.append(&f, next, &from)
		at = from
		if err := s.step(s.size + at); err != nil {
			return err
		}
	}
	s.end = gap{from: from, to: s.size, shifts: []int64{0}}
	if n := len(s.stretches); n > 0 {
		s.end.shifts[0] = s.stretches[n-1].at - s.stretches[n-1].pos
	}
	return nil
}

// append adds a frame that lies at a place to the last stretch, or begins one.
func (s *survey) append(f *frame, at int64, from *int64) {
	if n := len(s.stretches); n > 0 && *from == at && s.stretches[n-1].stop() == f.pos {
		s.stretches[n-1].size += f.length
	} else {
		g := gap{from: *from, to: at, shifts: []int64{at - f.pos}}
		if n > 0 {
			if before := s.stretches[n-1].at - s.stretches[n-1].pos; before != at-f.pos {
				g.shifts = append(g.shifts, before)
			}
		}
		st := stretch{at: at, pos: f.pos, size: f.length, gap: g}
		if f.kind != kindTransaction {
			st.horizon = f.tid
		}
		s.stretches = append(s.stretches, st)
	}
	*from = at + f.length
}

// sensible holds what rules 14 to 16 say about a frame alone.
func (f *frame) sensible() bool {
	switch f.kind {
	case kindClass:
		return len(f.meta) >= 5 && len(f.meta) <= 4+storage.MaxClassName && utf8.Valid(f.meta[4:])
	case kindBase:
		return len(f.meta) == f.records*baseEntrySize && f.greatest() < storage.MaxOID
	case kindTransaction:
		_, ok := parseMeta(f.meta)
		return ok && f.greatest() < storage.MaxOID
	}
	return true
}

// order puts the stretches in the order of their places, and says what is
// missing between them. What has a place that another one has, too, is a copy of
// it, or was cut off by a writer once: what lies where it belongs counts, or what
// comes first.
func (s *survey) order(r *SalvageReport) {
	slices.SortStableFunc(s.stretches, func(a, b stretch) int {
		return cmp.Or(cmp.Compare(a.pos, b.pos), cmp.Compare(b.size, a.size))
	})
	var kept []stretch
	for _, st := range s.stretches {
		st.low, st.high = st.pos, st.stop()
		if n := len(kept); n > 0 && st.pos < kept[n-1].high {
			last := &kept[n-1]
			switch {
			case st.high <= last.high:
				continue
			case st.inPlace() && !last.inPlace():
				last.high = st.low
			default:
				st.low = last.high
			}
		}
		kept = append(kept, st)
	}
	s.stretches = kept
	done := int64(headerSize)
	for i := range kept {
		r.missing(done, kept[i].low)
		done = kept[i].high
	}
	rest := s.end.to - s.end.from
	if end := max(s.marked(), done+rest); s.damagedBehind(done, rest) {
		r.missing(done, end)
		return
	}
	r.Tail = rest
	s.end.from = s.end.to
}

// damagedBehind tells whether what follows the last whole frame, which ends at
// end, is damage, and not what interrupted commits leave: those that nobody was
// told of.
func (s *survey) damagedBehind(end, rest int64) bool {
	return s.marked() > end || rest > maxTail || s.tail && rest > 0
}

func (r *SalvageReport) missing(from, to int64) {
	if from < to {
		r.MissingBytes += to - from
		note(&r.Missing, Range{from, to})
	}
}

// newHeader is that of the new file. It has the id of the database if that is
// known; the first object id that is free is filled in when it is.
func (s *survey) newHeader(now time.Time) Header {
	if s.headerGood {
		return nextHeader(&s.header, s.header.Horizon, s.header.HighOID, now.UnixMicro())
	}
	h := newHeader(now)
	if len(s.stretches) > 0 {
		h.Horizon = s.stretches[0].horizon
	}
	return h
}
