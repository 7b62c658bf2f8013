package filestorage

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/durusdb/durus/storage"
)

// Commit implements storage.Storage.
func (s *Storage) Commit(ctx context.Context, c *storage.Commit) (storage.TID, error) {
	tid, err := s.commit(ctx, c)
	if errors.Is(err, storage.ErrConflict) {
		s.stats.conflicts.Add(1)
	}
	return tid, s.fault(err)
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
	if len(c.Records) == 0 && (c.Spilled == nil || c.Spilled.Len() == 0) && metaEmpty(&c.Meta) {
		return base.tid, s.confirm(base)
	}
	if s.opts.ReadOnly {
		return 0, s.readOnlyError()
	}
	t := &transaction{s: s, base: base, onto: base, c: c, records: c.Records, checked: base.end}
	if c.Reads == nil {
		t.reads = writeSet{&t.draft}
	} else {
		t.reads = c.Reads
		t.rebaser, _ = c.Reads.(storage.Rebaser)
	}
	defer t.leave()
	for {
		// What can be checked without the lock is: under it only what came
		// since is left.
		if err := t.prepare(); err != nil {
			return 0, err
		}
		err := s.submit(ctx, &t.member)
		if err == nil {
			break
		}
		if !errors.Is(err, storage.ErrSendBack) {
			return 0, err
		}
		if t.sent++; t.sent > maxSendBacks {
			o := storage.ConflictObject{Reason: "others changed what it was built from, again and again"}
			if len(t.records) > 0 { // none, if others have done all that it would do
				o.OID = t.records[0].OID
			}
			return 0, conflictError([]storage.ConflictObject{o})
		}
	}
	d := &t.draft
	s.stats.commits.Add(1)
	if c.Hold != nil {
		c.Hold.Release() // before the sync: no lock is held during one
	}
	if err := s.durable(base.l, d.header.end()); err != nil {
		return d.header.tid, &storage.UnknownOutcomeError{TID: d.header.tid, Err: err}
	}
	return d.header.tid, nil
}

func metaEmpty(m *storage.Meta) bool {
	return m.User == "" && m.Description == "" && len(m.Ext) == 0
}

// durable does what the policy wants after an append.
func (s *Storage) durable(l *lineage, end int64) error {
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
		return err
	}
	return s.durable(base.l, base.end)
}

// transaction is a commit on its way.
type transaction struct {
	s       *Storage
	base    *snapshot
	onto    *snapshot // the state that records were built for: base, or a newer one
	c       *storage.Commit
	records []storage.Record // to commit: c.Records, or what rebaser made of them
	member  member
	draft   draft
	reads   storage.ReadSet
	rebaser storage.Rebaser             // reads, if it is one
	checked int64                       // conflicts were looked for up to here
	missing map[storage.OID]storage.OID // targets that did not exist before the lock, and who refers to them
	sent    int                         // how often it was sent back from under the lock
}

// maxSendBacks is how often a commit leaves the lock to be built anew before it
// is a conflict. The last attempts of an Update hold the lock all along.
const maxSendBacks = 8

// leave gives back what the transaction holds beside its base.
func (t *transaction) leave() {
	if t.onto != t.base {
		t.onto.Release()
	}
}

// prepare makes the frame, for the newest state that is known, without the lock.
func (t *transaction) prepare() error {
	// What may be built anew is encoded after that.
	if t.rebaser == nil {
		if err := t.encode(); err != nil {
			return err
		}
	}
	if t.stale() || t.base.l.state.Load().end > t.checked {
		if err := t.advance(); err != nil {
			return err
		}
	}
	if t.rebaser != nil {
		if err := t.encode(); err != nil {
			return err
		}
	}
	t.member = member{run: t.run, size: t.draft.header.length}
	t.member.hold, _ = t.c.Hold.(*hold)
	return nil
}

