package durus

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/durusdb/durus/storage"
)

// prefetchers is how many goroutines of one Prefetch read at a time. They wait
// for the storage most of the time, not for a processor.
const prefetchers = 64

// Prefetch reads the objects behind refs, many at a time, so that the Loads
// that follow do not wait for the storage one by one: on a slow storage it takes
// about as long as one read. It returns when the objects are in the cache
// (Options.CacheBytes: more than fit there are not worth it).
//
// It adds nothing to the read set, and what cannot be loaded is left to Load,
// which tells why; an I/O error sticks, as one of Load does. Its own errors are
// that the transaction is over, or that its context is.
func (tx *Tx) Prefetch(refs ...AnyRef) error {
	c := &tx.c
	if err := c.usable(); err != nil {
		return err
	}
	wanted := c.missing(refs)
	if len(wanted) > 0 {
		c.prefetch(wanted)
	}
	return c.ctx.Err()
}

// place is an object and where its record begins.
type place struct {
	oid OID
	pos storage.Position
}

// missing returns the places of the objects that are not in the cache.
func (c *core) missing(refs []AnyRef) []place {
	var wanted []place
	for _, r := range refs {
		raw, err := c.own(uint64(r.raw))
		if oid := OID(raw); err == nil && oid != 0 && c.used[oid].edited == nil {
			if _, aside := c.spilled.lookup(oid); aside {
				continue
			}
			if pos, err := c.snap.Find(oid); err == nil && c.gen.cache.get(pos) == nil {
				wanted = append(wanted, place{oid, pos})
			}
		}
	}
	slices.SortFunc(wanted, func(a, b place) int { return cmp.Compare(a.pos, b.pos) })
	return slices.Compact(wanted)
}

// prefetch brings objects into the cache.
func (c *core) prefetch(wanted []place) {
	positions := make([]storage.Position, len(wanted))
	for i, w := range wanted {
		positions[i] = w.pos
	}
	c.snap.Prefetch(positions)
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(len(wanted), prefetchers) {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(wanted) || c.ctx.Err() != nil {
					return
				}
				_, _ = c.fetch(wanted[i].oid, wanted[i].pos) // Load meets the error again
			}
		})
	}
	group.Wait()
}
