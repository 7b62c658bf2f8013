package filestorage

import (
	"fmt"
	"iter"
	"time"

	"github.com/durusdb/durus/storage"
)

// Transactions implements storage.Storage.
func (s *Storage) Transactions(from, to storage.TID) iter.Seq2[storage.Transaction, error] {
	return func(yield func(storage.Transaction, error) bool) {
		snap, err := s.Begin(background, false)
		if err != nil {
			yield(storage.Transaction{}, err)
			return
		}
		defer snap.Release()
		sn := snap.(*snapshot)
		if from > 0 && from <= min(to, sn.l.header.Horizon) {
			yield(storage.Transaction{}, sn.l.packedError(fmt.Sprintf("transaction %s", from)))
			return
		}
		sn.transactions(from, to, yield)
	}
}

// transactions yields what the snapshot holds of them, the oldest first.
func (sn *snapshot) transactions(from, to storage.TID, yield func(storage.Transaction, error) bool) {
	if to > sn.tid {
		to = sn.tid
	}
	if from > to {
		return
	}
	pos, err := sn.l.since(sn.end, from)
	if err != nil {
		yield(storage.Transaction{}, err)
		return
	}
	sc := scanner{salt: sn.l.header.Salt, win: &window{file: sn.l.file, size: sn.end}}
	for pos < sn.end {
		f, v, reason, err := sc.next(chain{pos: pos}, false, false)
		if err == nil && v != verdictWhole {
			err = corrupt(sn.l.path, pos, reason)
		}
		if err != nil {
			yield(storage.Transaction{}, err)
			return
		}
		pos = f.end()
		if f.kind != kindTransaction || f.tid < from {
			continue
		}
		if f.tid > to || !yield(f.transaction(), nil) {
			return
		}
	}
}

func (f *frame) transaction() storage.Transaction {
	t := storage.Transaction{TID: f.tid, Time: time.UnixMicro(f.time)}
	t.Meta, _ = parseMeta(f.meta) // checked by rule 10
	t.OIDs = make([]storage.OID, f.records)
	for i := range t.OIDs {
		t.OIDs[i] = f.oid(i)
	}
	return t
}

// History yields the transactions from <= TID <= to that the snapshot holds,
// the newest first if wanted: those are found without reading what comes before
// them. An error ends the sequence. The snapshot must be of this handle.
func (s *Storage) History(snap storage.Snapshot, from, to storage.TID, newestFirst bool) iter.Seq2[storage.Transaction, error] {
	sn := snap.(*snapshot)
	if newestFirst {
		return func(yield func(storage.Transaction, error) bool) { sn.backwards(from, to, yield) }
	}
	return func(yield func(storage.Transaction, error) bool) { sn.transactions(from, to, yield) }
}

// backwards walks by the trailers.
func (sn *snapshot) backwards(from, to storage.TID, yield func(storage.Transaction, error) bool) {
	l := sn.l
	for end := sn.end; end > headerSize; {
		f, err := l.frameBefore(end)
		if err != nil {
			yield(storage.Transaction{}, err)
			return
		}
		end = f.pos
		if f.tid < from {
			return
		}
		if f.kind == kindTransaction && f.tid <= to && !yield(f.transaction(), nil) {
			return
		}
	}
}

// frameBefore reads the frame that ends at end, which is the end of a valid one.
func (l *lineage) frameBefore(end int64) (f frame, err error) {
	w := &window{file: l.file, size: end}
	b, err := w.bytes(end-trailerSize, trailerSize)
	if err != nil {
		return f, fmt.Errorf("durus: read %s: %w", l.path, err)
	}
	start := end - trailerLength(b)
	if start < headerSize || start >= end {
		return f, corrupt(l.path, end-trailerSize, "no trailer at the end of a frame")
	}
	sc := scanner{salt: l.header.Salt, win: w}
	f, v, reason, err := sc.next(chain{pos: start}, false, false)
	switch {
	case err != nil:
		return f, fmt.Errorf("durus: read %s: %w", l.path, err)
	case v != verdictWhole:
		return f, corrupt(l.path, start, reason)
	case f.end() != end:
		return f, corrupt(l.path, end-trailerSize, "no trailer at the end of a frame")
	}
	return f, nil
}
