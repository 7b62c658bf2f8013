package durus

import (
	"sync/atomic"

	"github.com/durusdb/durus/storage"
)

// Stats counts what a handle has done since it was opened. Hits of the object
// cache are not among it: counting them would cost more than they do.
type Stats struct {
	storage.Stats

	Retries        uint64 // runs of Update's function after a conflict
	CacheMisses    uint64 // objects that were read and decoded for Load
	CacheObjects   int    // objects in the cache
	CacheBytes     int64  // what they take, by estimate
	CacheEvictions uint64 // objects that had to make room
}

// counters are what Stats is made from.
type counters struct {
	retries atomic.Uint64
	misses  atomic.Uint64
}

// Stats returns the counters, each of them as of some moment during the call.
func (db *DB) Stats() Stats {
	if db.st == nil { // it was never opened
		return Stats{}
	}
	s := Stats{
		Stats:       db.st.Stats(),
		Retries:     db.counters.retries.Load(),
		CacheMisses: db.counters.misses.Load(),
	}
	s.CacheObjects, s.CacheBytes, s.CacheEvictions = db.current.Load().cache.usage()
	return s
}
