package posix

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/durusdb/durus/lockfile"
	"github.com/durusdb/durus/vfs"
)

// FS is the file system of the machine.
type FS struct{}

var _ vfs.FS = FS{}

// New returns the file system of the machine.
func New() vfs.FS { return FS{} }

// Props implements vfs.FS. On a file system that other machines can write to,
// neither locks nor the size of a file can be relied on; FUSE counts as one: it
// hides what is behind it, and most of what is does not lock across machines.
func (FS) Props(name string) vfs.Props {
	remote, kind, err := remoteAt(name)
	if err != nil { // it may not exist yet
		remote, kind, err = remoteAt(filepath.Dir(name))
	}
	remote = remote && err == nil
	return vfs.Props{
		Locks: true, Append: true, AtomicReplace: true, ConditionalPut: true, Mapping: mapping, LiveMapping: liveMapping && !remote,
		StableSize: !remote, ReliableListing: !remote, Remote: remote, Kind: kind,
	}
}

// Open implements vfs.FS.
func (FS) Open(name string, mode vfs.Mode) vfs.File {
	return &file{name: name, mode: mode}
}

// Create implements vfs.FS. The umask narrows perm as for any new file, except
// that a file which is replaced hands on the permissions that it had, as far
// as perm contains them, and its group.
func (FS) Create(name string, mode vfs.CreateMode, perm fs.FileMode) vfs.Writer {
	return &writer{name: name, mode: mode, perm: perm.Perm()}
}

// Stat implements vfs.FS.
func (FS) Stat(name string) (vfs.Info, error) {
	info, err := statName(name)
	return info, fail("stat", name, err)
}

// List implements vfs.FS.
func (FS) List(prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		dir, base := filepath.Split(prefix)
		from := dir
		if from == "" {
			from = "."
		}
		entries, err := os.ReadDir(from) // sorted
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			yield("", fail("list", from, err))
			return
		}
		for _, e := range entries {
			name := e.Name()
			if strings.HasPrefix(name, base) && !e.IsDir() && !isTemp(name) && !yield(dir+name, nil) {
				return
			}
		}
	}
}

// Remove implements vfs.FS. It removes files only.
func (FS) Remove(name string) error {
	return fail("remove", name, removeName(name))
}

// SyncDir implements vfs.FS.
func (FS) SyncDir(name string) error {
	dir := filepath.Dir(name)
	return fail("sync directory", dir, syncDir(dir))
}

// Resolve implements vfs.FS.
func (FS) Resolve(name string) (string, error) {
	if name == "" {
		return "", fail("resolve", name, fs.ErrNotExist)
	}
	path, err := absolute(name)
	if err != nil {
		return "", fail("resolve", name, err)
	}
	resolved, err := filepath.EvalSymlinks(path)
	if err == nil {
		return resolved, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fail("resolve", name, err)
	}
	// Another process may have created it since: then it is no link, and the
	// name below is right.
	if info, lerr := os.Lstat(path); lerr == nil && info.Mode()&fs.ModeSymlink != 0 {
		return "", fail("resolve", name, fmt.Errorf("a symbolic link to a file that does not exist: %w", fs.ErrNotExist))
	}
	dir, base := filepath.Split(strings.TrimRight(path, string(filepath.Separator)))
	if base == "." || base == ".." {
		return "", fail("resolve", name, err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", fail("resolve", name, err)
	}
	return filepath.Join(dir, base), nil
}

// absolute makes a path absolute without cleaning it: "link/.." is the parent
// of what the link leads to, and only EvalSymlinks knows that.
func absolute(name string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	wd, err := os.Getwd()
	return wd + string(filepath.Separator) + name, err
}

// Locker implements vfs.FS. data must be a file of this package, or a wrapper
// of one; the Locker answers vfs.ErrNotSupported otherwise.
func (FS) Locker(name string, data vfs.File, mode vfs.Mode, perm fs.FileMode) vfs.Locker {
	d, _ := vfs.Base(data).(lockfile.Data) // nil: the Locker says so when it is used
	return lockfile.New(name, d, mode, perm)
}
