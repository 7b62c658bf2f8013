package filestorage

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/durusdb/durus/storage"
)

// A frame is a header, metadata, a table of records, the records, a trailer.
// Layout and rules are those of docs/format.md; numbers are never changed.
const (
	frameHeaderSize = 96
	tableEntrySize  = 16
	trailerSize     = 16

	frameMagic   = 0x6d724664 // "dFrm"
	trailerMagic = 0x646e4564 // "dEnd"
)

// kind says what a frame is for.
type kind uint8

const (
	kindTransaction kind = 1
	kindClass       kind = 2 // gives a class its number
	kindLease       kind = 3 // gives out object ids, or takes the last ones back
	kindBase        kind = 4 // states that a pack has kept, see base.go
	kindMoved       kind = 5 // the file is about to be replaced, or was; see moved.go
	kindOrigin      kind = 6 // which files this one was packed from, see origin.go
)

const (
	flagMustUnderstand = 1 << 0 // a reader that does not know the kind stops with ErrTooNew
	flagPromise        = 1 << 1 // its writer syncs before it reports success
)

// frameHeader is the first part of a frame.
type frameHeader struct {
	kind       kind
	flags      uint8
	length     int64 // of the whole frame
	pos        int64 // where it begins
	tid        storage.TID
	time       int64 // microseconds since 1970
	salt       uint64
	durable    int64  // the mark that its writer knew, a position
	prev       uint32 // checksum of the frame before, or of the file header
	metaLen    int
	records    int
	tableSum   uint32 // of metadata and table
	leaseFirst storage.OID
	leaseCount uint32
	sum        uint32 // of the header; as it covers tableSum, and the table the records, it stands for the frame
}

func (h *frameHeader) end() int64 { return h.pos + h.length }

// known: whether this program understands the kind.
func (h *frameHeader) known() bool {
	return h.kind >= kindTransaction && h.kind <= kindOrigin
}

func (h *frameHeader) promise() bool { return h.flags&flagPromise != 0 }

// bodyOff is where the records begin, relative to the frame.
func (h *frameHeader) bodyOff() int64 {
	return frameHeaderSize + int64(h.metaLen) + int64(h.records)*tableEntrySize
}

func (h *frameHeader) put(b []byte) {
	le := binary.LittleEndian
	le.PutUint32(b[0:], frameMagic)
	b[4], b[5] = byte(h.kind), h.flags
	le.PutUint16(b[6:], frameHeaderSize)
	le.PutUint64(b[8:], uint64(h.length))
	le.PutUint64(b[16:], uint64(h.pos))
	le.PutUint64(b[24:], uint64(h.tid))
	le.PutUint64(b[32:], uint64(h.time))
	le.PutUint64(b[40:], h.salt)
	le.PutUint64(b[48:], uint64(h.durable))
	le.PutUint32(b[56:], h.prev)
	le.PutUint32(b[60:], uint32(h.metaLen))
	le.PutUint32(b[64:], uint32(h.records))
	le.PutUint32(b[68:], h.tableSum)
	le.PutUint64(b[72:], uint64(h.leaseFirst))
	le.PutUint32(b[80:], h.leaseCount)
	clear(b[84:92])
	h.sum = crc32.Checksum(b[:92], castagnoli)
	le.PutUint32(b[92:], h.sum)
}

func (h *frameHeader) get(b []byte) {
	le := binary.LittleEndian
	h.kind, h.flags = kind(b[4]), b[5]
	h.length = int64(le.Uint64(b[8:]))
	h.pos = int64(le.Uint64(b[16:]))
	h.tid = storage.TID(le.Uint64(b[24:]))
	h.time = int64(le.Uint64(b[32:]))
	h.salt = le.Uint64(b[40:])
	h.durable = int64(le.Uint64(b[48:]))
	h.prev = le.Uint32(b[56:])
	meta, records := le.Uint32(b[60:]), le.Uint32(b[64:])
	if (meta|records)>>31 != 0 { // no writer writes this; on 32 bits it would not fit an int
		h.length = -1
	}
	h.metaLen, h.records = int(meta&(1<<31-1)), int(records&(1<<31-1))
	h.tableSum = le.Uint32(b[68:])
	h.leaseFirst = storage.OID(le.Uint64(b[72:]))
	h.leaseCount = le.Uint32(b[80:])
	h.sum = le.Uint32(b[92:])
}

func putTrailer(b []byte, length int64, sum uint32) {
	le := binary.LittleEndian
	le.PutUint64(b, uint64(length))
	le.PutUint32(b[8:], sum)
	le.PutUint32(b[12:], trailerMagic)
}

// goodTrailer reports whether b is the trailer of a frame of that length and checksum.
func goodTrailer(b []byte, length int64, sum uint32) bool {
	le := binary.LittleEndian
	return int64(le.Uint64(b)) == length && le.Uint32(b[8:]) == sum && le.Uint32(b[12:]) == trailerMagic
}

func trailerLength(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b)) }
