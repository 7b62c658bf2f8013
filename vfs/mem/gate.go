package mem

import (
	"context"
	"errors"
	"slices"

	"github.com/durusdb/durus/vfs"
)

// gate is a lock that one Locker at a time may hold, first come first served.
// It is guarded by Disk.mu.
type gate struct {
	holder *Locker
	queue  []*waiter // empty under Run: there the scheduler knows who waits
}

// waiter is a goroutine that waits at a gate.
type waiter struct {
	l       *Locker
	granted chan struct{} // closed when the gate is l's
}

// try takes the gate if it is free.
func (g *gate) try(l *Locker) bool {
	if g.holder != nil {
		return false
	}
	g.holder = l
	return true
}

// leave gives the gate to the first who waits.
func (g *gate) leave() {
	g.holder = nil
	if len(g.queue) > 0 {
		w := g.queue[0]
		g.queue = slices.Delete(g.queue, 0, 1)
		g.holder = w.l
		close(w.granted)
	}
}

// pass waits until l has the gate, and then runs took under Disk.mu. It
// reports whether it had to wait. op is what the process is doing meanwhile.
func (l *Locker) pass(ctx context.Context, g *gate, op Op, took func()) (waited bool, err error) {
	d, p := l.p.d, l.p
	for {
		d.mu.Lock()
		if p.dead.Load() {
			d.mu.Unlock()
			return waited, ErrKilled
		}
		if g.try(l) {
			took()
			d.mu.Unlock()
			return waited, nil
		}
		waited = true
		if p.task == nil {
			break
		}
		d.mu.Unlock()
		free := func() bool {
			d.mu.Lock()
			defer d.mu.Unlock()
			return g.holder == nil
		}
		if err := p.task.block(ctx, op, free); err != nil {
			return true, err
		}
	}
	w := &waiter{l: l, granted: make(chan struct{})}
	g.queue = append(g.queue, w)
	d.mu.Unlock()
	select {
	case <-w.granted:
	case <-ctx.Done():
		err = ctx.Err()
	case <-l.done:
	case <-p.died:
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case p.dead.Load():
		err = ErrKilled
	case l.closed:
		err = pathError("lock", l.name, vfs.ErrClosed)
	}
	if err == nil {
		took()
		return true, nil
	}
	g.queue = forget(g.queue, w)
	select {
	case <-w.granted: // too late
		g.leave()
	default:
	}
	return true, err
}

var errNotLocked = errors.New("unlock without a lock")
