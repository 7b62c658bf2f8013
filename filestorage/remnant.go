package filestorage

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/durusdb/durus/storage"
)

// remnant is what is left of a frame that is not whole. Records carry
// checksums of their own, which hold their place, and tell where their frame
// begins: so they can be found, and believed, without it.
type remnant struct {
	pos     int64 // where the frame belongs
	head    bool  // its header is good
	frame   frame // if so; metadata and table are empty if they are not
	records []relic
	size    int64         // what they take in a frame
	damaged []storage.OID // of which the record's header is good, and the state is not
}

// relic is an intact record.
type relic struct {
	at, pos int64 // where it lies, and where it belongs
	length  int
	oid     storage.OID
}

// sieve looks for remnants in a gap.
type sieve struct {
	s    *survey
	g    gap
	emit func(*remnant) error
	now  *remnant // the one that is being collected
}

// run calls emit for each remnant.
func (v *sieve) run() error {
	for at := v.g.from; v.g.to-at >= recordHeaderSize && v.s.budget > 0; {
		n, err := v.look(at)
		if err != nil {
			return err
		}
		at += n
		if at%windowSize < n {
			if err := v.s.ctx.Err(); err != nil {
				return err
			}
		}
	}
	return v.pass()
}

// pass hands over what was collected.
func (v *sieve) pass() error {
	if v.now == nil {
		return nil
	}
	r := v.now
	v.now = nil
	return v.emit(r)
}

// look returns how much is explained by what begins at a byte: 1 for nothing.
func (v *sieve) look(at int64) (int64, error) {
	win := v.s.win
	b, err := win.bytes(at, int(min(frameHeaderSize, v.g.to-at)))
	if err != nil {
		return 0, v.s.failed(err)
	}
	le := binary.LittleEndian
	if len(b) == frameHeaderSize && le.Uint32(b) == frameMagic {
		var h frameHeader
		h.get(b)
		for _, shift := range v.g.shifts {
			if goodHeader(b, &h, v.s.salt, at-shift) {
				return v.header(at, &h)
			}
		}
	}
	// Most places are ruled out by what no record has.
	if b[7] != 0 || le.Uint64(b[16:])>>31 != 0 || le.Uint64(b[16:]) < frameHeaderSize {
		return 1, nil
	}
	var r recordHeader
	if !r.get(b) || r.oid == 0 || r.oid >= storage.MaxOID || r.length() > v.g.to-at {
		return 1, nil
	}
	for _, shift := range v.g.shifts {
		pos := at - shift
		if int64(r.prev) >= pos || pos-r.frame < headerSize {
			continue
		}
		v.s.spend(int64(recordHeaderSize + r.refsLen()))
		if b, err = win.bytes(at, recordHeaderSize+r.refsLen()); err != nil {
			return 0, v.s.failed(err)
		}
		if !r.headerIntact(b, v.s.salt, pos) {
			continue
		}
		return v.record(&r, at, pos)
	}
	return 1, nil
}

// header begins a remnant with a good header.
func (v *sieve) header(at int64, h *frameHeader) (int64, error) {
	if err := v.pass(); err != nil {
		return 0, err
	}
	v.now = &remnant{pos: h.pos, head: true, frame: frame{frameHeader: *h}}
	if h.length < h.bodyOff()+trailerSize || h.length > storage.MaxTransaction+frameHeaderSize || h.bodyOff() > v.s.size-at {
		return frameHeaderSize, nil
	}
	v.s.spend(h.bodyOff())
	b, err := v.s.win.bytes(at, int(h.bodyOff()))
	if err != nil {
		return 0, v.s.failed(err)
	}
	b = append([]byte(nil), b[frameHeaderSize:]...)
	if seal(crc32.Checksum(b, castagnoli), v.s.salt, h.pos) != h.tableSum {
		return frameHeaderSize, nil
	}
	f := frame{frameHeader: *h, meta: b[:h.metaLen], table: b[h.metaLen:]}
	if f.checkTable() != "" || !f.sensible() {
		return frameHeaderSize, nil
	}
	v.now.frame = f
	return h.bodyOff(), nil
}

// record takes a record whose header is good.
func (v *sieve) record(r *recordHeader, at, pos int64) (int64, error) {
	size := r.length() + tableEntrySize + baseEntrySize
	if start := pos - r.frame; v.now == nil || v.now.pos != start || v.now.size+size > storage.MaxTransaction-frameHeaderSize {
		if err := v.pass(); err != nil {
			return 0, err
		}
		v.now = &remnant{pos: start}
	}
	v.s.spend(r.length())
	b, err := v.s.win.bytes(at, int(r.length()))
	if err != nil {
		return 0, v.s.failed(err)
	}
	if !r.payloadIntact(b[recordHeaderSize+r.refsLen():], v.s.salt, pos) {
		v.now.damaged = append(v.now.damaged, r.oid)
		return recordHeaderSize, nil
	}
	v.now.size += size
	v.now.records = append(v.now.records, relic{at: at, pos: pos, length: int(r.length()), oid: r.oid})
	return r.length(), nil
}

// lost calls f for each object of which the frame held a record that is not intact.
func (r *remnant) lost(f func(storage.OID)) {
	for _, oid := range r.damaged {
		f(oid)
	}
	if len(r.frame.table) == 0 {
		return
	}
	have := make(map[storage.OID]struct{}, len(r.records))
	for i := range r.records {
		have[r.records[i].oid] = struct{}{}
	}
	for i := range r.frame.records {
		if _, ok := have[r.frame.oid(i)]; !ok {
			f(r.frame.oid(i))
		}
	}
}

// writer tells which transaction wrote a record of a base frame, and when, as far as is known.
func (r *remnant) writer(c *relic) (storage.TID, int64) {
	if len(r.frame.table) > 0 {
		if tid, time, ok := r.frame.writer(c.pos - r.pos); ok {
			return tid, time
		}
	}
	return r.frame.tid, r.frame.time
}
