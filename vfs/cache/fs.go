package cache

import (
	"io/fs"
	"iter"
	"math"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/durusdb/durus/vfs"
)

// Options say how much is kept.
type Options struct {
	// Bytes bounds the memory of all pages together, with what each costs
	// besides its bytes; 0 is 64 MiB. One page is kept in any case.
	Bytes int64
	// Page is how many bytes are read and kept together, rounded up to a power
	// of two from 16 to 16 MiB; 0 is 4 KiB. Small pages waste less memory on
	// bytes that nobody asks for, great ones cost fewer reads.
	Page int
}

const (
	defaultBytes = 64 << 20
	defaultPage  = 4 << 10
	minPage      = 16
	maxPage      = 16 << 20

	// greatest is the part of the cache that one ReadAt may replace: the bytes
	// of a greater one are not kept.
	greatest = 4
)

// FS is a storage with a cache in front. It is safe for use by many
// goroutines.
type FS struct {
	lower vfs.FS
	most  int // bytes of a ReadAt whose pages are kept
	pages table

	reads, misses atomic.Uint64
	hits          [stripes]stripe

	// mu guards what follows, and of pages, inodes, handles and flights what
	// they say. It is never held during a call of the storage.
	mu     sync.Mutex
	inodes map[vfs.FileID]*inode
	last   uint64 // number of the newest inode
}

var _ vfs.FS = (*FS)(nil)

// stripes is a power of two.
const stripes = 16

// stripe is a counter on a cache line of its own, so that those who hit
// different pages do not wait for each other.
type stripe struct {
	n atomic.Uint64
	_ [56]byte
}

// New returns lower with a cache in front.
func New(lower vfs.FS, opts Options) *FS {
	if opts.Page <= 0 {
		opts.Page = defaultPage
	}
	if opts.Bytes <= 0 {
		opts.Bytes = defaultBytes
	}
	shift := uint(bits.Len(uint(min(max(opts.Page, minPage), maxPage) - 1)))
	page := int64(1) << shift
	limit := max(opts.Bytes, page+pageOverhead)
	return &FS{
		lower:  lower,
		most:   int(min(max(limit/greatest, page), math.MaxInt32/2)),
		pages:  newTable(shift, limit),
		inodes: map[vfs.FileID]*inode{},
	}
}

// Stats tell how well the cache works. The counters begin with New.
type Stats struct {
	Hits       uint64 // reads answered from memory
	Misses     uint64 // reads of settled bytes that needed the storage
	LowerReads uint64 // all reads that the storage answered
	Evictions  uint64 // pages that made room for others
	Drops      uint64 // pages dropped: the last handle was closed, or the bytes changed or may have
	Pages      int    // pages that are held
	Bytes      int64  // what they cost, never more than Options allow
}

// Stats returns the counters of this moment.
func (c *FS) Stats() Stats {
	s := Stats{Misses: c.misses.Load(), LowerReads: c.reads.Load()}
	for i := range c.hits {
		s.Hits += c.hits[i].n.Load()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Evictions, s.Drops = c.pages.evictions, c.pages.drops
	s.Pages, s.Bytes = len(c.pages.ring), c.pages.bytes
	return s
}

// hit counts a read that was answered from memory.
func (c *FS) hit(off int64) {
	c.hits[(off>>c.pages.shift)&(stripes-1)].n.Add(1)
}

// Props implements vfs.FS.
func (c *FS) Props(name string) vfs.Props { return c.lower.Props(name) }

// Open implements vfs.FS. The file implements vfs.Async and vfs.Mapper if the
// one below does: mapped bytes are the storage's own.
func (c *FS) Open(name string, mode vfs.Mode) vfs.File {
	lower := c.lower.Open(name, mode)
	a, async := lower.(vfs.Async)
	m, mapped := lower.(vfs.Mapper)
	f := &file{fs: c, lower: lower, name: name, mode: mode, async: async}
	switch {
	case async && mapped:
		return &asyncMappedFile{f, a, m}
	case async:
		return &asyncFile{f, a}
	case mapped:
		return &mappedFile{f, m}
	}
	return f
}

// Create implements vfs.FS. The writer is that of the storage: a new file is
// another inode, of which nothing is kept yet.
func (c *FS) Create(name string, mode vfs.CreateMode, perm fs.FileMode) vfs.Writer {
	return c.lower.Create(name, mode, perm)
}

// Stat implements vfs.FS.
func (c *FS) Stat(name string) (vfs.Info, error) { return c.lower.Stat(name) }

// List implements vfs.FS.
func (c *FS) List(prefix string) iter.Seq2[string, error] { return c.lower.List(prefix) }

// Remove implements vfs.FS.
func (c *FS) Remove(name string) error { return c.lower.Remove(name) }

// Rename implements vfs.FS. What is kept belongs to files, not to names.
func (c *FS) Rename(old, name string) error { return c.lower.Rename(old, name) }

// SyncDir implements vfs.FS.
func (c *FS) SyncDir(name string) error { return c.lower.SyncDir(name) }

// Resolve implements vfs.FS.
func (c *FS) Resolve(name string) (string, error) { return c.lower.Resolve(name) }

// Locker implements vfs.FS.
func (c *FS) Locker(name string, data vfs.File, mode vfs.Mode, perm fs.FileMode) vfs.Locker {
	return c.lower.Locker(name, data, mode, perm)
}
