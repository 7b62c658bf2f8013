package filestorage

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// A transaction that was larger than memory gives records that are not in
// memory (storage.Spilled). Its frame is appended in pieces: of the draft only
// the header, the metadata, the table and 40 bytes a record are kept, and the
// records are put together one by one while they are written.
//
// For everybody else that is a frame like any other, of which a prefix is in
// the file until the last piece is (rule 6 of "when a frame is valid"). The
// protocol does not rest on a frame being one write: a short write has always
// left the same prefixes, and appendFailed, or the next writer, cuts what there
// is. The frame's sync comes after the last piece, like that of any append.

// pieceSize is how much is written at once. Frames that are smaller than
// maxGroupBytes are put together in memory, so that several of them still go
// into one write.
const pieceSize = 1 << 20

// pieces is where the records of a draft come from. A draftRecord's source is
// i for the ith of recs, and -1-i for the ith of spilled.
type pieces struct {
	recs    []storage.Record
	spilled storage.Spilled
	scratch []byte // a record's header and references
}

// encodeAll makes d the frame of a commit. Records that were spilled are read
// back into memory if the frame is small, else they stay where they are.
func (d *draft) encodeAll(c *storage.Commit, piece int) error {
	d.pieces = nil
	if c.Spilled == nil || c.Spilled.Len() == 0 {
		return d.encode(c.Records, &c.Meta)
	}
	size := (recordHeaderSize + tableEntrySize) * int64(len(c.Records)+c.Spilled.Len())
	for i := range c.Records {
		size += int64(len(c.Records[i].Payload)) + 8*int64(len(c.Records[i].Strong)+len(c.Records[i].Weak))
	}
	for i := range c.Spilled.Len() {
		r := c.Spilled.Record(i)
		size += int64(r.Size) + 8*int64(len(r.Strong)+len(r.Weak))
	}
	if size > int64(piece)*(maxGroupBytes/pieceSize) {
		return d.encodePieces(c)
	}
	recs := slices.Grow(slices.Clone(c.Records), c.Spilled.Len())
	for i := range c.Spilled.Len() {
		r := c.Spilled.Record(i)
		rec := storage.Record{OID: r.OID, Class: r.Class, Codec: r.Codec, Payload: make([]byte, r.Size), Strong: slices.Clone(r.Strong), Weak: slices.Clone(r.Weak)}
		if err := readSpilled(c.Spilled, i, &r, rec.Payload); err != nil {
			return err
		}
		recs = append(recs, rec)
	}
	return d.encode(recs, &c.Meta)
}

// readSpilled reads a payload and makes sure that it is the one that was
// spilled: a bad one would make the whole frame invalid.
func readSpilled(from storage.Spilled, i int, r *storage.SpilledRecord, p []byte) error {
	if err := from.ReadPayload(i, p); err != nil {
		return fmt.Errorf("durus: object %s could not be read from where the transaction had put it aside: %w", r.OID, err)
	}
	if crc32.Checksum(p, castagnoli) != r.Sum {
		return fmt.Errorf("durus: object %s was damaged where the transaction had put it aside: run the transaction again", r.OID)
	}
	return nil
}

// encodePieces is encode for a frame that does not fit into memory.
func (d *draft) encodePieces(c *storage.Commit) error {
	recs := c.Records
	if !slices.IsSortedFunc(recs, compareRecords) {
		recs = slices.Clone(recs)
		slices.SortFunc(recs, compareRecords)
	}
	more := c.Spilled.Len()
	if len(recs)+more > storage.MaxRecords {
		return fmt.Errorf("%w: %d objects in one transaction, the limit is %d: commit in parts", storage.ErrTooLarge, len(recs)+more, storage.MaxRecords)
	}
	metaLen, err := metaSize(&c.Meta)
	if err != nil {
		return err
	}
	d.pieces = &pieces{recs: recs, spilled: c.Spilled}
	d.header = frameHeader{kind: kindTransaction, metaLen: metaLen, records: len(recs) + more}
	d.records = make([]draftRecord, 0, len(recs)+more)
	off := d.header.bodyOff()
	for i, j := 0, 0; i < len(recs) || j < more; {
		source := int32(i)
		if i == len(recs) || j < more && c.Spilled.Record(j).OID < recs[i].OID {
			source = int32(-1 - j)
			j++
		} else {
			i++
		}
		if off, err = d.place(source, off); err != nil {
			return err
		}
	}
	d.header.length = off + trailerSize
	d.buf = make([]byte, d.header.bodyOff())
	putMeta(d.buf[frameHeaderSize:], &c.Meta, metaLen)
	le := binary.LittleEndian
	for i := range d.records {
		entry := d.buf[frameHeaderSize+metaLen+i*tableEntrySize:]
		le.PutUint64(entry, uint64(d.records[i].oid))
		le.PutUint32(entry[8:], uint32(d.records[i].off))
	}
	return nil
}

