package filestorage

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/durusdb/durus/storage"
)

// recordHeaderSize is the fixed part of a record; references and payload follow.
const recordHeaderSize = 48

// maxOIDBits is the part of a record's first word that holds the oid; codec
// and flags have the rest.
const oidMask = uint64(storage.MaxOID)

// recordHeader is the fixed part of a record.
type recordHeader struct {
	oid        storage.OID
	codec      storage.Codec
	prev       storage.Position
	frame      int64 // how far behind the begin of its frame it lies
	class      storage.ClassID
	payload    int // length
	strong     int // number of references
	weak       int
	payloadSum uint32
	sum        uint32 // of the fixed part and the references
}

func (r *recordHeader) refsLen() int { return 8 * (r.strong + r.weak) }

// length of the whole record.
func (r *recordHeader) length() int64 {
	return recordHeaderSize + int64(r.refsLen()) + int64(r.payload)
}

// put writes everything but the two checksums.
func (r *recordHeader) put(b []byte) {
	le := binary.LittleEndian
	le.PutUint64(b[0:], uint64(r.oid)|uint64(r.codec)<<48)
	le.PutUint64(b[8:], uint64(r.prev))
	le.PutUint64(b[16:], uint64(r.frame))
	le.PutUint32(b[24:], uint32(r.class))
	le.PutUint32(b[28:], uint32(r.payload))
	le.PutUint32(b[32:], uint32(r.strong))
	le.PutUint32(b[36:], uint32(r.weak))
}

// get reads the fixed part. It reports false for values that no writer writes.
func (r *recordHeader) get(b []byte) bool {
	le := binary.LittleEndian
	w := le.Uint64(b[0:])
	r.oid, r.codec = storage.OID(w&oidMask), storage.Codec(w>>48)
	r.prev = storage.Position(le.Uint64(b[8:]))
	r.frame = int64(le.Uint64(b[16:]))
	r.class = storage.ClassID(le.Uint32(b[24:]))
	payload, strong, weak := le.Uint32(b[28:]), le.Uint32(b[32:]), le.Uint32(b[36:])
	r.payloadSum, r.sum = le.Uint32(b[40:]), le.Uint32(b[44:])
	if payload > storage.MaxPayload || uint64(strong)+uint64(weak) > storage.MaxReferences || w>>56 != 0 || r.prev < 0 || r.frame < 0 {
		return false
	}
	r.payload, r.strong, r.weak = int(payload), int(strong), int(weak)
	return true
}

// sealRecord fills in what depends on the place of a record: the previous
// position and both checksums. b begins with the record's header and holds at
// least its references; payloadSum is the plain checksum of the payload. It
// returns the checksum that stands for the record.
func sealRecord(b []byte, refsLen int, prev storage.Position, payloadSum uint32, salt uint64, pos int64) uint32 {
	le := binary.LittleEndian
	le.PutUint64(b[8:], uint64(prev))
	le.PutUint32(b[40:], seal(payloadSum, salt, pos))
	sum := crc32.Checksum(b[:44], castagnoli)
	sum = crc32.Update(sum, castagnoli, b[recordHeaderSize:recordHeaderSize+refsLen])
	sum = seal(sum, salt, pos)
	le.PutUint32(b[44:], sum)
	return sum
}

// headerIntact checks the fixed part and the references at the begin of b.
func (r *recordHeader) headerIntact(b []byte, salt uint64, pos int64) bool {
	sum := crc32.Checksum(b[:44], castagnoli)
	sum = crc32.Update(sum, castagnoli, b[recordHeaderSize:recordHeaderSize+r.refsLen()])
	return seal(sum, salt, pos) == r.sum
}

func (r *recordHeader) payloadIntact(payload []byte, salt uint64, pos int64) bool {
	return seal(crc32.Checksum(payload, castagnoli), salt, pos) == r.payloadSum
}

// refs decodes the references that follow the fixed part.
func (r *recordHeader) refs(b []byte) (strong, weak []storage.OID) {
	if r.strong+r.weak == 0 {
		return nil, nil
	}
	all := make([]storage.OID, r.strong+r.weak)
	for i := range all {
		all[i] = storage.OID(binary.LittleEndian.Uint64(b[recordHeaderSize+8*i:]))
	}
	return all[:r.strong:r.strong], all[r.strong:]
}

// checkRecord refuses what does not fit the limits.
func checkRecord(rec *storage.Record) error {
	switch {
	case rec.OID == 0 || rec.OID > storage.MaxOID:
		return fmt.Errorf("durus: object id %d is outside 1..%d", uint64(rec.OID), uint64(storage.MaxOID))
	case len(rec.Payload) > storage.MaxPayload:
		return fmt.Errorf("%w: object %s takes %d bytes, the limit is %d: split it into several objects", storage.ErrTooLarge, rec.OID, len(rec.Payload), storage.MaxPayload)
	case len(rec.Strong)+len(rec.Weak) > storage.MaxReferences:
		return fmt.Errorf("%w: object %s holds %d references, the limit is %d: split it into several objects", storage.ErrTooLarge, rec.OID, len(rec.Strong)+len(rec.Weak), storage.MaxReferences)
	}
	return nil
}

// RecordSize is how many bytes a record takes in the file, header and references
// included: what Overview counts as live.
func RecordSize(r *storage.Record) int64 {
	return recordHeaderSize + 8*int64(len(r.Strong)+len(r.Weak)) + int64(len(r.Payload))
}
