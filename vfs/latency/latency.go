package latency

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/wrap"
)

// Profile says how long operations take. The zero Profile takes no time.
type Profile struct {
	Open  time.Duration // the first operation of a File or a Writer, besides its own
	Read  time.Duration // ReadAt, Size and Stat of a File, Map
	Write time.Duration // Append, Rewrite, Truncate, Write of a Writer
	Sync  time.Duration // Sync, SyncDir, Commit
	Name  time.Duration // Stat, List, Remove and Resolve of an FS
	Lock  time.Duration // all of a Locker but Incarnation and Close

	// Jitter varies each of them by up to this fraction of it in both
	// directions: 0.5 is half as much to half as much again. It is at most 1.
	Jitter float64
	Seed   uint64 // of the jitter

	// Bandwidth is how many bytes per second are read and written; 0 is no
	// limit.
	Bandwidth int64
}

// FS is a slow storage. It is safe for use by many goroutines.
type FS struct {
	*wrap.FS
	profile Profile

	mu   sync.Mutex // guards what follows; nobody sleeps under it
	rnd  *rand.Rand
	free time.Time // when all bytes that are on their way have passed
}

// New returns lower with the latencies of a profile.
func New(lower vfs.FS, profile Profile) *FS {
	profile.Jitter = min(max(profile.Jitter, 0), 1)
	f := &FS{profile: profile, rnd: rand.New(rand.NewPCG(profile.Seed, 0))}
	f.FS = wrap.New(lower, f.do)
	return f
}

// of returns what an operation takes by the profile.
func (p *Profile) of(op wrap.Op) time.Duration {
	switch op {
	case wrap.Open, wrap.Create:
		return p.Open
	case wrap.Read, wrap.Size, wrap.FileStat, wrap.Map:
		return p.Read
	case wrap.Append, wrap.Rewrite, wrap.Truncate, wrap.Write:
		return p.Write
	case wrap.Sync, wrap.SyncDir, wrap.Commit:
		return p.Sync
	case wrap.Stat, wrap.List, wrap.Remove, wrap.Rename, wrap.Resolve:
		return p.Name
	case wrap.TryLock, wrap.Lock, wrap.Unlock, wrap.Holder, wrap.Reopen, wrap.Deleted, wrap.ReadMark, wrap.UpdateMark:
		return p.Lock
	}
	return 0
}

func (f *FS) do(c *wrap.Call) {
	if d := f.profile.of(c.Op); d > 0 {
		if err := c.Sleep(f.vary(d)); err != nil {
			c.Err = err
			return
		}
	}
	c.Next()
	if f.profile.Bandwidth > 0 && c.N > 0 && c.Op.Has(wrap.Read|wrap.Append|wrap.Rewrite|wrap.Write) && !c.Again() {
		_ = c.Sleep(f.transfer(c.N)) // it has been done, whatever becomes of the handle
	}
}

// vary applies the jitter.
func (f *FS) vary(d time.Duration) time.Duration {
	if f.profile.Jitter == 0 {
		return d
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Duration(float64(d) * (1 + f.profile.Jitter*(2*f.rnd.Float64()-1)))
}

// transfer queues n bytes behind those that are on their way, and returns in
// what time they have passed.
func (f *FS) transfer(n int) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if f.free.Before(now) {
		f.free = now
	}
	f.free = f.free.Add(time.Duration(float64(n) / float64(f.profile.Bandwidth) * float64(time.Second)))
	return f.free.Sub(now)
}
