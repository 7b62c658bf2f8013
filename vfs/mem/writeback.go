package mem

import (
	"path"
	"slices"
	"syscall"
)

// change is one entry of the log of what is in the cache and not on the disk.
// It never changes itself: crash images share it.
type change struct {
	seq  uint64 // order of all changes of the disk
	kind changeKind
	off  int64  // changeWrite: where; changeSize, changeGrow: the size
	data []byte // changeWrite
	set  []entry
}

type changeKind uint8

const (
	changeWrite changeKind = iota // bytes written
	changeSize                    // the size set
	changeGrow                    // the size raised: what a lost write leaves
	changeNames                   // names set and removed, all or none
)

// apply does to c what the change did to the cache.
func (ch *change) apply(c *content) {
	switch ch.kind {
	case changeWrite:
		c.writeAt(ch.data, ch.off)
	case changeSize:
		c.resize(ch.off)
	case changeGrow:
		if ch.off > c.size {
			c.resize(ch.off)
		}
	}
}

// touches reports whether the change is one of names in the directory dir.
func (ch *change) touches(dir string) bool {
	return slices.ContainsFunc(ch.set, func(e entry) bool { return path.Dir(e.name) == dir })
}

// record logs a change of a file.
func (d *Disk) record(ino *inode, ch *change) {
	d.changes++
	ch.seq = d.changes
	ino.pending = append(ino.pending, ch)
}

// persist brings the file to the disk as it was after the change upto.
func (ino *inode) persist(upto uint64) {
	n := 0
	for n < len(ino.pending) && ino.pending[n].seq <= upto {
		ino.pending[n].apply(&ino.disk)
		n++
	}
	ino.pending = slices.Delete(ino.pending, 0, n)
}

// persistNames brings the names in dir to the disk as they were after the
// change upto.
func (d *Disk) persistNames(dir string, upto uint64) {
	d.dirlog = slices.DeleteFunc(d.dirlog, func(ch *change) bool {
		if ch.seq > upto || !ch.touches(dir) {
			return false
		}
		d.disk = d.disk.with(ch.set)
		return true
	})
}

// fail is a write-back that failed: the chosen writes up to upto become clean
// in the cache and are not on the disk. The size to which they had grown the
// file remains: it is metadata, which the journal writes later. Every handle
// that is open learns of it at its next Sync, once.
func (ino *inode) fail(upto uint64, lose func(i int, off int64, n int) bool, err error) {
	i := 0
	for k, ch := range ino.pending {
		if ch.seq > upto || ch.kind != changeWrite {
			continue
		}
		if lose == nil || lose(i, ch.off, len(ch.data)) {
			ino.pending[k] = &change{seq: ch.seq, kind: changeGrow, off: ch.off + int64(len(ch.data))}
		}
		i++
	}
	ino.failSeq++
	ino.failErr = err
}

// FailWriteback lets the kernel fail to write back unsynced bytes of a file
// while nobody is in Sync: as FailSync, but any handle that is open now may be
// the first to learn of it. lose chooses among the unsynced writes, oldest
// first; nil is all.
func (d *Disk) FailWriteback(name string, lose func(i int, off int64, n int) bool, err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	ino, e := d.lookup(clean(name))
	if e != nil {
		return pathError("writeback", name, e)
	}
	if err == nil {
		err = syscall.EIO
	}
	ino.fail(d.changes, lose, err)
	return nil
}

// Evict drops n clean bytes at off of a file from the cache, so that they are
// read from the disk again: what a failed sync has lost turns into the bytes
// that were there before, zeros where there were none. The size stays. Bytes
// written and not synced stay too. A negative n is the rest of the file.
func (d *Disk) Evict(name string, off, n int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	ino, err := d.lookup(clean(name))
	if err != nil {
		return pathError("evict", name, err)
	}
	if d.volatile {
		return nil
	}
	fresh := ino.disk.clone()
	for _, ch := range ino.pending {
		ch.apply(&fresh)
	}
	fresh.resize(ino.cache.size)
	if rest := fresh.size - off; n < 0 || n > rest {
		n = rest
	}
	if off < 0 || n <= 0 {
		return nil
	}
	b := make([]byte, n)
	fresh.readAt(b, off)
	ino.cache.writeAt(b, off)
	return nil
}

// SyncAll brings everything to the disk, as sync(1) does. What a failed sync
// has lost stays lost.
func (d *Disk) SyncAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.names {
		e.ino.persist(d.changes)
	}
	d.disk, d.dirlog = d.names, nil
}
