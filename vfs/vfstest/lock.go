package vfstest

import (
	"context"
	"errors"
	"io/fs"
	"sync/atomic"

	"github.com/durusdb/durus/vfs"
)

// lockRules are about who holds the lock.
var lockRules = []rule{
	{"Rule9_A9_A10_LockersExclude", lockersExclude},
	{"Rule9_F13_OtherLockFilesExclude", otherLockFilesExclude},
	{"Rule9_A10_OtherHandlesChangeNothing", otherHandlesChangeNothing},
	{"Rule9_UnlockNeedsTheLock", unlockNeedsTheLock},
	{"Rule9_H4_DeletedLockFile", deletedLockFile},
	{"Rule9_A12_CloseGivesBack", closeGivesBack},
	{"LockerOfAMissingFile", lockerOfMissingFile},
	{"HolderIsTheHolder", holderIsTheHolder},
	{"ReadOnlyLockerCreatesNothing", readOnlyLocker},
	{"A11_StorageWithoutLocks", withoutLocks},
}

// locks skips the test where there are no locks.
func (s *subject) locks() { s.need(s.props.Locks, "this storage has no locks (Props.Locks)") }

// locker returns a Locker of the file "x" in a view, on a handle of its own.
func (s *subject) locker(fsys vfs.FS) vfs.Locker { return s.lockerOf(fsys, "x.lock") }

// lockerOf is locker with another lock file.
func (s *subject) lockerOf(fsys vfs.FS, lockFile string) vfs.Locker {
	s.Helper()
	l := fsys.Locker(s.name(lockFile), s.open(fsys, "x", vfs.Append), vfs.Append, 0o600)
	if l == nil {
		s.Fatal("Locker = nil")
	}
	s.Cleanup(func() {
		if err := l.Close(); err != nil {
			s.Errorf("Close of a Locker: %v", err)
		}
	})
	return l
}

// twoLockers are Lockers of "x" in both views.
func (s *subject) twoLockers() (a, b vfs.Locker) {
	s.Helper()
	s.create("x", []byte("data"))
	return s.locker(s.fs), s.locker(s.other)
}

// locked and busy say what TryLock has to answer.
func (s *subject) locked(l vfs.Locker) { s.Helper(); s.try(l, true) }
func (s *subject) busy(l vfs.Locker)   { s.Helper(); s.try(l, false) }

func (s *subject) try(l vfs.Locker, want bool) {
	s.Helper()
	if got, err := l.TryLock(); got != want || err != nil {
		s.Fatalf("TryLock = %v, %v; want %v", got, err, want)
	}
}

// passed ends when l can take the lock, and gives it back: whoever had it has
// it no more.
func (s *subject) passed(l vfs.Locker) {
	s.Helper()
	s.check(l.Lock(s.soon()))
	s.check(l.Unlock())
}

// Two in one process, and in two; busy is no error. // A9
func lockersExclude(s *subject) {
	s.locks()
	a, b := s.twoLockers()
	c := s.locker(s.fs)
	all := []vfs.Locker{a, b, c}
	for i, holder := range all {
		s.locked(holder)
		for range 3 {
			for _, l := range all { // the holder itself as well: by another goroutine
				s.busy(l)
			}
		}
		s.check(holder.Unlock())
		next := all[(i+1)%len(all)]
		s.check(next.Lock(s.soon()))
		s.busy(holder)
		s.check(next.Unlock())
	}
	s.remain("x", "x.lock")
	s.leadsTo("x", []byte("data"))
}

// The lock is the data file's, whatever lock file led to it.
func otherLockFilesExclude(s *subject) {
	s.locks()
	s.create("x", []byte("data"))
	a, b := s.lockerOf(s.fs, "x.lock"), s.lockerOf(s.other, "y.lock")
	c := s.lockerOf(s.fs, "z.lock")
	s.locked(a)
	s.busy(b)
	s.busy(c)
	s.check(a.Unlock())
	s.locked(b)
	s.busy(a)
	s.check(b.Unlock())
	s.locked(c)
	s.check(c.Unlock())
}

