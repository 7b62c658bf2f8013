package filestorage

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"

	"github.com/durusdb/durus/storage"
)

// draft is a frame that is encoded but has no place yet. What can be summed
// is summed when it is made, outside any lock; sealing it under the lock takes
// a few dozen nanoseconds a record.
type draft struct {
	header  frameHeader
	buf     []byte        // the whole frame; with pieces only what is before the records
	records []draftRecord // in the order of the table
	pieces  *pieces       // a frame that is not in memory as a whole; nil for others
}

type draftRecord struct {
	oid     storage.OID
	off     int64            // relative to the frame
	prev    storage.Position // of the same object; with pieces only, filled in by seal
	refsLen int
	sum     uint32 // plain checksum of the payload
	source  int32  // with pieces only: see there
}

// encode makes d the frame of a transaction. The records may be in any order;
// one object twice is refused.
func (d *draft) encode(recs []storage.Record, meta *storage.Meta) error {
	if len(recs) > storage.MaxRecords {
		return fmt.Errorf("%w: %d objects in one transaction, the limit is %d: commit in parts", storage.ErrTooLarge, len(recs), storage.MaxRecords)
	}
	metaLen, err := metaSize(meta)
	if err != nil {
		return err
	}
	if !slices.IsSortedFunc(recs, compareRecords) {
		recs = slices.Clone(recs)
		slices.SortFunc(recs, compareRecords)
	}
	d.header = frameHeader{kind: kindTransaction, metaLen: metaLen, records: len(recs)}
	size := d.header.bodyOff()
	for i := range recs {
		r := &recs[i]
		if err := checkRecord(r); err != nil {
			return err
		}
		if i > 0 && recs[i-1].OID == r.OID {
			return fmt.Errorf("durus: object %s occurs twice in one commit", r.OID)
		}
		size += RecordSize(r)
	}
	size += trailerSize
	if size > storage.MaxTransaction {
		return fmt.Errorf("%w: a transaction of %d bytes, the limit is %d: commit in parts", storage.ErrTooLarge, size, int64(storage.MaxTransaction))
	}
	d.header.length = size
	d.buf = make([]byte, size)
	d.records = make([]draftRecord, len(recs))
	putMeta(d.buf[frameHeaderSize:], meta, metaLen)
	off := d.header.bodyOff()
	for i := range recs {
		off = d.putRecord(i, &recs[i], off)
	}
	return nil
}

func compareRecords(a, b storage.Record) int { return cmp.Compare(a.OID, b.OID) }

func (d *draft) putRecord(i int, r *storage.Record, off int64) int64 {
	le := binary.LittleEndian
	entry := d.buf[frameHeaderSize+d.header.metaLen+i*tableEntrySize:]
	le.PutUint64(entry, uint64(r.OID))
	le.PutUint32(entry[8:], uint32(off)) // a transaction is shorter than 2^31; seal adds the checksum
	h := recordHeader{oid: r.OID, codec: r.Codec, frame: off, class: r.Class, payload: len(r.Payload), strong: len(r.Strong), weak: len(r.Weak)}
	b := d.buf[off:]
	h.put(b)
	at := recordHeaderSize
	for _, refs := range [2][]storage.OID{r.Strong, r.Weak} {
		for _, o := range refs {
			le.PutUint64(b[at:], uint64(o))
			at += 8
		}
	}
	copy(b[at:], r.Payload)
	d.records[i] = draftRecord{oid: r.OID, off: off, refsLen: h.refsLen(), sum: crc32.Checksum(r.Payload, castagnoli)}
	return off + h.length()
}

// newClassDraft encodes a frame that gives a class its number.
func newClassDraft(id storage.ClassID, name string) *draft {
	d := &draft{header: frameHeader{kind: kindClass, metaLen: 4 + len(name)}}
	d.header.length = d.header.bodyOff() + trailerSize
	d.buf = make([]byte, d.header.length)
	binary.LittleEndian.PutUint32(d.buf[frameHeaderSize:], uint32(id))
	copy(d.buf[frameHeaderSize+4:], name)
	return d
}

// newLeaseDraft encodes a frame that gives out count object ids from first on,
// or, with count 0, says that first and all after it are free again.
func newLeaseDraft(first storage.OID, count uint32) *draft {
	d := &draft{header: frameHeader{kind: kindLease, leaseFirst: first, leaseCount: count}}
	d.header.length = d.header.bodyOff() + trailerSize
	d.buf = make([]byte, d.header.length)
	return d
}

