package filestorage

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// mark is the record in the lock file: a fact about the disk. Everything up to
// end was synced. It may lag or be missing; it is never too high.
type mark struct {
	salt  uint64      // of the file it speaks of
	start int64       // where the frame begins that ends at end; 0 when that is the file header
	end   int64       // 0: no mark
	tid   storage.TID // of that frame
	sum   uint32      // its checksum, or the file header's
}

var markMagic = [8]byte{'d', 'u', 'r', 'u', 's', 'm', 'k', '1'}

func (m mark) put(p *[vfs.MarkSize]byte) {
	clear(p[:])
	le := binary.LittleEndian
	copy(p[:], markMagic[:])
	le.PutUint64(p[8:], m.salt)
	le.PutUint64(p[16:], uint64(m.start))
	le.PutUint64(p[24:], uint64(m.end))
	le.PutUint64(p[32:], uint64(m.tid))
	le.PutUint32(p[40:], m.sum)
	le.PutUint32(p[vfs.MarkSize-4:], crc32.Checksum(p[:vfs.MarkSize-4], castagnoli))
}

// parseMark returns no mark for bytes that are not one: missing, being written
// at this moment, or damaged. That only makes what it says lag.
func parseMark(p *[vfs.MarkSize]byte) (m mark) {
	le := binary.LittleEndian
	if [8]byte(p[:8]) != markMagic || crc32.Checksum(p[:vfs.MarkSize-4], castagnoli) != le.Uint32(p[vfs.MarkSize-4:]) {
		return mark{}
	}
	m = mark{
		salt:  le.Uint64(p[8:]),
		start: int64(le.Uint64(p[16:])),
		end:   int64(le.Uint64(p[24:])),
		tid:   storage.TID(le.Uint64(p[32:])),
		sum:   le.Uint32(p[40:]),
	}
	if m.end < headerSize || m.start < 0 || m.start >= m.end {
		return mark{}
	}
	return m
}
