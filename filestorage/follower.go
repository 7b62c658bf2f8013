package filestorage

import (
	"context"
	"fmt"
	"time"

	"github.com/durusdb/durus/storage"
)

// Follow implements storage.Feed.
func (s *Storage) Follow(after storage.TID) storage.Cursor {
	s.listen()
	return &follower{s: s, after: after}
}

// follower implements storage.Cursor. Where it stands is a transaction id,
// which holds in any file; in the file that it read last also a position, so
// that the next transaction is found without a search.
type follower struct {
	s      *Storage
	after  storage.TID
	closed bool

	// history and lineage are those of the file that was read last, 0 before.
	// Another lineage of the same history is that file, packed.
	history, lineage uint64
	scan             scanner     // over that file; its window keeps what was read beyond pos
	pos              int64       // the next frame
	last             storage.TID // of the frame before pos
	checked          bool        // after is a transaction of this history

	vain int // looks that found nothing since the last transaction or notice
}

// Close implements storage.Cursor.
func (f *follower) Close() {
	if !f.closed {
		f.closed = true
		f.s.news.leave()
	}
}

// Next implements storage.Cursor.
func (f *follower) Next(ctx context.Context) (*storage.Written, error) {
	slept := false // through the last wait, and heard nothing
	for {
		if f.closed {
			return nil, fmt.Errorf("%w: the cursor", storage.ErrClosed)
		}
		notice, heard := f.s.news.notice(), f.s.news.heard.Load()
		w, lags, err := f.look(ctx)
		if err != nil {
			return nil, err
		}
		if w != nil {
			f.vain = 0
			if slept { // nobody has told of it
				f.s.news.deaf.Store(true)
			}
			return w, nil
		}
		woken, err := f.wait(ctx, notice, f.pause(lags))
		if err != nil {
			return nil, err
		}
		slept = !woken && heard == f.s.news.heard.Load()
		if f.vain++; woken {
			f.vain = 0
		}
	}
}

// look returns the next transaction, if there is one. lags tells that there is
// more in the file than is visible.
func (f *follower) look(ctx context.Context) (w *storage.Written, lags bool, err error) {
	snap, err := f.s.Begin(ctx, false)
	if err != nil {
		return nil, false, err
	}
	sn := snap.(*snapshot)
	defer func() {
		if w == nil {
			sn.Release()
		}
	}()
	lags = sn.end < sn.st.end
	if sn.l.id != f.lineage {
		if ok, err := f.enter(sn); !ok || err != nil {
			return nil, lags, err
		}
	}
	f.scan.win.size = sn.end
	for f.pos < sn.end {
		fr, v, reason, err := f.scan.next(chain{pos: f.pos}, false, false)
		if err == nil && v != verdictWhole {
			err = sn.l.damaged(0, storage.Position(f.pos), reason)
		}
		if err != nil {
			return nil, lags, err
		}
		if fr.kind == kindTransaction && fr.tid > f.after {
			if !f.checked && f.last != f.after && fr.tid != f.after+1 {
				return nil, lags, f.unknown(sn)
			}
			f.pos, f.last, f.after, f.checked = fr.end(), fr.tid, fr.tid, true
			return sn.written(&fr), lags, nil
		}
		f.pos, f.last = fr.end(), fr.tid
	}
	return nil, lags, nil
}

// enter finds the place of the cursor in a file that it has not read yet. ok is
// false when its transaction is there but not visible, on a handle that has yet
// to learn what is durable.
func (f *follower) enter(sn *snapshot) (ok bool, err error) {
	l := sn.l
	switch {
	case f.history != 0 && f.history != l.history:
		return false, l.rewoundError("it was rewound or replaced while it was followed")
	case f.after > sn.st.tid:
		return false, f.unknown(sn)
	case f.after > sn.tid:
		return false, nil
	case f.after < l.header.Horizon:
		return false, l.packedError(fmt.Sprintf("what was committed after transaction %s", f.after))
	}
	pos, last, err := l.seek(sn.end, func(h *frameHeader) bool { return h.tid <= f.after })
	if err != nil {
		return false, err
	}
	f.history, f.lineage, f.pos, f.last = l.history, l.id, pos, last.tid
	f.scan = scanner{salt: l.header.Salt, win: &window{file: l.file}}
	return true, nil
}

// unknown is for a file whose history the cursor is not of.
func (f *follower) unknown(sn *snapshot) error {
	return fmt.Errorf("%w: %s holds no transaction %s: follow it from one that it holds, the newest is %s", storage.ErrRewound, sn.l.path, f.after, sn.tid)
}

// written makes sn the state behind the transaction of a frame; nobody else has
// it yet.
func (sn *snapshot) written(f *frame) *storage.Written {
	w := &storage.Written{Transaction: f.transaction(), Positions: make([]storage.Position, f.records), State: sn}
	for i := range w.Positions {
		w.Positions[i] = f.recordPos(i)
	}
	if f.end() < sn.end {
		sn.past = new(past)
	}
	sn.end, sn.tid = f.end(), f.tid
	return w
}

// How long a cursor sleeps that is not woken.
const (
	// Without notices: while transactions come about as long as it takes to
	// commit one, and longer while none does.
	pollLeast = time.Millisecond
	pollMost  = 25 * time.Millisecond
	// With notices: a handle compares its path with its file every glanceEvery
	// and not at each look, so one more look is due after that; then seldom.
	settled  = glanceEvery + 10*time.Millisecond
	idleMost = time.Second
)

// pause is how long to wait, at most, for a notice.
func (f *follower) pause(lags bool) time.Duration {
	if f.s.news.deaf.Load() {
		return min(pollLeast<<min(f.vain, 10), pollMost)
	}
	if lags && !f.s.opts.ReadOnly {
		// Who promised to raise the mark may be dead: then this handle does, if
		// it looks again (noticeLag).
		return pollMost
	}
	return min(settled<<min(f.vain, 10), idleMost)
}

// wait ends with the notice, and with the pause.
func (f *follower) wait(ctx context.Context, notice <-chan struct{}, pause time.Duration) (woken bool, err error) {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-notice:
		return true, nil
	case <-t.C:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	case <-f.s.stop:
		return false, fmt.Errorf("%w: %s", storage.ErrClosed, f.s.path)
	}
}
