package main

import (
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/durusdb/durus/vfs"
)

// Storage is a complete back end: files in a map. It has no locks, and says so;
// durus then lets one handle write and any number read. It is safe for use by
// many goroutines.
type Storage struct {
	mu    sync.Mutex // guards everything, the bytes of all files included
	files map[string]*object
	last  uint64 // number of the newest file
}

// object is a file, whatever its name: who has it open keeps it when the name
// goes, or leads to another one.
type object struct {
	id    uint64
	data  []byte
	perm  fs.FileMode
	links uint64
}

var _ vfs.FS = (*Storage)(nil)

// NewStorage returns an empty storage.
func NewStorage() *Storage { return &Storage{files: map[string]*object{}} }

// Props tells callers what they may rely on. They decide by this alone.
func (s *Storage) Props(string) vfs.Props {
	return vfs.Props{
		Append:          true, // files can grow
		AtomicReplace:   true, // Commit changes a map entry under the mutex
		ConditionalPut:  true, // and looks before it does
		StableSize:      true,
		ReliableListing: true,
		Kind:            "a map",
	}
}

// Open does nothing at all: the file is looked for when it is first used.
func (s *Storage) Open(name string, mode vfs.Mode) vfs.File {
	return &file{s: s, name: name, mode: mode}
}

// Create does nothing either.
func (s *Storage) Create(name string, mode vfs.CreateMode, perm fs.FileMode) vfs.Writer {
	return &writer{s: s, name: name, mode: mode, perm: perm.Perm()}
}

// Stat describes the file of a name.
func (s *Storage) Stat(name string) (vfs.Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.files[name]
	if o == nil {
		return vfs.Info{}, failed("stat", name, fs.ErrNotExist)
	}
	return o.info(), nil
}

// List yields the names that begin with prefix and lie in its directory.
func (s *Storage) List(prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		s.mu.Lock()
		names := slices.Sorted(maps.Keys(s.files))
		s.mu.Unlock()
		for _, name := range names {
			rest, ok := strings.CutPrefix(name, prefix)
			if ok && !strings.Contains(rest, "/") && !yield(name, nil) {
				return
			}
		}
	}
}

// Remove takes a name away.
func (s *Storage) Remove(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.files[name]
	if o == nil {
		return failed("remove", name, fs.ErrNotExist)
	}
	o.links--
	delete(s.files, name)
	return nil
}

// Rename gives a file another name, which it takes from the file that has it.
func (s *Storage) Rename(old, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.files[old]
	if o == nil {
		return failed("rename", old, fs.ErrNotExist)
	}
	if there := s.files[name]; there != nil && there != o {
		there.links-- // who has it open keeps its bytes
	}
	delete(s.files, old)
	s.files[name] = o
	return nil
}

// SyncDir has nothing to do: a map survives nothing, and a name in it is as safe
// as it will ever be. A back end on a disk makes the name durable here.
func (s *Storage) SyncDir(string) error { return nil }

// Resolve gives every file one spelling.
func (s *Storage) Resolve(name string) (string, error) {
	if name == "" {
		return "", failed("resolve", name, fs.ErrNotExist)
	}
	return path.Clean("/" + name), nil
}

// Locker answers that there are no locks.
func (s *Storage) Locker(name string, _ vfs.File, _ vfs.Mode, _ fs.FileMode) vfs.Locker {
	return vfs.NoLocker(name)
}

func (o *object) info() vfs.Info {
	return vfs.Info{ID: vfs.FileID{Dev: 1, Ino: o.id}, Size: int64(len(o.data)), Links: o.links, Perm: o.perm}
}

// writer collects bytes; nobody sees them before Commit.
type writer struct {
	s    *Storage
	name string
	mode vfs.CreateMode
	perm fs.FileMode
	data []byte
	err  error // of Commit; it stays
	done bool
}

func (w *writer) Write(p []byte) (int, error) {
	if w.done {
		return 0, failed("write", w.name, vfs.ErrClosed)
	}
	w.data = append(w.data, p...)
	return len(p), nil
}

func (w *writer) Commit() error {
	if w.done {
		if w.err == nil {
			return failed("commit", w.name, vfs.ErrClosed)
		}
		return w.err
	}
	w.done = true
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	old := w.s.files[w.name]
	if old != nil && w.mode == vfs.FailIfExists {
		w.err = failed("commit", w.name, fs.ErrExist)
		return w.err
	}
	if old != nil {
		old.links-- // who has it open keeps its bytes
	}
	w.s.last++
	w.s.files[w.name] = &object{id: w.s.last, data: w.data, perm: w.perm, links: 1}
	return nil
}

func (w *writer) Abort() error {
	w.done, w.data = true, nil
	return nil
}

// file is a handle.
type file struct {
	s    *Storage
	name string
	mode vfs.Mode

	// Guarded by s.mu.
	o      *object // nil until the first use
	err    error   // why it could not be opened; it stays
	closed bool
}

// use runs f on the open file. Every operation goes through it: it opens the
// file, holds the mutex, and keeps the mode.
func (f *file) use(op string, writes bool, do func(o *object) error) error {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	switch {
	case f.closed:
		return failed(op, f.name, vfs.ErrClosed)
	case writes && f.mode != vfs.Append:
		return failed(op, f.name, vfs.ErrMode)
	case f.err != nil:
		return f.err
	case f.o == nil:
		if f.o = f.s.files[f.name]; f.o == nil {
			f.err = failed("open", f.name, fs.ErrNotExist)
			return f.err
		}
	}
	return failed(op, f.name, do(f.o))
}

func (f *file) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.use("read", false, func(o *object) error {
		if off < 0 {
			return syscall.EINVAL
		}
		if off < int64(len(o.data)) {
			n = copy(p, o.data[off:])
		}
		if n < len(p) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

func (f *file) Size() (int64, error) {
	info, err := f.Stat()
	return info.Size, err
}

func (f *file) Stat() (info vfs.Info, err error) {
	err = f.use("stat", false, func(o *object) error { info = o.info(); return nil })
	return info, err
}

func (f *file) Append(p []byte, end int64) (int, error)  { return f.write("append", p, end) }
func (f *file) Rewrite(p []byte, off int64) (int, error) { return f.write("rewrite", p, off) }

func (f *file) write(op string, p []byte, off int64) (n int, err error) {
	err = f.use(op, true, func(o *object) error {
		if off < 0 {
			return syscall.EINVAL
		}
		o.resize(max(int64(len(o.data)), off+int64(len(p))))
		n = copy(o.data[off:], p)
		return nil
	})
	return n, err
}

func (f *file) Truncate(size int64) error {
	return f.use("truncate", true, func(o *object) error {
		if size < 0 {
			return syscall.EINVAL
		}
		o.resize(size)
		return nil
	})
}

// resize cuts the file or adds zeros.
func (o *object) resize(size int64) {
	if grow := size - int64(len(o.data)); grow > 0 {
		o.data = append(o.data, make([]byte, grow)...)
	}
	o.data = o.data[:size]
}

// Sync returns when the bytes are as safe as they can be.
func (f *file) Sync() error {
	return f.use("sync", true, func(*object) error { return nil })
}

func (f *file) Close() error {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	f.closed = true
	return nil
}

// failed says what was tried with which name. io.EOF is no failure.
func failed(op, name string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return fmt.Errorf("backend: %s %s: %w", op, name, err)
}
