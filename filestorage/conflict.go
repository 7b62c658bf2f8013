package filestorage

import (
	"github.com/durusdb/durus/storage"
)

// maxConflicts is how many objects a ConflictError names.
const maxConflicts = 16

// conflicts tests the objects of the frames in [t.checked, end) against the
// read set: new frames are few, read sets may be large.
func (t *transaction) conflicts(end int64) error {
	if t.checked >= end {
		return nil
	}
	var at []change // one for each object, the last that changed it
	visit := func(oid storage.OID, pos storage.Position) bool {
		if int64(pos) >= end || !t.reads.Depends(oid, pos) {
			return true
		}
		for i := range at {
			if at[i].oid == oid {
				at[i].at = pos
				return true
			}
		}
		at = append(at, change{oid: oid, at: pos})
		return len(at) < maxConflicts
	}
	if !t.base.l.recent.since(t.checked, visit) {
		if err := t.base.l.changesInFile(t.checked, end, visit); err != nil {
			return err
		}
	}
	var found []storage.ConflictObject
	for _, c := range at {
		found = append(found, t.conflict(c.oid, c.at))
	}
	return conflictError(found)
}

// conflicts tests the frames of the members before.
func (b *batch) conflicts(t *transaction) error {
	var found []storage.ConflictObject
	for _, d := range b.drafts {
		for _, r := range d.records {
			at := storage.Position(d.header.pos + r.off)
			if len(found) < maxConflicts && t.reads.Depends(r.oid, at) {
				o := t.conflict(r.oid, 0)
				o.Committed = d.header.tid
				found = append(found, o)
			}
		}
	}
	return conflictError(found)
}

func conflictError(found []storage.ConflictObject) error {
	if len(found) == 0 {
		return nil
	}
	return &storage.ConflictError{Objects: found}
}

// conflict describes one object. What cannot be found out stays empty: the
// conflict stands anyway.
func (t *transaction) conflict(oid storage.OID, at storage.Position) storage.ConflictObject {
	o := storage.ConflictObject{OID: oid, Reason: "it was read"}
	l := t.base.l
	if t.writes(oid) {
		o.Reason = "both wrote it"
	}
	if at != 0 {
		if h, err := l.recordHeader(oid, at); err == nil {
			o.Class = l.className(h.class)
			o.Committed = l.tidOf(at, &h)
		}
	}
	if pos, err := t.base.Find(oid); err == nil {
		if h, err := l.recordHeader(oid, pos); err == nil {
			o.Class = l.className(h.class)
			o.Base = l.tidOf(pos, &h)
		}
	} else {
		o.Reason = "it did not exist"
	}
	return o
}

// className is the name of a class without its version, "" if the file has none.
func (l *lineage) className(id storage.ClassID) string {
	spelling, _ := l.classes.name(id)
	name, _ := storage.SplitClass(spelling)
	return name
}

// tidOf is the transaction that wrote a record, 0 if that cannot be read.
func (l *lineage) tidOf(pos storage.Position, r *recordHeader) storage.TID {
	h, ok, err := l.headerAt(int64(pos) - r.frame)
	if err != nil || !ok {
		return 0
	}
	return h.tid
}

// changesInFile calls f for the objects of the frames in [from, to), which
// begin and end at frames, when they are not remembered.
func (l *lineage) changesInFile(from, to int64, f func(storage.OID, storage.Position) bool) error {
	sc := scanner{salt: l.header.Salt, win: &window{file: l.file, size: to}}
	for pos := from; pos < to; {
		fr, v, reason, err := sc.next(chain{pos: pos}, false, false)
		if err != nil {
			return err
		}
		if v != verdictWhole {
			return corrupt(l.path, pos, reason)
		}
		for i := range fr.records {
			if !f(fr.oid(i), fr.recordPos(i)) {
				return nil
			}
		}
		pos = fr.end()
	}
	return nil
}
