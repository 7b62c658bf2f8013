//go:build unix

package posix

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs"
)

// A1, A2: Open does no I/O; its error comes with the first use and stays.
func TestOpenIsLazy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	f := opened(t, path, vfs.Append)
	put(t, path, "later") // after Open, before the first use
	if n, err := f.Size(); n != 5 || err != nil {
		t.Fatalf("Size = %d, %v", n, err)
	}

	missing := opened(t, path+".missing", vfs.Append)
	_, first := missing.Size()
	if !errors.Is(first, fs.ErrNotExist) || !strings.Contains(first.Error(), path+".missing") {
		t.Fatalf("Size: %v", first)
	}
	put(t, path+".missing", "too late")
	if _, err := missing.ReadAt(make([]byte, 1), 0); err != first {
		t.Fatalf("the error did not stay: %v", err)
	}
}

// A8: ReadAt is pread, from many goroutines, short only at the end.
func TestReadAt(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	path := filepath.Join(t.TempDir(), "x")
	model := make([]byte, 100_000)
	for i := range model {
		model[i] = byte(i * 31 >> 3)
	}
	put(t, path, string(model))
	f := opened(t, path, vfs.ReadOnly)
	var wg sync.WaitGroup
	for g := range 16 {
		rnd := rand.New(rand.NewPCG(seed, uint64(g)))
		wg.Go(func() {
			for range 300 {
				off, size := rnd.IntN(len(model)+10), rnd.IntN(5000)
				p := make([]byte, size)
				n, err := f.ReadAt(p, int64(off))
				want := model[min(off, len(model)):min(off+size, len(model))]
				if !bytes.Equal(p[:n], want) || (n < size) != (err == io.EOF) || err != nil && err != io.EOF {
					t.Errorf("ReadAt(%d bytes, %d) = %d, %v; want %d", size, off, n, err, len(want))
				}
			}
		})
	}
	wg.Wait()
}

func TestAppendRewriteTruncate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	put(t, path, "")
	f, reader := opened(t, path, vfs.Append), opened(t, path, vfs.ReadOnly)
	mustWrite := func(n int, err error) {
		t.Helper()
		if n != 5 || err != nil {
			t.Fatalf("wrote %d, %v", n, err)
		}
	}
	mustWrite(f.Append([]byte("hello"), 0))
	mustWrite(f.Append([]byte("world"), 5))
	mustWrite(f.Rewrite([]byte("HELLO"), 0))
	if n, err := reader.Size(); n != 10 || err != nil {
		t.Fatalf("another handle sees %d, %v", n, err)
	}
	if err := errors.Join(f.Sync(), f.Truncate(7)); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 10)
	if n, err := reader.ReadAt(p, 0); err != io.EOF || string(p[:n]) != "HELLOwo" {
		t.Fatalf("%q, %v", p[:n], err)
	}
	info, err := f.Stat()
	byName, err2 := New().Stat(path)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	want := vfs.Info{ID: info.ID, Size: 7, Links: 1, Perm: 0o600}
	if info != want || byName != want || info.ID == (vfs.FileID{}) {
		t.Fatalf("%+v, by name %+v", info, byName)
	}
	if err := New().Remove(path); err != nil {
		t.Fatal(err)
	}
	if info, err := f.Stat(); err != nil || info.Links != 0 {
		t.Fatalf("removed: %+v, %v", info, err)
	}
	if _, err := New().Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Stat of a removed name: %v", err)
	}
	if err := New().Remove(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Remove of a removed name: %v", err)
	}
}

