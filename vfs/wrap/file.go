package wrap

import (
	"sync/atomic"

	"github.com/durusdb/durus/vfs"
)

// changes are the operations that a handle needs the mode vfs.Append for.
const changes = Append | Rewrite | Truncate | Sync

// file is a vfs.File. The variants below add what the lower one can do besides.
type file struct {
	fs    *FS
	name  string
	mode  vfs.Mode
	lower vfs.File

	opening atomic.Bool   // somebody makes the Open call, or has made it
	err     error         // of it; written before opened is set
	opened  atomic.Bool   // the call has ended; who reads it stale looks at done
	done    chan struct{} // closed with it: those wait that come meanwhile

	ended  atomic.Bool   // Close was called
	closed chan struct{} // closed by it
}

var _ vfs.File = (*file)(nil)

// handle finds the file in its variants.
func (f *file) handle() *file { return f }

// Unwrap returns the file below.
func (f *file) Unwrap() vfs.File { return f.lower }

func (f *file) call(op Op) *Call {
	c := newCall(op, f.name)
	c.File, c.closed = f.lower, f.closed
	return c
}

// open makes the Open call, once, and returns its error.
func (f *file) open() error {
	if f.opened.Load() {
		return f.err
	}
	if f.opening.Swap(true) {
		<-f.done
		return f.err
	}
	defer func() { // also if the function ends the goroutine
		f.opened.Store(true)
		close(f.done)
	}()
	c := f.call(Open)
	f.fs.do(c)
	f.err = c.Err
	c.free()
	return f.err
}

// do runs a call. The storage below refuses by itself what the handle may not
// do any more, or never might.
func (f *file) do(c *Call) {
	if f.ended.Load() || f.mode == vfs.ReadOnly && changes.Has(c.Op) {
		c.Next()
		return
	}
	if c.Err = f.open(); c.Err == nil {
		f.fs.do(c)
	}
}

func (f *file) plain(c *Call) error {
	f.do(c)
	err := c.Err
	c.free()
	return err
}

// transfer runs an operation that reads or writes bytes.
func (f *file) transfer(op Op, p []byte, off int64) (int, error) {
	c := f.call(op)
	c.Data, c.Off = p, off
	f.do(c)
	n, err := c.N, c.Err
	c.free()
	return n, err
}

func (f *file) ReadAt(p []byte, off int64) (int, error) { return f.transfer(Read, p, off) }

func (f *file) Append(p []byte, end int64) (int, error) { return f.transfer(Append, p, end) }

func (f *file) Rewrite(p []byte, off int64) (int, error) { return f.transfer(Rewrite, p, off) }

func (f *file) info(op Op) (vfs.Info, error) {
	c := f.call(op)
	f.do(c)
	info, err := c.Info, c.Err
	c.free()
	return info, err
}

func (f *file) Stat() (vfs.Info, error) { return f.info(FileStat) }

func (f *file) Size() (int64, error) {
	info, err := f.info(Size)
	return info.Size, err
}

func (f *file) Truncate(size int64) error {
	c := f.call(Truncate)
	c.Off = size
	return f.plain(c)
}

func (f *file) Sync() error { return f.plain(f.call(Sync)) }

// Close always reaches the file below: a close that fails ends the handle all
// the same.
func (f *file) Close() error {
	if f.ended.Swap(true) {
		return nil
	}
	close(f.closed)
	c := f.call(Close)
	c.closed = nil
	f.fs.do(c)
	err, ran := c.Err, c.ran
	c.free()
	if !ran {
		if lower := f.lower.Close(); err == nil {
			err = lower
		}
	}
	return err
}

// asyncFile is a file of an asynchronous storage.
type asyncFile struct {
	*file
	async vfs.Async
}

var _ vfs.Async = (*asyncFile)(nil)

func (f *asyncFile) OnReady(fn func()) { f.async.OnReady(fn) }

func (f *asyncFile) OnOpen(fn func(err error)) {
	if !f.ended.Load() {
		if err := f.open(); err != nil {
			fn(err)
			return
		}
	}
	f.async.OnOpen(fn)
}

// mapped makes a file a vfs.Mapper.
type mapped struct{ f *file }

func (m mapped) Map(off int64, n int) (b []byte, unmap func() error, err error) {
	c := m.f.call(Map)
	c.Off, c.N = off, n
	m.f.do(c)
	b, unmap, err = c.Data, c.unmap, c.Err
	c.free()
	if err != nil && unmap != nil { // it was done and is reported as failed
		_ = unmap() // the error that counts is the one before
	}
	if err != nil {
		return nil, nil, err
	}
	return b, unmap, nil
}

// mappedFile is a file that can be mapped.
type mappedFile struct {
	*file
	mapped
}

// asyncMappedFile is both.
type asyncMappedFile struct {
	asyncFile
	mapped
}

var (
	_ vfs.Mapper = (*mappedFile)(nil)
	_ vfs.Mapper = (*asyncMappedFile)(nil)
	_ vfs.Async  = (*asyncMappedFile)(nil)
)
