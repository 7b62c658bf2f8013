package durus

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// A path that leads nowhere: the error says what to do about it.
func TestOpenOfNothing(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name, path string
		opts       *Options
		says       string
	}{
		{"no path", "", nil, "give the name of a file"},
		{"no directory", filepath.Join(dir, "none", "x.durus"), nil, "its directory must exist"},
		{"MustExist", filepath.Join(dir, "x.durus"), &Options{MustExist: true}, "check the path"},
		{"ReadOnly", filepath.Join(dir, "x.durus"), &Options{ReadOnly: true}, "check the path"},
	} {
		t.Run(c.name, func(t *testing.T) {
			db, err := Open(c.path, c.opts)
			if db != nil || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.path) {
				t.Errorf("%v, want that it says %q", err, c.says)
			}
		})
	}
}
