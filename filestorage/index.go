package filestorage

import (
	"sync"
	"sync/atomic"

	"github.com/durusdb/durus/storage"
)

// index tells where the newest record of each object begins. Object ids are
// dense, so it is pages of positions, 8 bytes an object, found by division.
//
// get is called without any lock while one goroutine (the poller, who holds
// pollMu) calls set. A reader may see a position that is newer than its
// snapshot, never one that is older: set happens before the snapshot that
// contains the record is published. Snapshot.Find sorts out the newer ones.
type index struct {
	dense atomic.Pointer[[]atomic.Pointer[indexPage]]

	// Pages far beyond the dense part: a damaged or hostile file may name
	// object 2^47 in its only record, and must not make us allocate for that.
	mu     sync.RWMutex // guards sparse
	sparse map[uint64]*indexPage
	far    atomic.Bool // sparse is not empty

	// floor, if not nil, is asked for what is not in memory. It is set before
	// anybody else knows the index, then constant.
	floor *floor

	pages   int    // allocated; the poller's
	objects uint64 // with a record; the poller's
}

const indexPageBits = 8

type indexPage [1 << indexPageBits]atomic.Int64

func (x *index) page(n uint64) *indexPage {
	if d := x.dense.Load(); d != nil && n < uint64(len(*d)) {
		if p := (*d)[n].Load(); p != nil {
			return p
		}
	}
	if !x.far.Load() {
		return nil
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.sparse[n]
}

// get returns the position of the newest record of oid, 0 if there is none;
// unknown, which is less, if a checkpoint was asked and failed.
func (x *index) get(oid storage.OID) storage.Position {
	if p := x.page(uint64(oid) >> indexPageBits); p != nil {
		if pos := p[oid&(1<<indexPageBits-1)].Load(); pos != 0 || x.floor == nil {
			return storage.Position(pos)
		}
	}
	if x.floor == nil {
		return 0
	}
	return x.floor.get(oid)
}

// set notes a newer record. One goroutine at a time.
func (x *index) set(oid storage.OID, pos storage.Position) {
	n := uint64(oid) >> indexPageBits
	p := x.page(n)
	if p == nil {
		p = x.addPage(n)
	}
	slot := &p[oid&(1<<indexPageBits-1)]
	if slot.Load() == 0 && (x.floor == nil || x.floor.get(oid) == 0) {
		x.objects++
	}
	slot.Store(int64(pos))
}

func (x *index) addPage(n uint64) *indexPage {
	p := new(indexPage)
	x.pages++
	d := x.dense.Load()
	limit := uint64(2*x.pages + 1024)
	if x.floor != nil {
		limit = max(limit, x.floor.slots>>indexPageBits)
	}
	if n >= limit {
		x.mu.Lock()
		if x.sparse == nil {
			x.sparse = make(map[uint64]*indexPage)
		}
		x.sparse[n] = p
		x.mu.Unlock()
		x.far.Store(true)
		return p
	}
	if d == nil || n >= uint64(len(*d)) {
		// A reader that still has the old directory misses only pages that
		// are added after its snapshot was published.
		grown := make([]atomic.Pointer[indexPage], max(int(n)+1, 2*x.pages, 64))
		if d != nil {
			for i := range *d {
				grown[i].Store((*d)[i].Load())
			}
		}
		d = &grown
		x.dense.Store(d)
	}
	(*d)[n].Store(p)
	return p
}

// each calls f for every object, in the order of their ids within the dense
// part, until it returns false.
func (x *index) each(f func(storage.OID, storage.Position) bool) {
	dense := uint64(0)
	if d := x.dense.Load(); d != nil {
		dense = uint64(len(*d))
	}
	if x.floor != nil {
		dense = max(dense, x.floor.slots>>indexPageBits)
	}
	for n := range dense {
		if x.floor == nil && x.page(n) == nil {
			continue
		}
		for i := range uint64(1 << indexPageBits) {
			oid := storage.OID(n<<indexPageBits | i)
			if pos := x.get(oid); pos != 0 && !f(oid, pos) {
				return
			}
		}
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	for n, p := range x.sparse {
		for i := range p {
			if pos := p[i].Load(); n >= dense && pos != 0 && !f(storage.OID(n<<indexPageBits|uint64(i)), storage.Position(pos)) {
				return
			}
		}
	}
}
