package cache

import (
	"bytes"
	"math/bits"
	"sync/atomic"
)

// page is a piece of a file. Its bytes never change: when more of a page is
// settled another one takes its place.
type page struct {
	ino   *inode
	index int64  // in pages
	data  []byte // from the beginning of the page; shorter than a page at the settled limit
	used  atomic.Bool
	next  atomic.Pointer[page] // in its bucket; written under FS.mu
	pos   int                  // in the ring; guarded by FS.mu
}

// pageOverhead is what a page costs beside its bytes: itself, its place in the
// ring and about one bucket.
const pageOverhead = 96

func (pg *page) size() int64 { return int64(len(pg.data)) + pageOverhead }

// table holds the pages of all files: a hash table of chains, and a ring.
//
// Reading takes no lock. A page enters its bucket when it is complete, and is
// taken out by the pointer before it; its own next stays. So a reader always
// gets to the end of the chain. He may still find a page that was taken out
// since he began: its bytes were right when he began, unless the version of the
// file has changed, for which he looks afterwards (inode.same).
//
// Eviction is CLOCK: the hand sweeps the ring, spares once what was used since
// its last visit, and evicts the rest. A new page counts as unused, so that a
// long scan does not drive out what is used often.
type table struct {
	shift   uint // log2 of the size of a page
	limit   int64
	hash    uint // 64 - log2(len(buckets))
	buckets []atomic.Pointer[page]

	// Guarded by FS.mu.
	ring             []*page // all pages
	hand             int
	bytes            int64 // the sum of their sizes
	evictions, drops uint64
}

// maxBuckets keeps the table of a cache of tiny pages small.
const maxBuckets = 1 << 24

func newTable(shift uint, limit int64) table {
	most := min(limit/(int64(1)<<shift+pageOverhead), maxBuckets)
	log := uint(max(bits.Len64(uint64(most)), 6))
	return table{shift: shift, limit: limit, hash: 64 - log, buckets: make([]atomic.Pointer[page], 1<<log)}
}

// bucket is where the chain of a page begins: Fibonacci hashing, which spreads
// indexes that differ in few bits.
func (t *table) bucket(ino *inode, index int64) *atomic.Pointer[page] {
	return &t.buckets[(ino.salt+uint64(index))*0x9E3779B97F4A7C15>>(t.hash&63)]
}

// get returns a page, or nil.
func (t *table) get(ino *inode, index int64) *page {
	pg := t.bucket(ino, index).Load()
	for pg != nil && (pg.index != index || pg.ino != ino) {
		pg = pg.next.Load()
	}
	return pg
}

// walk calls fn for the pieces of [off, off+n) that lie in one page each: at
// bytes from the beginning of the range, and from bytes from that of the page.
// It ends when fn returns false.
func (t *table) walk(off int64, n int, fn func(index int64, at, from, n int) bool) {
	size := 1 << t.shift
	for at := 0; at < n; {
		from := int(off) & (size - 1)
		k := min(size-from, n-at)
		if !fn(off>>t.shift, at, from, k) {
			return
		}
		at, off = at+k, off+int64(k)
	}
}

// copy fills p with bytes from off as long as there are pages that hold them,
// and returns how many.
func (t *table) copy(p []byte, ino *inode, off int64) (copied int) {
	t.walk(off, len(p), func(index int64, at, from, n int) bool {
		pg := t.get(ino, index)
		if pg == nil || len(pg.data) < from+n {
			return false
		}
		if !pg.used.Load() { // store only then: the cache line of a hot page stays shared
			pg.used.Store(true)
		}
		copied += copy(p[at:at+n], pg.data[from:])
		return true
	})
	return copied
}

// have reports whether there are pages for all n bytes from off.
func (t *table) have(ino *inode, off int64, n int) (all bool) {
	all = true
	t.walk(off, n, func(index int64, _, from, n int) bool {
		pg := t.get(ino, index)
		all = pg != nil && len(pg.data) >= from+n
		return all
	})
	return all
}

// equal reports whether all pages that hold bytes of [off, off+len(b)) hold
// those of b.
func (t *table) equal(ino *inode, b []byte, off int64) (same bool) {
	same = true
	t.walk(off, len(b), func(index int64, at, from, n int) bool {
		if pg := t.get(ino, index); pg != nil {
			n = max(min(n, len(pg.data)-from), 0)
			same = n == 0 || bytes.Equal(pg.data[from:from+n], b[at:at+n])
		}
		return same
	})
	return same
}

// put adds a page, unless there is one that holds as much. The caller holds
// FS.mu.
func (t *table) put(pg *page) {
	if old := t.get(pg.ino, pg.index); old != nil {
		if len(old.data) >= len(pg.data) {
			return
		}
		t.remove(old)
	}
	t.makeRoom(pg.size())
	b := t.bucket(pg.ino, pg.index)
	pg.next.Store(b.Load())
	b.Store(pg)
	pg.pos = len(t.ring)
	t.ring = append(t.ring, pg)
	t.bytes += pg.size()
}

// remove takes a page out. The last page of the ring gets its place. The
// caller holds FS.mu.
func (t *table) remove(pg *page) {
	at := t.bucket(pg.ino, pg.index)
	for at.Load() != pg {
		at = &at.Load().next
	}
	at.Store(pg.next.Load())
	last := len(t.ring) - 1
	moved := t.ring[last]
	t.ring[pg.pos], moved.pos = moved, pg.pos
	t.ring[last] = nil
	t.ring = t.ring[:last]
	t.bytes -= pg.size()
}

// makeRoom sweeps until size more bytes fit. It ends: the first round clears
// every used bit that readers do not set again at once, and after two rounds it
// spares nothing. The hand goes on past an evicted page, since the page that
// takes its place is a new one. The caller holds FS.mu.
func (t *table) makeRoom(size int64) {
	for steps, sparing := 0, 2*len(t.ring); t.bytes+size > t.limit && len(t.ring) > 0; steps++ {
		if t.hand >= len(t.ring) {
			t.hand = 0
		}
		pg := t.ring[t.hand]
		t.hand++
		if steps < sparing && pg.used.Load() {
			pg.used.Store(false)
			continue
		}
		t.remove(pg)
		t.evictions++
	}
}

// drop removes the pages of a file that hold bytes from off to end. It goes
// through these or through the ring, whichever are fewer. The caller holds
// FS.mu.
func (t *table) drop(ino *inode, off, end int64) {
	first, last := off>>t.shift, (end-1)>>t.shift
	if last-first < int64(len(t.ring)) {
		for i := first; i <= last; i++ {
			if pg := t.get(ino, i); pg != nil {
				t.remove(pg)
				t.drops++
			}
		}
		return
	}
	for i := len(t.ring) - 1; i >= 0; i-- { // backwards: remove fills the gap with a page seen already
		if pg := t.ring[i]; pg.ino == ino && first <= pg.index && pg.index <= last {
			t.remove(pg)
			t.drops++
		}
	}
}
