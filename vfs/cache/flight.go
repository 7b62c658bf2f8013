package cache

import (
	"math"

	"github.com/durusdb/durus/vfs"
)

// flight is a read of the storage that is under way. It is guarded by FS.mu,
// but for what is written before it is known to others: its range, begun, done.
type flight struct {
	call
	end   int64
	begun *state        // of the file when it began, or earlier
	done  chan struct{} // closed at its end; nil if nobody may wait for it
	void  bool          // what it brings is not to be used: something happened to the file since it began
	known bool          // it is in inode.flights
	pos   int           // there

	// hasty is what the storage may have read ahead when it was not settled
	// yet. It has to forget that before it is asked for the cache; none once a
	// call has returned.
	hasty extent

	// Of a storage that answers ErrAgain. There a flight lasts from the first
	// call for its range until a call has got its result, and several callers
	// may be on it.
	inside int  // callers in the storage
	again  bool // one of those who were inside together was told to come again
}

// call is what an asynchronous storage knows a read by.
type call struct {
	off int64
	n   int
}

// take begins a read of n bytes at off, or, on an asynchronous storage, joins
// one that this handle has begun. If join is set and somebody is reading some
// of these bytes for the cache already, take returns his flight, and false.
// keep says that the bytes are for the cache.
func (f *file) take(ino *inode, off int64, n int, keep, join bool) (fl *flight, mine bool) {
	f.fs.mu.Lock()
	if f.async {
		fl = f.asked[call{off, n}]
	} else if join {
		fl = ino.shared(off, off+int64(n))
	}
	mine = f.async || fl == nil
	if fl == nil {
		fl = f.takeOff(ino, off, n, keep)
	} else if mine {
		fl.inside++
	}
	hasty := fl.hasty
	f.fs.mu.Unlock()
	if mine && hasty.end > 0 {
		vfs.Advise(f.lower, vfs.Doubted, hasty.off, hasty.end-hasty.off)
	}
	return fl, mine
}

// shared returns a flight that others may wait for and that will bring some of
// the bytes from off to end, or nil. The caller holds FS.mu.
func (ino *inode) shared(off, end int64) *flight {
	for _, fl := range ino.flights {
		if fl.done != nil && !fl.void && fl.off < end && off < fl.end {
			return fl
		}
	}
	return nil
}

// takeOff makes a new flight. The caller holds FS.mu.
func (f *file) takeOff(ino *inode, off int64, n int, keep bool) *flight {
	fl := &flight{call: call{off, n}, end: off + int64(n), begun: ino.state.Load(), inside: 1}
	if fl.end < off {
		fl.end = math.MaxInt64
	}
	if f.closed {
		fl.void = true // the handle remembers no reads any more, so nothing could make it void later
		return fl
	}
	if f.async {
		if f.asked == nil {
			f.asked = map[call]*flight{}
		}
		f.asked[fl.call] = fl
	} else if keep {
		fl.done = make(chan struct{})
	}
	// What is read ahead is forgotten until all of it is settled, not once: the
	// storage hears after the cache of what will be needed.
	if keep && f.hasty.off < fl.end && off < f.hasty.end {
		fl.hasty = f.hasty
		if f.hasty.end <= fl.begun.limit {
			f.hasty = extent{}
		}
	}
	fl.known, fl.pos = true, len(ino.flights)
	ino.flights = append(ino.flights, fl)
	return fl
}

// leave ends a read, or, if the storage says again, the call of it. Of callers
// who were inside together one may have got the result and another one have
// begun a new read behind his back. Nobody can tell, so the flight stays then:
// begun is too old at worst, and the next result is asked for twice.
func (f *file) leave(ino *inode, fl *flight, again bool) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	fl.inside--
	fl.hasty = extent{}
	fl.again = fl.again || again
	switch {
	case fl.inside > 0:
	case fl.again:
		fl.again = false
	default:
		ino.forget(fl)
		if f.async {
			delete(f.asked, fl.call)
		}
		if fl.done != nil {
			close(fl.done)
		}
	}
}

// forget removes a flight. The caller holds FS.mu.
func (ino *inode) forget(fl *flight) {
	if !fl.known {
		return
	}
	last := len(ino.flights) - 1
	moved := ino.flights[last]
	ino.flights[fl.pos], moved.pos = moved, fl.pos
	ino.flights[last] = nil
	ino.flights = ino.flights[:last]
	fl.known = false
}

// outdated reports whether what a flight has brought is older than it may be.
// For the cache it must have begun when all of it was settled.
func (f *file) outdated(fl *flight, keep bool) bool {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return fl.void || keep && fl.begun.limit < fl.end
}

// keep puts what a flight has brought into the cache, unless something has
// happened to the file. own says that nobody else uses b.
func (c *FS) keep(ino *inode, fl *flight, b []byte, own bool) {
	var pages []*page
	c.pages.walk(fl.off, len(b), func(index int64, at, _, n int) bool {
		data := b[at : at+n]
		if !own { // a part of b would keep all of it in memory
			data = append(make([]byte, 0, n), data...)
		}
		pages = append(pages, &page{ino: ino, index: index, data: data})
		return true
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	if fl.void || fl.begun.limit < fl.end {
		return
	}
	for _, pg := range pages {
		c.pages.put(pg)
	}
}
