//go:build unix

package posix

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/durusdb/durus/vfs/vfstest"
)

// B2: real files are what the contract was written after, and what the model of
// vfstest is checked against.
func TestConformance(t *testing.T) {
	vfstest.Run(t, func(t testing.TB) vfstest.Env {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
			t.Fatal(err)
		}
		return vfstest.Env{FS: New(), Dir: dir}
	})
}
