package filestorage

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// rebuild writes a new file of what a survey has found. It runs twice in the
// same way: at first nothing is written, and where each object's newest state
// will be is known in the end; the second time it is known from the begin.
type rebuild struct {
	s      *survey
	out    generation
	report *SalvageReport
	now    time.Time

	high    storage.OID                         // first object id that nothing speaks of
	classes map[storage.ClassID]storage.ClassID // numbers of the old file, to those of the new one
	names   map[string]storage.ClassID          // of the new one
	frame   baseFrame                           // that is being collected
	tmp     draft
	damaged oidSet // objects that had a newer state than what was written last

	final  *index // where newest states will be; nil the first time
	linked oidSet // what these refer to; nil: nobody asks
	roots  []storage.OID
}

// unfinished is the file that a Writer is making, as generation writes it.
type unfinished struct {
	vfs.File // nil: nothing else is called
	w        vfs.Writer
}

// Append implements vfs.File. What goes wrong the Writer's Commit tells.
func (u unfinished) Append(p []byte, _ int64) (int, error) { return u.w.Write(p) }

// Sync implements vfs.File: it is the Writer's Commit that syncs.
func (u unfinished) Sync() error { return nil }

// oidSet is a set of object ids, 64 in a word: ids are dense where there are
// many, and a hostile file may name id 2^47.
type oidSet map[uint64]uint64

func (s oidSet) add(oid storage.OID)      { s[uint64(oid)/64] |= 1 << (oid % 64) }
func (s oidSet) has(oid storage.OID) bool { return s[uint64(oid)/64]>>(oid%64)&1 != 0 }

func (s oidSet) remove(oid storage.OID) {
	if n := uint64(oid) / 64; s.has(oid) {
		if s[n] &^= 1 << (oid % 64); s[n] == 0 {
			delete(s, n)
		}
	}
}

func (r *rebuild) run() error {
	r.s.refill()
	r.classes, r.names, r.damaged = make(map[storage.ClassID]storage.ClassID), make(map[string]storage.ClassID), make(oidSet)
	r.high = firstOID
	if r.s.headerGood {
		r.high = r.s.header.HighOID
	}
	done := int64(headerSize)
	for i := range r.s.stretches {
		st := &r.s.stretches[i]
		if err := r.gap(st.gap, done, st.low); err != nil {
			return err
		}
		if err := r.stretch(st); err != nil {
			return err
		}
		done = st.high
	}
	return r.gap(r.s.end, done, maxPlace)
}

// gap takes what is left of frames whose places are between two others.
func (r *rebuild) gap(g gap, low, high int64) error {
	v := sieve{s: r.s, g: g, emit: func(m *remnant) error {
		if m.pos < low || m.pos >= high {
			return nil
		}
		return r.remnant(m)
	}}
	return v.run()
}

// stretch takes whole frames.
func (r *rebuild) stretch(st *stretch) error {
	for pos := st.pos; pos < st.high; {
		f, v, reason, err := r.s.scanner(st.at-st.pos).next(chain{pos: pos}, false, false)
		if err != nil {
			return r.s.failed(err)
		}
		if v != verdictWhole {
			return r.changed(reason)
		}
		if f.pos >= st.low && f.end() <= st.high {
			if err := r.whole(&f, st.at-st.pos); err != nil {
				return err
			}
		}
		pos = f.end()
		pass := int64(2)
		if r.final != nil {
			pass = 3
		}
		if err := r.s.step(pass*r.s.size + pos); err != nil {
			return err
		}
	}
	return nil
}

func (r *rebuild) changed(reason string) error {
	return fmt.Errorf("durus: salvage %s: it changed while it was read (%s): salvage a copy", r.s.path, reason)
}

func (r *rebuild) whole(f *frame, shift int64) error {
	r.report.Frames++
	r.seeLease(&f.frameHeader)
	switch f.kind {
	case kindClass:
		return r.class(f)
	case kindTransaction, kindBase:
	default: // leases are in the file header, the others are of packs that were
		return nil
	}
	for i := range f.records {
		pos := int64(f.recordPos(i))
		tid, time, _ := f.writer(f.off(i))
		if err := r.take(&relic{at: pos + shift, pos: pos, length: int(f.off(i+1) - f.off(i)), oid: f.oid(i)}, tid, time); err != nil {
			return err
		}
	}
	if f.kind == kindTransaction {
		r.frame.meta = append(r.frame.meta[:0], f.meta...)
		if f.tid > r.out.chain.tid {
			r.report.Transactions++
		}
	}
	return r.write(f.kind, f.tid, f.time)
}

// seeLease notes which object ids a frame gives out.
func (r *rebuild) seeLease(h *frameHeader) {
	if h.leaseFirst > 0 && h.leaseFirst <= storage.MaxOID && h.leaseCount <= maxLease {
		r.see(h.leaseFirst + storage.OID(h.leaseCount) - 1)
	}
}

// see notes that an object id was given out: no other object may get it.
func (r *rebuild) see(oid storage.OID) { r.high = min(max(r.high, oid+1), storage.MaxOID) }

