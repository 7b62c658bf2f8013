package mem

import (
	"io/fs"
	"path"
	"strings"
)

// What the methods of this file do comes from outside of the simulation: it is
// no operation of any process, no hook sees it, and it is on the disk at once.
// Where somebody's cp or rm is to be subject to a power cut too, let a Process
// do it. The unsynced bytes of a file that is changed this way count as synced
// before.

// Names returns the names of all files, sorted.
func (d *Disk) Names() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := make([]string, len(d.names))
	for i, e := range d.names {
		names[i] = e.name
	}
	return names
}

// list is what FS.List yields, in the spelling of prefix. d.mu is held.
func (d *Disk) list(prefix string) (names []string) {
	dir, base := path.Split(prefix)
	inside := strings.TrimSuffix(clean(dir), "/") + "/"
	from, _ := d.names.search(inside + base)
	for _, e := range d.names[from:] {
		name, ok := strings.CutPrefix(e.name, inside)
		if !ok || !strings.HasPrefix(name, base) {
			break
		}
		if !strings.Contains(name, "/") && !temporary.MatchString(name) {
			names = append(names, dir+name)
		}
	}
	return names
}

// ReadFile returns a copy of what a reader sees in a file.
func (d *Disk) ReadFile(name string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ino, err := d.lookup(clean(name))
	if err != nil {
		return nil, pathError("read", name, err)
	}
	return ino.cache.bytes(), nil
}

// FileHash is a hash of what a reader sees in a file, 0 if there is none: that
// of Image.FileHash.
func (d *Disk) FileHash(name string) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	ino, err := d.lookup(clean(name))
	if err != nil {
		return 0
	}
	return max(ino.cache.sum(), 1)
}

// Persisted returns a copy of what of a file is on the disk.
func (d *Disk) Persisted(name string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ino, err := d.lookup(clean(name))
	if err != nil {
		return nil, pathError("read", name, err)
	}
	if d.volatile {
		return ino.cache.bytes(), nil
	}
	return ino.disk.bytes(), nil
}

// WriteFile gives a file other bytes in place, as cp(1) does, or creates it.
func (d *Disk) WriteFile(name string, data []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = clean(name)
	if d.names.find(name) == nil {
		if d.isDir(name) {
			return pathError("write", name, fs.ErrExist)
		}
		set := []entry{{name, d.newInode(0o600)}}
		d.setNames(set...)
		d.settleNames(set)
	}
	return d.alter("write", name, func(c *content) {
		c.resize(0)
		c.writeAt(data, 0)
	})
}

// Patch writes over bytes of a file: damage.
func (d *Disk) Patch(name string, off int64, data []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.alter("patch", clean(name), func(c *content) { c.writeAt(data, off) })
}

// Truncate gives a file a size.
func (d *Disk) Truncate(name string, size int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.alter("truncate", clean(name), func(c *content) { c.resize(size) })
}

// Copy gives the file to the bytes of the file from, in place, as cp(1) does.
func (d *Disk) Copy(from, to string) error {
	b, err := d.ReadFile(from)
	if err != nil {
		return err
	}
	return d.WriteFile(to, b)
}

// alter changes a file in the cache and on the disk.
func (d *Disk) alter(what, name string, f func(*content)) error {
	ino, err := d.lookup(name)
	if err != nil {
		return pathError(what, name, err)
	}
	d.space += ino.cache.size
	f(&ino.cache)
	d.space -= ino.cache.size
	if !d.volatile {
		ino.disk, ino.pending = ino.cache.clone(), nil
	}
	return nil
}

// Remove removes a name.
func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return pathError("remove", name, d.settled(func() error { return d.remove(clean(name)) }))
}

// Link gives a file another name.
func (d *Disk) Link(old, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return pathError("link", name, d.settled(func() error { return d.link(clean(old), clean(name)) }))
}

// Rename puts a file in the place of another name, as mv(1) does.
func (d *Disk) Rename(old, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return pathError("rename", name, d.settled(func() error { return d.rename(clean(old), clean(name)) }))
}

// settled runs a change of names and brings it to the disk alone.
func (d *Disk) settled(f func() error) error {
	n := len(d.dirlog)
	if err := f(); err != nil {
		return err
	}
	if len(d.dirlog) > n {
		d.settleNames(d.dirlog[n].set)
	}
	return nil
}

// settleNames brings the names of the newest change to the disk, and all
// changes before it in their directories, which would undo it otherwise.
func (d *Disk) settleNames(set []entry) {
	for _, e := range set {
		d.persistNames(path.Dir(e.name), d.changes)
	}
}

// remove, link and rename change clean names in the cache. The caller holds mu.
func (d *Disk) remove(name string) error {
	if _, err := d.lookup(name); err != nil {
		return err
	}
	d.setNames(entry{name, nil})
	return nil
}

func (d *Disk) link(old, name string) error {
	ino, err := d.lookup(old)
	if err != nil {
		return err
	}
	if d.names.find(name) != nil || d.isDir(name) {
		return fs.ErrExist
	}
	d.setNames(entry{name, ino})
	return nil
}

func (d *Disk) rename(old, name string) error {
	ino, err := d.lookup(old)
	if err != nil {
		return err
	}
	if d.isDir(name) {
		return fs.ErrExist
	}
	if d.names.find(name) != ino { // two names of one file stay as they are
		d.setNames(entry{old, nil}, entry{name, ino})
	}
	return nil
}
