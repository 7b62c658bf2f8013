package fault

import "github.com/durusdb/durus/vfs/wrap"

// lock is how a Locker holds its lock.
type lock uint8

const (
	lockNone lock = iota
	lockReal      // as the storage below has it
	lockFake      // it believes so; the storage below knows nothing of it
)

// locked reports whether the call has got the lock.
func locked(c *wrap.Call) bool {
	return c.Err == nil && (c.Op == wrap.Lock || c.Op == wrap.TryLock && c.OK)
}

// setLock sets how the Locker of a call holds its lock, and returns how it did.
func (f *FS) setLock(c *wrap.Call, how lock) (before lock) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before = f.held[c.Locker]
	if how == lockNone {
		delete(f.held, c.Locker)
	} else {
		f.held[c.Locker] = how
	}
	return before
}

// nextLock carries out a call that takes or gives back a lock.
func (f *FS) nextLock(c *wrap.Call) {
	switch c.Op {
	case wrap.Unlock:
		// Forgotten before it is free below: the next one who gets it is
		// remembered, and LoseLocks cannot give his lock back.
		switch f.setLock(c, lockNone) {
		case lockFake:
			c.Err = nil
		case lockReal:
			if c.Next(); c.Err != nil {
				f.setLock(c, lockReal)
			}
		default:
			c.Next()
		}
	case wrap.LockClose:
		f.setLock(c, lockNone)
		c.Next()
	default:
		if c.Next(); locked(c) {
			f.setLock(c, lockReal)
		}
	}
}

// refuse lets a call fail. A lock that it has taken is given back: callers
// cannot know of it.
func (f *FS) refuse(c *wrap.Call, err error) {
	if locked(c) && f.setLock(c, lockNone) == lockReal {
		_ = c.Locker.Unlock() // the error that counts is err
	}
	c.OK, c.Err = false, err
}

// loseLocks gives all locks back below.
func (f *FS) loseLocks() {
	f.mu.Lock()
	var lost []interface{ Unlock() error }
	for l, how := range f.held {
		if how == lockReal {
			f.held[l] = lockFake
			lost = append(lost, l)
		}
	}
	f.mu.Unlock()
	for _, l := range lost {
		_ = l.Unlock() // a storage that refuses keeps the lock
	}
}
