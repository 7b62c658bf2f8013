package cache

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"github.com/durusdb/durus/vfs"
)

// file is a handle. Its first operation, whatever it is, asks the storage what
// the handle has open.
type file struct {
	fs    *FS
	lower vfs.File
	name  string
	mode  vfs.Mode
	async bool

	// ino is set once, under FS.mu, and nil again after Close. Who reads it
	// without the lock and finds nil asks in open; who finds what was there
	// before Close has begun before Close has ended.
	ino atomic.Pointer[inode]

	// opening is held while the storage is asked what this handle has open, so
	// that of an asynchronous storage one such question at a time is under way
	// and its answer is taken by nobody else. It comes before FS.mu.
	opening sync.Mutex

	// Guarded by FS.mu.
	closed bool
	early  extent           // what was in doubt before the handle was open
	hasty  extent           // what was to be read ahead before it was settled: see flight.hasty
	asked  map[call]*flight // reads that an asynchronous storage has begun
}

// extent is a range of a file; the zero extent is none.
type extent struct{ off, end int64 }

// add makes it contain another one.
func (e *extent) add(off, end int64) {
	if e.end == 0 {
		e.off = off
	}
	e.off, e.end = min(e.off, off), max(e.end, end)
}

// asyncFile, mappedFile and asyncMappedFile are handles of storages that can
// do more.
type (
	asyncFile struct {
		*file
		vfs.Async
	}
	mappedFile struct {
		*file
		vfs.Mapper
	}
	asyncMappedFile struct {
		*file
		vfs.Async
		vfs.Mapper
	}
)

var (
	_ vfs.File    = (*file)(nil)
	_ vfs.Adviser = (*file)(nil)
)

// Unwrap returns the file of the storage.
func (f *file) Unwrap() vfs.File { return f.lower }

func (f *file) errClosed() error { return fmt.Errorf("cache: %s: %w", f.name, vfs.ErrClosed) }

// open returns the inode of the handle.
func (f *file) open() (*inode, error) {
	if ino := f.ino.Load(); ino != nil {
		return ino, nil
	}
	f.opening.Lock()
	defer f.opening.Unlock()
	if ino := f.ino.Load(); ino != nil {
		return ino, nil
	}
	info, err := f.lower.Stat()
	if err != nil {
		return nil, err
	}
	return f.fs.attach(f, info.ID)
}

// Size implements vfs.File.
func (f *file) Size() (int64, error) {
	if _, err := f.open(); err != nil {
		return 0, err
	}
	return f.lower.Size()
}

// Stat implements vfs.File.
func (f *file) Stat() (vfs.Info, error) {
	if _, err := f.open(); err != nil {
		return vfs.Info{}, err
	}
	return f.lower.Stat()
}

// Append implements vfs.File.
func (f *file) Append(p []byte, end int64) (int, error) {
	ino, err := f.writable()
	if err != nil {
		return 0, err
	}
	if ino != nil && end < ino.state.Load().limit { // looked at before others can settle what is appended
		defer f.fs.changed(ino, end, math.MaxInt64, false)
	}
	return f.lower.Append(p, end)
}

// Rewrite implements vfs.File.
func (f *file) Rewrite(p []byte, off int64) (int, error) {
	ino, err := f.writable()
	if err != nil {
		return 0, err
	}
	if ino != nil {
		defer f.fs.changed(ino, off, off+int64(len(p)), false)
	}
	return f.lower.Rewrite(p, off)
}

// Truncate implements vfs.File.
func (f *file) Truncate(size int64) error {
	ino, err := f.writable()
	if err != nil {
		return err
	}
	if ino != nil {
		defer f.fs.changed(ino, size, math.MaxInt64, true)
	}
	return f.lower.Truncate(size)
}

// writable returns the inode of a handle that may write. It is nil if the
// handle may not: the storage refuses by itself, and is not asked anything
// before. Whatever comes of a write, failures and vfs.ErrAgain included, it may
// have been carried out in part, or may be yet.
func (f *file) writable() (*inode, error) {
	if f.mode != vfs.Append {
		return nil, nil
	}
	return f.open()
}

// Sync implements vfs.File.
func (f *file) Sync() error { return f.lower.Sync() }

// Close implements vfs.File. The pages of a file go with its last handle,
// before the storage can give the number of the inode to another file.
func (f *file) Close() error {
	if !f.detach() {
		return nil
	}
	return f.lower.Close()
}

// detach takes the handle from its inode, once.
func (f *file) detach() bool {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return false
	}
	f.closed = true
	if ino := f.ino.Swap(nil); ino != nil {
		for _, fl := range f.asked {
			ino.forget(fl)
		}
		f.fs.release(ino)
	}
	f.asked = nil
	return true
}

// Advise implements vfs.Adviser. A handle that is not open yet is not opened
// for it: it knows no file that could be settled, but remembers doubts.
func (f *file) Advise(a vfs.Advice, off, n int64) {
	if off < 0 || n <= 0 {
		return
	}
	end := off + n
	if end < off {
		end = math.MaxInt64
	}
	switch a {
	case vfs.Settled:
		if ino := f.ino.Load(); ino != nil {
			f.fs.settle(ino, off, end)
		}
	case vfs.Doubted:
		f.doubt(off, end)
	case vfs.WillNeed:
		f.willNeed(off, end)
	}
}

func (f *file) doubt(off, end int64) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if ino := f.ino.Load(); ino != nil {
		f.fs.doubt(ino, off, end)
	} else {
		f.early.add(off, end)
	}
}

// willNeed tells the storage what the cache will ask for, which is more than
// the caller will.
func (f *file) willNeed(off, end int64) {
	ino, st := f.ino.Load(), &state{}
	if ino != nil {
		st = ino.state.Load()
	}
	if end > st.limit {
		f.fs.mu.Lock()
		defer f.fs.mu.Unlock()
		f.hasty.add(max(off, st.limit), end)
		return
	}
	if end-off > int64(f.fs.most) || f.fs.pages.have(ino, off, int(end-off)) {
		return
	}
	if lo, hi := f.span(st, off, end); lo < off || end < hi {
		vfs.Advise(f.lower, vfs.WillNeed, lo, hi-lo)
	}
}
