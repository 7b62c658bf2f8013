package filestorage

import (
	"context"
	"errors"
	"fmt"

	"github.com/durusdb/durus/storage"
)

// Commit implements storage.Storage.
func (s *Storage) Commit(ctx context.Context, c *storage.Commit) (storage.TID, error) {
	for {
		l := s.current()
		tid, err := s.commit(ctx, c)
		if errors.Is(err, storage.ErrConflict) {
			s.stats.conflicts.Add(1)
		}
		again, err := s.retry(l, err)
		if !again {
			return tid, s.fault(err)
		}
	}
}

func (s *Storage) commit(ctx context.Context, c *storage.Commit) (storage.TID, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	base, ok := c.Base.(*snapshot)
	if !ok || base.done.Load() {
		return 0, fmt.Errorf("durus: commit without a snapshot of this storage: %w", storage.ErrTxDone)
	}
	if len(c.Records) == 0 && metaEmpty(&c.Meta) {
		return base.tid, s.confirm(base)
	}
	if s.opts.ReadOnly {
		return 0, s.readOnlyError()
	}
	t := &transaction{s: s, base: base, l: base.l, c: c, checked: base.end}
	d := &t.draft
	if err := d.encode(c.Records, &c.Meta); err != nil {
		return 0, err
	}
	if s.opts.Sync == storage.SyncAlways {
		d.header.flags |= flagPromise
	}
	if c.Reads == nil {
		t.reads = writeSet(c.Records)
	} else {
		t.reads = c.Reads
	}
	// What can be checked without the lock is: under it only what came since
	// is left.
	if err := t.cross(); err != nil {
		return 0, err
	}
	if err := t.precheck(); err != nil {
		return 0, err
	}
	t.member.run, t.member.size = t.run, d.header.length
	t.member.hold, _ = c.Hold.(*hold)
	if err := s.submit(ctx, &t.member); err != nil {
		return 0, err
	}
	s.stats.commits.Add(1)
	if c.Hold != nil {
		c.Hold.Release() // before the sync: no lock is held during one
	}
	if err := s.durable(t.l, d.header.end()); err != nil {
		return d.header.tid, &storage.UnknownOutcomeError{TID: d.header.tid, Err: err}
	}
	return d.header.tid, nil
}

func metaEmpty(m *storage.Meta) bool {
	return m.User == "" && m.Description == "" && len(m.Ext) == 0
}

// durable does what the policy wants after an append. A pack that has taken
// the file's place meanwhile and holds the commit has done more.
func (s *Storage) durable(l *lineage, end int64) error {
	if err := s.durableHere(l, end); err != nil && !s.contained(l, end, err) {
		return err
	}
	return nil
}

func (s *Storage) durableHere(l *lineage, end int64) error {
	if s.opts.Sync == storage.SyncAlways {
		return s.settle(l, end)
	}
	if l.behind() > unsyncedLimit {
		return s.settle(l, end)
	}
	return s.report(l, end)
}

// unsyncedLimit is how much may be appended without a sync under SyncInterval
// and SyncNever.
const unsyncedLimit = 64 << 20

// confirm is the commit of a transaction that wrote nothing: what it read is
// final once it returns.
func (s *Storage) confirm(base *snapshot) error {
	if s.opts.ReadOnly || base.end <= base.st.base {
		return nil
	}
	if _, err := base.l.refresh(); err != nil {
		if s.contained(base.l, base.end, err) {
			return nil
		}
		return err
	}
	return s.durable(base.l, base.end)
}

// transaction is a commit on its way.
type transaction struct {
	s       *Storage
	base    *snapshot
	l       *lineage // to commit to: base's, or what it was packed to since
	c       *storage.Commit
	member  member
	draft   draft
	reads   storage.ReadSet
	checked int64                     // conflicts were looked for up to here
	missing map[storage.OID]reference // targets that did not exist before the lock
}

// reference is where a dangling one stands.
type reference struct {
	from storage.OID
}

// writeSet is the read set of a transaction that depends only on what it writes.
func writeSet(recs []storage.Record) storage.OIDSet {
	set := make(storage.OIDSet, len(recs))
	for i := range recs {
		set[recs[i].OID] = struct{}{}
	}
	return set
}

