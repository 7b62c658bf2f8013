//go:build unix

package posix

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/durusdb/durus/vfs"
)

// A4: nothing has the name before Commit; then all of it, with its permissions.
func TestCreate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	content := bytes.Repeat([]byte("0123456789"), 50_000)
	for _, mode := range []vfs.CreateMode{vfs.FailIfExists, vfs.ReplaceIfExists} {
		w := New().Create(path, mode, 0o640)
		mustHold(t, dir)
		for part := range slices.Chunk(content, 777) {
			if n, err := w.Write(part); n != len(part) || err != nil {
				t.Fatalf("Write = %d, %v", n, err)
			}
		}
		if _, err := New().Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("before Commit: %v", err)
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		mustHold(t, dir, "x")
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, content) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		info, err := New().Stat(path)
		if err != nil || info.Perm != 0o640 || info.Links != 1 {
			t.Fatalf("%+v, %v", info, err)
		}
		if err := w.Abort(); err != nil {
			t.Fatalf("Abort after Commit: %v", err)
		}
		if err := w.Commit(); !errors.Is(err, vfs.ErrClosed) {
			t.Fatalf("second Commit: %v", err)
		}
		if err := New().Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAbort(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	w := New().Create(path, vfs.FailIfExists, 0o600)
	if _, err := w.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Abort(), w.Abort(), New().Create(path, vfs.FailIfExists, 0o600).Abort()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("x")); !errors.Is(err, vfs.ErrClosed) {
		t.Fatalf("Write after Abort: %v", err)
	}
	if err := w.Commit(); !errors.Is(err, vfs.ErrClosed) {
		t.Fatalf("Commit after Abort: %v", err)
	}
	mustHold(t, dir)
}

// A2: writes to where nothing can be written succeed; Commit tells, twice.
func TestUnwritable(t *testing.T) {
	dir := t.TempDir()
	w := New().Create(filepath.Join(dir, "gone", "x"), vfs.FailIfExists, 0o600)
	for range 1000 {
		if n, err := w.Write([]byte("bytes")); n != 5 || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	first, second := w.Commit(), w.Commit()
	if !errors.Is(first, fs.ErrNotExist) || first != second {
		t.Fatalf("Commit = %v, then %v", first, second)
	}
	mustHold(t, dir)
}

// A5: of several creators of one name exactly one wins.
func TestOneCreatorWins(t *testing.T) {
	for name, create := range map[string]func(path string) vfs.Writer{
		"rename": func(path string) vfs.Writer { return New().Create(path, vfs.FailIfExists, 0o600) },
		"link":   func(path string) vfs.Writer { return linkWriter{&writer{name: path, perm: 0o600}} },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "x")
			var wins []string
			var mu sync.Mutex // guards wins
			var wg sync.WaitGroup
			for i := range 16 {
				wg.Go(func() {
					me := strings.Repeat(fmt.Sprint(i), 10_000)
					w := create(path)
					_, err := io.WriteString(w, me)
					switch err := errors.Join(err, w.Commit()); {
					case err == nil:
						mu.Lock()
						wins = append(wins, me)
						mu.Unlock()
					case !errors.Is(err, fs.ErrExist):
						t.Error(err)
					}
				})
			}
			wg.Wait()
			got, err := os.ReadFile(path)
			if err != nil || len(wins) != 1 || string(got) != wins[0] {
				t.Fatalf("%d winners, %v", len(wins), err)
			}
			mustHold(t, dir, "x")
		})
	}
}

// linkWriter commits as where rename cannot refuse a taken name.
type linkWriter struct{ *writer }

func (w linkWriter) Commit() error {
	w.start()
	w.keep(w.buf.Flush())
	w.keep(linkNew(w.temp, w.name))
	err := w.err
	return errors.Join(err, dropTemp(w.f, w.temp))
}

// A6: readers see the old or the new file, never none and no mixture; who has
// the old one open keeps its bytes.
func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	put(t, path, strings.Repeat("0", 5000))
	old := opened(t, path, vfs.ReadOnly)
	if _, err := old.Size(); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		p := make([]byte, 6000)
		for {
			select {
			case <-stop:
				return
			default:
			}
			f := New().Open(path, vfs.ReadOnly)
			n, err := f.ReadAt(p, 0)
			if err != io.EOF || n != 5000 || bytes.Count(p[:n], p[:1]) != n {
				t.Errorf("a reader saw %d bytes, %v", n, err)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	for i := range 200 {
		w := New().Create(path, vfs.ReplaceIfExists, 0o600)
		_, err := io.WriteString(w, strings.Repeat(fmt.Sprint(i%10), 5000))
		if err := errors.Join(err, w.Commit()); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	p := make([]byte, 5000)
	if _, err := old.ReadAt(p, 0); err != nil || p[0] != '0' || bytes.Count(p, p[:1]) != 5000 {
		t.Fatalf("the old handle: %v", err)
	}
	if info, err := old.Stat(); err != nil || info.Links != 0 {
		t.Fatalf("the old handle: %+v, %v", info, err)
	}
}

// Security, Files: never wider than perm and umask allow, or than the file that
// is replaced was.
func TestPermissions(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	defer syscall.Umask(syscall.Umask(0o022))
	for _, c := range []struct {
		old, perm, want fs.FileMode // old 0: there is none
	}{
		{0, 0o600, 0o600},
		{0, 0o666, 0o644},
		{0o660, 0o660, 0o660}, // the umask does not lock the group out
		{0o600, 0o660, 0o640},
		{0o666, 0o600, 0o600},
	} {
		_ = os.Remove(path) // the first time there is none
		if c.old != 0 {
			put(t, path, "old")
			if err := os.Chmod(path, c.old); err != nil {
				t.Fatal(err)
			}
		}
		w := New().Create(path, vfs.ReplaceIfExists, c.perm)
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		info, err := New().Stat(path)
		if err != nil || info.Perm != c.want {
			t.Errorf("old %v, perm %v: %v, %v; want %v", c.old, c.perm, info.Perm, err, c.want)
		}
	}
}

// A temporary file whose writer is dead goes; that of a living one, and what
// only looks like one, stays.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	living := New().Create(path, vfs.FailIfExists, 0o600)
	if _, err := living.Write([]byte("mine")); err != nil {
		t.Fatal(err)
	}
	put(t, path+".new.0123456789abcdef", "of a dead process")
	put(t, path+".new.notes", "of the user")
	put(t, path+".new.0123", "of the user")
	put(t, filepath.Join(dir, "y.new.0123456789abcdef"), "of another file")
	other := New().Create(path, vfs.FailIfExists, 0o600)
	if err := other.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := living.Commit(); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("the slower creator: %v", err)
	}
	mustHold(t, dir, "x", "x.new.0123", "x.new.notes", "y.new.0123456789abcdef")
}
