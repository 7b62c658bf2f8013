package filestorage

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// errBusy: the lock was not to be had without waiting.
var errBusy = errors.New("durus: the commit lock is busy")

// acquire takes the commit lock of the file that is the database now, and
// prepares the handle.
func (s *Storage) acquire(ctx, wait context.Context, try bool) (_ *lineage, err error) {
	l, err := s.using()
	if err != nil {
		return nil, err
	}
	ok, err := l.lock.TryLock()
	if err == nil && !ok {
		if try {
			l.drop()
			return nil, errBusy
		}
		s.stats.lockWaits.Add(1)
		begun := time.Now()
		err = s.waitLock(ctx, wait, l)
		s.stats.lockWaited.Add(uint64(time.Since(begun)))
	}
	if err != nil {
		l.drop()
		return nil, s.lockFailure(l, err)
	}
	defer func() {
		if err != nil {
			s.unlock(l)
		}
	}()
	return l, s.prepare(l)
}

// prepare makes a handle that has the lock of l's file fit to append: the file
// is still the database, everything before its end is valid, nothing is behind
// it, and the handle can vouch for all of it.
func (s *Storage) prepare(l *lineage) error {
	if err := s.checkIdentity(l); err != nil {
		return err
	}
	if err := s.syncDir(l); err != nil { // the mark may be replaced: R9
		return err
	}
	l.noteIncarnation()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.catchUp(s); err != nil {
		return lockedOut(err)
	}
	if l.dur.unvouched > l.dur.base {
		return l.rewrite()
	}
	return nil
}

func (s *Storage) waitLock(ctx, wait context.Context, l *lineage) error {
	if wait == nil {
		var cancel context.CancelFunc
		wait, cancel = context.WithTimeout(ctx, s.opts.LockTimeout)
		defer cancel()
	}
	err := l.lock.Lock(wait)
	if err != nil && wait.Err() != nil && ctx.Err() == nil {
		return s.lockError(l)
	}
	return err
}

func (s *Storage) lockError(l *lineage) error {
	return &storage.LockError{Path: lockName(s.path), Holder: l.lock.Holder()}
}

func (s *Storage) lockFailure(l *lineage, err error) error {
	if errors.Is(err, storage.ErrLocked) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("durus: lock %s: %w", lockName(s.path), err)
}

// checkIdentity, under the lock: the path still names our inode (both are
// open, so the numbers can be compared), and the inode has a name at all (a
// bind-mounted file keeps its path after it was replaced outside). So nothing
// is ever appended to a file that is no longer the database (H3, H4).
func (s *Storage) checkIdentity(l *lineage) error {
	info, err := s.fs.Stat(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("durus: %s was removed while it was open: nothing is committed to a file without a name; restore it, or close and open again: %w", s.path, err)
	case err != nil:
		return fmt.Errorf("durus: %s: %w", s.path, err)
	case info.ID != l.info.ID:
		return l.rewoundError("its name leads to another file now")
	case info.Links == 0:
		return l.rewoundError("the file was replaced, and only a bind mount still shows it: mount the directory, never the file")
	}
	return nil
}

// catchUp, under the lock and l.mu, follows the file to its end, cuts what an
// interrupted writer left there, and mends a mark that is not of this file.
// Corruption is not mended: nothing is cut, nothing may be appended.
func (l *lineage) catchUp(s *Storage) error {
	if l.dead.Load() {
		return l.rewoundError("it was replaced")
	}
	if l.damage != nil {
		return l.damage
	}
	covered := l.dur.base >= l.cur.pos && !l.dur.foreign // by the mark that was read last
	size, m, err := l.measure(!covered)
	if err != nil {
		return err
	}
	if err := l.checkAnchor(size); err != nil {
		return err
	}
	if covered && size == l.cur.pos {
		return nil // nothing is new
	}
	for attempt := 0; ; attempt++ {
		if attempt > 0 || covered {
			if size, m, err = l.measure(true); err != nil {
				return err
			}
		}
		if size == l.cur.pos {
			break
		}
		if err := l.follow(size, m, true); err != nil {
			return err
		}
		if l.cur.pos >= size {
			break
		}
		if l.moving != nil { // nothing is cut before it was decided
			if err := s.voidMoved(l); err != nil {
				return err
			}
			continue
		}
		marked, err := l.cut(s.fs, size, m)
		if err != nil {
			return err
		}
		if !marked {
			break
		}
		if attempt == maxMisreads {
			return corrupt(l.path, l.cur.pos, "what is read there is no frame, and another process has read one there")
		}
	}
	if err := l.meetMark(m); err != nil {
		return err
	}
	if l.dur.foreign {
		if err := l.replaceMark(); err != nil {
			return err
		}
	}
	l.publish()
	return nil
}

