package filestorage

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"unicode/utf8"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// verdict is what a look at one place of the file says. The rules by their
// numbers are in the package comment and in docs/format.md.
type verdict uint8

const (
	verdictWhole   verdict = iota // a valid frame
	verdictShort                  // rule 1 or 6: begins, and would end beyond the end of the file
	verdictBad                    // no valid frame
	verdictRecords                // valid but for some of its records (rules 11 and 12)
	verdictTooNew                 // rule 5: a good header that this program does not understand
)

// chain is what a frame must fit to.
type chain struct {
	pos  int64 // where the frame has to begin: the end of the one before
	sum  uint32
	tid  storage.TID
	time int64
	high storage.OID // first object id not given out
	top  storage.OID // greatest object id that has a record
	cls  int         // number of classes
}

// pass moves behind a frame that fits.
func (c *chain) pass(f *frame) {
	if f.leaseFirst != 0 {
		c.high = f.leaseFirst + storage.OID(f.leaseCount)
	}
	if f.kind == kindClass {
		c.cls++
	}
	c.top = max(c.top, f.greatest())
	c.pos, c.sum, c.tid, c.time = f.end(), f.sum, f.tid, f.time
}

// scanner reads frames one after the other.
type scanner struct {
	salt    uint64
	win     *window
	body    *window // for records, so that the frame's own window stays
	scratch []byte
	budget  int64 // how many bytes find may still sum; 0: not set yet

	sparse vfs.File // find skips its holes; nil, which is for who may cut what is not found: all is read
}

// frame is a frame that was read. Its metadata and table are valid until the
// scanner reads the next one.
type frame struct {
	frameHeader
	raw   [frameHeaderSize]byte
	meta  []byte
	table []byte
}

func (f *frame) oid(i int) storage.OID {
	return storage.OID(binary.LittleEndian.Uint64(f.table[i*tableEntrySize:]))
}

// off is where the i-th record begins, relative to the frame; for i = records
// where the trailer begins.
func (f *frame) off(i int) int64 {
	if i == f.records {
		return f.length - trailerSize
	}
	return int64(binary.LittleEndian.Uint32(f.table[i*tableEntrySize+8:]))
}

// greatest is the greatest object id of the table, 0 when it is empty.
func (f *frame) greatest() storage.OID {
	if f.records == 0 {
		return 0
	}
	if f.kind != kindBase { // in order
		return f.oid(f.records - 1)
	}
	top := storage.OID(0)
	for i := range f.records {
		top = max(top, f.oid(i))
	}
	return top
}

// sum32 is the checksum of the i-th record. So the table, and with it the
// frame's checksum, stands for all that the frame holds.
func (f *frame) sum32(i int) uint32 {
	return binary.LittleEndian.Uint32(f.table[i*tableEntrySize+12:])
}

func (f *frame) recordPos(i int) storage.Position { return storage.Position(f.pos + f.off(i)) }

