package filestorage

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sort"

	"github.com/durusdb/durus/storage"
)

func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// Link is called for a reference of a record that is caught up with, to an
// object that the new file does not hold yet: its state at the horizon is to
// be kept now, with all that it needs.
type Link func(from, to storage.OID) error

// Caught is told what was caught up with.
type Caught struct {
	Transactions *int                                                // counts them
	Records      func(class storage.ClassID, size int64, isNew bool) // called for each
	Step         func() error                                        // called after each frame, unless others wait; an error ends it
}

// CatchUp copies the frames that the old file has got since the horizon, or
// since the last call, as they are: ids, times and metadata.
func (p *Packing) CatchUp(ctx context.Context, c *Caught, link Link) error {
	if !p.dry { // see begin
		if err := p.s.settle(p.l, p.l.end()); err != nil {
			return p.replaced(err)
		}
	}
	p.l.mu.Lock()
	to := p.l.cur.pos
	if p.dry { // it counts what was there when it began
		to = p.snap.end
	}
	if p.l.cur.pos == to {
		p.old = p.l.index.objects
	}
	p.l.mu.Unlock()
	return p.catchUp(ctx, to, c, link, c.Step)
}

// Refresh looks for what others have committed, and tells how much of it is to
// be caught up with, in bytes.
func (p *Packing) Refresh() (int64, error) {
	st, err := p.l.refresh()
	if err != nil {
		return 0, p.replaced(err)
	}
	return st.end - p.covered, nil
}

// replaced says what became of a database that is being packed.
func (p *Packing) replaced(err error) error {
	return fmt.Errorf("durus: pack %s: given up, nothing was changed: %w", p.s.path, err)
}

func (p *Packing) catchUp(ctx context.Context, to int64, c *Caught, link Link, step func() error) error {
	if err := p.closeBase(); err != nil {
		return err
	}
	sc := scanner{salt: p.l.header.Salt, win: &window{file: p.l.file, size: to}}
	for p.covered < to {
		if err := ctx.Err(); err != nil {
			return err
		}
		f, v, reason, err := sc.next(chain{pos: p.covered}, false, false)
		if err != nil {
			return fmt.Errorf("durus: read %s: %w", p.l.path, err)
		}
		if v != verdictWhole {
			return corrupt(p.l.path, p.covered, reason)
		}
		if err := p.adopt(&f, c, link); err != nil {
			return err
		}
		p.covered = f.end()
		if step != nil {
			if err := step(); err != nil {
				return err
			}
		}
	}
	return nil
}

// adopt copies one frame. Before it come the objects that it refers to and that
// nothing has kept yet: so in every state of the new file a reference leads
// somewhere.
func (p *Packing) adopt(f *frame, c *Caught, link Link) error {
	switch f.kind {
	case kindMoved, kindOrigin: // of packs that were
		return nil
	case kindClass, kindLease:
		if f.pos < p.admin {
			return nil
		}
	}
	d := &draft{header: f.frameHeader, buf: make([]byte, f.length)}
	if err := readFull(p.l.file, d.buf, f.pos); err != nil {
		return fmt.Errorf("durus: read %s: %w", p.l.path, err)
	}
	d.header.flags &^= flagPromise
	if f.pos < p.admin {
		d.header.leaseFirst, d.header.leaseCount = 0, 0
	}
	d.records = make([]draftRecord, f.records)
	for i := range d.records {
		if err := p.adoptRecord(f, d, i, c, link); err != nil {
			return err
		}
	}
	if err := p.closeBase(); err != nil {
		return err
	}
	if f.kind == kindTransaction {
		*c.Transactions++
	}
	return p.out.add(d, f.tid, f.time)
}

func (p *Packing) adoptRecord(f *frame, d *draft, i int, c *Caught, link Link) error {
	oid, off := f.oid(i), f.off(i)
	pos := storage.Position(f.pos + off)
	raw := d.buf[off:f.off(i+1)]
	var h recordHeader
	if !h.get(raw) || h.length() != int64(len(raw)) || h.oid != oid || !h.headerIntact(raw, p.l.header.Salt, int64(pos)) {
		return p.l.damaged(oid, pos, "checksum of a record header")
	}
	sum := crc32.Checksum(raw[recordHeaderSize+h.refsLen():], castagnoli)
	if seal(sum, p.l.header.Salt, int64(pos)) != h.payloadSum {
		return p.l.damaged(oid, pos, "checksum of its state")
	}
	d.records[i] = draftRecord{oid: oid, off: off, refsLen: h.refsLen(), sum: sum}
	c.Records(h.class, int64(len(raw)), p.out.index.get(oid) == 0)
	for j := range h.strong {
		to := storage.OID(le64(raw[recordHeaderSize+8*j:]))
		if p.out.index.get(to) != 0 || f.writes(to) {
			continue
		}
		if err := link(oid, to); err != nil {
			return err
		}
	}
	return nil
}

// writes reports whether a frame holds a record of oid.
func (f *frame) writes(oid storage.OID) bool {
	_, ok := f.find(oid)
	return ok
}

// find returns which of its records is one of oid.
func (f *frame) find(oid storage.OID) (i int, ok bool) {
	if f.kind == kindBase { // in no order
		for i := range f.records {
			if f.oid(i) == oid {
				return i, true
			}
		}
		return 0, false
	}
	return sort.Find(f.records, func(i int) int { return cmp.Compare(oid, f.oid(i)) })
}