// A21: the mode of a handle is enforced.
func TestModeAndClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	put(t, path, "bytes")
	r := opened(t, path, vfs.ReadOnly)
	_, errA := r.Append([]byte("x"), 5)
	_, errR := r.Rewrite([]byte("x"), 0)
	for _, err := range []error{errA, errR, r.Truncate(0), r.Sync()} {
		if !errors.Is(err, vfs.ErrMode) {
			t.Errorf("%v, want ErrMode", err)
		}
	}
	f := New().Open(path, vfs.Append)
	if _, err := f.Size(); err != nil {
		t.Fatal(err)
	}
	never := New().Open(path, vfs.Append)
	for _, f := range []vfs.File{f, never} {
		if err := errors.Join(f.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
		_, errS := f.Size()
		_, errR := f.ReadAt(make([]byte, 1), 0)
		_, errW := f.Append([]byte("x"), 5)
		_, errI := f.Stat()
		for _, err := range []error{errS, errR, errW, errI, f.Truncate(0), f.Sync()} {
			if !errors.Is(err, vfs.ErrClosed) {
				t.Errorf("%v, want ErrClosed", err)
			}
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "bytes" {
		t.Fatalf("%q, %v", got, err)
	}
}

// Security, Files: only regular files, no link is followed, a FIFO does not block.
func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "target"), "secret")
	plants := map[string]func(path string) error{
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"symlink":   func(path string) error { return os.Symlink("target", path) },
		"dangling":  func(path string) error { return os.Symlink("nothing", path) },
		"fifo":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
	}
	types := map[string]fs.FileMode{
		"directory": fs.ModeDir, "symlink": fs.ModeSymlink, "dangling": fs.ModeSymlink, "fifo": fs.ModeNamedPipe,
	}
	for name, plant := range plants {
		path := filepath.Join(dir, name)
		if err := plant(path); err != nil {
			t.Fatal(err)
		}
		for _, mode := range []vfs.Mode{vfs.ReadOnly, vfs.Append} {
			_, err := opened(t, path, mode).Size()
			if !errors.Is(err, vfs.ErrNotRegular) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s, mode %d: %v", name, mode, err)
			}
		}
		if info, err := New().Stat(path); err != nil || info.Type != types[name] {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
		w := New().Create(path, vfs.ReplaceIfExists, 0o600)
		if err := w.Commit(); !errors.Is(err, vfs.ErrNotRegular) {
			t.Errorf("%s was replaced: %v", name, err)
		}
		w = New().Create(path, vfs.FailIfExists, 0o600)
		if err := w.Commit(); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s was overwritten: %v", name, err)
		}
	}
	mustHold(t, dir, "dangling", "directory", "fifo", "symlink", "target")
	if info, err := New().Stat("/dev/null"); err != nil || info.Type&fs.ModeDevice == 0 {
		t.Errorf("/dev/null: %+v, %v", info, err)
	}
}

