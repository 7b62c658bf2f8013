package posix

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/durusdb/durus/lockfile"
	"github.com/durusdb/durus/vfs"
)

// FS is the file system of the machine.
type FS struct{}

var (
	_ vfs.FS            = FS{}
	_ vfs.RemoteChecker = FS{}
)

// New returns the file system of the machine.
func New() vfs.FS { return FS{} }

// Props implements vfs.FS. Whether a name is on another machine is to be asked
// with Remote.
func (FS) Props() vfs.Props {
	return vfs.Props{Locks: true, Append: true, StableSize: true}
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

// Locker implements vfs.FS. data must be a file of this package, or of one
// that hands on its SyscallConn; the Locker answers vfs.ErrNotSupported
// otherwise.
func (FS) Locker(name string, data vfs.File, mode vfs.Mode, perm fs.FileMode) vfs.Locker {
	d, _ := data.(lockfile.Data) // nil: the Locker says so when it is used
	return lockfile.New(name, d, mode, perm)
}

// Remote implements vfs.RemoteChecker. FUSE counts as remote: it hides what
// is behind it, and most of what is does not lock across machines.
func (FS) Remote(name string) (remote bool, kind string, err error) {
	remote, kind, err = remoteAt(name)
	if errors.Is(err, fs.ErrNotExist) {
		remote, kind, err = remoteAt(filepath.Dir(name))
	}
	return remote, kind, fail("ask for the file system of", name, err)
}
