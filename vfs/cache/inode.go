package cache

import (
	"math"
	"slices"
	"sync/atomic"

	"github.com/durusdb/durus/vfs"
)

// inode is a file that is open, whatever handles and names it has.
type inode struct {
	id    vfs.FileID
	salt  uint64 // what the hashes of its pages begin with
	state atomic.Pointer[state]

	// Guarded by FS.mu.
	refs    int       // handles
	flights []*flight // reads of the storage that are under way
}

// state is what is known of a file. It never changes: under FS.mu another one
// takes its place. Who reads an old one without the lock acts as if he had come
// before the change; what he gets is right if the version is still the same
// afterwards.
type state struct {
	limit   int64   // bytes below it are settled; falls only with a new version
	version uint64  // changes when pages are taken away because they may be wrong
	doubts  []doubt // ranges below limit that have to be compared with the storage
	doubted uint64  // number of the newest doubt
}

// doubt is a range whose pages may be wrong.
type doubt struct {
	off, end int64
	number   uint64
}

// maxDoubts bounds the doubts that a file may have at a time. With more its
// pages are not worth keeping.
const maxDoubts = 16

// settled reports whether n bytes from off are settled.
func (s *state) settled(off int64, n int) bool {
	return n > 0 && off >= 0 && off <= s.limit-int64(n)
}

// inDoubt reports whether any of the bytes from off to end is.
func (s *state) inDoubt(off, end int64) bool {
	return slices.ContainsFunc(s.doubts, func(d doubt) bool { return d.off < end && off < d.end })
}

// kept reports whether n bytes from off may be answered from pages.
func (s *state) kept(off int64, n int) bool {
	return s.settled(off, n) && (len(s.doubts) == 0 || !s.inDoubt(off, off+int64(n)))
}

// same reports whether what was read in state s, from pages or the storage,
// belongs together.
func (ino *inode) same(s *state) bool {
	now := ino.state.Load()
	return now == s || now.version == s.version
}

// void makes the reads under way of bytes from off to end worthless. The
// caller holds FS.mu.
func (ino *inode) void(off, end int64) {
	for _, fl := range ino.flights {
		if fl.off < end && off < fl.end {
			fl.void = true
		}
	}
}

// attach gives a handle the inode that it has open.
func (c *FS) attach(f *file, id vfs.FileID) (*inode, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.closed {
		return nil, f.errClosed()
	}
	ino := c.inodes[id]
	if ino == nil {
		c.last++
		ino = &inode{id: id, salt: c.last * 0xD6E8FEB86659FD93}
		ino.state.Store(&state{})
		if id != (vfs.FileID{}) { // a storage that cannot tell its files apart: each handle for itself
			c.inodes[id] = ino
		}
	}
	ino.refs++
	if f.early.end > 0 {
		c.doubt(ino, f.early.off, f.early.end)
	}
	f.ino.Store(ino)
	return ino, nil
}

// release takes one handle from an inode. The caller holds FS.mu. The file
// below is still open, so the number of the inode is not free yet.
func (c *FS) release(ino *inode) {
	if ino.refs--; ino.refs == 0 {
		if c.inodes[ino.id] == ino {
			delete(c.inodes, ino.id)
		}
		c.drop(ino)
	}
}

// drop forgets all that is known of a file. The caller holds FS.mu.
func (c *FS) drop(ino *inode) {
	old := ino.state.Load()
	ino.state.Store(&state{version: old.version + 1, doubted: old.doubted})
	ino.void(0, math.MaxInt64)
	if old.limit > 0 {
		c.pages.drop(ino, 0, old.limit)
	}
}

// settle notes that the bytes from off to end will not change.
func (c *FS) settle(ino *inode, off, end int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := *ino.state.Load()
	if off <= next.limit && next.limit < end {
		next.limit = end
		ino.state.Store(&next)
	}
}

// doubt notes that the bytes from off to end may have changed. Whoever doubts
// all of a file takes back what he said of it: without a page to compare
// nothing would show that there is another file now, of which nothing is
// settled. The caller holds FS.mu.
func (c *FS) doubt(ino *inode, off, end int64) {
	next := *ino.state.Load()
	ino.void(off, end)
	switch end = min(end, next.limit); {
	case off >= end:
		return // nothing of it is kept
	case off == 0 && end == next.limit:
		c.drop(ino)
		return
	}
	next.doubted++
	next.doubts = slices.DeleteFunc(slices.Clone(next.doubts), func(d doubt) bool { return off <= d.off && d.end <= end })
	next.doubts = append(next.doubts, doubt{off, end, next.doubted})
	c.setDoubts(ino, &next)
}

// setDoubts publishes a state with other doubts. The caller holds FS.mu.
func (c *FS) setDoubts(ino *inode, next *state) {
	if len(next.doubts) > maxDoubts {
		c.drop(ino)
		return
	}
	ino.state.Store(next)
}

// changed takes away the pages of the bytes from off to end, which were, or
// may have been, written or cut off.
func (c *FS) changed(ino *inode, off, end int64, cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ino.void(off, end)
	next := *ino.state.Load()
	if end = min(end, next.limit); off < 0 || off >= end {
		return
	}
	next.version++
	if cut {
		next.limit = off
	}
	ino.state.Store(&next)
	c.pages.drop(ino, off, end)
}

// check compares bytes that the storage has from off with the pages. begun is
// the state in which they were asked for, eof that the file ends with them.
func (c *FS) check(ino *inode, begun *state, b []byte, off int64, eof bool) {
	if off < 0 || off >= begun.limit {
		return
	}
	end := off + int64(len(b))
	cut := eof && end < begun.limit
	end = min(end, begun.limit)
	b = b[:end-off]
	same := !cut && c.pages.equal(ino, b, off)
	if same && !begun.inDoubt(off, end) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	next := *ino.state.Load()
	switch {
	case next.version != begun.version: // they were compared with other pages
	case same:
		next.doubts = without(next.doubts, off, end, begun.doubted)
		c.setDoubts(ino, &next)
	default:
		c.drop(ino)
	}
}

// without takes the bytes from off to end out of the doubts up to number.
func without(doubts []doubt, off, end int64, number uint64) (rest []doubt) {
	for _, d := range doubts {
		if d.number > number || d.end <= off || end <= d.off {
			rest = append(rest, d)
			continue
		}
		if d.off < off {
			rest = append(rest, doubt{d.off, off, d.number})
		}
		if end < d.end {
			rest = append(rest, doubt{end, d.end, d.number})
		}
	}
	return rest
}