func TestResolve(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	in := func(names ...string) string { return filepath.Join(append([]string{dir}, names...)...) }
	put(t, in("file"), "")
	for _, err := range []error{
		os.MkdirAll(in("a", "b"), 0o700),
		os.Symlink("file", in("link")),
		os.Symlink("a/b", in("dirlink")),
		os.Symlink("nowhere", in("dangling")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	put(t, in("a", "x"), "")
	t.Chdir(dir)
	for name, want := range map[string]string{
		"file":                in("file"),
		"./a/../file":         in("file"),
		in("link"):            in("file"),
		"dirlink/../x":        in("a", "x"), // the parent of a/b, as the system sees it
		"new":                 in("new"),
		"dirlink/new":         in("a", "b", "new"),
		in("dirlink") + "/..": in("a"),
	} {
		if got, err := New().Resolve(name); got != want || err != nil {
			t.Errorf("Resolve(%q) = %q, %v; want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"", "dangling", "no/such", "no/.."} {
		if got, err := New().Resolve(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Resolve(%q) = %q, %v; want ErrNotExist", name, got, err)
		}
	}
}

func TestSyncDir(t *testing.T) {
	dir := t.TempDir()
	if err := New().SyncDir(filepath.Join(dir, "x")); err != nil {
		t.Fatal(err)
	}
	if err := New().SyncDir(filepath.Join(dir, "gone", "x")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("SyncDir: %v", err)
	}
}

// F6: every way of having no room is ENOSPC; causes stay visible.
func TestErrors(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		err := fail("append to", "/db", &fs.PathError{Op: "write", Path: "/db", Err: cause})
		if !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, cause) || strings.Count(err.Error(), "/db") != 1 {
			t.Errorf("%v: %v", cause, err)
		}
	}
	for cause, want := range map[error]error{
		syscall.EROFS:  syscall.EROFS,
		syscall.EACCES: fs.ErrPermission,
		syscall.ENOENT: fs.ErrNotExist,
		syscall.EEXIST: fs.ErrExist,
		syscall.EMFILE: syscall.EMFILE,
		os.ErrClosed:   vfs.ErrClosed,
	} {
		err := fail("open", "/db", &os.LinkError{Op: "link", Old: "a", New: "b", Err: cause})
		if !errors.Is(err, want) || errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "/db") {
			t.Errorf("%v: %v", cause, err)
		}
	}
	if err := fail("open", "/db", nil); err != nil {
		t.Error(err)
	}
}

// The lock file of a file of this package, end to end, and of a foreign one.
func TestLocker(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	put(t, path, "bytes")
	a, b := opened(t, path, vfs.Append), opened(t, path, vfs.Append)
	la, lb := New().Locker(path+".lock", a, vfs.Append, 0o600), New().Locker(path+".lock", b, vfs.Append, 0o600)
	defer la.Close()
	defer lb.Close()
	if err := la.Lock(context.Background()); err != nil {
		t.Fatal(err)
	}
	if ok, err := lb.TryLock(); ok || err != nil {
		t.Fatalf("TryLock = %v, %v", ok, err)
	}
	if err := la.Unlock(); err != nil {
		t.Fatal(err)
	}
	if ok, err := lb.TryLock(); !ok || err != nil {
		t.Fatalf("TryLock = %v, %v", ok, err)
	}
	missing := New().Locker(path+".lock", opened(t, path+".gone", vfs.Append), vfs.Append, 0o600)
	defer missing.Close()
	if err := missing.Lock(context.Background()); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Lock without a data file: %v", err)
	}
	foreign := New().Locker(path+".lock", nil, vfs.Append, 0o600)
	defer foreign.Close()
	if err := foreign.Lock(context.Background()); !errors.Is(err, vfs.ErrNotSupported) {
		t.Fatalf("Lock for a foreign file: %v", err)
	}
}

// F23: local files are not remote, neither are names that do not exist yet.
func TestRemote(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "x"), "")
	for _, name := range []string{"x", "new"} {
		p := New().Props(filepath.Join(dir, name))
		if !p.Locks || !p.Append || p.Remote != (p.Kind != "") || p.StableSize == p.Remote {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if p := New().Props(filepath.Join(dir, "gone", "x")); p.Remote {
		t.Errorf("no directory: %+v", p)
	}
}

// The hot paths allocate nothing.
func TestNoAllocations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	put(t, path, "bytes")
	f := opened(t, path, vfs.Append)
	p := make([]byte, 5)
	n := testing.AllocsPerRun(100, func() {
		_, errS := f.Size()
		_, errR := f.ReadAt(p, 0)
		_, errW := f.Append(p, 5)
		if errS != nil || errR != nil || errW != nil {
			t.Error(fmt.Errorf("%v %v %v", errS, errR, errW))
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSize(b *testing.B) {
	path := filepath.Join(b.TempDir(), "x")
	put(b, path, "bytes")
	f := opened(b, path, vfs.ReadOnly)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Size(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadAt(b *testing.B) {
	path := filepath.Join(b.TempDir(), "x")
	put(b, path, strings.Repeat("x", 4096))
	f := opened(b, path, vfs.ReadOnly)
	p := make([]byte, 256)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.ReadAt(p, 100); err != nil {
			b.Fatal(err)
		}
	}
}
