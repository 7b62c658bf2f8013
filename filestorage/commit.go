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
	if len(c.Records) == 0 && (c.Spilled == nil || c.Spilled.Len() == 0) && c.Meta.Empty() {
		return base.tid, s.confirm(base)
	}
	if s.opts.ReadOnly {
		return 0, s.readOnlyError()
	}
	t := &transaction{s: s, base: base, onto: base, l: base.l, c: c, records: c.Records, checked: base.end}
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
	if err := s.durable(t.l, d.header.end()); err != nil {
		return d.header.tid, &storage.UnknownOutcomeError{TID: d.header.tid, Err: err}
	}
	if c.Placed != nil {
		c.Placed(t.l.id, d.position)
	}
	return d.header.tid, nil
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
	onto    *snapshot // the state that records were built for: base, or a newer one
	l       *lineage  // to commit to: base's, or what it was packed to since
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
	t.settleOn(t.base)
	if t.l != t.base.l {
		t.l.drop()
	}
}

// settleOn makes a snapshot the state that records are built for.
func (t *transaction) settleOn(now *snapshot) {
	if t.onto != t.base {
		t.onto.Release()
	}
	t.onto = now
}

// prepare makes the frame, for the newest state that is known, without the lock.
func (t *transaction) prepare() error {
	// What may be built anew is encoded after that.
	if t.rebaser == nil {
		if err := t.encode(); err != nil {
			return err
		}
	}
	if t.l == t.base.l {
		if err := t.cross(); err != nil {
			return err
		}
	}
	if t.stale() || t.l.state.Load().end > t.checked {
		if err := t.advance(); err != nil {
			return err
		}
	}
	if t.rebaser != nil {
		if err := t.encode(); err != nil {
			return err
		}
	}
	if err := t.lookForTargets(); err != nil {
		return err
	}
	t.member = member{run: t.run, size: t.draft.header.length}
	t.member.hold, _ = t.c.Hold.(*hold)
	return nil
}

// advance looks for conflicts with what came since, and carries the transaction
// over to the newest state if it was built from what has changed.
func (t *transaction) advance() (err error) {
	now, taken := t.l.begin(true), false
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
	t.settleOn(now)
	t.records = records
	return true, nil
}

// encode makes the frame of the records.
func (t *transaction) encode() error {
	t.draft = draft{}
	if err := t.draft.encodeAll(&storage.Commit{Records: t.records, Spilled: t.c.Spilled, Meta: t.c.Meta}, t.s.piece); err != nil {
		return err
	}
	if t.s.opts.Sync == storage.SyncAlways {
		t.draft.header.flags |= flagPromise
	}
	return nil
}

// lookForTargets notes references to what does not exist.
func (t *transaction) lookForTargets() error {
	clear(t.missing)
	for i := range t.records {
		if err := t.targets(t.records[i].OID, t.records[i].Strong); err != nil {
			return err
		}
	}
	if t.c.Spilled != nil {
		for i := range t.c.Spilled.Len() {
			r := t.c.Spilled.Record(i)
			if err := t.targets(r.OID, r.Strong); err != nil {
				return err
			}
		}
	}
	return nil
}

// targets notes which of the objects that a record refers to do not exist.
func (t *transaction) targets(from storage.OID, strong []storage.OID) error {
	for _, to := range strong {
		if p := t.l.index.get(to); p < 0 {
			return t.l.index.failure()
		} else if p > 0 || t.draft.writes(to) {
			continue
		}
		if t.missing == nil {
			t.missing = make(map[storage.OID]storage.OID)
		}
		t.missing[to] = from
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
	t.checked = max(t.checked, b.start)
	if err := b.conflicts(t); err != nil {
		return err
	}
	if t.stale() {
		if err := t.rebaseLocked(b); err != nil {
			return err
		}
	}
	if l.index.floor != nil { // its answers become part of the file
		for i := range t.draft.records {
			if b.position(t.draft.records[i].oid) < 0 {
				return l.index.failure()
			}
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
	now, taken := t.l.begin(true), false
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
	if err := t.encode(); err != nil {
		return err
	}
	return t.lookForTargets()
}

// errNeedsFile: run the member again once the frames before it are in the file.
var errNeedsFile = errors.New("durus: behind the frames of its own group")

// dangling is called for a reference whose target does not exist. It is no
// error when the object held it before: a transaction does not answer for what
// it found.
func (t *transaction) dangling(from, to storage.OID) error {
	if t.l != t.base.l {
		if _, err := t.base.Find(to); err == nil {
			return t.packed(to, "a pack has removed it since the transaction began, because nothing referred to it")
		}
	}
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
	return &storage.DanglingError{Path: t.s.path, From: from, To: to}
}
