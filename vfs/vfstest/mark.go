package vfstest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"sync"

	"github.com/durusdb/durus/vfs"
)

// markRules are about the record in the lock file.
var markRules = []rule{
	{"MarkIsKept", markIsKept},
	{"MarkIsUpdatedAtomically", markIsAtomic},
	{"MarkEndsWithItsContext", markEndsWithContext},
	{"MarkIsIndependentOfTheLock", markWithoutLock},
	{"MarkIsLostWithTheLockFile", markIsLost},
	{"ReopenFindsTheLockFile", reopenFinds},
}

// counter reads what raise counts.
func counter(p *[vfs.MarkSize]byte) uint64 { return binary.LittleEndian.Uint64(p[:]) }

// raise counts in the mark, in two places.
func raise(p *[vfs.MarkSize]byte, ok bool) bool {
	n := uint64(1)
	if ok {
		n = counter(p) + 1
	}
	binary.LittleEndian.PutUint64(p[:], n)
	binary.LittleEndian.PutUint64(p[vfs.MarkSize-8:], n)
	return true
}

// says reports a mark that does not count n; 0: there is none.
func (s *subject) says(l vfs.Locker, n uint64) {
	s.Helper()
	var p [vfs.MarkSize]byte
	want := vfs.MarkSize
	if n == 0 {
		want = 0
	}
	got, err := l.ReadMark(&p)
	if got != want || err != nil || n != 0 && (counter(&p) != n || binary.LittleEndian.Uint64(p[vfs.MarkSize-8:]) != n) {
		s.Errorf("ReadMark = %d, %v, and says %d; want %d, and %d", got, err, counter(&p), want, n)
	}
}

// What is written is read by all; what update does not want written is not.
func markIsKept(s *subject) {
	s.locks()
	a, b := s.twoLockers()
	s.says(a, 0)
	s.says(b, 0)
	s.isGone("x.lock") // ReadMark creates nothing
	var first [vfs.MarkSize]byte
	copy(first[:], pattern(1, vfs.MarkSize))
	calls := 0
	s.check(a.UpdateMark(s.soon(), func(p *[vfs.MarkSize]byte, ok bool) bool {
		calls++
		if ok {
			s.Errorf("a mark was there before any was written: %q", p[:])
		}
		*p = first
		return true
	}))
	s.check(b.Reopen()) // it has looked when there was no lock file
	for _, l := range []vfs.Locker{a, b, s.locker(s.fs), s.locker(s.other)} {
		var p [vfs.MarkSize]byte
		if n, err := l.ReadMark(&p); n != vfs.MarkSize || err != nil || p != first {
			s.Errorf("ReadMark = %d, %v: %q", n, err, p[:])
		}
		s.check(l.UpdateMark(s.soon(), func(p *[vfs.MarkSize]byte, ok bool) bool {
			calls++
			if !ok || *p != first {
				s.Errorf("update was given %q, %v", p[:], ok)
			}
			clear(p[:])
			return false
		}))
		if n, err := l.ReadMark(&p); n != vfs.MarkSize || err != nil || !bytes.Equal(p[:], first[:]) {
			s.Errorf("update returned false, and the mark is %q, %v", p[:], err)
		}
	}
	if calls != 5 {
		s.Errorf("5 calls of UpdateMark called update %d times", calls)
	}
	info, err := s.fs.Stat(s.name("x.lock"))
	if err != nil || info.Perm&^0o600 != 0 {
		s.Errorf("the lock file: %+v, %v; want no more than 0600", info, err)
	}
	s.leadsTo("x", []byte("data"))
	s.remain("x", "x.lock")
}

