package filestorage

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/durusdb/durus/storage"
)

// The file header, see docs/format.md. It is written once, when the file is
// created, and never changed: a generation begins and ends with a file.
const (
	headerSize   = 1024 // two copies, each in a sector of its own; the first frame follows
	headerCopy   = 512
	headerUsed   = 128 // bytes of a copy that mean something, checksum included
	formatNumber = 1
)

var fileMagic = [8]byte{'d', 'u', 'r', 'u', 's', 0x1a, '\r', '\n'}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Header is what a file says of itself.
type Header struct {
	Format     uint32      // version of the format
	ID         [16]byte    // of the database; survives packs and copies
	Generation uint64      // counts packs
	Salt       uint64      // of this very file; part of every checksum
	Horizon    storage.TID // history before it was packed away; 0: never packed
	HighOID    storage.OID // first object id that had not been given out at creation
	Synced     int64       // length that the creator had synced before the file became visible
	Created    int64       // microseconds since 1970

	raw [headerUsed]byte // the copy that was read, if it was
}

func (h *Header) encode() []byte {
	b := make([]byte, headerSize)
	le := binary.LittleEndian
	copy(b, fileMagic[:])
	le.PutUint32(b[8:], h.Format)
	le.PutUint32(b[12:], headerSize)
	copy(b[16:], h.ID[:])
	le.PutUint64(b[32:], h.Generation)
	le.PutUint64(b[40:], h.Salt)
	le.PutUint64(b[48:], uint64(h.Horizon))
	le.PutUint64(b[56:], uint64(h.HighOID))
	le.PutUint64(b[64:], uint64(h.Synced))
	le.PutUint64(b[72:], uint64(h.Created))
	le.PutUint32(b[headerUsed-4:], crc32.Checksum(b[:headerUsed-4], castagnoli))
	copy(b[headerCopy:], b[:headerUsed])
	return b
}

// bytes is the header as it was read, in both copies; a damaged one is mended.
func (h *Header) bytes() []byte {
	if h.raw == [headerUsed]byte{} {
		return h.encode()
	}
	b := make([]byte, headerSize)
	copy(b, h.raw[:])
	copy(b[headerCopy:], h.raw[:])
	return b
}

// checksum is what the first frame has in place of the checksum of the frame before it.
func (h *Header) checksum() uint32 {
	raw := h.raw[:]
	if h.raw == [headerUsed]byte{} {
		raw = h.encode()
	}
	return binary.LittleEndian.Uint32(raw[headerUsed-4:])
}

// chain is what the first frame must fit to.
func (h *Header) chain() chain {
	return chain{pos: headerSize, sum: h.checksum(), tid: h.Horizon, high: h.HighOID}
}

// parseHeader reads a header from the first bytes of a file of the given size.
// One good copy is enough.
func parseHeader(path string, b []byte, size int64) (Header, error) {
	switch {
	case size == 0:
		return Header{}, fmt.Errorf("%w: %s is empty: remove it to create a database there, or restore a backup", storage.ErrNotDurus, path)
	case !bytes.HasPrefix(b, fileMagic[:min(len(b), 5)]) && !(len(b) >= headerCopy+8 && bytes.Equal(b[headerCopy:headerCopy+8], fileMagic[:])):
		return Header{}, fmt.Errorf("%w: %s does not begin like one: is it the right file?", storage.ErrNotDurus, path)
	}
	var tooNew error
	for _, at := range []int{0, headerCopy} {
		if len(b) < at+headerUsed {
			continue
		}
		c := b[at : at+headerUsed]
		if !bytes.Equal(c[:8], fileMagic[:]) || crc32.Checksum(c[:headerUsed-4], castagnoli) != binary.LittleEndian.Uint32(c[headerUsed-4:]) {
			continue
		}
		le := binary.LittleEndian
		h := Header{
			Format:     le.Uint32(c[8:]),
			Generation: le.Uint64(c[32:]),
			Salt:       le.Uint64(c[40:]),
			Horizon:    storage.TID(le.Uint64(c[48:])),
			HighOID:    storage.OID(le.Uint64(c[56:])),
			Synced:     int64(le.Uint64(c[64:])),
			Created:    int64(le.Uint64(c[72:])),
		}
		copy(h.ID[:], c[16:])
		copy(h.raw[:], c)
		if h.Format != formatNumber || le.Uint32(c[12:]) != headerSize {
			tooNew = fmt.Errorf("%w: %s has format %d, this program knows %d: use a newer program", storage.ErrTooNew, path, h.Format, formatNumber)
			continue
		}
		if h.Synced < headerSize || h.HighOID < firstOID || h.HighOID > storage.MaxOID {
			return Header{}, corrupt(path, int64(at), "the file header holds impossible values")
		}
		if size < headerSize {
			break
		}
		return h, nil
	}
	if tooNew != nil {
		return Header{}, tooNew
	}
	if size < headerSize {
		return Header{}, corrupt(path, size, fmt.Sprintf("the file ends inside its header, after %d of %d bytes", size, headerSize))
	}
	return Header{}, corrupt(path, 0, "both copies of the file header are damaged")
}

func corrupt(path string, off int64, reason string) *storage.CorruptError {
	return &storage.CorruptError{Path: path, Offset: off, Reason: reason}
}
