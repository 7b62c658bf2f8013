package vfstest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/durusdb/durus/vfs"
)

// waitRules are about waiting for the lock.
var waitRules = []rule{
	{"LockWaitsForUnlock", lockWaits},
	{"LockEndsWithItsContext", lockEndsWithContext},
	{"LateLockIsGivenBack", lateLock},
	{"FirstComeFirstServed", firstCome},
	{"CrowdExcludesItself", crowd},
	{"CloseEndsWaits", closeEndsWaits},
}

// moment is long enough for a goroutine to begin to wait, usually. No test
// fails if it is not.
const moment = 10 * time.Millisecond

func lockWaits(s *subject) {
	s.locks()
	a, b := s.twoLockers()
	for _, l := range []vfs.Locker{b, a} { // a waits for itself: by another goroutine
		s.locked(a)
		var given atomic.Bool
		got := make(chan error, 1)
		go func() {
			err := l.Lock(s.soon())
			if err == nil && !given.Load() {
				err = errors.New("it returned before Unlock was called")
			}
			got <- err
		}()
		time.Sleep(moment)
		given.Store(true)
		s.check(a.Unlock())
		s.check(<-got)
		s.busy(a)
		s.check(l.Unlock())
	}
}

// A context that has ended, that ends in time, or that is cancelled: its error,
// as it is, and no lock.
func lockEndsWithContext(s *subject) {
	s.locks()
	a, b := s.twoLockers()
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if err := a.Lock(over); err != context.Canceled {
		s.Errorf("Lock with a context that is over: %v", err)
	}
	s.locked(b) // it has not taken it
	for range 3 {
		for _, l := range []vfs.Locker{a, b} {
			ctx, cancel := context.WithTimeout(context.Background(), moment)
			if err := l.Lock(ctx); err != context.DeadlineExceeded {
				s.Errorf("Lock with a deadline: %v", err)
			}
			cancel()
			ctx, cancel = context.WithCancel(context.Background())
			stop := time.AfterFunc(moment, cancel)
			if err := l.Lock(ctx); err != context.Canceled {
				s.Errorf("Lock that was cancelled: %v", err)
			}
			stop.Stop()
			cancel()
		}
	}
	s.busy(a)
	s.check(b.Unlock())
	s.passed(a)
	s.passed(b)
}

// A lock that comes at the moment when nobody wants it any more is free again.
func lateLock(s *subject) {
	s.locks()
	a, b := s.twoLockers()
	for i := range 50 {
		s.check(a.Lock(s.soon()))
		ctx, cancel := context.WithCancel(context.Background())
		got := make(chan error, 1)
		go func() { got <- b.Lock(ctx) }()
		time.Sleep(time.Duration(i%5) * 100 * time.Microsecond)
		go cancel()
		s.check(a.Unlock())
		switch err := <-got; err {
		case nil:
			s.check(b.Unlock())
		case context.Canceled:
		default:
			s.Fatalf("Lock: %v", err)
		}
	}
	s.passed(a)
	s.passed(b)
}

// Within a process the lock is handed over in the order in which it was asked
// for. Who begins to wait when cannot be seen from outside, so the test tries
// again when the order is wrong; a lock without order is right once in a
// thousand tries.
func firstCome(s *subject) {
	s.locks()
	s.create("x", nil)
	l := s.locker(s.fs)
	const waiters, tries = 6, 5
	want := []int{0, 1, 2, 3, 4, 5}
	var order []int
	for try := range tries {
		order = nil
		var mu sync.Mutex // guards order, as far as the lock does not
		var wg sync.WaitGroup
		s.check(l.Lock(s.soon()))
		for i := range waiters {
			wg.Go(func() {
				if err := l.Lock(s.soon()); err != nil {
					s.Errorf("Lock: %v", err)
					return
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				if err := l.Unlock(); err != nil {
					s.Errorf("Unlock: %v", err)
				}
			})
			time.Sleep(moment << try)
		}
		s.check(l.Unlock())
		wg.Wait()
		if slices.Equal(order, want) {
			return
		}
	}
	s.Errorf("in each of %d tries the lock went out of order, in the last one as %v", tries, order)
}

// Many goroutines on four Lockers in two views, some with little patience: one
// at a time is inside, all get in, and the lock is free in the end.
func crowd(s *subject) {
	s.locks()
	a, b := s.twoLockers()
	lockers := []vfs.Locker{a, b, s.locker(s.fs), s.locker(s.other)}
	var inside, gaveUp atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			l := lockers[i%len(lockers)]
			for round := 0; round < 30; {
				ctx, cancel := s.soon(), func() {}
				if i >= 4 && round%2 == 0 {
					ctx, cancel = context.WithTimeout(ctx, time.Duration(round)*50*time.Microsecond)
				}
				err := l.Lock(ctx)
				cancel()
				switch {
				case err == nil:
				case err == context.DeadlineExceeded && i >= 4:
					gaveUp.Add(1)
					round++
					continue
				default:
					s.Errorf("Lock: %v", err)
					return
				}
				if n := inside.Add(1); n != 1 {
					s.Errorf("%d hold the lock", n)
				}
				time.Sleep(10 * time.Microsecond)
				inside.Add(-1)
				if err := l.Unlock(); err != nil {
					s.Errorf("Unlock: %v", err)
					return
				}
				round++
			}
		})
	}
	wg.Wait()
	s.Logf("%d gave up", gaveUp.Load())
	for _, l := range lockers {
		s.passed(l)
	}
}

// Who waits on a Locker that is closed gets ErrClosed, though nobody gave the
// lock, or the latch, back.
func closeEndsWaits(s *subject) {
	s.locks()
	a, _ := s.twoLockers()
	f := s.open(s.fs, "x", vfs.Append)
	wait := map[string]func(l vfs.Locker) error{
		"Lock": func(l vfs.Locker) error { return l.Lock(s.soon()) },
		"UpdateMark": func(l vfs.Locker) error {
			return l.UpdateMark(s.soon(), func(*[vfs.MarkSize]byte, bool) bool {
				s.Error("update was called under a latch that somebody else has")
				return false
			})
		},
	}
	s.locked(a)
	s.check(a.UpdateMark(s.soon(), func(*[vfs.MarkSize]byte, bool) bool {
		for what, fn := range wait {
			l := s.fs.Locker(s.name("x.lock"), f, vfs.Append, 0o600)
			got := make(chan error, 1)
			go func() { got <- fn(l) }()
			time.Sleep(moment)
			if err := l.Close(); err != nil {
				s.Errorf("Close beside %s: %v", what, err)
			}
			s.is(what+" beside Close", <-got, vfs.ErrClosed)
		}
		return false
	}))
	s.check(a.Unlock())
	s.passed(a)
}
