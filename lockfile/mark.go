package lockfile

import (
	"context"
	"io"

	"github.com/durusdb/durus/vfs"
)

// ReadMark implements vfs.Locker. It takes no lock: a mark that is just being
// replaced may be read as a mixture, which the caller's checksum tells.
func (l *Locker) ReadMark(p *[vfs.MarkSize]byte) (int, error) {
	for {
		h, err := l.look()
		if h == nil || err != nil {
			return 0, err
		}
		n, err := h.f.ReadAt(p[:], markOffset)
		if err == nil || err == io.EOF {
			return n, nil
		}
		if l.cur.Load() == h {
			return 0, fail("read", l.path, err)
		}
		// The handle was replaced and closed before the read: take the new one.
	}
}

// UpdateMark implements vfs.Locker. Where the lock is the latch (see the
// package comment) it may find the lock file deleted and works on the new one;
// Incarnation tells.
func (l *Locker) UpdateMark(ctx context.Context, update func(p *[vfs.MarkSize]byte, ok bool) bool) error {
	if l.mode == vfs.ReadOnly {
		return fail("write", l.path, vfs.ErrMode)
	}
	if l.lockIsLatch {
		return l.underLock(ctx, update)
	}
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.exit()
	h, err := l.use()
	if err != nil {
		return err
	}
	defer l.drop(h)
	if err := lockMark(ctx, l.done, h.f); err != nil {
		return l.failWait(ctx, "lock the mark of", err)
	}
	defer unlockMark(h.f)
	return l.rewriteMark(h, update)
}

// underLock is UpdateMark where the lock is the latch.
//
// If this Locker holds the lock no other process is in here, and entering the
// in-process latch keeps it so: Unlock enters it too. Otherwise the lock is
// taken for the moment. Order: lock, then in-process latch.
func (l *Locker) underLock(ctx context.Context, update func(p *[vfs.MarkSize]byte, ok bool) bool) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	held := l.held
	l.mu.Unlock()
	if !held {
		l.exit()
		if err := l.Lock(ctx); err != nil {
			return err
		}
		defer func() { _ = l.Unlock() }() // fails only if Close gave the lock back
		if err := l.enter(ctx); err != nil {
			return err
		}
	}
	defer l.exit()
	h, err := l.use()
	if err != nil {
		return err
	}
	defer l.drop(h)
	return l.rewriteMark(h, update)
}

// rewriteMark reads the mark, lets update change it, and writes it. The
// caller is inside the latch.
func (l *Locker) rewriteMark(h *handle, update func(p *[vfs.MarkSize]byte, ok bool) bool) error {
	var p [vfs.MarkSize]byte
	n, err := h.f.ReadAt(p[:], markOffset)
	if err != nil && err != io.EOF {
		return fail("read", l.path, err)
	}
	if !update(&p, n == vfs.MarkSize) {
		return nil
	}
	if _, err := h.f.WriteAt(p[:], markOffset); err != nil {
		return fail("write", l.path, err)
	}
	return nil
}

// enter waits for the in-process part of the latch; exit leaves it.
func (l *Locker) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case l.latch <- struct{}{}:
		return nil
	default:
	}
	select {
	case l.latch <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-l.done:
		return fail("lock the mark of", l.path, vfs.ErrClosed)
	}
}

func (l *Locker) exit() { <-l.latch }
