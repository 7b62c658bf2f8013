package mem

import (
	"context"
	"errors"
	"io/fs"

	"github.com/durusdb/durus/vfs"
)

// ReadMark implements vfs.Locker. The first call opens the lock file if there
// is one; later Reopen does.
func (l *Locker) ReadMark(p *[vfs.MarkSize]byte) (n int, err error) {
	d := l.p.d
	d.mu.Lock()
	look := l.ino == nil && !l.looked
	l.looked = true
	d.mu.Unlock()
	if look {
		err := l.do(OpOpen, 0, "open", func(d *Disk, name string, _ fate) error {
			ino, err := d.lookup(name)
			if err == nil && l.ino == nil {
				l.take(ino)
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
	}
	err = l.do(OpReadMark, vfs.MarkSize, "readmark", func(*Disk, string, fate) error {
		if l.ino != nil {
			n = l.ino.cache.readAt(p[:], 0)
		}
		return nil
	})
	return n, err
}

// UpdateMark implements vfs.Locker. Reading the record, update, and writing it
// are operations of their own, all under the latch.
func (l *Locker) UpdateMark(ctx context.Context, update func(p *[vfs.MarkSize]byte, ok bool) bool) error {
	if l.mode == vfs.ReadOnly {
		return pathError("updatemark", l.name, vfs.ErrMode)
	}
	d := l.p.d
	d.mu.Lock()
	none := l.ino == nil && !l.closed && !l.p.dead.Load()
	d.mu.Unlock()
	if none {
		if err := l.open(); err != nil {
			return err
		}
	}
	var file *inode
	op := Op{Process: l.p.name, Kind: OpLatch, Name: l.name}
	err := l.do(OpLatch, 0, "latch", func(*Disk, string, fate) error {
		file = l.ino
		file.opens++ // it must not go away while this waits, even if the Locker reopens
		return nil
	})
	if file == nil {
		return err
	}
	held := false
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if held && l.latchOn == file { // otherwise the process was killed and all is given back
			file.latch.leave()
			l.latchOn = nil
		}
		d.closeInode(file)
	}()
	if err != nil {
		return err
	}
	if _, err := l.pass(ctx, &file.latch, op, func() { held, l.latchOn = true, file }); err != nil {
		return err
	}
	return l.updateMark(file, update)
}

// updateMark does the work of UpdateMark under the latch.
func (l *Locker) updateMark(file *inode, update func(p *[vfs.MarkSize]byte, ok bool) bool) error {
	var rec [vfs.MarkSize]byte
	n := 0
	err := l.do(OpReadMark, vfs.MarkSize, "readmark", func(*Disk, string, fate) error {
		n = file.cache.readAt(rec[:], 0)
		return nil
	})
	if err != nil {
		return err
	}
	if update(&rec, n == vfs.MarkSize) {
		err = l.do(OpWriteMark, vfs.MarkSize, "writemark", func(d *Disk, _ string, ft fate) error {
			_, err := d.write(file, ft.cut(rec[:]), 0)
			return err
		})
		if err != nil {
			return err
		}
	}
	return l.do(OpUnlatch, 0, "unlatch", func(*Disk, string, fate) error { return nil })
}
