package durus

import (
	"context"
	"sync"

	"github.com/durusdb/durus/storage"
)

// generation is what a handle remembers of a file under one lineage of
// positions: decoded objects and class numbers. When the file was rewound or
// replaced nothing of it holds any more, and the handle starts another one;
// transactions that still read the old file keep theirs.
type generation struct {
	lineage uint64
	cache   *cache
	classes sync.Map // storage.ClassID -> *class
	ids     sync.Map // class in the spelling of the file -> storage.ClassID
	bases   bases    // what classes without a version count as
	spare   spareIDs
}

// spareIDs are object ids that were given to this handle and not used: for nodes
// that are made under the commit lock, where no id can be asked for.
type spareIDs struct {
	mu  sync.Mutex // guards ids; a leaf
	ids []OID
}

// take returns a spare id, 0 if there is none.
func (s *spareIDs) take() OID {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.ids)
	if n == 0 {
		return 0
	}
	oid := s.ids[n-1]
	s.ids = s.ids[:n-1]
	return oid
}

// fill asks for as many as a commit under the lock is likely to need.
func (s *spareIDs) fill(ctx context.Context, st storage.Storage) error {
	const enough = 8
	for {
		s.mu.Lock()
		n := len(s.ids)
		s.mu.Unlock()
		if n >= enough {
			return nil
		}
		oid, err := st.NewOID(ctx)
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.ids = append(s.ids, oid)
		s.mu.Unlock()
	}
}

// generation returns the memory for a snapshot. Lineages are numbered as they
// come: what asks for an older one, a transaction that began before a pack, must
// not make the others forget theirs.
func (db *DB) generation(snap storage.Snapshot) *generation {
	lineage := snap.Lineage()
	g := db.current.Load()
	if g.lineage == lineage {
		return g
	}
	db.renew.Lock()
	defer db.renew.Unlock()
	g = db.current.Load()
	switch {
	case g.lineage == lineage:
		return g
	case g.lineage < lineage:
		db.former, g = g, newGeneration(lineage, db.opts.CacheBytes)
		db.current.Store(g)
		return g
	case db.former == nil || db.former.lineage != lineage:
		db.former = newGeneration(lineage, db.opts.CacheBytes)
	}
	return db.former
}

func newGeneration(lineage uint64, cacheBytes int64) *generation {
	return &generation{lineage: lineage, cache: newCache(cacheBytes)}
}