// Opening and closing other handles of the data file, and other Lockers, does
// not give the lock back. // H5
func otherHandlesChangeNothing(s *subject) {
	s.locks()
	a, b := s.twoLockers()
	s.locked(a)
	for i := range 4 {
		f := s.view(i).Open(s.name("x"), vfs.Append)
		_, err := f.Stat()
		s.check(err)
		l := s.view(i).Locker(s.name("x.lock"), f, vfs.Append, 0o600)
		s.busy(l)
		var mark [vfs.MarkSize]byte
		_, err = l.ReadMark(&mark)
		s.check(err)
		s.check(l.Close())
		s.check(f.Close())
		lock := s.view(i).Open(s.name("x.lock"), vfs.Append) // the lock file is a file
		_, err = lock.Stat()
		s.check(errors.Join(err, lock.Close()))
		s.busy(b)
	}
	s.check(a.Unlock())
	s.locked(b)
	s.check(b.Unlock())
}

func unlockNeedsTheLock(s *subject) {
	s.locks()
	a, b := s.twoLockers()
	if a.Unlock() == nil {
		s.Error("Unlock of a Locker that was never used succeeded")
	}
	s.locked(a)
	if b.Unlock() == nil {
		s.Error("Unlock of somebody else's lock succeeded")
	}
	s.busy(b)
	s.check(a.Unlock())
	if a.Unlock() == nil {
		s.Error("the second Unlock succeeded")
	}
	s.locked(b)
	s.check(b.Unlock())
}

// A lock file that was deleted under its holder excludes still, by the data
// file; the next holder has a new one.
func deletedLockFile(s *subject) {
	s.locks()
	a, b := s.twoLockers()
	s.locked(a)
	was := a.Incarnation()
	if was == 0 {
		s.Error("Incarnation = 0 of a Locker that holds its lock")
	}
	s.check(s.fs.Remove(s.name("x.lock")))
	if gone, err := a.Deleted(); !gone || err != nil {
		s.Errorf("Deleted = %v, %v", gone, err)
	}
	s.busy(b)
	s.busy(s.locker(s.fs))
	s.check(a.Unlock())
	s.locked(a)
	if a.Incarnation() == was {
		s.Error("the lock file was deleted, and Incarnation did not change")
	}
	if gone, err := a.Deleted(); gone || err != nil {
		s.Errorf("Deleted = %v, %v of a new lock file", gone, err)
	}
	s.busy(b)
	s.check(a.Unlock())
	s.locked(b)
	s.busy(a)
	s.check(b.Unlock())
	s.remain("x", "x.lock")
}

// Close gives back what is held, once; later calls are ErrClosed.
func closeGivesBack(s *subject) {
	s.locks()
	_, b := s.twoLockers()
	f := s.open(s.fs, "x", vfs.Append)
	l := s.fs.Locker(s.name("x.lock"), f, vfs.Append, 0o600)
	s.locked(l)
	s.busy(b)
	s.check(l.Close())
	s.locked(b)
	s.check(l.Close())
	s.busy(s.locker(s.fs)) // the second Close did not give back the lock of b
	s.check(b.Unlock())

	_, err := l.TryLock()
	s.is("TryLock after Close", err, vfs.ErrClosed)
	s.names("TryLock", err, "x.lock")
	s.is("Lock after Close", l.Lock(s.soon()), vfs.ErrClosed)
	var mark [vfs.MarkSize]byte
	_, err = l.ReadMark(&mark)
	s.is("ReadMark after Close", err, vfs.ErrClosed)
	s.is("UpdateMark after Close", l.UpdateMark(s.soon(), raise), vfs.ErrClosed)
	s.is("Reopen after Close", l.Reopen(), vfs.ErrClosed)
	if l.Unlock() == nil {
		s.Error("Unlock after Close succeeded")
	}
	s.locked(b) // nothing of this has taken it
	s.check(b.Unlock())

	never := s.fs.Locker(s.name("y.lock"), f, vfs.Append, 0o600)
	s.check(never.Close())
	s.check(never.Close())
	s.isGone("y.lock")
	s.holds(f, []byte("data")) // the file that it guards is the caller's
}

// A lock for a file that is not there cannot be had, and leaves no lock file
// that would say so.
func lockerOfMissingFile(s *subject) {
	s.locks()
	l := s.locker(s.fs)
	ok, err := l.TryLock()
	if ok {
		s.Error("locked a file that is not there")
	}
	s.is("TryLock", err, fs.ErrNotExist)
	s.names("TryLock", err, "x")
	s.is("Lock", l.Lock(s.soon()), fs.ErrNotExist)
	s.remain()
}

