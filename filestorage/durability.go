package filestorage

import (
	"errors"
	"fmt"
	"time"
)

// This file is section 6 of the design, the part behind "append": when a
// commit is durable, who may say so, and what a View may show. The rules were
// model-checked; each of them, left out, loses something. In their words:
//
//	R1  A handle has at most one fdatasync in flight; a commit is covered by
//	    one that began after its append.                          (flight)
//	R2  Commits covered by a failed one get ErrUnknownOutcome.     (settle)
//	R3  A handle vouches only for bytes written after its descriptor was
//	    opened and after its last failed sync: `unvouched` is the end of the
//	    others, taken after the failed call has returned, as the greater of
//	    the file's size and the handle's end.          (openLineage, syncOnce)
//	R4  Bytes between what is known to be durable and `unvouched` are written
//	    again under the commit lock, as they are read and validated there,
//	    before the handle syncs for anybody.                     (rewrite)
//	R5  A handle that was just opened or had to reopen the lock file is cold:
//	    it makes what is valid beyond W durable before its first transaction;
//	    a sync begun before the reopening does not count.          (warmUp)
//	R6  The mark is raised after the sync, under its latch, and only raised;
//	    just before, the header of the frame that it will name is read again.
//	                                                       (mark.go: raise)
//	R7  After writing the mark the lock file's link count is looked at; 0:
//	    reopen and raise there too.                        (mark.go: raise)
//	R8  Only a holder of the commit lock replaces a mark that names no frame
//	    of his file.                                 (mark.go: replaceMark)
//	R9  The directory is synced before the first acknowledgement, View and
//	    raise of a lineage.                                       (syncDir)
//	R10 Success is reported after the mark covers the commit.       (settle)
//	R11 V is the mark, or one read earlier, extended over frames that promise
//	    nothing, up to the first that does.          (raiseBase, publish)
//
// W and what the handle believes durable are one number, `base`: the greatest
// of the marks on its chain that it or the writer of any frame has read.

// durability is guarded by lineage.mu.
type durability struct {
	base        int64  // everything before is on the disk
	baseSum     uint32 // checksum of the frame that ends there, if a mark told
	unvouched   int64  // R3
	incarnation uint64 // of the lock file
	warm        bool   // R5
	dirSynced   bool   // R9
	foreign     bool   // the mark names no frame of this file: R8
	lagging     time.Time
	flight      *flight  // the sync that runs, or nil
	warming     *warming // the attempt of Views to make the handle warm, or nil
}

// flight is one fdatasync and what follows it. claim and err are set before
// done is closed.
type flight struct {
	claim int64 // end of the last frame that was appended when it began
	err   error
	done  chan struct{} // made by the first who joins; guarded by lineage.mu
}

// raiseBase notes that everything before pos is durable, and lets V advance. l.mu is held.
func (l *lineage) raiseBase(pos int64) {
	l.dur.base = pos
	p := l.cur.promised
	n := 0
	for n < len(p) && p[n].end <= pos {
		n++
	}
	l.cur.promised = append(p[:0], p[n:]...)
}

// settle returns nil when the mark covers everything before end.
func (s *Storage) settle(l *lineage, end int64) error {
	for {
		f, mine := l.board(end)
		switch {
		case f == nil:
			return nil
		case mine:
			s.fly(l, f)
		default:
			<-f.done
		}
		if f.err != nil && (mine || end <= f.claim) {
			return f.err // R2
		}
		if covered, err := l.covered(end); covered || err != nil {
			return err
		}
	}
}

// covered looks whether the mark covers end, raised by whomever.
func (l *lineage) covered(end int64) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dur.base >= end && !l.dead.Load() {
		return true, nil
	}
	if _, err := l.poll(); err != nil {
		return false, err
	}
	return l.dur.base >= end, nil
}

// board joins the sync that runs, or starts one; f is nil when the mark that
// was read last covers end. The mark is not read again here: of a commit that
// was appended a moment ago it cannot tell yet.
func (l *lineage) board(end int64) (f *flight, mine bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dur.base >= end && !l.dead.Load() {
		return nil, false
	}
	if f := l.dur.flight; f != nil {
		if f.done == nil {
			f.done = make(chan struct{})
		}
		return f, false
	}
	l.dur.flight = new(flight)
	return l.dur.flight, true
}

func (s *Storage) fly(l *lineage, f *flight) {
	l.use()
	defer l.drop()
	f.err = s.syncOnce(l, f)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dur.flight = nil
	if f.done != nil {
		close(f.done)
	}
}

