package filestorage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"sync/atomic"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// An index checkpoint is a file beside the database that says where the newest
// record of each object begins, in a prefix of the file: then opening does not
// read that prefix. It is a cache. It is never asked what is committed: it is
// used only when the durable mark names a frame of the file at or behind the end
// of that prefix, and when the frame at that end is the one that it names, whose
// checksum stands for all before. Missing, cut, damaged, old, of another file or
// of a newer program: it is ignored.
//
//	checkpoint = pages (4096 each) | checksums of the pages | class names | origins | trailer
//
// docs/format.md has every byte.
type checkpoint struct {
	id         [16]byte
	salt       uint64
	chain            // at its end; cls is the number of class names
	start      int64 // where the frame begins that ends at its end
	frames     uint64
	txs        uint64
	objects    uint64
	pages      uint64
	originEnd  int64
	namesLen   int64
	originsLen int64
	bodySum    uint32 // of checksums, names and origins

	sums    []byte
	names   []string
	origins []origin
}

var checkpointMagic = [8]byte{'d', 'u', 'r', 'u', 's', 'i', 'x', '1'}

const (
	checkpointTrailer = 192

	// checkpointLeast is how much a file must have grown behind its checkpoint
	// for Close to write a new one: reading that much at the next opening takes
	// longer than writing (docs/decisions/0023 has the figures).
	checkpointLeast = 4 << 20

	// maxSparse bounds the holes in the range of object ids: a checkpoint of a
	// file with few objects far apart would be all holes.
	maxSparse = 64
)

func checkpointName(path string) string { return path + ".index" }

func (c *checkpoint) put(b []byte) {
	le := binary.LittleEndian
	copy(b, checkpointMagic[:])
	le.PutUint32(b[8:], formatNumber)
	le.PutUint32(b[12:], checkpointTrailer)
	copy(b[16:], c.id[:])
	for i, v := range []uint64{
		c.salt, uint64(c.pos), uint64(c.start), uint64(c.chain.tid), uint64(c.chain.time), uint64(c.high), uint64(c.top), uint64(c.cls),
		c.frames, c.txs, c.objects, c.pages, uint64(c.originEnd), uint64(c.namesLen), uint64(c.originsLen),
	} {
		le.PutUint64(b[32+8*i:], v)
	}
	le.PutUint32(b[152:], c.sum)
	le.PutUint32(b[156:], c.bodySum)
	le.PutUint32(b[checkpointTrailer-4:], crc32.Checksum(b[:checkpointTrailer-4], castagnoli))
}

// get reports whether b is the trailer of a checkpoint that this program knows,
// of a file of the given size.
func (c *checkpoint) get(b []byte, size int64) bool {
	le := binary.LittleEndian
	if !bytes.Equal(b[:8], checkpointMagic[:]) || le.Uint32(b[8:]) != formatNumber || le.Uint32(b[12:]) != checkpointTrailer ||
		crc32.Checksum(b[:checkpointTrailer-4], castagnoli) != le.Uint32(b[checkpointTrailer-4:]) {
		return false
	}
	copy(c.id[:], b[16:])
	v := func(i int) uint64 { return le.Uint64(b[32+8*i:]) }
	c.salt, c.pos, c.start = v(0), int64(v(1)), int64(v(2))
	c.chain.tid, c.chain.time, c.high, c.top = storage.TID(v(3)), int64(v(4)), storage.OID(v(5)), storage.OID(v(6))
	c.frames, c.txs, c.objects, c.pages, c.originEnd = v(8), v(9), v(10), v(11), int64(v(12))
	c.namesLen, c.originsLen = int64(v(13)), int64(v(14))
	c.sum, c.bodySum = le.Uint32(b[152:]), le.Uint32(b[156:])
	if v(7) > storage.MaxClasses || c.pages > uint64(size)/pageSize || c.namesLen < 0 || c.namesLen > size || c.originsLen < 0 || c.originsLen > size ||
		c.start < headerSize || c.pos <= c.start || c.frames == 0 {
		return false
	}
	c.cls = int(v(7))
	return int64(c.pages)*pageSize+int64(c.pages)*4+c.namesLen+c.originsLen+checkpointTrailer == size
}