// next reads the frame at c.pos. Without a link it does not ask for the rules
// that concern the frames before it (7, 8, 14, 15): so it finds frames behind
// damage. deep adds the rules for records (11, 12). The error is one of
// reading, never of what was read.
func (s *scanner) next(c chain, link, deep bool) (f frame, v verdict, reason string, err error) {
	left := s.win.size - c.pos
	if left < frameHeaderSize {
		return f, verdictShort, "the file ends inside a frame header", nil // 1
	}
	b, err := s.win.bytes(c.pos, frameHeaderSize)
	if err != nil {
		return f, 0, "", err
	}
	copy(f.raw[:], b)
	if binary.LittleEndian.Uint32(b) != frameMagic { // 2
		return f, verdictBad, "no frame begins here", nil
	}
	f.get(b)
	switch {
	case !goodHeader(b, &f.frameHeader, s.salt, c.pos): // 3, 4
		return frame{raw: f.raw}, verdictBad, "checksum of a frame header", nil
	case link && f.prev != c.sum: // 7
		return f, verdictBad, "a frame that does not follow the one before", nil
	case binary.LittleEndian.Uint16(b[6:]) != frameHeaderSize || !bytes.Equal(b[84:92], make([]byte, 8)): // 5
		return f, verdictTooNew, "a frame header of a newer format", nil
	case !f.known() && f.flags&flagMustUnderstand != 0: // 5
		return f, verdictTooNew, fmt.Sprintf("a frame of the unknown kind %d", f.kind), nil
	case f.length < f.bodyOff()+trailerSize || f.length > storage.MaxTransaction+frameHeaderSize || f.durable > f.pos || f.durable < 0:
		return f, verdictBad, "impossible values in a frame header", nil
	case f.length > left: // 6
		return f, verdictShort, "the file ends inside a frame", nil
	}
	n := int(f.bodyOff() - frameHeaderSize)
	if b, err = s.win.bytes(c.pos+frameHeaderSize, n); err != nil {
		return f, 0, "", err
	}
	s.scratch = append(s.scratch[:0], b...)
	f.meta, f.table = s.scratch[:f.metaLen], s.scratch[f.metaLen:]
	if seal(crc32.Checksum(s.scratch, castagnoli), s.salt, f.pos) != f.tableSum { // 9
		return f, verdictBad, "checksum of a frame's metadata and table", nil
	}
	if reason := f.checkTable(); reason != "" { // 10
		return f, verdictBad, reason, nil
	}
	if link { // 8, 14, 15
		if reason := f.checkLink(c); reason != "" {
			return f, verdictBad, reason, nil
		}
	}
	if !deep {
		return f, verdictWhole, "", nil
	}
	if s.body == nil {
		s.body = &window{file: s.win.file}
		if s.win.file == nil {
			s.body = s.win
		}
	}
	if s.body != s.win {
		s.body.size = s.win.size
	}
	// 13. The trailer is looked at before the records: in a torn frame it is
	// the likeliest to be missing.
	if b, err = s.body.bytes(f.end()-trailerSize, trailerSize); err != nil {
		return f, 0, "", err
	}
	if !goodTrailer(b, f.length, f.sum) {
		return f, verdictRecords, "no trailer at the end of a frame", nil
	}
	reason, err = s.records(&f)
	if err != nil || reason == "" {
		return f, verdictWhole, "", err
	}
	return f, verdictRecords, reason, nil
}

// goodHeader holds rules 2 to 4: magic, checksum, place.
func goodHeader(b []byte, h *frameHeader, salt uint64, pos int64) bool {
	return binary.LittleEndian.Uint32(b) == frameMagic && crc32.Checksum(b[:92], castagnoli) == h.sum && h.salt == salt && h.pos == pos
}

// checkTable holds rule 10: the table names each object once, in order, and
// its records fill the rest of the frame.
func (f *frame) checkTable() string {
	last := storage.OID(0)
	for i := range f.records {
		o, off := f.oid(i), f.off(i)
		if o <= last && f.kind != kindBase || o == 0 || o > storage.MaxOID {
			return "object ids of a table are out of order"
		}
		if i == 0 && off != f.bodyOff() || f.off(i+1)-off < recordHeaderSize {
			return "offsets of a table are out of order"
		}
		last = o
	}
	if f.records == 0 && f.bodyOff()+trailerSize != f.length {
		return "a frame without records that is longer than its metadata"
	}
	if f.records > 0 && f.kind != kindTransaction && f.kind != kindBase && f.known() {
		return "records in a frame that is no transaction"
	}
	return ""
}

// checkLink holds the rules about what came before.
func (f *frame) checkLink(c chain) string {
	switch {
	case f.kind == kindTransaction && f.tid <= c.tid || f.kind != kindTransaction && f.tid != c.tid || f.time < c.time: // 8
		return "a transaction id or time that goes back"
	case f.greatest() >= c.high: // 14
		return "an object id that was not given out"
	case f.leaseCount > maxLease || f.leaseCount > 0 && f.leaseFirst != c.high || f.leaseFirst > c.high || uint64(f.leaseFirst)+uint64(f.leaseCount) > uint64(storage.MaxOID): // 14
		return "an impossible lease of object ids"
	case f.kind == kindLease && (f.leaseFirst < firstOID || f.leaseFirst <= c.top):
		return "an impossible lease of object ids"
	case f.kind == kindClass: // 15
		if len(f.meta) < 5 || len(f.meta) > 4+storage.MaxClassName || !utf8.Valid(f.meta[4:]) || binary.LittleEndian.Uint32(f.meta) != uint32(c.cls+1) || c.cls >= storage.MaxClasses {
			return "an impossible class frame"
		}
	case f.kind == kindBase && len(f.meta) != f.records*baseEntrySize, f.kind == kindMoved && len(f.meta) <= movedFixed, f.kind == kindOrigin && len(f.meta)%originSize != 0: // 16
		return "impossible metadata"
	case f.kind == kindTransaction:
		if _, ok := parseMeta(f.meta); !ok {
			return "metadata that cannot be read"
		}
	}
	return ""
}

