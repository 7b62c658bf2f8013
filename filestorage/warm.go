package filestorage

import (
	"context"
	"errors"
	"time"

	"github.com/durusdb/durus/storage"
)

// A handle that was just opened, or whose lock file is another one now, is cold:
// R5. It makes durable what is behind W, under the commit lock, before its first
// writable transaction; Views begin meanwhile and end at W.

// warmUp is R5. With wait it returns when the handle is warm. Without, for a
// View, it does what can be done without waiting for the commit lock; the
// View then ends at W.
func (s *Storage) warmUp(ctx context.Context, l *lineage, wait bool) error {
	err := s.syncDir(l)
	if s.opts.ReadOnly { // it cannot vouch for anything: its Views end at W, for ever
		l.mu.Lock()
		defer l.mu.Unlock()
		l.dur.dirSynced = true
		l.setWarm(true)
		return nil
	}
	if err != nil {
		return err
	}
	if warm, err := l.warmAlready(); warm || err != nil {
		return err
	}
	if !wait {
		return s.warmUpForView(l)
	}
	if err := s.underLock(ctx, l, nil); err != nil {
		return err
	}
	return lockedOut(s.settle(l, l.end()))
}

// warming is an attempt to make a handle warm for Views.
type warming struct {
	done chan struct{}
	err  error // set before done is closed
}

// warmUpForView makes the handle warm unless that takes long: a View does not
// wait for other processes, nor for the disk.
func (s *Storage) warmUpForView(l *lineage) error {
	if s.opts.Foreground {
		return s.viewAnyway(s.tryWarmUp(l))
	}
	w, err := s.startWarming(l)
	if err != nil {
		return err
	}
	patience := time.NewTimer(lagLimit)
	defer patience.Stop()
	select {
	case <-w.done:
		return s.viewAnyway(w.err)
	case <-patience.C:
		return nil
	}
}

// startWarming begins an attempt, or joins the one that is under way.
func (s *Storage) startWarming(l *lineage) (*warming, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dur.warming != nil {
		return l.dur.warming, nil
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	w := &warming{done: make(chan struct{})}
	l.dur.warming = w
	go func() {
		defer s.leave()
		w.err = s.tryWarmUp(l)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.dur.warming = nil
		close(w.done)
	}()
	return w, nil
}

// tryWarmUp is R5 for one who does not wait for the commit lock.
func (s *Storage) tryWarmUp(l *lineage) error {
	ok, err := s.tryUnderLock(l)
	if err == nil && !ok {
		s.background(l)
		return nil
	}
	if err != nil {
		return err
	}
	return s.settle(l, l.end())
}

// warmAlready: usually the mark covers the file and nothing is to do.
func (l *lineage) warmAlready() (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	st, err := l.poll()
	if err != nil {
		return false, err
	}
	if !l.dur.warm && st.end > l.dur.base {
		return false, nil
	}
	l.setWarm(true)
	return true, nil
}

// viewAnyway is for a View whose handle cannot become warm: the disk does not
// take it, say. It can still show what is durable, unless the file itself is
// not what it was.
func (s *Storage) viewAnyway(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, errElsewhere) {
		return nil
	}
	for _, end := range []error{storage.ErrRewound, storage.ErrCorrupt, storage.ErrTooNew, storage.ErrClosed} {
		if errors.Is(err, end) {
			return err
		}
	}
	s.opts.Logger.Warn("durus: the end of the file is not confirmed on the disk", "path", s.path, "err", err)
	return nil
}
