package posix

import (
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/durusdb/durus/vfs"
)

// file is a vfs.File, opened at its first use.
type file struct {
	name string
	mode vfs.Mode

	// f is set once, under mu, and stays after Close. Reading it without mu is
	// safe: nil means "ask under mu", and os.File answers a call after its Close
	// with os.ErrClosed, never with another file's bytes.
	// conn belongs to f and is set before it.
	f    atomic.Pointer[os.File]
	conn syscall.RawConn

	mu     sync.Mutex // guards err and closed, and the opening
	err    error      // why it could not be opened; it stays
	closed bool
}

// open returns the open file.
func (f *file) open() (*os.File, error) {
	if h := f.f.Load(); h != nil {
		return h, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if h := f.f.Load(); h != nil {
		return h, nil
	}
	if f.closed {
		return nil, fail("open", f.name, vfs.ErrClosed)
	}
	if f.err != nil {
		return nil, f.err
	}
	h, err := openRegular(f.name, f.mode == vfs.Append)
	if err == nil {
		f.conn, err = h.SyscallConn()
	}
	if err != nil {
		f.err = fail("open", f.name, err)
		return nil, f.err
	}
	f.f.Store(h)
	return h, nil
}

// writable returns the open file if it may be written.
func (f *file) writable(op string) (*os.File, error) {
	if f.mode != vfs.Append {
		return nil, fail(op, f.name, vfs.ErrMode)
	}
	return f.open()
}

// ReadAt implements vfs.File. os.File.ReadAt is pread until p is full.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	h, err := f.open()
	if err != nil {
		return 0, err
	}
	n, err := h.ReadAt(p, off)
	if err == nil || err == io.EOF {
		return n, err
	}
	return n, fail("read", f.name, err)
}

// Size implements vfs.File. The cursor that it moves is used by nobody.
func (f *file) Size() (int64, error) {
	h, err := f.open()
	if err != nil {
		return 0, err
	}
	n, err := h.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, fail("seek to the end of", f.name, err)
	}
	return n, nil
}

// Stat implements vfs.File.
func (f *file) Stat() (vfs.Info, error) {
	h, err := f.open()
	if err != nil {
		return vfs.Info{}, err
	}
	info, err := statFile(h)
	return info, fail("stat", f.name, err)
}

// Append implements vfs.File.
func (f *file) Append(p []byte, end int64) (int, error) { return f.write("append to", p, end) }

// Rewrite implements vfs.File.
func (f *file) Rewrite(p []byte, off int64) (int, error) { return f.rewrite(p, off) }

// write is pwrite until p is written or nothing goes any more. It is not
// os.File.WriteAt, which forgets what it has written before an error.
func (f *file) write(op string, p []byte, off int64) (int, error) {
	if _, err := f.writable(op); err != nil {
		return 0, err
	}
	n, err := writeAt(f.conn, p, off)
	if err != nil {
		return n, fail(op, f.name, err)
	}
	return n, nil
}

// Truncate implements vfs.File.
func (f *file) Truncate(size int64) error {
	h, err := f.writable("truncate")
	if err != nil {
		return err
	}
	return fail("truncate", f.name, h.Truncate(size))
}

// Sync implements vfs.File.
func (f *file) Sync() error {
	h, err := f.writable("sync")
	if err != nil {
		return err
	}
	return fail("sync", f.name, syncData(h))
}

// SyscallConn gives the lock file our descriptor, to lock it.
func (f *file) SyscallConn() (syscall.RawConn, error) {
	if _, err := f.open(); err != nil {
		return nil, err
	}
	return f.conn, nil
}

// Close implements vfs.File. A second Close does nothing.
func (f *file) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	if h := f.f.Load(); h != nil {
		return fail("close", f.name, h.Close())
	}
	return nil
}
