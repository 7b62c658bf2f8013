package filestorage

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/durusdb/durus/storage"
)

var _ storage.Historian = (*Storage)(nil)

// A state of the past is a snapshot that ends earlier: committed bytes never
// change, and an object's newest record before the end is found by the chain of
// its previous ones. So it costs nothing to keep, and reads like any other.

// BeginAt implements storage.Historian.
func (s *Storage) BeginAt(ctx context.Context, tid storage.TID) (storage.Snapshot, error) {
	snap, err := s.Begin(ctx, false)
	if err != nil {
		return nil, err
	}
	sn := snap.(*snapshot)
	if err := sn.goBack(tid); err != nil {
		sn.Release()
		return nil, err
	}
	return sn, nil
}

// goBack makes sn the state as of the newest transaction whose id is tid or
// less. Nobody else has sn yet.
func (sn *snapshot) goBack(tid storage.TID) error {
	l := sn.l
	switch {
	case tid > sn.tid:
		return fmt.Errorf("%w: %s has no transaction %s yet: the newest is %s", storage.ErrNotFound, l.path, tid, sn.tid)
	case tid < l.header.Horizon:
		return l.packedError(fmt.Sprintf("the state at transaction %s", tid))
	case tid == sn.tid:
		return nil
	}
	sn.past = new(past)
	end, last, err := l.seek(sn.end, func(h *frameHeader) bool { return h.tid <= tid })
	if err != nil {
		return err
	}
	sn.end, sn.tid = end, max(last.tid, l.header.Horizon)
	return nil
}

// TIDAt implements storage.Historian.
func (s *Storage) TIDAt(ctx context.Context, t time.Time) (storage.TID, error) {
	snap, err := s.Begin(ctx, false)
	if err != nil {
		return 0, err
	}
	defer snap.Release()
	sn := snap.(*snapshot)
	l := sn.l
	at := t.UnixMicro()
	newest, err := l.lastHeader(sn.end)
	if err != nil {
		return 0, err
	}
	// A file from the future is no error: its own times count, too.
	if at > max(newest.time, s.now().UnixMicro()) {
		return 0, fmt.Errorf("%w: %s lies in the future: %s cannot tell what it will hold then", storage.ErrNotFound, t.Format(time.RFC3339Nano), l.path)
	}
	_, last, err := l.seek(sn.end, func(h *frameHeader) bool { return h.time <= at })
	if err == nil && last.length == 0 && l.header.Horizon > 0 {
		err = l.packedError("the state at " + t.Format(time.RFC3339Nano))
	}
	return last.tid, err
}

// lastHeader is the header of the frame that ends at end, empty if there is none.
func (l *lineage) lastHeader(end int64) (frameHeader, error) {
	_, h, err := l.seek(end, func(*frameHeader) bool { return true })
	return h, err
}

// packedError is for a question about what a pack has removed. It tells how far
// back the file goes.
func (l *lineage) packedError(what string) error {
	oldest := fmt.Sprintf("the oldest state that it holds is that at transaction %s", l.header.Horizon)
	// The first frame that a pack writes has the time of the horizon.
	if h, ok, err := l.headerAt(headerSize); err == nil && ok && h.time > 0 && h.tid == l.header.Horizon {
		oldest += ", committed " + time.UnixMicro(h.time).UTC().Format(time.RFC3339Nano)
	}
	return fmt.Errorf("%w: %s: %s is gone: %s", storage.ErrPacked, l.path, what, oldest)
}

// Revisions implements storage.Historian.
func (s *Storage) Revisions(snap storage.Snapshot, oid storage.OID) iter.Seq2[storage.Revision, error] {
	return func(yield func(storage.Revision, error) bool) {
		sn := snap.(*snapshot)
		pos, err := sn.Find(oid)
		for err == nil && pos != 0 {
			var r storage.Revision
			var prev storage.Position
			if r, prev, err = sn.l.revision(oid, pos); err == nil && prev >= pos {
				err = sn.l.damaged(oid, pos, "its previous record lies behind it")
			}
			if err != nil || !yield(r, nil) {
				break
			}
			pos = prev
		}
		if err != nil {
			yield(storage.Revision{}, err)
		}
	}
}

// revision describes the record at pos.
func (l *lineage) revision(oid storage.OID, pos storage.Position) (r storage.Revision, prev storage.Position, err error) {
	h, err := l.recordHeader(oid, pos)
	if err != nil {
		return r, 0, err
	}
	f, err := l.frameOf(oid, pos, &h)
	if err != nil {
		return r, 0, err
	}
	tid, at, ok := f.writer(h.frame)
	if !ok {
		return r, 0, l.damaged(oid, pos, "its frame does not name it")
	}
	r = storage.Revision{Position: pos, Size: h.length(), Class: h.class}
	r.TID, r.Time = tid, time.UnixMicro(at)
	if f.kind == kindTransaction { // a pack keeps no more of the others
		r.Meta, _ = parseMeta(f.meta) // one that cannot be read was refused when the frame was applied
	}
	return r, h.prev, nil
}