// advance looks for conflicts with what came since, and carries the transaction
// over to the newest state if it was built from what has changed.
func (t *transaction) advance() (err error) {
	now, taken := t.base.l.begin(true), false
	defer func() {
		if !taken {
			now.Release()
		}
	}()
	if err := t.conflicts(now.end); err != nil {
		return err
	}
	t.checked = max(t.checked, now.end)
	if t.stale() {
		taken, err = t.rebase(now, false)
	}
	return err
}

// writes reports whether the transaction writes an object.
func (t *transaction) writes(oid storage.OID) bool {
	return t.draft.writes(oid) || slices.ContainsFunc(t.records, func(r storage.Record) bool { return r.OID == oid })
}

func (t *transaction) stale() bool { return t.rebaser != nil && t.rebaser.Stale() }

// rebase builds the records anew for now, which the transaction keeps if taken
// is true.
func (t *transaction) rebase(now *snapshot, locked bool) (taken bool, err error) {
	records, err := t.rebaser.Rebase(now, locked)
	if err != nil {
		return false, err
	}
	t.leave()
	t.records, t.onto = records, now
	return true, nil
}

// encode makes the frame of the records, and looks for references to what does
// not exist.
func (t *transaction) encode() error {
	t.draft = draft{}
	if err := t.draft.encodeAll(&storage.Commit{Records: t.records, Spilled: t.c.Spilled, Meta: t.c.Meta}, t.s.piece); err != nil {
		return err
	}
	if t.s.opts.Sync == storage.SyncAlways {
		t.draft.header.flags |= flagPromise
	}
	clear(t.missing)
	for i := range t.records {
		t.targets(t.records[i].OID, t.records[i].Strong)
	}
	if t.c.Spilled != nil {
		for i := range t.c.Spilled.Len() {
			r := t.c.Spilled.Record(i)
			t.targets(r.OID, r.Strong)
		}
	}
	return nil
}

// targets notes which of the objects that a record refers to do not exist.
func (t *transaction) targets(from storage.OID, strong []storage.OID) {
	for _, to := range strong {
		if t.base.l.index.get(to) != 0 || t.draft.writes(to) {
			continue
		}
		if t.missing == nil {
			t.missing = make(map[storage.OID]storage.OID)
		}
		t.missing[to] = from
	}
}

// run is the part under the lock.
func (t *transaction) run(b *batch) error {
	l := t.base.l
	if b.l != l {
		return l.rewoundError("it was replaced")
	}
	if err := t.conflicts(b.start); err != nil {
		return err
	}
	t.checked = max(t.checked, b.start)
	if err := b.conflicts(t); err != nil {
		return err
	}
	if t.stale() {
		if err := t.rebaseLocked(b); err != nil {
			return err
		}
	}
	for to, from := range t.missing {
		if b.position(to) == 0 {
			if err := t.dangling(from, to); err != nil {
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

// rebaseLocked tops up what has changed since prepare.
func (t *transaction) rebaseLocked(b *batch) error {
	if len(b.drafts) > 0 {
		return errNeedsFile // the frames before are not readable yet
	}
	if t.c.Spilled != nil {
		return storage.ErrSendBack // a large transaction takes long to encode
	}
	now, taken := t.base.l.begin(true), false
	defer func() {
		if !taken {
			now.Release()
		}
	}()
	if now.end != b.start {
		return storage.ErrSendBack
	}
	var err error
	if taken, err = t.rebase(now, true); err != nil {
		return err
	}
	return t.encode()
}

// errNeedsFile: run the member again once the frames before it are in the file.
var errNeedsFile = errors.New("durus: behind the frames of its own group")

// dangling is called for a reference whose target does not exist. It is no
// error when the object held it before: a transaction does not answer for what
// it found.
func (t *transaction) dangling(from, to storage.OID) error {
	if pos, err := t.onto.Find(from); err == nil {
		old, err := t.onto.Read(from, pos)
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
	_, err := l.file.Append(buf, b.start)
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