// place is what a frame needs to know of the frame before it.
type place struct {
	pos     int64
	tid     storage.TID // for a transaction its own, else that of the transaction before
	time    int64
	salt    uint64
	durable int64
	prev    uint32
}

// seal gives the draft its place. prevOf tells the position of an object's
// newest record. After it the bytes are final, and d.header.sum stands for them.
func (d *draft) seal(p place, prevOf func(storage.OID) storage.Position) {
	h := &d.header
	h.flags |= flagMustUnderstand
	h.pos, h.tid, h.time, h.salt, h.durable, h.prev = p.pos, p.tid, p.time, p.salt, p.durable, p.prev
	for i := range d.records {
		r := &d.records[i]
		var sum uint32
		if d.pieces != nil {
			r.prev = prevOf(r.oid)
			_, sum = d.pieces.head(h, r)
		} else {
			sum = sealRecord(d.buf[r.off:], r.refsLen, prevOf(r.oid), r.sum, p.salt, p.pos+r.off)
		}
		binary.LittleEndian.PutUint32(d.buf[frameHeaderSize+h.metaLen+i*tableEntrySize+12:], sum)
	}
	h.tableSum = seal(crc32.Checksum(d.buf[frameHeaderSize:h.bodyOff()], castagnoli), p.salt, p.pos)
	h.put(d.buf)
	if d.pieces == nil {
		putTrailer(d.buf[h.length-trailerSize:], h.length, h.sum)
	}
}

// find returns the index of the record of oid in the frame.
func (d *draft) find(oid storage.OID) (i int, ok bool) {
	return slices.BinarySearchFunc(d.records, oid, func(r draftRecord, oid storage.OID) int { return cmp.Compare(r.oid, oid) })
}

// writes reports whether a record of the frame is one of oid.
func (d *draft) writes(oid storage.OID) bool {
	_, ok := d.find(oid)
	return ok
}

// position is where the record of oid lies, 0 if the frame has none. The draft
// has its place.
func (d *draft) position(oid storage.OID) storage.Position {
	if i, ok := d.find(oid); ok {
		return storage.Position(d.header.pos + d.records[i].off)
	}
	return 0
}

// writeSet is the read set of a transaction that depends only on what it writes.
type writeSet struct{ d *draft }

// Depends implements storage.ReadSet.
func (w writeSet) Depends(oid storage.OID, _ storage.Position) bool { return w.d.writes(oid) }

// metaSize is the size of the metadata as stored, 0 when there is none.
func metaSize(m *storage.Meta) (int, error) {
	if m == nil {
		return 0, nil
	}
	n := m.Size()
	if n > storage.MaxMeta {
		return 0, fmt.Errorf("%w: user, description and ext of a transaction take %d bytes, the limit is %d: shorten them", storage.ErrTooLarge, n, storage.MaxMeta)
	}
	return n, nil
}

// putMeta writes a count of strings and the strings, each with its length:
// user, description, then keys and values of ext in the order of the keys.
func putMeta(b []byte, m *storage.Meta, size int) {
	if size == 0 {
		return
	}
	le := binary.LittleEndian
	le.PutUint32(b, uint32(2+2*len(m.Ext)))
	b = b[4:]
	put := func(s string) {
		le.PutUint32(b, uint32(len(s)))
		copy(b[4:], s)
		b = b[4+len(s):]
	}
	put(m.User)
	put(m.Description)
	for _, k := range slices.Sorted(maps.Keys(m.Ext)) {
		put(k)
		put(m.Ext[k])
	}
}

// parseMeta reads what putMeta wrote; ok is false for anything else.
func parseMeta(b []byte) (m storage.Meta, ok bool) {
	if len(b) == 0 {
		return m, true
	}
	if len(b) < 4 {
		return m, false
	}
	le := binary.LittleEndian
	n := le.Uint32(b)
	b = b[4:]
	if n < 2 || n%2 != 0 || uint64(n)*4 > uint64(len(b)) {
		return m, false
	}
	next := func() (s string) {
		if !ok || len(b) < 4 || uint64(le.Uint32(b)) > uint64(len(b)-4) {
			ok = false
			return ""
		}
		l := int(le.Uint32(b))
		s, b = string(b[4:4+l]), b[4+l:]
		return s
	}
	ok = true
	m.User, m.Description = next(), next()
	if n > 2 {
		m.Ext = make(map[string]string, n/2-1)
	}
	for range n/2 - 1 {
		k := next()
		m.Ext[k] = next()
	}
	return m, ok && len(b) == 0
}
