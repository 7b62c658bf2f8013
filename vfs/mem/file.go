package mem

import (
	"io"
	"sync/atomic"
	"syscall"

	"github.com/durusdb/durus/vfs"
)

// File is an open file of a process. It implements vfs.File.
type File struct {
	p    *Process
	name string
	mode vfs.Mode

	// opened is set once, under Disk.mu, after ino. Who reads it early opens
	// under the lock, and finds that it is done.
	opened atomic.Bool

	// Guarded by Disk.mu.
	ino    *inode
	err    error // of opening; it stays
	seen   uint64
	closed bool
}

var _ vfs.File = (*File)(nil)

// open opens the file at the first operation that needs it.
func (f *File) open() error {
	d := f.p.d
	d.mu.Lock()
	err, closed := f.err, f.closed
	d.mu.Unlock()
	if closed {
		return vfs.ErrClosed
	}
	if err != nil {
		return err
	}
	ft, err := f.p.begin(Op{Kind: OpOpen, Name: f.name})
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case f.p.dead.Load():
		return ErrKilled
	case f.ino != nil || f.err != nil || f.closed: // another goroutine was faster
		return f.err
	}
	if err == nil {
		err = ft.after
	}
	var ino *inode
	if err == nil {
		ino, err = d.lookup(clean(f.name))
	}
	if err != nil {
		f.err = pathError("open", f.name, err)
		return f.err
	}
	f.ino, f.seen = ino, ino.failSeq
	ino.opens++
	f.p.files = append(f.p.files, f)
	f.opened.Store(true)
	return nil
}

// do runs one operation on the file, under the lock of the disk.
func (f *File) do(what string, op Op, run func(ft fate) error) error {
	if f.mode == vfs.ReadOnly && op.Kind != OpRead && op.Kind != OpSize && op.Kind != OpStat {
		return pathError(what, f.name, vfs.ErrMode)
	}
	if !f.opened.Load() {
		if err := f.open(); err != nil {
			return pathError(what, f.name, err)
		}
	}
	op.Name = f.name
	ft, err := f.p.begin(op)
	if err != nil {
		return pathError(what, f.name, err)
	}
	d := f.p.d
	d.mu.Lock()
	switch {
	case f.p.dead.Load():
		err = ErrKilled
	case f.closed:
		err = vfs.ErrClosed
	default:
		err = run(ft)
	}
	d.mu.Unlock()
	if err = f.p.end(ft, err); err == io.EOF {
		return err
	}
	return pathError(what, f.name, err)
}

// ReadAt implements vfs.File.
func (f *File) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.do("read", Op{Kind: OpRead, Off: off, Len: len(p)}, func(fate) error {
		if off < 0 {
			return syscall.EINVAL
		}
		if n = f.ino.cache.readAt(p, off); n < len(p) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

// Size implements vfs.File.
func (f *File) Size() (size int64, err error) {
	err = f.do("size", Op{Kind: OpSize}, func(fate) error {
		size = f.ino.cache.size
		return nil
	})
	return size, err
}

// Stat implements vfs.File.
func (f *File) Stat() (info vfs.Info, err error) {
	err = f.do("stat", Op{Kind: OpStat}, func(fate) error {
		info = f.p.d.info(f.ino)
		return nil
	})
	return info, err
}

// Append implements vfs.File. It trusts the caller that end is the end, as
// pwrite(2) does.
func (f *File) Append(p []byte, end int64) (int, error) {
	return f.write("append", Op{Kind: OpAppend, Off: end, Len: len(p)}, p)
}

// Rewrite implements vfs.File.
func (f *File) Rewrite(p []byte, off int64) (int, error) {
	return f.write("rewrite", Op{Kind: OpRewrite, Off: off, Len: len(p)}, p)
}

func (f *File) write(what string, op Op, p []byte) (n int, err error) {
	err = f.do(what, op, func(ft fate) (err error) {
		n, err = f.p.d.write(f.ino, ft.cut(p), op.Off)
		return err
	})
	return n, err
}

// Truncate implements vfs.File.
func (f *File) Truncate(size int64) error {
	return f.do("truncate", Op{Kind: OpTruncate, Off: size}, func(fate) error {
		return f.p.d.truncate(f.ino, size)
	})
}

// Sync implements vfs.File. It persists the bytes as they were at its start,
// and reports a failed write-back that this handle has not reported yet.
func (f *File) Sync() error {
	var upto uint64
	var early Action
	err := f.do("sync", Op{Kind: OpSync}, func(ft fate) error {
		upto, early = f.p.d.changes, ft.sync
		return nil
	})
	if err != nil {
		return err
	}
	return f.do("sync", Op{Kind: OpSyncEnd}, func(ft fate) error {
		if ft.sync.verb == verbProceed {
			ft.sync = early
		}
		f.ino.sync(upto, ft.sync)
		if f.seen != f.ino.failSeq {
			f.seen = f.ino.failSeq
			return f.ino.failErr
		}
		return nil
	})
}

// sync ends a sync of the changes up to upto, well or not.
func (ino *inode) sync(upto uint64, act Action) {
	switch act.verb {
	case verbDropSync:
	case verbFailSync:
		ino.fail(upto, act.lose, act.err)
	default:
		ino.persist(upto)
	}
}

// Close implements vfs.File.
func (f *File) Close() error {
	d := f.p.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	if f.ino != nil && !f.p.dead.Load() {
		f.p.files = forget(f.p.files, f)
		d.closeInode(f.ino)
	}
	return nil
}
