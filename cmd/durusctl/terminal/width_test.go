package terminal

import (
	"os"
	"path/filepath"
	"testing"
)

// A file has no width.
func TestNoTerminal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n, ok := Width(f.Fd()); ok {
		t.Errorf("a file is %d columns wide", n)
	}
}
