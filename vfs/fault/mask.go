package fault

import (
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/wrap"
)

// Mask returns lower with other properties. What mask takes away from a
// storage that has all abilities is refused with vfs.ErrNotSupported: without
// Locks TryLock and Lock, without Append also Rewrite and Truncate, without
// Mapping Map. Other properties are promises, and taken back by saying so.
func Mask(lower vfs.FS, mask func(vfs.Props) vfs.Props) vfs.FS {
	able := mask(vfs.Props{
		Locks: true, Append: true, AtomicReplace: true, ConditionalPut: true,
		StableSize: true, Mapping: true, LiveMapping: true, ReliableListing: true,
	})
	var refused wrap.Op
	if !able.Locks {
		refused |= wrap.TryLock | wrap.Lock
	}
	if !able.Append {
		refused |= wrap.Append | wrap.Rewrite | wrap.Truncate
	}
	if !able.Mapping {
		refused |= wrap.Map
	}
	return wrap.New(lower, func(c *wrap.Call) {
		if refused.Has(c.Op) {
			c.Err = c.Failure("fault", vfs.ErrNotSupported)
			return
		}
		if c.Next(); c.Op == wrap.Props {
			c.Props = mask(c.Props)
		}
	})
}