// maxMisreads is how often a tail is read again that others know to be durable.
const maxMisreads = 3

// cut removes the tail behind the last valid frame: at or after W, so nobody
// was told that it is safe. What may still interest somebody is kept in a file
// beside: when a valid frame is among it, or when no mark tells W for sure.
//
// It is done under the latch, so that nobody raises the mark over it in the
// meantime: who comes later does not find his frame (R6). marked is true, and
// nothing was cut, when the mark has come to cover more than m did: then others
// have read and synced what was bad when it was read here.
func (l *lineage) cut(fsys vfs.FS, size int64, m mark) (marked bool, err error) {
	sc := scanner{salt: l.header.Salt, win: &window{file: l.file, size: size}}
	_, frames, err := sc.behind(l.cur.pos)
	if err != nil {
		return false, l.scanError(err, true)
	}
	if frames > 0 || m.end == 0 || m.salt != l.header.Salt {
		if err := l.keep(fsys, l.cur.pos, size); err != nil {
			return false, err
		}
	}
	var cutErr error
	err = l.updateMark(func(p *[vfs.MarkSize]byte, ok bool) bool {
		if now := parseMark(p); ok && now != m && now.salt == l.header.Salt && now.end > l.cur.pos {
			marked = true
		} else {
			cutErr = l.file.Truncate(l.cur.pos)
		}
		return false
	})
	if err == nil {
		err = cutErr
	}
	if err != nil {
		return false, fmt.Errorf("durus: cut the interrupted end of %s: %w", l.path, err)
	}
	l.tail = tailLook{}
	if marked {
		return true, nil
	}
	l.cur.checked = l.cur.pos
	l.logger.Info("durus: cut an interrupted commit", "path", l.path, "at", l.cur.pos, "bytes", size-l.cur.pos)
	return false, nil
}

// keep copies bytes that are about to be cut into a file beside.
func (l *lineage) keep(fsys vfs.FS, from, to int64) error {
	var r [4]byte
	rand.Read(r[:])
	name := fmt.Sprintf("%s.cut-%d-%s", l.path, from, hex.EncodeToString(r[:]))
	w := fsys.Create(name, vfs.FailIfExists, l.info.Perm)
	win := window{file: l.file, size: to}
	for off := from; off < to; {
		b, err := win.bytes(off, int(min(windowSize, to-off)))
		if err != nil {
			w.Abort()
			return fmt.Errorf("durus: read %s: %w", l.path, err)
		}
		w.Write(b) // errors come back from Commit
		off += int64(len(b))
	}
	err := w.Commit()
	if err == nil {
		err = fsys.SyncDir(name) // before the bytes are cut
	}
	if err != nil {
		return fmt.Errorf("durus: keep the interrupted end of %s in %s: %w", l.path, name, err)
	}
	l.logger.Warn("durus: an interrupted end is kept", "path", l.path, "in", name)
	return nil
}

// underLock takes the commit lock of l's file, catches up, rewrites what must
// be, runs run if it is not nil, and gives the lock back.
func (s *Storage) underLock(ctx context.Context, l *lineage, run func(*batch) error) error {
	return s.submit(ctx, &member{internal: true, run: func(b *batch) error {
		if b.l != l {
			return l.rewoundError("it was replaced")
		}
		if run == nil {
			return nil
		}
		return run(b)
	}})
}

// tryUnderLock is underLock for one who must not wait; false is busy.
func (s *Storage) tryUnderLock(l *lineage) (bool, error) {
	err := s.submit(background, &member{internal: true, try: true, run: func(b *batch) error {
		if b.l != l {
			return l.rewoundError("it was replaced")
		}
		return nil
	}})
	if errors.Is(err, errBusy) {
		return false, nil
	}
	return err == nil, err
}