// records holds rules 11 and 12 for all records of a frame.
func (s *scanner) records(f *frame) (reason string, err error) {
	for i := range f.records {
		if _, reason, err := s.record(f, i); err != nil || reason != "" {
			return reason, err
		}
	}
	return "", nil
}

// record holds rules 11 and 12 for the i-th record of a frame, and returns its
// bytes, which are valid until something else is read.
func (s *scanner) record(f *frame, i int) (b []byte, reason string, err error) {
	off, n := f.off(i), f.off(i+1)-f.off(i)
	pos := f.pos + off
	if b, err = s.body.bytes(pos, recordHeaderSize); err != nil {
		return nil, "", err
	}
	var r recordHeader
	if !r.get(b) || r.length() != n {
		return nil, fmt.Sprintf("header of the record of object %s", f.oid(i)), nil
	}
	if b, err = s.body.bytes(pos, int(n)); err != nil {
		return nil, "", err
	}
	if !r.headerIntact(b, s.salt, pos) || r.oid != f.oid(i) || r.frame != off || r.sum != f.sum32(i) { // 11
		return nil, fmt.Sprintf("header of the record of object %s", f.oid(i)), nil
	}
	if !r.payloadIntact(b[recordHeaderSize+r.refsLen():], s.salt, pos) { // 12
		return nil, fmt.Sprintf("checksum of the state of object %s", f.oid(i)), nil
	}
	return b, "", nil
}

// maxTail is how much may lie behind the last valid frame and still be taken
// for interrupted commits. More is answered as damage, at once: to search it for
// frames would take minutes.
const maxTail = 8 * storage.MaxTransaction

// behind searches [from, size) for valid frames, whatever came before them. It
// returns the greatest `durable` among them, and how many there are. It is
// called when a frame is bad and there is something behind it, which after an
// ordinary crash is a short tail.
func (s *scanner) behind(from int64) (durable int64, frames int, err error) {
	for pos := from; ; {
		f, n, err := s.find(pos)
		if err != nil || n == 0 {
			return durable, frames, err
		}
		frames++
		durable = max(durable, f.durable)
		pos = max(f.end(), f.pos+frameHeaderSize) // a newer frame may say anything
	}
}

// find returns the first valid frame that begins in [from, size), whatever
// came before it; n is 0 when there is none.
func (s *scanner) find(from int64) (f frame, n int, err error) {
	var magic [4]byte
	binary.LittleEndian.PutUint32(magic[:], frameMagic)
	if s.budget == 0 { // crafted headers must not make this quadratic
		s.budget = 8*s.win.size + 1
	}
	for pos := from; s.win.size-pos >= frameHeaderSize && s.budget > 1; {
		n := int(min(windowSize, s.win.size-pos))
		b, err := s.win.bytes(pos, n)
		if err != nil {
			return f, 0, err
		}
		i := bytes.Index(b, magic[:])
		if i < 0 {
			pos += int64(n - len(magic) + 1)
			s.spend(int64(n))
			if skip := s.hole(b, pos); skip > 0 {
				pos += skip
				s.spend(skip)
			}
			continue
		}
		pos += int64(i)
		f, v, _, err := s.next(chain{pos: pos}, false, true)
		if err != nil || v == verdictWhole || v == verdictTooNew {
			return f, 1, err
		}
		s.spend(int64(i) + frameHeaderSize)
		if f.pos == pos && v != verdictShort {
			s.spend(f.length)
		}
		pos++
	}
	return f, 0, nil
}

// hole returns how much of the hole around pos, in which no frame can begin, need
// not be read. The system is asked only when b, which was just read and ends
// behind pos, is all zeros, and at most once for so many bytes.
func (s *scanner) hole(b []byte, pos int64) int64 {
	if s.sparse == nil || bytes.Count(b, []byte{0}) < len(b) {
		return 0
	}
	return min(vfs.Hole(s.sparse, pos), s.win.size-pos)
}

func (s *scanner) spend(n int64) { s.budget = max(s.budget-n, 1) }
