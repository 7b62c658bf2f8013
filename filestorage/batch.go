package filestorage

import (
	"github.com/durusdb/durus/storage"
)

// batch is what one lock hold appends.
type batch struct {
	l       *lineage
	start   int64 // where it begins: the end of the file
	durable int64 // the mark, for the frames to tell
	chain   chain // what the next frame must fit to
	now     int64 // microseconds since 1970
	drafts  []*draft
	added   *draft                           // by the member that runs
	leased  bool                             // a frame holds a lease for this handle
	named   map[string]bool                  // classes that frames of the batch give numbers to
	over    map[storage.OID]storage.Position // of the records in drafts, when there are several
}

// add gives a draft its place behind the others.
func (b *batch) add(d *draft) {
	c := &b.chain
	p := place{pos: c.pos, tid: c.tid, time: max(c.time, b.now), salt: b.l.header.Salt, durable: b.durable, prev: c.sum}
	if d.header.kind == kindTransaction {
		p.tid = max(c.tid+1, storage.TID(max(b.now, 0)))
	}
	if len(b.drafts) == 1 {
		b.note(b.drafts[0])
	}
	d.seal(p, b.position)
	if len(b.drafts) > 0 {
		b.note(d)
	}
	h := &d.header
	c.pos, c.sum, c.tid, c.time = h.end(), h.sum, h.tid, h.time
	if h.leaseFirst != 0 {
		c.high = h.leaseFirst + storage.OID(h.leaseCount)
	}
	if h.kind == kindClass {
		c.cls++
	}
	b.drafts = append(b.drafts, d)
	b.added = d
}

// note makes a frame's records known to the members after it. The frames of a
// batch are not in the index before they are written.
func (b *batch) note(d *draft) {
	if b.over == nil {
		b.over = make(map[storage.OID]storage.Position)
	}
	for _, r := range d.records {
		b.over[r.oid] = storage.Position(d.header.pos + r.off)
	}
}

// position is where the newest record of oid lies, those of the batch included.
func (b *batch) position(oid storage.OID) storage.Position {
	if p, ok := b.over[oid]; ok {
		return p
	}
	if b.over == nil && len(b.drafts) == 1 {
		if p := b.drafts[0].position(oid); p != 0 {
			return p
		}
	}
	return b.l.index.get(oid)
}
