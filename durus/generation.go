package durus

import (
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
}

// generation returns the memory for a snapshot.
func (db *DB) generation(snap storage.Snapshot) *generation {
	lineage := snap.Lineage()
	g := db.current.Load()
	if g.lineage == lineage {
		return g
	}
	db.renew.Lock()
	defer db.renew.Unlock()
	if g = db.current.Load(); g.lineage != lineage {
		g = newGeneration(lineage, db.opts.CacheBytes)
		db.current.Store(g)
	}
	return g
}

func newGeneration(lineage uint64, cacheBytes int64) *generation {
	return &generation{lineage: lineage, cache: newCache(cacheBytes)}
}