// precheck looks for conflicts and dangling references before the lock.
func (t *transaction) precheck() error {
	l := t.l
	st := l.state.Load()
	if err := t.conflicts(st.end); err != nil {
		return err
	}
	t.checked = max(t.checked, st.end)
	var own storage.OIDSet
	for i := range t.c.Records {
		r := &t.c.Records[i]
		for _, to := range r.Strong {
			if p := l.index.get(to); p > 0 {
				continue
			} else if p < 0 {
				return l.index.failure()
			}
			if own == nil {
				own = writeSet(t.c.Records)
			}
			if _, ok := own[to]; ok {
				continue
			}
			if t.missing == nil {
				t.missing = make(map[storage.OID]reference)
			}
			t.missing[to] = reference{r.OID}
		}
	}
	return nil
}

// run is the part under the lock.
func (t *transaction) run(b *batch) error {
	l := t.l
	if b.l != l {
		return l.rewoundError("it was replaced")
	}
	if err := t.conflicts(b.start); err != nil {
		return err
	}
	if err := b.conflicts(t); err != nil {
		return err
	}
	if l.index.floor != nil { // its answers become part of the file
		for i := range t.draft.records {
			if b.position(t.draft.records[i].oid) < 0 {
				return l.index.failure()
			}
		}
	}
	for to, ref := range t.missing {
		if b.position(to) == 0 {
			if err := t.dangling(ref.from, to); err != nil {
				return err
			}
		}
	}
	if n := len(t.draft.records); n > 0 && t.draft.records[n-1].oid >= b.chain.high {
		return fmt.Errorf("durus: object id %s was not given out by %s: take ids from NewOID", t.draft.records[n-1].oid, t.s.path)
	}
	t.s.lease.ride(b, &t.draft)
	b.add(&t.draft)
	return nil
}

// dangling is called for a reference whose target does not exist. It is no
// error when the object held it before: a transaction does not answer for what
// it found.
func (t *transaction) dangling(from, to storage.OID) error {
	if t.l != t.base.l {
		if _, err := t.base.Find(to); err == nil {
			return t.packed(to, "a pack has removed it since the transaction began, because nothing referred to it")
		}
	}
	if pos, err := t.base.Find(from); err == nil {
		old, err := t.base.Read(from, pos)
		if err != nil {
			return err
		}
		for _, o := range old.Strong {
			if o == to {
				return nil
			}
		}
	}
	return fmt.Errorf("%w: object %s would refer to object %s in %s: store that object in the same transaction, or drop the reference", storage.ErrDangling, from, to, t.s.path)
}

// runGroup runs the members in order, appends their frames and takes them into
// the index. Each member gets its own result.
func (s *Storage) runGroup(l *lineage, group []*member) {
	b := &s.queue.batch
	l.mu.Lock()
	*b = batch{l: l, start: l.cur.pos, durable: l.dur.base, chain: l.cur.chain, now: s.now().UnixMicro(), drafts: b.drafts[:0]}
	l.mu.Unlock()
	defer func() {
		clear(b.drafts)
		*b = batch{drafts: b.drafts[:0]}
	}()
	in := 0
	for _, m := range group {
		b.added = nil
		if m.err = m.run(b); m.err == nil && b.added != nil {
			m.draft = b.added
			in++
		}
	}
	if in == 0 {
		return
	}
	s.stats.groups.Add(1)
	err, known := s.append(l, b)
	if err == nil {
		return
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
}

// append writes the frames of a batch and applies them. After an error the
// frames up to the cursor are committed; the others are not, if the outcome is
// known.
func (s *Storage) append(l *lineage, b *batch) (err error, known bool) {
	buf := b.drafts[0].buf
	if len(b.drafts) > 1 {
		buf = make([]byte, 0, b.chain.pos-b.start)
		for _, d := range b.drafts {
			buf = append(buf, d.buf...)
		}
	}
	// l.mu is not held while the bytes are written: a View of this process
	// does not wait for a large commit. It may find our frames before we
	// apply them; apply leaves out what is applied.
	_, err = l.file.Append(buf, b.start)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		for _, d := range b.drafts {
			if d.header.pos == l.cur.pos {
				l.applyDraft(d)
			}
			s.lease.granted(l, &d.header)
		}
		l.cur.checked = max(l.cur.checked, l.cur.pos)
		l.publish()
		return nil, true
	}
	return s.appendFailed(l, b, err)
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
