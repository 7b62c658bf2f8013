package filestorage

import (
	"sort"
	"sync"

	"github.com/durusdb/durus/storage"
)

// recent remembers which objects the newest frames changed, and what was
// current before, for as long as somebody may ask: a snapshot that is older
// than the frame finds its state here instead of walking the chain of previous
// records in the file, and a commit finds what it conflicts with.
type recent struct {
	mu      sync.RWMutex // guards all
	changes []change     // in the order of the file
	first   int          // index of the oldest change that is kept
	latest  map[storage.OID]int
	base    int   // number of changes dropped from the front of the slice
	from    int64 // all changes at or after this position are kept
}

// change is one record that superseded another.
type change struct {
	oid  storage.OID
	at   storage.Position // of the newer record
	prev storage.Position // of the older one; 0 if the object is new
	link int              // number of the change of the same object before; -1
}

// add notes a change. The poller calls it before it changes the index, so
// whoever finds the newer position in the index finds the older one here.
func (r *recent) add(oid storage.OID, at, prev storage.Position) {
	link := -1
	if n, ok := r.latest[oid]; ok {
		link = n
	}
	if r.latest == nil {
		r.latest = make(map[storage.OID]int)
	}
	r.latest[oid] = r.base + len(r.changes)
	r.changes = append(r.changes, change{oid, at, prev, link})
}

// before returns the position that was current for oid in a snapshot that
// ends at end, when the index shows a newer one. known is false when that is
// not remembered; then the chain in the file tells.
func (r *recent) before(oid storage.OID, end int64) (pos storage.Position, known bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if end < r.from {
		return 0, false
	}
	n, ok := r.latest[oid]
	for ok && n >= r.base+r.first {
		c := &r.changes[n-r.base]
		if int64(c.at) < end {
			return c.at, true
		}
		pos, known = c.prev, true
		n = c.link
		ok = n >= 0
	}
	return pos, known
}

// since calls f for all changes at or after pos, in the order of the file,
// until it returns false. complete is false, and f is not called, when some of
// them are not remembered any more.
func (r *recent) since(pos int64, f func(storage.OID, storage.Position) bool) (complete bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if pos < r.from {
		return false
	}
	live := r.changes[r.first:]
	for _, c := range live[sort.Search(len(live), func(i int) bool { return int64(live[i].at) >= pos }):] {
		if !f(c.oid, c.at) {
			break
		}
	}
	return true
}

// forget drops what happened before pos.
func (r *recent) forget(pos int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if pos <= r.from {
		return
	}
	r.from = pos
	for r.first < len(r.changes) && int64(r.changes[r.first].at) < pos {
		c := &r.changes[r.first]
		if r.latest[c.oid] == r.base+r.first {
			delete(r.latest, c.oid)
		}
		r.first++
	}
	switch {
	case r.first == len(r.changes):
		r.base += len(r.changes)
		r.changes, r.first = r.changes[:0], 0
		if cap(r.changes) > 1<<16 {
			r.changes, r.latest = nil, nil
		}
	case r.first > 1024 && r.first > len(r.changes)/2:
		n := copy(r.changes, r.changes[r.first:])
		r.changes = r.changes[:n]
		r.base += r.first
		r.first = 0
	}
}