// place appends a record to the table at off, and returns where the next one goes.
func (d *draft) place(source int32, off int64) (int64, error) {
	r, payload := d.pieces.record(source)
	sum := r.Sum
	if source >= 0 {
		if err := checkRecord(&d.pieces.recs[source]); err != nil {
			return 0, err
		}
		sum = crc32.Checksum(payload, castagnoli)
	} else if err := checkSpilled(&r); err != nil {
		return 0, err
	}
	if n := len(d.records); n > 0 && d.records[n-1].oid >= r.OID {
		return 0, fmt.Errorf("durus: object %s occurs twice, or out of order, in one commit", r.OID)
	}
	refsLen := 8 * (len(r.Strong) + len(r.Weak))
	d.records = append(d.records, draftRecord{oid: r.OID, off: off, refsLen: refsLen, sum: sum, source: source})
	off += recordHeaderSize + int64(refsLen) + int64(r.Size)
	if off+trailerSize > storage.MaxTransaction {
		return 0, fmt.Errorf("%w: a transaction of more than %d bytes: commit in parts", storage.ErrTooLarge, int64(storage.MaxTransaction))
	}
	return off, nil
}

// checkSpilled is checkRecord for a record whose payload is not there.
func checkSpilled(r *storage.SpilledRecord) error {
	if r.Size < 0 || r.Size > storage.MaxPayload {
		return fmt.Errorf("%w: object %s takes %d bytes, the limit is %d: split it into several objects", storage.ErrTooLarge, r.OID, r.Size, storage.MaxPayload)
	}
	return checkRecord(&storage.Record{OID: r.OID, Strong: r.Strong, Weak: r.Weak})
}

// record returns a record by its source, with its payload if that is in memory.
func (p *pieces) record(source int32) (r storage.SpilledRecord, payload []byte) {
	if source < 0 {
		return p.spilled.Record(int(-1 - source)), nil
	}
	m := &p.recs[source]
	return storage.SpilledRecord{OID: m.OID, Class: m.Class, Codec: m.Codec, Size: len(m.Payload), Strong: m.Strong, Weak: m.Weak}, m.Payload
}

// head returns the header and the references of a record, sealed for its place
// in the frame, and the checksum that stands for it. The bytes are valid until
// the next call.
func (p *pieces) head(f *frameHeader, d *draftRecord) ([]byte, uint32) {
	r, _ := p.record(d.source)
	h := recordHeader{oid: r.OID, codec: r.Codec, frame: d.off, class: r.Class, payload: r.Size, strong: len(r.Strong), weak: len(r.Weak)}
	n := recordHeaderSize + d.refsLen
	if cap(p.scratch) < n {
		p.scratch = make([]byte, n)
	}
	b := p.scratch[:n]
	h.put(b)
	at := recordHeaderSize
	for _, refs := range [2][]storage.OID{r.Strong, r.Weak} {
		for _, o := range refs {
			binary.LittleEndian.PutUint64(b[at:], uint64(o))
			at += 8
		}
	}
	return b, sealRecord(b, d.refsLen, d.prev, d.sum, f.salt, f.pos+d.off)
}

// writePieces appends the frames of a batch. The caller holds the commit lock.
func (b *batch) writePieces(file vfs.File, piece int) error {
	w := &pieceWriter{file: file, end: b.start, buf: make([]byte, 0, piece)}
	for _, d := range b.drafts {
		if err := d.writeTo(w); err != nil {
			return err
		}
	}
	return w.flush()
}

// writeTo writes a sealed frame.
func (d *draft) writeTo(w *pieceWriter) error {
	if err := w.write(d.buf); err != nil || d.pieces == nil {
		return err
	}
	var payload []byte
	for i := range d.records {
		r := &d.records[i]
		head, _ := d.pieces.head(&d.header, r)
		if err := w.write(head); err != nil {
			return err
		}
		rec, p := d.pieces.record(r.source)
		if r.source < 0 {
			if cap(payload) < rec.Size {
				payload = make([]byte, rec.Size)
			}
			p = payload[:rec.Size]
			if err := readSpilled(d.pieces.spilled, int(-1-r.source), &rec, p); err != nil {
				return err
			}
		}
		if err := w.write(p); err != nil {
			return err
		}
	}
	var trailer [trailerSize]byte
	putTrailer(trailer[:], d.header.length, d.header.sum)
	return w.write(trailer[:])
}

// pieceWriter appends to a file in pieces of the capacity of buf.
type pieceWriter struct {
	file vfs.File
	end  int64 // of the file
	buf  []byte
}

func (w *pieceWriter) write(p []byte) error {
	for len(p) > 0 {
		n := copy(w.buf[len(w.buf):cap(w.buf)], p)
		w.buf, p = w.buf[:len(w.buf)+n], p[n:]
		if len(w.buf) == cap(w.buf) {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *pieceWriter) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	n, err := w.file.Append(w.buf, w.end)
	w.end += int64(n)
	w.buf = w.buf[:0]
	return err
}
