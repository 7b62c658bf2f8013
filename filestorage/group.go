package filestorage

import (
	"errors"
	"fmt"
	"slices"

	"github.com/durusdb/durus/storage"
)

// runGroup runs the members in order, appends their frames and takes them into
// the index. Each member gets its own result.
func (s *Storage) runGroup(l *lineage, group []*member) {
	b := &s.queue.batch
	defer func() {
		clear(b.drafts)
		*b = batch{drafts: b.drafts[:0]}
	}()
	s.openBatch(l, b)
	first := 0 // member of the batch
	for i, m := range group {
		err := runMember(b, m)
		if errors.Is(err, errNeedsFile) {
			if failed := s.closeBatch(l, b, group[first:i]); failed != nil {
				for _, m := range group[i:] {
					m.err = failed
				}
				return
			}
			s.openBatch(l, b)
			first = i
			err = runMember(b, m)
		}
		m.err = err
	}
	_ = s.closeBatch(l, b, group[first:]) // the members have it
}

// openBatch begins a batch at the end of the file.
func (s *Storage) openBatch(l *lineage, b *batch) {
	clear(b.drafts)
	l.mu.Lock()
	defer l.mu.Unlock()
	*b = batch{l: l, start: l.cur.pos, durable: l.dur.base, chain: l.cur.chain, now: s.now().UnixMicro(), drafts: b.drafts[:0]}
}

func runMember(b *batch, m *member) error {
	b.added = nil
	err := m.run(b)
	if err == nil && b.added != nil {
		m.draft = b.added
	}
	return err
}

// closeBatch appends what the members have added. It tells those who are not in
// the file because of an error, which it returns.
func (s *Storage) closeBatch(l *lineage, b *batch, group []*member) error {
	if len(b.drafts) == 0 {
		return nil
	}
	s.stats.groups.Add(1)
	err, known := s.append(l, b)
	if err == nil {
		return nil
	}
	end := l.end()
	for _, m := range group {
		switch {
		case m.draft == nil || m.draft.header.end() <= end:
		case known:
			m.err = err
		default:
			m.err = &storage.UnknownOutcomeError{TID: m.draft.header.tid, Err: err}
		}
	}
	return err
}

// append writes the frames of a batch and applies them. After an error the
// frames up to the cursor are committed; the others are not, if the outcome is
// known.
func (s *Storage) append(l *lineage, b *batch) (err error, known bool) {
	// l.mu is not held while the bytes are written: a View of this process
	// does not wait for a large commit. It may find our frames before we
	// apply them; apply leaves out what is applied.
	err = s.write(l, b)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		for _, d := range b.drafts {
			if d.header.pos == l.cur.pos {
				l.applyDraft(d)
			}
			s.stats.appended.Add(uint64(d.header.length))
			s.lease.granted(l, &d.header)
		}
		l.cur.checked = max(l.cur.checked, l.cur.pos)
		l.publish()
		return nil, true
	}
	return s.appendFailed(l, b, err)
}

// write appends the frames of a batch: in one call, unless one of them is too
// large for that.
func (s *Storage) write(l *lineage, b *batch) error {
	if slices.ContainsFunc(b.drafts, func(d *draft) bool { return d.pieces != nil }) {
		return b.writePieces(l.file, s.piece)
	}
	buf := b.drafts[0].buf
	if len(b.drafts) > 1 {
		buf = make([]byte, 0, b.chain.pos-b.start)
		for _, d := range b.drafts {
			buf = append(buf, d.buf...)
		}
	}
	n, err := l.file.Append(buf, b.start)
	if err == nil {
		l.wrote(b.start, n)
	}
	return err
}

// appendFailed reads the file again after a failed or short write: whole
// frames are committed and go on; what follows the last whole one is cut.
func (s *Storage) appendFailed(l *lineage, b *batch, cause error) (_ error, known bool) {
	failed := fmt.Errorf("durus: append to %s: %w; nothing of the transaction was kept", s.path, cause)
	size, err := l.file.Size()
	if err == nil && size > l.cur.pos {
		if err = l.follow(size, mark{}, true); err == nil && size > l.cur.pos {
			if err = l.file.Truncate(l.cur.pos); err == nil {
				l.cur.checked = l.cur.pos
				l.tail = tailLook{}
			}
			// A tail that cannot be cut now is cut by the next writer.
			err = nil
		}
	}
	for _, d := range b.drafts {
		if d.header.end() <= l.cur.pos {
			s.lease.granted(l, &d.header)
		}
	}
	l.publish()
	if err != nil {
		return errors.Join(failed, err), false
	}
	return failed, true
}

// applyDraft takes a frame of our own into the index. l.mu is held.
func (l *lineage) applyDraft(d *draft) {
	f := frame{frameHeader: d.header, meta: d.buf[frameHeaderSize : frameHeaderSize+d.header.metaLen], table: d.buf[frameHeaderSize+d.header.metaLen : d.header.bodyOff()]}
	copy(f.raw[:], d.buf)
	l.apply(&f)
}