// syncOnce syncs the file and raises the mark over what was appended when it began.
func (s *Storage) syncOnce(l *lineage, f *flight) error {
	if err := s.syncDir(l); err != nil {
		return err
	}
	for attempt := 0; ; attempt++ {
		l.mu.Lock()
		vouches := l.dur.unvouched <= l.dur.base
		incarnation := l.dur.incarnation
		known := mark{end: l.dur.base, sum: l.dur.baseSum}
		claim := mark{salt: l.header.Salt, start: l.cur.last, end: l.cur.pos, tid: l.cur.tid, sum: l.cur.sum}
		f.claim = claim.end
		l.mu.Unlock()
		if !vouches { // R4
			if err := s.underLock(background, l, nil); err != nil {
				return err
			}
			if attempt < 3 {
				continue
			}
			return fmt.Errorf("durus: %s: its unconfirmed end keeps changing", l.path)
		}
		s.stats.syncs.Add(1)
		if err := l.file.Sync(); err != nil {
			l.distrust()
			return fmt.Errorf("durus: sync %s: %w", l.path, err)
		}
		err := s.raise(l, claim, known, incarnation)
		if errors.Is(err, errForeignMark) && attempt < 3 { // R8
			if err := s.underLock(background, l, nil); err != nil {
				return err
			}
			continue
		}
		return err
	}
}

// distrust is R3, after a sync has failed.
func (l *lineage) distrust() {
	l.mu.Lock()
	defer l.mu.Unlock()
	end := l.cur.pos
	if size, err := l.file.Size(); err == nil {
		end = max(end, size)
	}
	l.dur.unvouched = max(l.dur.unvouched, end)
}

// noteIncarnation makes the handle cold when it has another lock file than it
// knew: what the mark in the old one said is lost. R5.
func (l *lineage) noteIncarnation() (changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.lock.Incarnation(); n != l.dur.incarnation {
		l.dur.incarnation = n
		l.setWarm(false)
		return true
	}
	return false
}

// setWarm is called with l.mu held.
func (l *lineage) setWarm(warm bool) {
	l.dur.warm = warm
	l.ready.Store(warm && l.dur.dirSynced)
}

// rewrite is R4. The caller holds the commit lock and l.mu and has caught up.
// The bytes are read, validated and written again in pieces of whole frames:
// never bytes that were remembered, others may have cut and replaced them.
func (l *lineage) rewrite() error {
	const piece = 8 << 20
	to := min(l.dur.unvouched, l.cur.pos)
	sum, linked := uint32(0), false
	for pos := l.dur.base; pos < to; {
		h, ok, err := l.headerAt(pos)
		if err != nil {
			return err
		}
		if !ok || h.end() > l.cur.pos || h.length < frameHeaderSize {
			return l.lost(pos)
		}
		b := make([]byte, max(h.length, min(piece, l.cur.pos-pos)))
		if n, err := l.file.ReadAt(b, pos); n < len(b) {
			return fmt.Errorf("durus: read %s: %w", l.path, err)
		}
		sc := scanner{salt: l.header.Salt, win: memWindow(b, pos)}
		good := pos
		for good < pos+int64(len(b)) {
			f, v, _, err := sc.next(chain{pos: good}, false, true)
			if err != nil {
				return err
			}
			if v == verdictShort && good > pos {
				break // cut off by the piece
			}
			if v != verdictWhole || linked && f.prev != sum {
				return l.lost(good)
			}
			sum, linked, good = f.sum, true, f.end()
		}
		if _, err := l.file.Rewrite(b[:good-pos], pos); err != nil {
			return fmt.Errorf("durus: write %s again: %w", l.path, err)
		}
		pos = good
	}
	l.dur.unvouched = 0
	return nil
}

// lost is for a frame that was applied and that the disk did not keep: nobody
// was told that it is safe, and what followed it goes with it.
func (l *lineage) lost(pos int64) error {
	l.broken.Store(true)
	return l.rewoundError(fmt.Sprintf("the frame at byte %d was not kept by the disk", pos))
}

// syncDir is R9.
func (s *Storage) syncDir(l *lineage) error {
	l.mu.Lock()
	done := l.dur.dirSynced
	l.mu.Unlock()
	if done {
		return nil
	}
	if err := s.fs.SyncDir(l.path); err != nil {
		return fmt.Errorf("durus: sync the directory of %s: %w", l.path, err)
	}
	l.mu.Lock()
	l.dur.dirSynced = true
	l.mu.Unlock()
	return nil
}
