package filestorage

import (
	"errors"
	"fmt"
	"math"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// What a handle does when the path leads to another file than the one that it
// has open. Either somebody has packed, and the new file holds all that the
// handle knows: then it goes on there, and nobody is told. Or a file was
// restored: then what the handle knows is void, and the transaction that meets
// it is told so (ErrRewound). The origin frame of the new file decides.

// retry passes on the error of something that was tried on the lineage from.
// again is true, and the error nil, if the file was packed meanwhile and the
// handle is on the new one: it can be tried there.
func (s *Storage) retry(from *lineage, err error) (again bool, _ error) {
	if err == nil || errors.Is(err, storage.ErrUnknownOutcome) || !errors.Is(err, storage.ErrRewound) {
		return false, err
	}
	err = s.fault(err)
	if from.next.Load() != nil {
		return true, nil
	}
	return false, err
}

// fault passes an error on. If it says that the file was rewound or replaced,
// the next transaction gets what is there now.
func (s *Storage) fault(err error) error {
	if err == nil || !errors.Is(err, storage.ErrRewound) {
		return err
	}
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if p := s.foreign.Load(); p != nil {
		return *p
	}
	old := s.current()
	if old.dead.Load() {
		return err
	}
	if !s.stale(old) { // an old snapshot met an earlier change
		return err
	}
	l, openErr := s.openLineage()
	if openErr != nil {
		return errors.Join(err, openErr)
	}
	if l.header.ID != old.header.ID {
		l.retire()
		err := fmt.Errorf("%w: %s holds another database now: close it and open it again", storage.ErrRewound, s.path)
		s.foreign.Store(&err)
		return err
	}
	if end, ok := l.packedFrom(old); ok {
		s.opts.Logger.Debug("durus: the file was packed", "path", s.path, "generation", l.header.Generation)
		s.lease.carry(old.id, l.id)
		l.history = old.history
		old.next.Store(&succession{to: l, end: end.end, tid: end.tid})
	} else {
		vfs.Advise(old.file, vfs.Doubted, 0, math.MaxInt64) // what is cached of it is of another history
		s.opts.Logger.Warn("durus: the file was rewound", "path", s.path, "err", err)
	}
	s.lineage.Store(l)
	if closeErr := old.retire(); closeErr != nil {
		s.opts.Logger.Warn("durus: close", "path", s.path, "err", closeErr)
	}
	return err
}

// packedFrom reports whether this file was packed from another one that a
// handle has open, and holds all of it. The other one is read to its end
// first: nobody appends to it any more.
func (l *lineage) packedFrom(old *lineage) (end origin, ok bool) {
	l.mu.Lock()
	n := len(l.origins)
	l.mu.Unlock()
	if n == 0 || l.header.Generation <= old.header.Generation {
		return origin{}, false
	}
	old.mu.Lock()
	if !old.broken.Load() {
		_, _ = old.poll() // what it cannot read is not there, and then the ends differ
	}
	end = old.asOrigin()
	old.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	return end, l.holds(end)
}

// descendant is the newest lineage, if packs have led to it from this one; nil
// if there was no pack.
func (s *Storage) descendant(l *lineage) *lineage {
	var to *lineage
	for n := l.next.Load(); n != nil; n = n.to.next.Load() {
		to = n.to
	}
	return to
}

// contained reports whether an error, met after everything before end was
// appended to l, comes from a pack that has put another file in its place, and
// this holds it all. The packer has synced both files before, so it is as
// durable as can be, whichever of the two a power cut leaves.
func (s *Storage) contained(l *lineage, end int64, err error) bool {
	if !errors.Is(err, storage.ErrRewound) && !errors.Is(err, errForeignMark) {
		return false
	}
	_ = s.fault(fmt.Errorf("%w: %s", storage.ErrRewound, s.path)) // err is what matters
	n := l.next.Load()
	return n != nil && end <= n.end
}

// safe is settle for one who does not mind in which file it is durable.
func (s *Storage) safe(l *lineage, end int64) error {
	if err := s.settle(l, end); err != nil && !s.contained(l, end, err) {
		return err
	}
	return nil
}

// cross prepares a transaction that began before a pack for the new file. What
// the old one got since it began is looked at here; what the new one got, where
// it holds all of that, by the usual way.
func (t *transaction) cross() error {
	to := t.s.descendant(t.base.l)
	if to == nil {
		return nil
	}
	// Another pack may replace that one, too, and nothing else keeps its files
	// open for us. A closed one has a successor.
	for !to.useOpen() {
		if to = t.s.descendant(t.base.l); t.s.closedNow() {
			return fmt.Errorf("%w: %s", storage.ErrClosed, t.s.path)
		}
	}
	kept := false
	defer func() {
		if !kept {
			to.drop()
		}
	}()
	n := t.base.l.next.Load()
	if err := t.conflicts(n.end); err != nil {
		return err
	}
	if to.header.Horizon > n.tid {
		return t.packed(0, "the file was packed more than once since the transaction began")
	}
	pos, err := to.since(to.end(), n.tid+1)
	if err != nil {
		return err
	}
	t.l, t.checked = to, pos
	kept = true // until leave
	return nil
}

// packed is the conflict of a transaction with a pack.
func (t *transaction) packed(oid storage.OID, reason string) error {
	if oid == 0 && len(t.records) > 0 {
		oid = t.records[0].OID
	}
	o := t.conflict(oid, 0)
	o.Reason = reason
	return &storage.ConflictError{Objects: []storage.ConflictObject{o}}
}