// No update is lost, whoever makes them.
func markIsAtomic(s *subject) {
	s.locks()
	a, b := s.twoLockers()
	lockers := []vfs.Locker{a, b, s.locker(s.fs), s.locker(s.other)}
	const goroutines, rounds = 16, 20
	var wg sync.WaitGroup
	for i := range goroutines {
		wg.Go(func() {
			for range rounds {
				if err := lockers[i%len(lockers)].UpdateMark(s.soon(), raise); err != nil {
					s.Errorf("UpdateMark: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, l := range lockers {
		s.says(l, goroutines*rounds)
	}
}

// Who waits for the latch gives up with his context, and has changed nothing.
func markEndsWithContext(s *subject) {
	s.locks()
	a, b := s.twoLockers()
	s.check(a.UpdateMark(s.soon(), raise))
	over, cancel := context.WithCancel(context.Background())
	cancel()
	never := func(*[vfs.MarkSize]byte, bool) bool {
		s.Error("update was called under a latch that somebody else has")
		return false
	}
	s.check(a.UpdateMark(s.soon(), func(p *[vfs.MarkSize]byte, ok bool) bool {
		for _, l := range []vfs.Locker{a, b} {
			ctx, cancel := context.WithTimeout(context.Background(), moment)
			if err := l.UpdateMark(ctx, never); err != context.DeadlineExceeded {
				s.Errorf("UpdateMark with a deadline: %v", err)
			}
			cancel()
			if err := l.UpdateMark(over, never); err != context.Canceled {
				s.Errorf("UpdateMark with a context that is over: %v", err)
			}
		}
		f := s.fs.Open(s.name("x"), vfs.ReadOnly) // update may read files
		got, err := readAll(f)
		if err = errors.Join(err, f.Close()); err != nil || string(got) != "data" {
			s.Errorf("reading a file under the latch: %q, %v", got, err)
		}
		return raise(p, ok)
	}))
	s.check(b.UpdateMark(s.soon(), raise))
	s.says(a, 3)
}

// The latch is not the lock: who holds the lock can update the mark, and so can
// others meanwhile.
func markWithoutLock(s *subject) {
	s.locks()
	a, b := s.twoLockers()
	s.locked(a)
	s.check(a.UpdateMark(s.soon(), raise))
	s.busy(b)
	ctx, cancel := context.WithTimeout(context.Background(), 50*moment)
	defer cancel()
	err := b.UpdateMark(ctx, raise)
	s.busy(b)
	s.check(a.Unlock())
	if err == context.DeadlineExceeded {
		s.Skip("the latch of this storage is the lock itself")
	}
	s.check(err)
	s.says(a, 2)
	s.passed(b) // UpdateMark has not kept the lock
}

// What the mark said goes with its file, and Incarnation tells.
func markIsLost(s *subject) {
	s.locks()
	a, b := s.twoLockers()
	s.check(a.UpdateMark(s.soon(), raise))
	s.check(b.Reopen())
	s.says(b, 1)
	was := a.Incarnation()
	s.check(s.other.Remove(s.name("x.lock")))

	// The file that is open is still the one, until somebody looks.
	s.check(a.UpdateMark(s.soon(), raise))
	if a.Incarnation() == was {
		s.says(a, 2)
		s.isGone("x.lock")
	}
	s.check(a.Reopen())
	if a.Incarnation() == was {
		s.Error("Reopen has opened another lock file, and Incarnation is the same")
	}
	fresh := s.locker(s.fs)
	s.check(fresh.UpdateMark(s.soon(), raise))
	s.passed(b) // looks, too
	s.check(b.UpdateMark(s.soon(), raise))
	var p [vfs.MarkSize]byte
	if n, err := a.ReadMark(&p); n != vfs.MarkSize || err != nil {
		s.Errorf("ReadMark = %d, %v", n, err)
	}
	s.says(fresh, counter(&p))
	s.says(b, counter(&p))
	s.remain("x", "x.lock")
}

// Reopen creates a lock file where there is none, finds one that came, and
// leaves one alone that is the right one.
func reopenFinds(s *subject) {
	s.locks()
	a, b := s.twoLockers()
	if n := a.Incarnation(); n != 0 {
		s.Errorf("Incarnation = %d before the first use", n)
	}
	s.check(a.Reopen())
	was := a.Incarnation()
	if gone, err := a.Deleted(); gone || err != nil || was == 0 {
		s.Errorf("Deleted = %v, %v, Incarnation %d after Reopen", gone, err, was)
	}
	s.remain("x", "x.lock")
	s.check(b.Reopen())
	s.check(b.UpdateMark(s.soon(), raise))
	for range 3 {
		s.check(a.Reopen())
		s.says(a, 1)
	}
	s.locked(a)
	s.check(a.Unlock())
	if n := a.Incarnation(); n != was {
		s.Errorf("Incarnation went from %d to %d, and nothing happened to the lock file", was, n)
	}
}
