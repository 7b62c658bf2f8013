package mem

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"

	"github.com/durusdb/durus/vfs"
)

// temporary matches the names of the files of Writers that are not done.
var temporary = regexp.MustCompile(`\.new\.[0-9a-f]{16}$`)

// Writer writes a new file. It implements vfs.Writer.
type Writer struct {
	p    *Process
	name string
	mode vfs.CreateMode
	perm fs.FileMode
	temp string // name of the temporary file; "" until it is created
	ino  *inode // of it; set under Disk.mu
	off  int64
	err  error // the first one
	done bool
}

var _ vfs.Writer = (*Writer)(nil)

// create makes the temporary file.
func (w *Writer) create() error {
	return w.p.do(Op{Kind: OpCreate, Name: w.name}, "create", func(d *Disk, name string) error {
		if d.isDir(name) {
			return vfs.ErrNotRegular
		}
		for w.temp == "" || d.names.find(w.temp) != nil {
			d.lastTmp++
			w.temp = fmt.Sprintf("%s.new.%016x", name, d.lastTmp)
		}
		w.ino = d.newInode(w.perm)
		w.ino.opens++
		w.p.writers = append(w.p.writers, w)
		d.setNames(entry{w.temp, w.ino})
		return nil
	})
}

// Write implements vfs.Writer. It takes everything; Commit tells what went
// wrong.
func (w *Writer) Write(p []byte) (int, error) {
	if w.done {
		return 0, pathError("write", w.name, vfs.ErrClosed)
	}
	if w.err == nil && w.ino == nil {
		w.err = w.create()
	}
	if w.err != nil {
		return len(p), nil
	}
	op := Op{Kind: OpWrite, Name: w.temp, Off: w.off, Len: len(p)}
	ft, err := w.p.begin(op)
	n := 0
	if err == nil {
		w.p.d.mu.Lock()
		if err = ErrKilled; !w.p.dead.Load() {
			n, err = w.p.d.write(w.ino, ft.cut(p), w.off)
		}
		w.p.d.mu.Unlock()
		err = w.p.end(ft, err)
	}
	w.off += int64(n)
	w.err = pathError("write", w.name, err)
	return len(p), nil
}

// Commit implements vfs.Writer: sync, then one atomic rename.
func (w *Writer) Commit() error {
	if w.err == nil && w.done {
		return pathError("commit", w.name, vfs.ErrClosed)
	}
	if w.err == nil && w.ino == nil {
		w.err = w.create()
	}
	if w.err == nil {
		w.err = w.sync()
	}
	if w.err == nil {
		done := false
		w.err = w.p.do(Op{Kind: OpRename, Name: w.name}, "commit", func(d *Disk, name string) (err error) {
			if w.mode == vfs.FailIfExists && d.names.find(name) != nil {
				return fs.ErrExist
			}
			err = d.rename(w.temp, name)
			done = err == nil
			return err
		})
		if w.err != nil && done { // a rule lets it be reported as failed
			w.err = errors.Join(vfs.ErrUnknownOutcome, w.err)
		}
	}
	if w.err != nil {
		w.discard()
	} else {
		w.close()
	}
	return w.err
}

// sync brings the bytes to the disk. The temporary file has this handle only,
// so a failure need not be remembered for others.
func (w *Writer) sync() error {
	var upto uint64
	var acts [2]Action
	for i, kind := range []Kind{OpSync, OpSyncEnd} {
		ft, err := w.p.begin(Op{Kind: kind, Name: w.temp})
		if err != nil {
			return pathError("sync", w.name, err)
		}
		acts[i] = ft.sync
		w.p.d.mu.Lock()
		if w.p.dead.Load() {
			err = ErrKilled
		} else if kind == OpSync {
			upto = w.p.d.changes
		} else {
			if acts[1].verb == verbProceed {
				acts[1] = acts[0]
			}
			w.ino.sync(upto, acts[1])
			err = acts[1].err
		}
		w.p.d.mu.Unlock()
		if err = w.p.end(ft, err); err != nil {
			return pathError("sync", w.name, err)
		}
	}
	return nil
}

// Abort implements vfs.Writer.
func (w *Writer) Abort() error {
	if w.done {
		return nil
	}
	return w.discard()
}

// discard removes the temporary file. If a rename was done and reported as
// failed, there is none.
func (w *Writer) discard() error {
	if w.done || w.ino == nil {
		w.done = true
		return nil
	}
	err := w.p.do(Op{Kind: OpRemove, Name: w.temp}, "abort", func(d *Disk, name string) error {
		if d.names.find(name) != w.ino {
			return nil
		}
		return d.remove(name)
	})
	w.close()
	return err
}

// close ends the handle.
func (w *Writer) close() {
	w.done = true
	d := w.p.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if !w.p.dead.Load() {
		w.p.writers = forget(w.p.writers, w)
		d.closeInode(w.ino)
	}
}
