package trace

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/wrap"
)

// FS is a storage that is watched. It is safe for use by many goroutines.
type FS struct {
	*wrap.FS
	counters [wrap.Ops]counter

	// watched says that somebody wants events. It is written under mu; a call
	// that reads it stale has begun before.
	watched atomic.Bool
	seq     atomic.Uint64 // of the newest event that began

	mu   sync.Mutex // guards what follows
	ring ring
	sink func(Event)
}

// New returns lower, watched. It records no events yet.
func New(lower vfs.FS) *FS {
	f := new(FS)
	f.FS = wrap.New(lower, f.do)
	return f
}

// Record keeps the newest n events from now on, and forgets those that were
// kept before; 0 is none.
func (f *FS) Record(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ring = ring{events: make([]Event, 0, max(n, 0))}
	f.watched.Store(n > 0 || f.sink != nil)
}

// Sink hands each event to fn from now on, on the goroutine of the operation
// and at its end; nil is none. Many calls may run at once. fn may use this FS
// if it bears to be called for that, too.
func (f *FS) Sink(fn func(Event)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sink = fn
	f.watched.Store(cap(f.ring.events) > 0 || fn != nil)
}

// Events returns the events that are kept, in the order in which they ended.
func (f *FS) Events() []Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ring.all()
}

// Reset sets all counts to zero, and forgets the events that were kept.
// Numbering begins anew.
func (f *FS) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.counters {
		f.counters[i].reset()
	}
	f.ring = ring{events: f.ring.events[:0]}
	f.seq.Store(0)
}

func (f *FS) do(c *wrap.Call) {
	if !f.watched.Load() {
		c.Next()
		f.counters[c.Op.Index()].add(c)
		return
	}
	e := Event{Seq: f.seq.Add(1), Op: c.Op, Name: c.Name, Off: c.Off}
	begin := time.Now()
	c.Next()
	e.Duration = time.Since(begin)
	e.N, e.Err = amount(c), c.Err
	f.counters[c.Op.Index()].add(c)
	f.mu.Lock()
	f.ring.add(e)
	sink := f.sink
	f.mu.Unlock()
	if sink != nil {
		sink(e)
	}
}
