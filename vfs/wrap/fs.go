package wrap

import (
	"io/fs"
	"iter"

	"github.com/durusdb/durus/vfs"
)

// FS is a storage with a function before each of its operations. It is safe
// for use by many goroutines if the function is.
type FS struct {
	lower vfs.FS
	do    func(*Call)
}

var _ vfs.FS = (*FS)(nil)

// New returns lower with do before each operation. do runs on the goroutine of
// the caller, who holds whatever locks he holds; many may run at once.
func New(lower vfs.FS, do func(*Call)) *FS { return &FS{lower, do} }

// on returns a call of an operation on a name.
func (w *FS) on(op Op, name string) *Call {
	c := newCall(op, name)
	c.fs = w.lower
	return c
}

// plain runs an operation that answers with nothing but an error.
func (w *FS) plain(c *Call) error {
	w.do(c)
	err := c.Err
	c.free()
	return err
}

// Props implements vfs.FS.
func (w *FS) Props(name string) vfs.Props {
	c := w.on(Props, name)
	w.do(c)
	p := c.Props
	c.free()
	return p
}

// Open implements vfs.FS.
func (w *FS) Open(name string, mode vfs.Mode) vfs.File {
	lower := w.lower.Open(name, mode)
	f := &file{fs: w, name: name, mode: mode, lower: lower, done: make(chan struct{}), closed: make(chan struct{})}
	a, isAsync := lower.(vfs.Async)
	_, isMapper := lower.(vfs.Mapper)
	switch {
	case isAsync && isMapper:
		return &asyncMappedFile{asyncFile{f, a}, mapped{f}}
	case isAsync:
		return &asyncFile{f, a}
	case isMapper:
		return &mappedFile{f, mapped{f}}
	}
	return f
}

// Create implements vfs.FS.
func (w *FS) Create(name string, mode vfs.CreateMode, perm fs.FileMode) vfs.Writer {
	lower := w.lower.Create(name, mode, perm)
	wr := &writer{fs: w, name: name, lower: lower}
	if r, ok := lower.(vfs.Ready); ok {
		return &asyncWriter{wr, r}
	}
	return wr
}

// Stat implements vfs.FS.
func (w *FS) Stat(name string) (vfs.Info, error) {
	c := w.on(Stat, name)
	w.do(c)
	info, err := c.Info, c.Err
	c.free()
	return info, err
}

// List implements vfs.FS. It asks for all names before it yields the first.
func (w *FS) List(prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		c := w.on(List, prefix)
		w.do(c)
		names, err := c.Names, c.Err
		c.free()
		for _, name := range names {
			if !yield(name, nil) {
				return
			}
		}
		if err != nil {
			yield("", err)
		}
	}
}

// Remove implements vfs.FS.
func (w *FS) Remove(name string) error { return w.plain(w.on(Remove, name)) }

// Rename implements vfs.FS.
func (w *FS) Rename(old, name string) error {
	c := w.on(Rename, old)
	c.Path = name
	return w.plain(c)
}

// SyncDir implements vfs.FS.
func (w *FS) SyncDir(name string) error { return w.plain(w.on(SyncDir, name)) }

// Resolve implements vfs.FS.
func (w *FS) Resolve(name string) (string, error) {
	c := w.on(Resolve, name)
	w.do(c)
	path, err := c.Path, c.Err
	c.free()
	return path, err
}

// Locker implements vfs.FS.
func (w *FS) Locker(name string, data vfs.File, mode vfs.Mode, perm fs.FileMode) vfs.Locker {
	lower := w.lower.Locker(name, w.below(data), mode, perm)
	return &locker{fs: w, name: name, lower: lower, closed: make(chan struct{})}
}

// below returns the lower file of the one of this FS that f is or wraps, so
// that the storage below meets a file that it knows; f itself if there is none.
func (w *FS) below(f vfs.File) vfs.File {
	for g := f; ; {
		if h, ok := g.(interface{ handle() *file }); ok && h.handle().fs == w {
			return h.handle().lower
		}
		u, ok := g.(interface{ Unwrap() vfs.File })
		if !ok {
			return f
		}
		g = u.Unwrap()
	}
}