// Holder is for messages: it may not know. What it knows is right.
func holderIsTheHolder(s *subject) {
	s.locks()
	a, b := s.twoLockers()
	for _, l := range []vfs.Locker{a, b} {
		if pid := l.Holder(); pid != 0 {
			s.Errorf("Holder = %d before anybody locked", pid)
		}
	}
	s.locked(a)
	own, seen := a.Holder(), b.Holder()
	if own < 0 || seen < 0 || own != 0 && seen != 0 && own != seen {
		s.Errorf("the holder is %d to itself and %d to the other", own, seen)
	}
	s.check(a.Unlock())
	for _, l := range []vfs.Locker{a, b} {
		if pid := l.Holder(); pid != 0 {
			s.Errorf("Holder = %d after Unlock", pid)
		}
	}
}

// A Locker for reading makes no file, and sees the mark when there is one.
func readOnlyLocker(s *subject) {
	s.locks()
	s.create("x", []byte("data"))
	r := s.fs.Locker(s.name("x.lock"), s.open(s.fs, "x", vfs.ReadOnly), vfs.ReadOnly, 0o600)
	s.Cleanup(func() { s.check(r.Close()) })
	var mark [vfs.MarkSize]byte
	look := func(want int) {
		s.Helper()
		if n, err := r.ReadMark(&mark); n != want || err != nil {
			s.Errorf("ReadMark = %d, %v; want %d", n, err, want)
		}
	}
	for range 2 {
		look(0)
		s.check(r.Reopen())
		if gone, err := r.Deleted(); !gone || err != nil {
			s.Errorf("Deleted = %v, %v where no lock file is", gone, err)
		}
		if n := r.Incarnation(); n != 0 {
			s.Errorf("Incarnation = %d where no lock file is", n)
		}
	}
	_, err := r.TryLock()
	s.is("TryLock", err, vfs.ErrMode)
	s.names("TryLock", err, "x.lock")
	s.is("Lock", r.Lock(s.soon()), vfs.ErrMode)
	s.is("UpdateMark", r.UpdateMark(s.soon(), raise), vfs.ErrMode)
	s.remain("x")

	w := s.locker(s.other)
	s.check(w.UpdateMark(s.soon(), raise))
	s.check(r.Reopen())
	look(vfs.MarkSize)
	if n := counter(&mark); n != 1 {
		s.Errorf("the mark says %d, want 1", n)
	}
	if gone, err := r.Deleted(); gone || err != nil || r.Incarnation() == 0 {
		s.Errorf("Deleted = %v, %v, Incarnation %d of a lock file that is there", gone, err, r.Incarnation())
	}
	s.remain("x", "x.lock")
}

// Without locks nobody is told that he has one; a mark is kept or not.
func withoutLocks(s *subject) {
	s.need(!s.props.Locks, "this storage has locks (Props.Locks)")
	l, _ := s.twoLockers()
	for range 2 {
		ok, err := l.TryLock()
		if ok {
			s.Error("TryLock has taken a lock where there are none")
		}
		s.is("TryLock", err, vfs.ErrNotSupported)
		s.is("Lock", l.Lock(s.soon()), vfs.ErrNotSupported)
	}
	if l.Unlock() == nil {
		s.Error("Unlock succeeded")
	}
	var called atomic.Bool
	err := l.UpdateMark(context.Background(), func(*[vfs.MarkSize]byte, bool) bool { called.Store(true); return true })
	var mark [vfs.MarkSize]byte
	n, readErr := l.ReadMark(&mark)
	switch {
	case err == nil && called.Load():
		if n != vfs.MarkSize || readErr != nil {
			s.Errorf("ReadMark of a mark that was written: %d, %v", n, readErr)
		}
	case !errors.Is(err, vfs.ErrNotSupported) || called.Load():
		s.Errorf("UpdateMark: %v, called %v", err, called.Load())
	case n != 0 || readErr != nil && !errors.Is(readErr, vfs.ErrNotSupported):
		s.Errorf("ReadMark where there is none: %d, %v", n, readErr)
	}
	s.leadsTo("x", []byte("data"))
}
