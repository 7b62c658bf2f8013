package filestorage

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/durusdb/durus/storage"
)

// Goroutines of one handle that need the commit lock stand in one queue. The
// first becomes leader: it takes the lock, lets everybody who has come by then
// append what he has (one lock hold, usually one write), gives the lock back
// and hands the lead to the next. Nobody waits for a sync here.

const (
	maxGroup      = 512
	maxGroupBytes = 4 << 20
)

type queue struct {
	mu      sync.Mutex // guards all
	waiting []*member
	leading bool     // somebody is the leader
	hold    *hold    // a transaction that has the lock as a courtesy
	locked  *lineage // whose lock is held between two leaders, for the hold

	// The leader's, not guarded: there is one at a time.
	batch batch
	group []*member
}

// member is one who needs the lock.
type member struct {
	// run is called by the leader under the lock, caught up: it checks, and
	// adds its frame to the batch. It runs no code of users.
	run      func(*batch) error
	draft    *draft // what run added, if anything
	size     int64  // of the frame, about
	hold     *hold
	internal bool // may go while another transaction holds the lock as a courtesy
	try      bool // do not wait for the lock
	alone    bool // shares its lock hold with nobody

	state atomic.Uint32 // memberWaiting, then one of the others
	wake  chan bool     // true: you lead; false: done
	err   error         // set before wake
}

const (
	memberWaiting uint32 = iota
	memberTaken
	memberWithdrawn
)

// hold is the commit lock, held as a courtesy.
type hold struct {
	s     *Storage
	timer *time.Timer
}

// submit has m run under the lock. ctx counts until a leader has taken m.
func (s *Storage) submit(ctx context.Context, m *member) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q := &s.queue
	q.mu.Lock()
	if !q.leading && q.admits(m) {
		q.leading = true
		m.state.Store(memberTaken)
		q.mu.Unlock()
		s.lead(ctx, nil, m)
		return m.err
	}
	if m.try {
		q.mu.Unlock()
		return errBusy
	}
	m.wake = make(chan bool, 1)
	q.waiting = append(q.waiting, m)
	q.mu.Unlock()
	wait, cancel := context.WithTimeout(ctx, s.opts.LockTimeout)
	defer cancel()
	select {
	case lead := <-m.wake:
		return s.woken(ctx, wait, m, lead)
	case <-wait.Done():
		if m.state.CompareAndSwap(memberWaiting, memberWithdrawn) {
			s.queue.drop(m)
			if err := ctx.Err(); err != nil {
				return err
			}
			return s.lockError(s.current())
		}
		return s.woken(ctx, wait, m, <-m.wake)
	}
}

func (s *Storage) woken(ctx, wait context.Context, m *member, lead bool) error {
	if lead {
		s.lead(ctx, wait, m)
	}
	return m.err
}

// admits reports whether m may go now. q.mu is held.
func (q *queue) admits(m *member) bool {
	return q.hold == nil || m.internal || m.hold == q.hold
}

func (q *queue) drop(m *member) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, w := range q.waiting {
		if w == m {
			q.waiting = append(q.waiting[:i], q.waiting[i+1:]...)
			return
		}
	}
}

// take moves everybody who may go into the leader's group, in order.
func (q *queue) take(group []*member) []*member {
	q.mu.Lock()
	defer q.mu.Unlock()
	rest := q.waiting[:0]
	size := group[0].size
	for _, m := range q.waiting {
		size += m.size
		if !group[0].alone && !m.alone && len(group) < maxGroup && size < maxGroupBytes && q.admits(m) && m.state.CompareAndSwap(memberWaiting, memberTaken) {
			group = append(group, m)
		} else {
			rest = append(rest, m)
		}
	}
	clear(q.waiting[len(rest):])
	q.waiting = rest
	return group
}

// errNotRun: the goroutine of the leader ended before it came to this member.
var errNotRun = errors.New("durus: the commit was not made: the goroutine that held the lock ended")

// lead runs first and whoever waits as well. Every path out of it hands over.
// wait, if not nil, is ctx with what is left of LockTimeout.
func (s *Storage) lead(ctx, wait context.Context, first *member) {
	q := &s.queue
	l, err := s.takeHeld()
	if l == nil && err == nil {
		l, err = s.acquire(ctx, wait, first.try)
	}
	if err != nil {
		first.err = err
		s.handOver(nil)
		return
	}
	group := q.take(append(q.group[:0], first))
	for _, m := range group {
		m.err = errNotRun
	}
	defer func() {
		// Those who waited are woken after the lock was given back. By then
		// another leader may use q.group.
		var others []*member
		if len(group) > 1 {
			others = slices.Clone(group[1:])
		}
		clear(group)
		q.group = group[:0]
		s.handOver(l)
		for _, m := range others {
			m.wake <- false
		}
	}()
	s.runGroup(l, group)
}

// takeHeld returns the lineage whose lock is held for a courtesy, caught up; nil
// if there is none. If it is not the database any more the courtesy ends.
func (s *Storage) takeHeld() (*lineage, error) {
	q := &s.queue
	q.mu.Lock()
	l := q.locked
	q.locked = nil
	q.mu.Unlock()
	if l == nil {
		return nil, nil
	}
	err := s.prepare(l)
	if err == nil {
		return l, nil
	}
	q.mu.Lock()
	q.hold = nil
	q.mu.Unlock()
	s.unlock(l)
	return nil, err
}

// handOver ends a lead: the lock of l, if l is not nil, is given back unless
// somebody holds it as a courtesy, and the next who may go leads.
func (s *Storage) handOver(l *lineage) {
	q := &s.queue
	q.mu.Lock()
	if l != nil && q.hold != nil {
		q.locked, l = l, nil
	}
	q.mu.Unlock()
	if l != nil {
		s.unlock(l)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, m := range q.waiting {
		if q.admits(m) && m.state.CompareAndSwap(memberWaiting, memberTaken) {
			q.waiting = append(q.waiting[:i], q.waiting[i+1:]...)
			m.wake <- true
			return
		}
	}
	q.leading = false
}

// unlock gives back what acquire took.
func (s *Storage) unlock(l *lineage) {
	defer l.drop()
	if err := l.lock.Unlock(); err != nil {
		s.opts.Logger.Error("durus: unlock", "path", s.path, "err", err)
	}
}

// Hold implements storage.Storage.
func (s *Storage) Hold(ctx context.Context, limit time.Duration) (storage.Hold, error) {
	if err := s.writable(); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	h := &hold{s: s}
	for {
		l := s.current()
		err := s.submit(ctx, &member{run: func(*batch) error {
			s.queue.mu.Lock()
			defer s.queue.mu.Unlock()
			if s.queue.hold == nil {
				s.queue.hold = h
				h.timer = time.AfterFunc(limit, h.Release)
			}
			return nil
		}})
		if again, err := s.retry(l, err); err != nil {
			return nil, err
		} else if !again {
			return h, nil
		}
	}
}

// Release implements storage.Hold.
func (h *hold) Release() {
	q := &h.s.queue
	q.mu.Lock()
	if q.hold != h {
		q.mu.Unlock()
		return
	}
	h.timer.Stop()
	q.hold = nil
	if q.leading { // the leader gives the lock back when it is done
		q.mu.Unlock()
		return
	}
	q.leading = true
	l := q.locked
	q.locked = nil
	q.mu.Unlock()
	h.s.handOver(l)
}