// body parses what lies between pages and trailer.
func (c *checkpoint) body(b []byte) bool {
	if crc32.Checksum(b, castagnoli) != c.bodySum {
		return false
	}
	n := 4 * int64(c.pages)
	c.sums = b[:n:n]
	names := b[n : n+c.namesLen]
	for len(names) >= 4 {
		l := int64(binary.LittleEndian.Uint32(names))
		if l > int64(len(names))-4 {
			return false
		}
		c.names = append(c.names, string(names[4:4+l]))
		names = names[4+l:]
	}
	c.origins = parseOrigins(b[n+c.namesLen:])
	return len(names) == 0 && len(c.names) == c.cls
}

// write writes a checkpoint, complete or not at all. find tells where each
// object's record begins. The caller holds no lock.
func (c *checkpoint) write(fsys vfs.FS, path string, perm fs.FileMode, find func(storage.OID) (storage.Position, error)) error {
	w := fsys.Create(checkpointName(path), vfs.ReplaceIfExists, perm)
	c.pages = (uint64(c.top) + pageSlots) / pageSlots
	c.objects = 0
	le := binary.LittleEndian
	var sums []byte
	const batch = 16
	buf := make([]byte, 0, batch*pageSize)
	for n := range c.pages {
		buf = buf[:len(buf)+pageSize]
		page := buf[len(buf)-pageSize:]
		for i := range uint64(pageSlots) {
			p, err := find(storage.OID(n*pageSlots + i))
			if err != nil && !errors.Is(err, storage.ErrNotFound) {
				return errors.Join(err, w.Abort())
			}
			if err != nil {
				p = 0
			}
			if p != 0 {
				c.objects++
			}
			le.PutUint64(page[8*i:], uint64(p))
		}
		sums = le.AppendUint32(sums, pageSum(page, c.salt, n))
		if len(buf) == cap(buf) || n == c.pages-1 {
			w.Write(buf) // errors come back from Commit
			buf = buf[:0]
		}
	}
	body := sums
	for _, name := range c.names {
		body = le.AppendUint32(body, uint32(len(name)))
		body = append(body, name...)
	}
	c.namesLen = int64(len(body) - len(sums))
	list := newOriginDraft(c.origins)
	body = append(body, list.buf[frameHeaderSize:frameHeaderSize+list.header.metaLen]...)
	c.originsLen = int64(list.header.metaLen)
	c.bodySum = crc32.Checksum(body, castagnoli)
	w.Write(body)
	trailer := make([]byte, checkpointTrailer)
	c.put(trailer)
	w.Write(trailer)
	if err := w.Commit(); err != nil {
		return fmt.Errorf("durus: write %s: %w", checkpointName(path), err)
	}
	return nil
}

// sparse reports whether there would be little but holes.
func (c *checkpoint) sparse(objects uint64) bool {
	return uint64(c.top) > maxSparse*(objects+pageSlots)
}

// loadCheckpoint lets a lineage that is being opened begin at the end of a
// checkpoint. That there is none to be used is no error. l.mu is held, or nobody
// else knows l.
func (l *lineage) loadCheckpoint(s *Storage) error {
	f := s.fs.Open(checkpointName(s.path), vfs.ReadOnly)
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size < checkpointTrailer || info.Type != 0 {
		return nil
	}
	b := make([]byte, checkpointTrailer)
	var c checkpoint
	if readFull(f, b, info.Size-checkpointTrailer) != nil || !c.get(b, info.Size) || c.id != l.header.ID || c.salt != l.header.Salt {
		return nil
	}
	if fits, err := l.fits(&c); !fits {
		return err
	}
	pages := int64(c.pages) * pageSize
	body := make([]byte, info.Size-checkpointTrailer-pages)
	if readFull(f, body, pages) != nil || !c.body(body) {
		return nil
	}
	x := &floor{sums: c.sums, salt: c.salt, slots: c.pages * pageSlots, good: make([]atomic.Uint64, (c.pages+63)/64), logger: s.opts.Logger, path: s.path}
	x.kept = make([]atomic.Pointer[[pageSlots]storage.Position], c.pages)
	x.room.Store(keptPages)
	if x.pages = mapOrRead(s.fs, s.path, f, pages, x); x.pages == nil && pages > 0 {
		return nil
	}
	x.rebuild = func() (*index, error) { return l.scanIndex(c.pos) }
	l.adopt(&c, x)
	return nil
}

