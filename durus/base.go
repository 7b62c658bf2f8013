package durus

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/durusdb/durus/storage"
)

// bases is what the class table of a file says about classes without a version:
// which there are, and as what version they count. It is read as far as
// the table has grown, by whoever needs it, without a lock: the table only
// grows, and all who read a part of it find the same.
type bases struct {
	read     atomic.Uint32 // numbers up to here are in the maps
	versions sync.Map      // class name -> int, the lowest that the table has
	bare     sync.Map      // class name -> struct{}: the table has it without a version
}

// follow reads what is new in the table.
func (b *bases) follow(snap storage.Snapshot) {
	for id := b.read.Load() + 1; ; id++ {
		spelling, ok := snap.ClassName(storage.ClassID(id))
		if !ok {
			return
		}
		if name, version, ok := storage.SplitBase(spelling); ok {
			b.lower(name, version)
		} else if name, version := storage.SplitClass(spelling); version == 0 {
			b.bare.Store(name, struct{}{})
		}
		for old := b.read.Load(); old < id && !b.read.CompareAndSwap(old, id); old = b.read.Load() {
		}
	}
}

// lower notes an entry.
func (b *bases) lower(name string, version int) {
	for {
		old, loaded := b.versions.LoadOrStore(name, version)
		if !loaded || old.(int) <= version || b.versions.CompareAndSwap(name, old, version) {
			return
		}
	}
}

// of returns the version that the class without one counts as to a type that
// can be read from lowest on.
func (b *bases) of(class string, lowest int) int {
	if v, ok := b.versions.Load(class); ok {
		return min(v.(int), lowest)
	}
	return lowest
}

// base is the version that an object of the class without one counts as.
func (c *core) base(class string, lowest int) int {
	c.gen.bases.follow(c.snap)
	return c.gen.bases.of(class, lowest)
}

// storedClass returns the number of the class to store an object under. Before
// the first object with a version is stored, the file is told what those
// without one count as, under all names of the class that it has.
func (c *core) storedClass(ctx context.Context, e *edited) (storage.ClassID, error) {
	spelling := e.stored()
	if _, ok := c.gen.ids.Load(spelling); !ok && e.info != nil && e.info.version > 0 {
		b := &c.gen.bases
		b.follow(c.snap)
		for _, name := range append([]string{e.info.name}, e.info.aliases...) {
			if _, bare := b.bare.Load(name); !bare {
				continue
			}
			if told, ok := b.versions.Load(name); ok && told.(int) <= e.info.lowest() {
				continue
			}
			if _, err := c.db.classID(ctx, c.gen, storage.BaseName(name, e.info.lowest())); err != nil {
				return 0, err
			}
		}
	}
	return c.db.classID(ctx, c.gen, spelling)
}
