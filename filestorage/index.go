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

// get returns the position of the newest record of oid, 0 if there is none.
func (x *index) get(oid storage.OID) storage.Position {
	p := x.page(uint64(oid) >> indexPageBits)
	if p == nil {
		return 0
	}
	return storage.Position(p[oid&(1<<indexPageBits-1)].Load())
}

// set notes a newer record. One goroutine at a time.
func (x *index) set(oid storage.OID, pos storage.Position) {
	n := uint64(oid) >> indexPageBits
	p := x.page(n)
	if p == nil {
		p = x.addPage(n)
	}
	slot := &p[oid&(1<<indexPageBits-1)]
	if slot.Load() == 0 {
		x.objects++
	}
	slot.Store(int64(pos))
}

func (x *index) addPage(n uint64) *indexPage {
	p := new(indexPage)
	x.pages++
	d := x.dense.Load()
	if n >= uint64(2*x.pages+1024) {
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

// each calls f for every object, in the order of their ids within the dense part.
func (x *index) each(f func(storage.OID, storage.Position) bool) {
	visit := func(n uint64, p *indexPage) bool {
		for i := range p {
			if pos := p[i].Load(); pos != 0 && !f(storage.OID(n<<indexPageBits|uint64(i)), storage.Position(pos)) {
				return false
			}
		}
		return true
	}
	if d := x.dense.Load(); d != nil {
		for n := range *d {
			if p := (*d)[n].Load(); p != nil && !visit(uint64(n), p) {
				return
			}
		}
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	for n, p := range x.sparse {
		if !visit(n, p) {
			return
		}
	}
}
