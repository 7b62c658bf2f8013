package mem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/durusdb/durus/vfs"
)

// maxReopen is how often a lock file may vanish under one acquisition.
const maxReopen = 64

// Locker is a lock file as one process has it open. It implements vfs.Locker
// with the steps that a real one needs, each an operation of its own: open,
// flock, look whether the name still leads to the file that is locked, flock
// the data file. Under Run a wait whose ctx has a deadline ends when nobody
// else can go on; it then returns context.DeadlineExceeded.
type Locker struct {
	p    *Process
	name string
	data vfs.File
	mode vfs.Mode
	perm fs.FileMode
	done chan struct{} // closed by Close, under Disk.mu

	// Guarded by Disk.mu.
	turn        gate   // of the goroutines that use this Locker: one acquisition at a time
	ino         *inode // the lock file that is open
	incarnation uint64
	looked      bool // ReadMark has tried to open it
	closed      bool
	locked      bool   // the whole lock is held
	lockOn      *inode // lock files whose flock it has; nil too if that file was closed meanwhile
	dataOn      *inode
	latchOn     *inode
}

var _ vfs.Locker = (*Locker)(nil)

// drop gives back all that the Locker has. The caller holds Disk.mu.
func (l *Locker) drop() {
	l.unlock()
	if l.latchOn != nil {
		l.latchOn.latch.leave()
		l.latchOn = nil
	}
	if l.ino != nil {
		l.p.d.closeInode(l.ino)
		l.ino = nil
	}
}

// unlock gives back the flocks, the second first. The caller holds Disk.mu.
func (l *Locker) unlock() {
	if l.dataOn != nil {
		l.dataOn.lock.leave()
		l.dataOn = nil
	}
	l.unlockFile()
	if l.locked {
		l.locked = false
		l.turn.leave()
	}
}

func (l *Locker) unlockFile() {
	if l.lockOn != nil {
		l.lockOn.lock.leave()
		l.lockOn = nil
	}
}

// do runs one operation on the lock file.
func (l *Locker) do(kind Kind, n int, what string, f func(d *Disk, name string, ft fate) error) error {
	ft, err := l.p.begin(Op{Kind: kind, Name: l.name, Len: n})
	if err != nil {
		return pathError(what, l.name, err)
	}
	d := l.p.d
	d.mu.Lock()
	switch {
	case l.p.dead.Load():
		err = ErrKilled
	case l.closed:
		err = vfs.ErrClosed
	default:
		err = f(d, clean(l.name), ft)
	}
	d.mu.Unlock()
	return pathError(what, l.name, l.p.end(ft, err))
}

// current reports, as one operation, whether the lock file that is open is
// the one that the name leads to.
func (l *Locker) current() (same bool, err error) {
	err = l.do(OpStat, 0, "stat", func(d *Disk, name string, _ fate) error {
		same = l.ino != nil && d.names.find(name) == l.ino
		return nil
	})
	return same, err
}

// open opens the lock file that the name leads to, in place of the one that
// was open, whose flock goes with it.
func (l *Locker) open() error {
	err := l.do(OpOpen, 0, "open", func(d *Disk, name string, _ fate) error {
		ino, err := d.lookup(name)
		if err == nil {
			l.take(ino)
		}
		return err
	})
	if l.mode == vfs.ReadOnly || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return l.do(OpCreate, 0, "create", func(d *Disk, name string, _ fate) error {
		ino, err := d.lookup(name)
		if errors.Is(err, fs.ErrNotExist) {
			ino, err = d.newInode(l.perm), nil
			d.setNames(entry{name, ino})
		}
		if err == nil {
			l.take(ino)
		}
		return err
	})
}

// take makes ino the lock file that is open. The caller holds Disk.mu.
func (l *Locker) take(ino *inode) {
	if l.ino == ino {
		return
	}
	ino.opens++
	l.unlockFile()
	if l.ino != nil {
		l.p.d.closeInode(l.ino)
	} else {
		l.p.lockers = append(forget(l.p.lockers, l), l)
	}
	l.ino = ino
	l.incarnation++
}

// Reopen implements vfs.Locker.
func (l *Locker) Reopen() error {
	same, err := l.current()
	if err != nil || same {
		return err
	}
	if err = l.open(); l.mode == vfs.ReadOnly && errors.Is(err, fs.ErrNotExist) {
		return nil // none is there, and none may be made
	}
	return err
}

// Deleted implements vfs.Locker.
func (l *Locker) Deleted() (gone bool, err error) {
	err = l.do(OpStat, 0, "stat", func(*Disk, string, fate) error {
		gone = l.ino == nil || l.ino.links == 0
		return nil
	})
	return gone, err
}

// Incarnation implements vfs.Locker.
func (l *Locker) Incarnation() uint64 {
	l.p.d.mu.Lock()
	defer l.p.d.mu.Unlock()
	return l.incarnation
}

// TryLock implements vfs.Locker.
func (l *Locker) TryLock() (bool, error) {
	d := l.p.d
	d.mu.Lock()
	free := !l.p.dead.Load() && !l.closed && l.turn.try(l)
	d.mu.Unlock()
	if !free {
		return false, l.refused()
	}
	return l.acquire(func(g *gate, took func()) (bool, bool, error) {
		got := false
		err := l.do(OpTryLock, 0, "trylock", func(*Disk, string, fate) error {
			if got = g.try(l); got {
				took()
			}
			return nil
		})
		return got, false, err
	})
}

