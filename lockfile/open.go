package lockfile

import (
	"os"

	"github.com/durusdb/durus/vfs"
)

// handle is one opened lock file. It stays open while it is the current one or
// somebody works with it.
type handle struct {
	f    *os.File
	id   vfs.FileID
	refs int // guarded by Locker.mu; at 0 the file is closed
}

// Incarnation implements vfs.Locker.
func (l *Locker) Incarnation() uint64 { return l.incarnation.Load() }

// Reopen implements vfs.Locker.
func (l *Locker) Reopen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reopen(l.mode != vfs.ReadOnly)
}

// reopen makes the file that the path leads to the current one. l.mu is held.
// With create false, a missing file leaves things as they are.
func (l *Locker) reopen(create bool) error {
	if l.closed {
		return fail("open", l.path, vfs.ErrClosed)
	}
	l.looked = true
	old := l.cur.Load()
	if old != nil && l.leadsTo(old) {
		return nil
	}
	f, id, err := l.openFile(create)
	if err != nil || f == nil {
		return fail("open", l.path, err)
	}
	// Both files are open here, so equal numbers mean the same file.
	if old != nil && old.id == id {
		return f.Close()
	}
	l.cur.Store(&handle{f: f, id: id, refs: 1})
	l.incarnation.Add(1)
	if old != nil {
		l.unref(old)
	}
	return nil
}

// leadsTo reports whether the path still leads to h. h is open, so its inode
// number cannot have been given to another file. A name that leads to a file
// without links is a bind mount whose file was deleted on the other side.
func (l *Locker) leadsTo(h *handle) bool {
	id, links, err := statName(l.path)
	return err == nil && id == h.id && links > 0
}

// use returns the current handle, opened and created if none is, and keeps it
// open until drop.
func (l *Locker) use() (*handle, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, fail("open", l.path, vfs.ErrClosed)
	}
	if l.cur.Load() == nil {
		if err := l.reopen(true); err != nil {
			return nil, err
		}
	}
	h := l.cur.Load()
	h.refs++
	return h, nil
}

// drop ends a use.
func (l *Locker) drop(h *handle) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unref(h)
}

// unref takes back one reference. l.mu is held.
func (l *Locker) unref(h *handle) {
	if h.refs--; h.refs == 0 {
		_ = h.f.Close() // a lock file holds nothing that close could fail to write
	}
}

// look returns the current handle for reading, nil if there is none. The
// first call opens a file that exists; later ones leave that to Reopen.
//
// Reading cur without l.mu is safe: a handle never changes, and os.File
// answers a read that comes after its Close with os.ErrClosed.
func (l *Locker) look() (*handle, error) {
	if h := l.cur.Load(); h != nil {
		return h, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, fail("open", l.path, vfs.ErrClosed)
	}
	if !l.looked {
		if err := l.reopen(false); err != nil {
			return nil, err
		}
	}
	return l.cur.Load(), nil
}

// Deleted implements vfs.Locker.
func (l *Locker) Deleted() (bool, error) {
	for {
		h, err := l.look()
		if err != nil {
			return false, err
		}
		if h == nil {
			return true, nil
		}
		links, err := linksOf(h.f)
		if err == nil {
			return links == 0, nil
		}
		if l.cur.Load() == h {
			return false, fail("stat", l.path, err)
		}
		// The handle was replaced and closed while we looked at it.
	}
}
