package terminal

import (
	"os"
	"path/filepath"
	"testing"
)

// A file has no size on a screen.
func TestNoTerminal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if columns, rows, ok := Size(f.Fd()); ok {
		t.Errorf("a file has %d columns and %d rows", columns, rows)
	}
}
