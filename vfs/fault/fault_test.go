package fault_test

import (
	"errors"
	"io"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/posix"
)

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func is(tb testing.TB, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Errorf("error %v, want %v", err, want)
	}
}

// everywhere runs a test on a simulated disk and on a real one.
func everywhere(t *testing.T, test func(t *testing.T, lower vfs.FS, dir string)) {
	t.Run("mem", func(t *testing.T) { test(t, mem.NewDisk().Process("p"), "/") })
	t.Run("posix", func(t *testing.T) { test(t, posix.New(), t.TempDir()) })
}

// randomSeed returns a seed, and prints it.
func randomSeed(tb testing.TB) uint64 {
	tb.Helper()
	seed := uint64(time.Now().UnixNano())
	tb.Logf("seed %d", seed)
	return seed
}

// write makes a file.
func write(fsys vfs.FS, name, content string) error {
	w := fsys.Create(name, vfs.ReplaceIfExists, 0o600)
	_, err := w.Write([]byte(content))
	return errors.Join(err, w.Commit())
}

// create makes a file and opens it.
func create(tb testing.TB, fsys vfs.FS, name, content string) vfs.File {
	tb.Helper()
	check(tb, write(fsys, name, content))
	return open(tb, fsys, name)
}

func open(tb testing.TB, fsys vfs.FS, name string) vfs.File {
	f := fsys.Open(name, vfs.Append)
	tb.Cleanup(func() { _ = f.Close() }) // those that are to fail are closed before
	return f
}

// read returns all bytes of a file.
func read(tb testing.TB, fsys vfs.FS, name string) string {
	tb.Helper()
	f := fsys.Open(name, vfs.ReadOnly)
	defer f.Close()
	p := make([]byte, 1<<16)
	n, err := f.ReadAt(p, 0)
	equal(tb, "error at the end", err, io.EOF)
	return string(p[:n])
}

// holds reports other bytes than these.
func holds(tb testing.TB, fsys vfs.FS, name, want string) {
	tb.Helper()
	if got := read(tb, fsys, name); got != want {
		tb.Errorf("%s holds %.80q, want %.80q", filepath.Base(name), got, want)
	}
}

// left reports other names than these under a prefix.
func left(tb testing.TB, fsys vfs.FS, prefix string, want ...string) {
	tb.Helper()
	var got []string
	for name, err := range fsys.List(prefix) {
		check(tb, err)
		got = append(got, filepath.Base(name))
	}
	if !slices.Equal(got, want) {
		tb.Errorf("left are %q, want %q", got, want)
	}
}

// wrote reports an unexpected answer of Append or Rewrite.
func wrote(tb testing.TB, want int, wantErr error) func(n int, err error) {
	return func(n int, err error) {
		tb.Helper()
		if n != want || !errors.Is(err, wantErr) {
			tb.Errorf("wrote %d, %v; want %d, %v", n, err, want, wantErr)
		}
	}
}

// equal reports a difference.
func equal[T comparable](tb testing.TB, what string, got, want T) {
	tb.Helper()
	if got != want {
		tb.Errorf("%s: %v, want %v", what, got, want)
	}
}