// remnant takes what is left of a frame. The records of a transaction whose
// header is good remain one of that id and time. What is left of a transaction
// without it becomes base records, which are states without the transactions
// that wrote them; they count as written by the one before.
func (r *rebuild) remnant(m *remnant) error {
	known := m.frame.table != nil
	if m.head {
		r.seeLease(&m.frame.frameHeader)
	}
	switch {
	case !m.head:
		m.frame.kind, m.frame.tid, m.frame.time = kindBase, r.out.chain.tid, r.out.chain.time
		r.report.Orphans += uint64(len(m.records))
	case m.frame.kind == kindClass && known:
		return r.class(&m.frame)
	case m.frame.kind == kindTransaction && len(m.records) == 0:
		note(&r.report.Gone, m.frame.tid)
		r.report.GoneTotal++
	case m.frame.kind == kindTransaction:
		note(&r.report.Partial, m.frame.tid)
		r.report.PartialTotal++
	case m.frame.kind != kindBase:
		return nil
	}
	if len(m.records) > 0 {
		if err := r.relics(m); err != nil {
			return err
		}
	}
	m.lost(r.damaged.add)
	return nil
}

// relics writes the intact records of a remnant.
func (r *rebuild) relics(m *remnant) error {
	last := storage.OID(0)
	for i := range m.records {
		c := &m.records[i]
		if m.frame.kind == kindTransaction && c.oid <= last {
			continue // no writer writes it
		}
		last = c.oid
		tid, time := m.writer(c)
		if err := r.take(c, tid, time); err != nil {
			return err
		}
	}
	if m.frame.kind == kindTransaction {
		r.frame.meta = append(r.frame.meta[:0], m.frame.meta...)
	}
	return r.write(m.frame.kind, m.frame.tid, m.frame.time)
}

// take adds an intact record to the frame that is being collected.
func (r *rebuild) take(c *relic, tid storage.TID, time int64) error {
	raw, err := r.s.win.bytes(c.at, c.length)
	if err != nil {
		return r.s.failed(err)
	}
	var h recordHeader
	if !h.get(raw) || h.length() != int64(c.length) || !h.headerIntact(raw, r.s.salt, c.pos) {
		return r.changed("a record")
	}
	class, err := r.classOf(h.class, h.oid)
	if err != nil {
		return err
	}
	r.see(h.oid)
	for i := range h.strong + h.weak {
		r.see(min(storage.OID(le64(raw[recordHeaderSize+8*i:])), storage.MaxOID-1))
	}
	sum := crc32.Checksum(raw[recordHeaderSize+h.refsLen():], castagnoli)
	if seal(sum, r.s.salt, c.pos) != h.payloadSum {
		return r.changed("a record")
	}
	b := &r.frame
	off := len(b.body)
	b.add(&rawRecord{recordHeader: h, raw: raw, sum: sum, tid: tid, time: time})
	binary.LittleEndian.PutUint32(b.body[off+24:], uint32(class))
	return nil
}

// write ends the frame that is being collected.
func (r *rebuild) write(k kind, tid storage.TID, time int64) error {
	d := &r.tmp
	r.frame.closeAs(k, d)
	if k == kindTransaction && tid <= r.out.chain.tid {
		note(&r.report.Gone, tid) // it stands where it cannot have been written
		r.report.GoneTotal++
		return nil
	}
	for i := range d.records {
		c := &d.records[i]
		r.damaged.remove(c.oid)
		if r.final != nil && r.final.get(c.oid) == storage.Position(r.out.chain.pos+c.off) {
			r.newest(c.oid, d.buf[c.off:])
		}
	}
	return r.out.add(d, tid, time)
}

// newest looks at the references of a newest state.
func (r *rebuild) newest(oid storage.OID, raw []byte) {
	var h recordHeader
	h.get(raw) // it was checked by take
	for i := range h.strong {
		to := storage.OID(le64(raw[recordHeaderSize+8*i:]))
		if r.linked != nil && to != oid {
			r.linked.add(to)
		}
		if r.final.get(to) == 0 {
			r.report.DanglingTotal++
			note(&r.report.Dangling, DanglingReference{oid, to})
		}
	}
}

// class takes a class frame.
func (r *rebuild) class(f *frame) error {
	number := storage.ClassID(binary.LittleEndian.Uint32(f.meta))
	if _, ok := r.classes[number]; ok {
		return nil
	}
	_, err := r.define(number, string(f.meta[4:]))
	return err
}

// classOf returns the number in the new file of the class of a record. A class
// whose name is lost gets one, so that the record remains readable.
func (r *rebuild) classOf(number storage.ClassID, oid storage.OID) (storage.ClassID, error) {
	if id, ok := r.classes[number]; ok {
		return id, nil
	}
	if oid == rootOID {
		id, err := r.rootsClass()
		r.classes[number] = id
		return id, err
	}
	base := fmt.Sprintf("lost.class%d", number)
	name := base
	for n := 2; r.names[name] != 0; n++ {
		name = fmt.Sprintf("%s.%d", base, n)
	}
	note(&r.report.Classes, name)
	return r.define(number, name)
}

// rootsClass is the class of the root directory, whatever was lost.
func (r *rebuild) rootsClass() (storage.ClassID, error) {
	if id := r.names[rootClass]; id != 0 {
		return id, nil
	}
	return r.define(0, rootClass)
}

// define gives the next class number of the new file to a name; number is that
// of the old file, 0 for none.
func (r *rebuild) define(number storage.ClassID, name string) (storage.ClassID, error) {
	if r.out.chain.cls == storage.MaxClasses {
		return 0, fmt.Errorf("%w: %s names more than %d classes", storage.ErrTooLarge, r.s.path, storage.MaxClasses)
	}
	id := storage.ClassID(r.out.chain.cls + 1)
	if number != 0 {
		r.classes[number] = id
	}
	if r.names[name] == 0 {
		r.names[name] = id
	}
	return id, r.out.add(newClassDraft(id, name), 0, 0)
}
