package filestorage

import (
	"encoding/binary"

	"github.com/durusdb/durus/storage"
)

// An origin frame is the last one that a pack writes. It names the files that
// this one was packed from, each with the end that it had when it was
// replaced. So a handle of one of them can tell, however many packs it has
// slept through, whether the file that it finds under the path holds all that
// it knows: its own end, and the checksum there, must be among them. Anything
// else is a file that was restored.
type origin struct {
	salt uint64
	end  int64       // of its last frame, when it was replaced
	tid  storage.TID // newest transaction in it
	sum  uint32      // checksum of that last frame
}

const (
	originSize = 32
	// maxOrigins bounds the list. A handle that has slept through more packs
	// than this is told that the file was replaced.
	maxOrigins = 4096
)

func newOriginDraft(list []origin) *draft {
	list = list[:min(len(list), maxOrigins)]
	d := &draft{header: frameHeader{kind: kindOrigin, metaLen: len(list) * originSize}}
	d.header.length = d.header.bodyOff() + trailerSize
	d.buf = make([]byte, d.header.length)
	le := binary.LittleEndian
	for i, o := range list {
		b := d.buf[frameHeaderSize+i*originSize:]
		le.PutUint64(b, o.salt)
		le.PutUint64(b[8:], uint64(o.end))
		le.PutUint64(b[16:], uint64(o.tid))
		le.PutUint32(b[24:], o.sum)
	}
	return d
}

func parseOrigins(b []byte) []origin {
	le := binary.LittleEndian
	list := make([]origin, 0, min(len(b)/originSize, maxOrigins))
	for ; len(b) >= originSize && len(list) < maxOrigins; b = b[originSize:] {
		list = append(list, origin{le.Uint64(b), int64(le.Uint64(b[8:])), storage.TID(le.Uint64(b[16:])), le.Uint32(b[24:])})
	}
	return list
}

// asOrigin is how a file that was packed from this one names it. l.mu is held.
func (l *lineage) asOrigin() origin {
	return origin{salt: l.header.Salt, end: l.cur.pos, tid: l.cur.tid, sum: l.cur.sum}
}

// holds reports whether this file was packed from another one, as that is now.
func (l *lineage) holds(o origin) bool {
	for _, x := range l.origins {
		if x == o {
			return true
		}
	}
	return false
}
