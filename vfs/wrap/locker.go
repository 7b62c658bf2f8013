package wrap

import (
	"context"
	"sync/atomic"

	"github.com/durusdb/durus/vfs"
)

// locker is a vfs.Locker.
type locker struct {
	fs     *FS
	name   string
	lower  vfs.Locker
	ended  atomic.Bool   // Close was called
	closed chan struct{} // closed by it
}

var _ vfs.Locker = (*locker)(nil)

func (l *locker) call(op Op) *Call {
	c := newCall(op, l.name)
	c.Locker, c.closed = l.lower, l.closed
	return c
}

// do runs a call. The storage below says by itself that it is closed.
func (l *locker) do(c *Call) {
	if l.ended.Load() {
		c.Next()
		return
	}
	l.fs.do(c)
}

func (l *locker) plain(c *Call) error {
	l.do(c)
	err := c.Err
	c.free()
	return err
}

// yes runs an operation that answers yes or no.
func (l *locker) yes(op Op) (bool, error) {
	c := l.call(op)
	l.do(c)
	ok, err := c.OK && c.Err == nil, c.Err
	c.free()
	return ok, err
}

func (l *locker) TryLock() (bool, error) { return l.yes(TryLock) }

func (l *locker) Lock(ctx context.Context) error {
	c := l.call(Lock)
	c.Ctx = ctx
	return l.plain(c)
}

func (l *locker) Unlock() error { return l.plain(l.call(Unlock)) }

func (l *locker) Holder() int {
	c := l.call(Holder)
	l.do(c)
	pid := c.N
	c.free()
	return pid
}

func (l *locker) Incarnation() uint64 { return l.lower.Incarnation() }

func (l *locker) Reopen() error { return l.plain(l.call(Reopen)) }

func (l *locker) Deleted() (bool, error) { return l.yes(Deleted) }

func (l *locker) ReadMark(p *[vfs.MarkSize]byte) (int, error) {
	c := l.call(ReadMark)
	c.Data = p[:]
	l.do(c)
	n, err := c.N, c.Err
	c.free()
	return n, err
}

func (l *locker) UpdateMark(ctx context.Context, update func(p *[vfs.MarkSize]byte, ok bool) bool) error {
	c := l.call(UpdateMark)
	c.Ctx, c.Update = ctx, update
	return l.plain(c)
}

// Close always reaches the locker below, which gives the lock back.
func (l *locker) Close() error {
	if l.ended.Swap(true) {
		return nil
	}
	close(l.closed)
	c := l.call(LockClose)
	c.closed = nil
	l.fs.do(c)
	err, ran := c.Err, c.ran
	c.free()
	if !ran {
		if lower := l.lower.Close(); err == nil {
			err = lower
		}
	}
	return err
}
