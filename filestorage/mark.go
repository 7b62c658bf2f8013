package filestorage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// mark is the record in the lock file: a fact about the disk. Everything up to
// end was synced. It may lag or be missing; it is never too high.
type mark struct {
	salt  uint64      // of the file it speaks of
	start int64       // where the frame begins that ends at end; 0 when that is the file header
	end   int64       // 0: no mark
	tid   storage.TID // of that frame
	sum   uint32      // its checksum, or the file header's
}

var markMagic = [8]byte{'d', 'u', 'r', 'u', 's', 'm', 'k', '1'}

func (m mark) put(p *[vfs.MarkSize]byte) {
	clear(p[:])
	le := binary.LittleEndian
	copy(p[:], markMagic[:])
	le.PutUint64(p[8:], m.salt)
	le.PutUint64(p[16:], uint64(m.start))
	le.PutUint64(p[24:], uint64(m.end))
	le.PutUint64(p[32:], uint64(m.tid))
	le.PutUint32(p[40:], m.sum)
	le.PutUint32(p[vfs.MarkSize-4:], crc32.Checksum(p[:vfs.MarkSize-4], castagnoli))
}

// parseMark returns no mark for bytes that are not one: missing, being written
// at this moment, or damaged. That only makes what it says lag.
func parseMark(p *[vfs.MarkSize]byte) (m mark) {
	le := binary.LittleEndian
	if [8]byte(p[:8]) != markMagic || crc32.Checksum(p[:vfs.MarkSize-4], castagnoli) != le.Uint32(p[vfs.MarkSize-4:]) {
		return mark{}
	}
	m = mark{
		salt:  le.Uint64(p[8:]),
		start: int64(le.Uint64(p[16:])),
		end:   int64(le.Uint64(p[24:])),
		tid:   storage.TID(le.Uint64(p[32:])),
		sum:   le.Uint32(p[40:]),
	}
	if m.end < headerSize || m.start < 0 || m.start >= m.end {
		return mark{}
	}
	return m
}

var errForeignMark = errors.New("the mark names no frame of this file")

// errLatch: the latch of the mark could not be had in time. It is held for
// microseconds unless its holder was stopped.
var errLatch = errors.New("another process holds the latch of the durable mark, it may be stopped")

// lockedOut makes errLatch what it is for one who has not appended anything:
// the commit lock was not to be had.
func lockedOut(err error) error {
	if errors.Is(err, errLatch) {
		return fmt.Errorf("%w: %w", storage.ErrLocked, err)
	}
	return err
}

// latchWait is a context that ends some time after somebody has begun to wait
// for it, and costs nothing when nobody has. One goroutine uses it.
type latchWait struct {
	context.Context
	limit  time.Duration
	timed  context.Context
	cancel context.CancelFunc
}

// Done implements context.Context.
func (w *latchWait) Done() <-chan struct{} {
	if w.timed == nil {
		w.timed, w.cancel = context.WithTimeout(w.Context, w.limit)
	}
	return w.timed.Done()
}

// Err implements context.Context. Before somebody waits there is none.
func (w *latchWait) Err() error {
	if w.timed == nil {
		return nil
	}
	return w.timed.Err()
}

func (w *latchWait) release() {
	if w.cancel != nil {
		w.cancel()
	}
}

// updateMark is vfs.Locker's, with LockTimeout as bound on the wait for the
// latch.
func (l *lineage) updateMark(update func(p *[vfs.MarkSize]byte, ok bool) bool) error {
	wait := &latchWait{Context: background, limit: l.patience}
	defer wait.release()
	err := l.lock.UpdateMark(wait, update)
	if err != nil && errors.Is(err, wait.Err()) {
		return errLatch
	}
	return err
}

