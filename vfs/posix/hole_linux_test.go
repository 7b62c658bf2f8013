package posix

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/durusdb/durus/vfs"
)

// A hole is told up to the next data, and to the end when none follows.
func TestHole(t *testing.T) {
	const data, next, size = 64 << 10, 32 << 20, 48 << 20
	path := filepath.Join(t.TempDir(), "x")
	put(t, path, string(make([]byte, data))) // zeros that were written are no hole
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.WriteAt(make([]byte, data), next); err != nil {
		t.Fatal(err)
	}
	if err := w.Truncate(size); err != nil {
		t.Fatal(err)
	}
	f := opened(t, path, vfs.ReadOnly)
	if vfs.Hole(f, data) == 0 {
		t.Skip("SKIP: the file system knows no holes")
	}
	for off, want := range map[int64]int64{
		0: 0, data - 1: 0, data: next - data, next - 1: 1, next: 0, next + data - 1: 0,
		next + data: size - next - data, size - 1: 1, size: 0, size + 1: 0,
	} {
		if got := vfs.Hole(f, off); got != want {
			t.Errorf("from byte %d on %d bytes are a hole, want %d", off, got, want)
		}
	}
	missing := opened(t, path+".missing", vfs.ReadOnly)
	if got := vfs.Hole(missing, 0); got != 0 {
		t.Errorf("a file that is not there has a hole of %d bytes", got)
	}
}
