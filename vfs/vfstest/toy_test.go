package vfstest

import (
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/durusdb/durus/vfs"
)

// toy is the smallest storage that can be: objects by name, which do not change
// once they are there. It has neither locks nor growing files. // B6, B9
type toy struct {
	claims vfs.Props
	mu     sync.Mutex // guards the rest, and the links of all objects
	all    map[string]*object
	last   uint64
}

type object struct {
	data []byte
	info vfs.Info
}

func newToy(claims vfs.Props) *toy { return &toy{claims: claims, all: map[string]*object{}} }

func (t *toy) Props(string) vfs.Props { return t.claims }

func (t *toy) Open(name string, mode vfs.Mode) vfs.File {
	return &toyFile{t: t, name: name, mode: mode}
}

func (t *toy) Create(name string, mode vfs.CreateMode, perm fs.FileMode) vfs.Writer {
	return &toyWriter{t: t, name: name, mode: mode, perm: perm}
}

func (t *toy) Locker(name string, _ vfs.File, _ vfs.Mode, _ fs.FileMode) vfs.Locker {
	return vfs.NoLocker(name)
}

// Rename is not atomic: a toy does not claim so.
func (t *toy) Rename(old, name string) error {
	o, err := t.get("rename", old)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if there := t.all[path.Clean("/"+name)]; there != nil && there != o {
		there.info.Links = 0
	}
	delete(t.all, path.Clean("/"+old))
	t.all[path.Clean("/"+name)] = o
	return nil
}

func (t *toy) SyncDir(string) error                { return nil }
func (t *toy) Resolve(name string) (string, error) { return path.Clean("/" + name), nil }

// get returns the object of a name.
func (t *toy) get(op, name string) (*object, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o := t.all[path.Clean("/"+name)]; o != nil {
		return o, nil
	}
	return nil, toyError(op, name, fs.ErrNotExist)
}

func toyError(op, name string, err error) error { return fmt.Errorf("toy: %s %s: %w", op, name, err) }

func (t *toy) Stat(name string) (vfs.Info, error) {
	o, err := t.get("stat", name)
	if err != nil {
		return vfs.Info{}, err
	}
	return t.stat(o), nil
}

func (t *toy) stat(o *object) vfs.Info {
	t.mu.Lock()
	defer t.mu.Unlock()
	return o.info
}

func (t *toy) List(prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		t.mu.Lock()
		var names []string
		for name := range t.all {
			if rest, ok := strings.CutPrefix(name, prefix); ok && !strings.Contains(rest, "/") {
				names = append(names, name)
			}
		}
		t.mu.Unlock()
		slices.Sort(names)
		for _, name := range names {
			if !yield(name, nil) {
				return
			}
		}
	}
}

func (t *toy) Remove(name string) error {
	o, err := t.get("remove", name)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all[path.Clean("/"+name)] != o {
		return toyError("remove", name, fs.ErrNotExist)
	}
	o.info.Links = 0
	delete(t.all, path.Clean("/"+name))
	return nil
}

// toyFile is a handle on an object.
type toyFile struct {
	t    *toy
	name string
	mode vfs.Mode

	mu     sync.Mutex // guards what follows
	o      *object
	err    error
	closed bool
}

func (f *toyFile) open(op string) (*object, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, toyError(op, f.name, vfs.ErrClosed)
	}
	if f.o == nil && f.err == nil {
		f.o, f.err = f.t.get("open", f.name)
	}
	return f.o, f.err
}

func (f *toyFile) ReadAt(p []byte, off int64) (int, error) {
	o, err := f.open("read")
	if err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, toyError("read", f.name, fs.ErrInvalid)
	}
	n := copy(p, o.data[min(off, int64(len(o.data))):])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *toyFile) Size() (int64, error) {
	info, err := f.Stat()
	return info.Size, err
}

func (f *toyFile) Stat() (vfs.Info, error) {
	o, err := f.open("stat")
	if err != nil {
		return vfs.Info{}, err
	}
	return f.t.stat(o), nil
}

// change refuses whatever would change the object.
func (f *toyFile) change(op string) error {
	if f.mode != vfs.Append {
		return toyError(op, f.name, vfs.ErrMode)
	}
	if _, err := f.open(op); err != nil {
		return err
	}
	return toyError(op, f.name, vfs.ErrNotSupported)
}

func (f *toyFile) Append([]byte, int64) (int, error)  { return 0, f.change("append") }
func (f *toyFile) Rewrite([]byte, int64) (int, error) { return 0, f.change("rewrite") }
func (f *toyFile) Truncate(int64) error               { return f.change("truncate") }
func (f *toyFile) Sync() error                        { return f.change("sync") }

func (f *toyFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

// toyWriter collects an object.
type toyWriter struct {
	t    *toy
	name string
	mode vfs.CreateMode
	perm fs.FileMode
	data []byte
	done bool
	err  error
}

func (w *toyWriter) Write(p []byte) (int, error) {
	if w.done {
		return 0, toyError("write", w.name, vfs.ErrClosed)
	}
	w.data = append(w.data, p...)
	return len(p), nil
}

func (w *toyWriter) Commit() error {
	if w.done {
		return w.err
	}
	w.done = true
	w.err = toyError("commit", w.name, vfs.ErrClosed) // what a second Commit finds
	w.t.mu.Lock()
	defer w.t.mu.Unlock()
	name := path.Clean("/" + w.name)
	old := w.t.all[name]
	if old != nil && w.mode == vfs.FailIfExists {
		w.err = toyError("commit", w.name, fs.ErrExist)
		return w.err
	}
	if old != nil {
		old.info.Links = 0
	}
	w.t.last++
	w.t.all[name] = &object{w.data, vfs.Info{ID: vfs.FileID{Dev: 1, Ino: w.t.last}, Size: int64(len(w.data)), Links: 1, Perm: w.perm}}
	return nil
}

func (w *toyWriter) Abort() error {
	if !w.done {
		w.done, w.err = true, toyError("commit", w.name, vfs.ErrClosed)
	}
	return nil
}

// A storage that can do little passes, whether or not it says what it can.
func TestToy(t *testing.T) {
	t.Run("all that it can", func(t *testing.T) {
		Run(t, func(testing.TB) Env {
			return Env{FS: newToy(vfs.Props{AtomicReplace: true, ConditionalPut: true, StableSize: true, ReliableListing: true}), Dir: "/toy"}
		})
	})
	t.Run("nothing claimed", func(t *testing.T) {
		Run(t, func(testing.TB) Env { return Env{FS: newToy(vfs.Props{}), Dir: "/toy"} })
	})
}