// refused tells why a Locker cannot be used at all.
func (l *Locker) refused() error {
	l.p.d.mu.Lock()
	defer l.p.d.mu.Unlock()
	switch {
	case l.p.dead.Load():
		return pathError("lock", l.name, ErrKilled)
	case l.closed:
		return pathError("lock", l.name, vfs.ErrClosed)
	}
	return nil
}

// Lock implements vfs.Locker.
func (l *Locker) Lock(ctx context.Context) error {
	if err := l.refused(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil && l.p.task == nil {
		return err
	}
	op := Op{Process: l.p.name, Kind: OpLock, Name: l.name}
	if _, err := l.pass(ctx, &l.turn, op, func() {}); err != nil {
		return err
	}
	_, err := l.acquire(func(g *gate, took func()) (bool, bool, error) {
		if err := l.do(OpLock, 0, "lock", func(*Disk, string, fate) error { return nil }); err != nil {
			return false, false, err
		}
		waited, err := l.pass(ctx, g, op, took)
		return err == nil, waited, err
	})
	return err
}

// acquire takes the lock file, then the data file, each by flock, which says
// whether it got it and whether it had to wait. The caller has the turn, and
// gives it back with the lock.
func (l *Locker) acquire(flock func(g *gate, took func()) (got, waited bool, err error)) (ok bool, err error) {
	d := l.p.d
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		l.locked = true // so that unlock gives the turn back
		if !ok || l.p.dead.Load() {
			l.unlock()
		}
	}()
	if l.mode == vfs.ReadOnly {
		return false, pathError("lock", l.name, vfs.ErrMode)
	}
	data, err := l.dataInode()
	if err != nil {
		return false, err
	}
	for range maxReopen {
		if err := l.Reopen(); err != nil {
			return false, err
		}
		d.mu.Lock()
		file := l.ino
		d.mu.Unlock()
		if file == nil {
			continue
		}
		got, _, err := flock(&file.lock, func() { l.lockOn = file })
		if err != nil || !got {
			return false, err
		}
		same, err := l.current()
		if err != nil {
			return false, err
		}
		if same && data != nil {
			got, waited, err := flock(&data.lock, func() { l.dataOn = data })
			if err != nil || !got {
				return false, err
			}
			if waited { // time enough for somebody to delete the lock file
				if same, err = l.current(); err != nil {
					return false, err
				}
			}
		}
		d.mu.Lock()
		if same = same && l.lockOn == file; same {
			d.mu.Unlock()
			return true, nil
		}
		l.unlock()
		d.mu.Unlock()
	}
	return false, pathError("lock", l.name, fmt.Errorf("the lock file was replaced %d times while it was being locked: find out who deletes it", maxReopen))
}

// dataInode returns the inode of the data file, opening it if need be; nil if
// there is no data file.
func (l *Locker) dataInode() (*inode, error) {
	if l.data == nil {
		return nil, nil
	}
	f := l.dataFile()
	if f == nil {
		return nil, pathError("lock", l.name, fmt.Errorf("%w: data file of type %T", vfs.ErrNotSupported, l.data))
	}
	if f.p.d != l.p.d {
		return nil, pathError("lock", l.name, fmt.Errorf("%w: data file on another disk", vfs.ErrNotSupported))
	}
	if !f.opened.Load() {
		if err := f.open(); err != nil {
			return nil, err
		}
	}
	return f.ino, nil // never changes once it is opened
}

// dataFile finds the file of this package that the data file is or wraps, nil
// if there is none.
func (l *Locker) dataFile() *File {
	f, _ := vfs.Base(l.data).(*File)
	return f
}

// Unlock implements vfs.Locker.
func (l *Locker) Unlock() error {
	return l.do(OpUnlock, 0, "unlock", func(*Disk, string, fate) error {
		if !l.locked {
			return errNotLocked
		}
		l.unlock()
		return nil
	})
}

// Holder implements vfs.Locker.
func (l *Locker) Holder() int {
	d := l.p.d
	d.mu.Lock()
	defer d.mu.Unlock()
	file := l.ino
	if file == nil {
		file = d.names.find(clean(l.name))
	}
	if file != nil && file.lock.holder != nil {
		return file.lock.holder.p.pid
	}
	if f := l.dataFile(); f != nil && f.ino != nil && f.ino.lock.holder != nil {
		return f.ino.lock.holder.p.pid
	}
	return 0
}

// Close implements vfs.Locker. Goroutines that wait in Lock or UpdateMark get
// vfs.ErrClosed. A second Close does nothing.
func (l *Locker) Close() error {
	l.p.d.mu.Lock()
	closed := l.closed
	l.p.d.mu.Unlock()
	if closed {
		return nil
	}
	return l.do(OpUnlock, 0, "close", func(d *Disk, _ string, _ fate) error {
		l.closed = true
		close(l.done)
		l.drop()
		l.p.lockers = forget(l.p.lockers, l)
		return nil
	})
}