// raise writes claim into the mark and lets V advance. known is the end and
// checksum of a mark of this chain, incarnation that of the lock file when the
// sync began.
func (s *Storage) raise(l *lineage, claim, known mark, incarnation uint64) error {
	for range 64 {
		l.noteIncarnation()
		var verdict error
		raised := claim
		err := l.updateMark(func(p *[vfs.MarkSize]byte, ok bool) bool {
			var old mark
			if ok {
				old = parseMark(p)
			}
			raised, verdict = l.mayRaise(old, claim, known)
			if verdict != nil || raised != claim {
				return false
			}
			claim.put(p)
			return true
		})
		if err != nil {
			return fmt.Errorf("durus: raise the durable mark of %s: %w", l.path, err)
		}
		if verdict != nil {
			return verdict
		}
		gone, err := l.lock.Deleted() // R7
		if err != nil {
			return fmt.Errorf("durus: lock file of %s: %w", l.path, err)
		}
		if gone {
			if err := l.lock.Reopen(); err != nil {
				return fmt.Errorf("durus: lock file of %s: %w", l.path, err)
			}
			continue
		}
		return l.raised(raised, incarnation)
	}
	return fmt.Errorf("durus: the lock file of %s is deleted again and again", l.path)
}

// raised takes note of a mark that was just written.
func (l *lineage) raised(m mark, incarnation uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.meetMark(m); err != nil {
		return err
	}
	if l.dur.incarnation == incarnation && l.lock.Incarnation() == incarnation {
		l.setWarm(true)
	}
	l.publish()
	return nil
}

// mayRaise decides under the latch: it returns claim to have it written, a
// higher mark that makes it unnecessary, or an error. R6.
func (l *lineage) mayRaise(old, claim, known mark) (mark, error) {
	if claim.start > 0 {
		h, ok, err := l.headerAt(claim.start)
		if err != nil {
			return mark{}, err
		}
		if !ok || h.sum != claim.sum || h.end() != claim.end {
			return mark{}, l.rewoundError("the frame that was just synced is not in it any more")
		}
	}
	switch {
	case old.end == 0:
		return claim, nil
	case old.salt != claim.salt:
		return mark{}, errForeignMark
	case old == claim:
		return old, nil
	case old.end == headerSize, old.end == known.end && old.sum == known.sum:
		return claim, nil
	}
	// It is changed only if it names a frame of this chain: the file's, which
	// is ours, as the frame that was synced is still in its place.
	h, ok, err := l.headerAt(old.start)
	if err != nil {
		return mark{}, err
	}
	if !ok || h.sum != old.sum || h.end() != old.end {
		return mark{}, errForeignMark
	}
	if old.end > claim.end {
		return old, nil
	}
	return claim, nil
}

// replaceMark is R8: the caller holds the commit lock and l.mu, has caught up,
// and found that the mark names no frame of this file.
func (l *lineage) replaceMark() error {
	base, err := l.markAt(l.dur.base)
	if err != nil {
		return err
	}
	err = l.updateMark(func(p *[vfs.MarkSize]byte, ok bool) bool {
		if ok {
			// Somebody may have raised it to a frame of this file meanwhile.
			if r, err := l.relationOf(parseMark(p)); err == nil && r == markOnChain {
				return false
			}
		}
		base.put(p)
		return true
	})
	if err != nil {
		return fmt.Errorf("durus: replace the durable mark of %s: %w", l.path, err)
	}
	l.dur.foreign = false
	return nil
}

// markAt returns the mark that names the frame that ends at pos.
func (l *lineage) markAt(pos int64) (mark, error) {
	m := mark{salt: l.header.Salt, end: pos, sum: l.header.checksum()}
	if pos == headerSize {
		return m, nil
	}
	if s, ok := l.spotAt(pos); ok && s.end == pos {
		m.start, m.tid, m.sum = s.start, s.tid, s.sum
		return m, nil
	}
	w := window{file: l.file, size: pos}
	b, err := w.bytes(pos-trailerSize, trailerSize)
	if err == nil {
		m.start = pos - trailerLength(b)
		if m.start >= headerSize && m.start < pos {
			h, ok, err := l.headerAt(m.start)
			if err != nil {
				return m, err
			}
			if ok && h.end() == pos {
				m.tid, m.sum = h.tid, h.sum
				return m, nil
			}
		}
		// A frame says that this place is durable and no frame ends there.
		return m, corrupt(l.path, pos, "no frame ends at a place that was marked as durable")
	}
	return m, fmt.Errorf("durus: read %s: %w", l.path, err)
}
