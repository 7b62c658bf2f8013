package filestorage

import (
	"iter"
	"slices"
	"sync/atomic"

	"github.com/durusdb/durus/storage"
)

// Objects implements storage.Snapshot. It walks the index, the checkpoint below
// it included, which takes no lock and no memory but for a number for each far
// page (see index.sparse); the file is read only for an object that was changed
// after the snapshot, if poll does not remember where it was before.
func (s *snapshot) Objects(from storage.OID) iter.Seq2[storage.Place, error] {
	return func(yield func(storage.Place, error) bool) {
		for n := range s.l.index.from(uint64(from) >> indexPageBits) {
			for i := range uint64(1 << indexPageBits) {
				oid := storage.OID(n<<indexPageBits | i)
				if oid < from || s.l.index.get(oid) == 0 {
					continue
				}
				pos, err := s.Find(oid)
				if err == storage.ErrNotFound {
					continue // made after the snapshot
				}
				if !yield(storage.Place{OID: oid, Position: pos}, err) || err != nil {
					return
				}
			}
		}
	}
}

// Class implements storage.Snapshot: it reads the record's header.
func (s *snapshot) Class(oid storage.OID, pos storage.Position) (storage.ClassID, error) {
	h, err := s.l.recordHeaderBefore(oid, pos, s.end)
	return h.class, err
}

// from yields the numbers of the pages from the n-th on that may hold something,
// in their order. What is added meanwhile is newer than the caller's snapshot and
// may be left out.
func (x *index) from(first uint64) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		var dense []atomic.Pointer[indexPage]
		if d := x.dense.Load(); d != nil {
			dense = *d
		}
		floor := uint64(0)
		if x.floor != nil {
			floor = (x.floor.slots + 1<<indexPageBits - 1) >> indexPageBits
		}
		// Far pages may lie between dense ones: the directory has grown since.
		far := x.farPages(first)
		for n := first; n < max(uint64(len(dense)), floor); n++ {
			there := n < floor || dense[n].Load() != nil
			if len(far) > 0 && far[0] == n {
				far, there = far[1:], true
			}
			if there && !yield(n) {
				return
			}
		}
		for _, n := range far {
			if !yield(n) {
				return
			}
		}
	}
}

// farPages returns the numbers of the sparse pages from the n-th on, sorted.
func (x *index) farPages(n uint64) []uint64 {
	if !x.far.Load() {
		return nil
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	var far []uint64
	for i := range x.sparse {
		if i >= n {
			far = append(far, i)
		}
	}
	slices.Sort(far)
	return far
}
