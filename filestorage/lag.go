package filestorage

import "time"

// What a handle does when V lags behind what was appended: nothing, usually,
// because the writers that promised to sync are about to. But they may be dead.

// lagLimit is how long V may lag before a handle that sees it syncs itself:
// the writer that promised to may be dead.
const lagLimit = 20 * time.Millisecond

// noticeLag starts a sync in the background when V has lagged for too long.
func (s *Storage) noticeLag(l *lineage, st *state) {
	if s.opts.ReadOnly {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case st.visible == st.end: // publish has cleared lagging
	case l.dur.lagging.IsZero():
		l.dur.lagging = s.now()
	case s.now().Sub(l.dur.lagging) > lagLimit && l.dur.flight == nil:
		l.dur.lagging = time.Time{}
		s.background(l)
	}
}

// background makes durable what the handle knows, one at a time.
func (s *Storage) background(l *lineage) {
	if s.opts.Foreground || !s.syncing.TryLock() {
		return
	}
	if s.enter() != nil {
		s.syncing.Unlock()
		return
	}
	go func() {
		defer s.leave()
		defer s.syncing.Unlock()
		if !l.useOpen() { // it was packed, and all of it is in the new file
			return
		}
		defer l.drop()
		if err := s.safe(l, l.end()); err != nil {
			s.opts.Logger.Warn("durus: background sync", "path", s.path, "err", err)
		}
	}()
}

// report returns when a commit that promised nothing may be reported: at once
// when nobody is syncing, else when V covers it.
func (s *Storage) report(l *lineage, end int64) error {
	if l.state.Load().visible >= end { // what was published with the append says so
		return nil
	}
	var started time.Time
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 2*time.Millisecond) {
		st, err := l.refresh()
		if err != nil {
			return err
		}
		if st.visible >= end {
			return nil
		}
		if started.IsZero() {
			started = s.now()
		}
		if s.opts.Foreground || s.now().Sub(started) > lagLimit {
			return s.settle(l, end)
		}
		time.Sleep(pause)
	}
}
