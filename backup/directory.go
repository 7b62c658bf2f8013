package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

const (
	manifestName = "manifest.json"
	readmeName   = "README.txt"
	lockName     = "backup.lock"

	perm = 0o600 // of all files; a directory of the operator says who else may read
)

const readme = `This directory holds backups of a durus database.

manifest.json names the chunks, in runs: a run is a full backup and what was
committed after it. The chunks of a run, in the order of the manifest, are the
bytes of the database file. "durusctl restore" puts them together and checks
them; without it, "cat 000001.chunk 000002.chunk > bank.durus" does the first.

Do not remove or rename single files. To begin anew, use another directory.
`

// within is the name of a file in a directory.
func within(dir, name string) string { return filepath.Join(dir, name) }

var chunkName = regexp.MustCompile(`^([0-9]{6,18})\.chunk$`)

func isChunk(name string) bool { return chunkName.MatchString(name) }

// chunkNumber is 0 for a name that is none of a chunk.
func chunkNumber(name string) int {
	m := chunkName.FindStringSubmatch(name)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil { // too long for this machine: none of ours
		return 0
	}
	return n
}

// directory is one that is being written to, locked.
type directory struct {
	fs    vfs.FS
	path  string
	m     *manifest
	guard vfs.File   // of the lock
	lock  vfs.Locker // nil on a storage without locks
}

// openDirectory locks a directory, begins it if it is empty, and removes what
// an interrupted backup has left. Errors: storage.ErrLocked, a *DamageError.
func openDirectory(fsys vfs.FS, path string) (_ *directory, err error) {
	path = filepath.Clean(path)
	d := &directory{fs: vfs.Blocking(fsys), path: path}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if err := d.create(readmeName, []byte(readme), vfs.FailIfExists); err != nil && !errors.Is(err, fs.ErrExist) {
		if errors.Is(err, fs.ErrNotExist) {
			return d, fmt.Errorf("durus: backup: the directory %s does not exist: create it, or mount the disk that it is on: %w", path, err)
		}
		return d, err
	}
	if fsys.Props(within(path, lockName)).Locks {
		d.guard = d.fs.Open(within(path, readmeName), vfs.Append)
		d.lock = d.fs.Locker(within(path, lockName), d.guard, vfs.Append, perm)
		ok, err := d.lock.TryLock()
		if err != nil {
			return d, fmt.Errorf("durus: backup %s: %w", path, err)
		}
		if !ok {
			return d, fmt.Errorf("%w: another backup (process %d) writes to %s: wait for it", storage.ErrLocked, d.lock.Holder(), path)
		}
	}
	d.m, err = load(d.fs, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = d.begin()
	case err == nil:
		// Whoever wrote it may have died before its name was on the disk, and
		// what this backup reports relies on it.
		err = d.syncNames()
	}
	if err != nil {
		return d, err
	}
	return d, d.sweep()
}

// syncNames returns when the names in the directory are on the disk.
func (d *directory) syncNames() error {
	if err := d.fs.SyncDir(within(d.path, manifestName)); err != nil {
		return fmt.Errorf("durus: backup %s: sync the directory: %w", d.path, err)
	}
	return nil
}

// begin writes the first manifest, before there is any chunk: so chunks without
// a manifest are never those of an interrupted backup, and nothing is removed.
func (d *directory) begin() error {
	names, err := chunksIn(d.fs, d.path)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		return &DamageError{Dir: d.path, Name: manifestName, Reason: fmt.Sprintf("it is missing, and chunks such as %s are there", names[0])}
	}
	d.m = &manifest{Format: manifestFormat, Next: 1, Runs: []*run{}}
	return d.save()
}

// sweep removes chunks that the manifest does not name: of a backup that was
// killed before it did, or of one that was given up.
func (d *directory) sweep() error {
	names, err := chunksIn(d.fs, d.path)
	if err != nil {
		return err
	}
	for _, name := range names {
		if d.m.names(name) || chunkNumber(name) > d.m.Next {
			continue
		}
		if err := d.fs.Remove(within(d.path, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("durus: backup %s: remove what an interrupted backup has left: %w", d.path, err)
		}
	}
	return nil
}

func (m *manifest) names(name string) bool {
	for _, r := range m.Runs {
		for _, c := range r.Chunks {
			if c.Name == name {
				return true
			}
		}
	}
	return false
}

// chunksIn returns the names of all chunks that lie in a directory.
func chunksIn(fsys vfs.FS, dir string) (names []string, err error) {
	for path, err := range fsys.List(dir + string(filepath.Separator)) {
		if err != nil {
			return nil, fmt.Errorf("durus: backup %s: %w", dir, err)
		}
		if name := filepath.Base(path); isChunk(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// save replaces the manifest. When it returns nil the new one is on the disk.
func (d *directory) save() error {
	b, err := d.m.encode()
	if err != nil {
		return err
	}
	return d.create(manifestName, b, vfs.ReplaceIfExists)
}

// create writes a file. It is on the disk with its name when create returns nil.
func (d *directory) create(name string, b []byte, mode vfs.CreateMode) error {
	w := d.fs.Create(within(d.path, name), mode, perm)
	w.Write(b) // errors come back from Commit
	return d.commit(name, w)
}

func (d *directory) commit(name string, w vfs.Writer) error {
	if err := w.Commit(); err != nil {
		return fmt.Errorf("durus: backup: write %s: %w", within(d.path, name), err)
	}
	return d.syncNames() // before anything relies on the name
}

func (d *directory) close() error {
	var err error
	if d.lock != nil {
		err = d.lock.Close() // gives it back
	}
	if d.guard != nil {
		err = errors.Join(err, d.guard.Close())
	}
	if err != nil {
		return fmt.Errorf("durus: backup %s: %w", d.path, err)
	}
	return nil
}
