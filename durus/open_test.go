package durus

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/durusdb/durus/vfs"
)

// A path that leads nowhere: the error says what to do about it.
func TestOpenOfNothing(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link.durus")
	if err := os.Symlink(filepath.Join(dir, "gone.durus"), link); err != nil && runtime.GOOS != "windows" {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, path string
		opts       *Options
		says       string
	}{
		{"no path", "", nil, "give the name of a file"},
		{"no directory", filepath.Join(dir, "none", "x.durus"), nil, "its directory must exist"},
		{"a link that leads nowhere", link, nil, "a link must lead to a file"},
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

// What is no option is refused before a file is made.
func TestOpenOptions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.durus")
	for says, o := range map[string]Options{"Options.Sync is 3": {Sync: 3}, "Options.Isolation is 2": {Isolation: 2}, "Options.Check is 99": {Check: 99}} {
		if db, err := Open(path, &o); db != nil || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was made: %v", err)
	}
}

// A name that ends like that of a directory makes no file of the same name.
func TestOpenOfDirectory(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, dir + "/", filepath.Join(dir, "none") + "/"} {
		if db, err := Open(path, nil); db != nil || !errors.Is(err, vfs.ErrNotRegular) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was made: %v", err)
	}
}
