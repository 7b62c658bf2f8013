package durus

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/durusdb/durus/storage"
)

// cache keeps decoded shared objects by the position of their record. A
// position identifies one revision of one object for ever (within a lineage,
// and a cache serves one lineage), so an entry is never wrong, only unneeded:
// nothing has to be invalidated, and transactions with different snapshots
// share one cache.
//
// Reading takes no lock: a hash table with open addressing, whose slots are
// atomic pointers to immutable entries. Writers hold mu. A reader that meets a
// slot or a table which a writer has just replaced finds an entry that was
// right when it was published, and still is, or misses one that has just come:
// then it reads the record and put gives it the entry that is there. So two
// goroutines get the same pointer as long as the entry is cached.
//
// Eviction is CLOCK: a hand sweeps the slots, spares what was used since its
// last visit, once, and evicts the rest. A new entry counts as unused, so that
// a long scan does not drive out what is used often.
type cache struct {
	limit int64
	table atomic.Pointer[table] // written under mu

	mu        sync.Mutex // guards what follows, and every store to a slot
	live      int        // entries in the table
	dead      int        // tombstones in the table
	bytes     int64      // sum of the entries' sizes
	hand      int        // slot that the sweep looks at next
	evictions uint64
}

// table is a power of two of slots, at least a quarter of them nil: a search
// ends at the first nil one.
type table struct {
	shift uint // 64 - log2(len(slots))
	slots []atomic.Pointer[entry]
}

// entry is a cached object. All but used is immutable.
type entry struct {
	pos   storage.Position
	value any   // *T of the registered type, or *Opaque
	size  int64 // estimate, overhead included
	used  atomic.Bool
}

const (
	minSlots = 64
	// entryOverhead is what an entry costs beside its object: itself, and
	// about two slots.
	entryOverhead = 64
)

// tombstone marks the slot of an entry that was removed: a search goes on
// behind it. No record has its position.
var tombstone = &entry{pos: -1}

func newCache(limit int64) *cache {
	c := &cache{limit: limit}
	c.table.Store(newTable(minSlots))
	return c
}

func newTable(n int) *table {
	return &table{shift: uint(64 - bits.TrailingZeros(uint(n))), slots: make([]atomic.Pointer[entry], n)}
}

// start is the slot at which the search for pos begins: Fibonacci hashing,
// which spreads positions that differ in few bits.
func (t *table) start(pos storage.Position) uint64 {
	return (uint64(pos) * 0x9E3779B97F4A7C15) >> (t.shift & 63)
}

// get returns the entry of the record at pos, or nil.
func (c *cache) get(pos storage.Position) *entry {
	t := c.table.Load()
	mask := uint64(len(t.slots) - 1)
	for i := t.start(pos) & mask; ; i = (i + 1) & mask {
		e := t.slots[i].Load()
		if e == nil {
			return nil
		}
		if e.pos == pos {
			if !e.used.Load() { // store only then: a hot entry's cache line stays shared
				e.used.Store(true)
			}
			return e
		}
	}
}

// put adds the object of the record at pos, unless it is there already, and
// returns the one that is cached now. What is there gives way to what is decoded
// further (see givesWay). An object too big for the cache comes back uncached.
func (c *cache) put(pos storage.Position, value any, size int64) any {
	size += entryOverhead
	if size > c.limit {
		return value
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if i, found := c.search(pos); found {
		old := c.table.Load().slots[i].Load()
		if !givesWay(old.value, value) {
			return old.value
		}
		c.remove(i, old)
	}
	c.makeRoom(size)
	if t := c.table.Load(); (c.live+c.dead+1)*4 > len(t.slots)*3 {
		c.rebuild()
	}
	i, _ := c.search(pos)
	slot := &c.table.Load().slots[i]
	if slot.Load() == tombstone {
		c.dead--
	}
	slot.Store(&entry{pos: pos, value: value, size: size})
	c.live++
	c.bytes += size
	return value
}

// givesWay tells whether an object in the cache gives way to another of the same
// record: an *Opaque to a typed object, whose class was registered since, and a
// leaf as it is stored to a decoded one.
func givesWay(old, value any) bool {
	if isStoredLeaf(old) {
		return isNode(value) && !isStoredLeaf(value)
	}
	return isOpaque(old) && !isOpaque(value)
}

// drop removes the record at pos.
func (c *cache) drop(pos storage.Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i, found := c.search(pos); found {
		c.remove(i, c.table.Load().slots[i].Load())
	}
}

// retire removes the leaf at pos if it is one as it is stored: the revision that
// its next one was built from, which hardly anybody will build from again.
func (c *cache) retire(pos storage.Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i, found := c.search(pos); found {
		if e := c.table.Load().slots[i].Load(); isStoredLeaf(e.value) {
			c.remove(i, e)
		}
	}
}

// search returns the slot of pos, or else the one where it should go. The
// caller holds mu.
func (c *cache) search(pos storage.Position) (slot uint64, found bool) {
	t := c.table.Load()
	mask := uint64(len(t.slots) - 1)
	free, haveFree := uint64(0), false
	for i := t.start(pos) & mask; ; i = (i + 1) & mask {
		switch e := t.slots[i].Load(); {
		case e == nil && haveFree:
			return free, false
		case e == nil:
			return i, false
		case e == tombstone:
			if !haveFree {
				free, haveFree = i, true
			}
		case e.pos == pos:
			return i, true
		}
	}
}

// remove takes an entry out. The caller holds mu.
func (c *cache) remove(slot uint64, e *entry) {
	c.table.Load().slots[slot].Store(tombstone)
	c.live--
	c.dead++
	c.bytes -= e.size
}

// makeRoom sweeps until size more bytes fit. The caller holds mu. It ends: the
// first round clears every used bit that readers do not set again at once, and
// after two rounds it spares nothing.
func (c *cache) makeRoom(size int64) {
	t := c.table.Load()
	for steps := 0; c.live > 0 && c.bytes+size > c.limit; steps++ {
		slot := c.hand & (len(t.slots) - 1)
		c.hand = slot + 1
		e := t.slots[slot].Load()
		if e == nil || e == tombstone {
			continue
		}
		if e.used.Load() && steps < 2*len(t.slots) {
			e.used.Store(false)
			continue
		}
		c.remove(uint64(slot), e)
		c.evictions++
	}
}

// rebuild publishes a new table without tombstones, half full at most. Readers
// of the old one finish there; nothing in it is changed any more. The caller
// holds mu.
func (c *cache) rebuild() {
	n := minSlots
	for n < 2*(c.live+1) {
		n *= 2
	}
	old, t := c.table.Load(), newTable(n)
	mask := uint64(n - 1)
	for i := range old.slots {
		e := old.slots[i].Load()
		if e == nil || e == tombstone {
			continue
		}
		j := t.start(e.pos) & mask
		for t.slots[j].Load() != nil {
			j = (j + 1) & mask
		}
		t.slots[j].Store(e)
	}
	c.table.Store(t)
	c.dead, c.hand = 0, 0
}

// usage tells how full the cache is.
func (c *cache) usage() (objects int, bytes int64, evictions uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.live, c.bytes, c.evictions
}