// fits reports whether the file holds the prefix that a checkpoint is about, and
// the mark says that all of it is on the disk.
func (l *lineage) fits(c *checkpoint) (bool, error) {
	m, err := l.readMark()
	for range 2 { // it may have been read while it was written
		if err == nil && m.end == 0 {
			m, err = l.readMark()
		}
	}
	if err != nil {
		return false, err
	}
	if m.salt != c.salt || m.end < c.pos || m.start < headerSize {
		return false, nil
	}
	for _, f := range []struct {
		start, end int64
		sum        uint32
	}{{m.start, m.end, m.sum}, {c.start, c.pos, c.sum}} {
		h, ok, err := l.headerAt(f.start)
		if err != nil || !ok || h.end() != f.end || h.sum != f.sum {
			return false, err
		}
	}
	return true, nil
}

// adopt takes the state at the end of a checkpoint.
func (l *lineage) adopt(c *checkpoint, x *floor) {
	var raw [frameHeaderSize]byte
	if readFull(l.file, raw[:], c.start) != nil {
		return
	}
	cur := &l.cur
	cur.chain, cur.last, cur.anchor, cur.checked = c.chain, c.start, append([]byte(nil), raw[:]...), 0
	cur.skipped, cur.frames, cur.txs = c.frames-1, c.frames-1, c.txs
	cur.ring[cur.frames%uint64(len(cur.ring))] = spot{c.start, c.pos, c.chain.tid, c.sum}
	cur.frames++
	for i, name := range c.names {
		l.classes.add(storage.ClassID(i+1), name)
	}
	l.origins, l.originEnd = c.origins, c.originEnd
	l.index.floor, l.index.objects = x, c.objects
	l.indexed = c.pos
}

// scanIndex reads the frames up to end and returns where they have their records.
func (l *lineage) scanIndex(end int64) (*index, error) {
	x := new(index)
	sc := scanner{salt: l.header.Salt, win: &window{file: l.file, size: end}}
	for pos := int64(headerSize); pos < end; {
		f, v, reason, err := sc.next(chain{pos: pos}, false, false)
		if err != nil {
			return nil, fmt.Errorf("durus: read %s: %w", l.path, err)
		}
		if v != verdictWhole {
			return nil, corrupt(l.path, pos, reason)
		}
		for i := range f.records {
			x.set(f.oid(i), f.recordPos(i))
		}
		pos = f.end()
	}
	return x, nil
}

// mapOrRead maps the pages of a checkpoint, or reads them where files cannot be
// mapped; nil is neither.
func mapOrRead(fsys vfs.FS, path string, f vfs.File, n int64, x *floor) []byte {
	if n == 0 {
		return nil
	}
	if int64(int(n)) != n { // 32 bits
		return nil
	}
	if fsys.Props(path).Mapping {
		if m := mapperOf(f); m != nil {
			if b, unmap, err := m.Map(0, int(n)); err == nil {
				// Whoever outlives his snapshot may still look into the index,
				// so it is unmapped when nobody can any more.
				cleanup(x, unmap)
				return b
			}
		}
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, n), b); err != nil {
		return nil
	}
	return b
}

func mapperOf(f vfs.File) vfs.Mapper {
	for {
		if m, ok := f.(vfs.Mapper); ok {
			return m
		}
		w, ok := f.(interface{ Unwrap() vfs.File })
		if !ok {
			return nil
		}
		f = w.Unwrap()
	}
}
