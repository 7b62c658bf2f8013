package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/vfs"
)

// target is a database file that is about to be.
type target struct {
	fs      vfs.FS
	path    string
	exists  bool
	timeout time.Duration
}

// scratchName is the new file's while the old one has its name.
func scratchName(path string) string { return path + ".restore" }

// write makes the file of what fill writes, and returns its size; c tells
// afterwards where it ends. A new file is put under its name when all of it is
// on the disk. So is one that replaces another, under a name of its own, before
// the commit lock is taken: others wait for the renaming alone.
func (t *target) write(ctx context.Context, fill func(io.Writer) error, c *filestorage.Copier) (int64, error) {
	name, mode := t.path, vfs.FailIfExists
	if t.exists {
		name, mode = scratchName(t.path), vfs.ReplaceIfExists
	}
	w := t.fs.Create(name, mode, perm)
	if err := fill(w); err != nil {
		return 0, errors.Join(err, w.Abort())
	}
	if err := w.Commit(); err != nil {
		return 0, fmt.Errorf("durus: restore: write %s: %w", name, err)
	}
	p := c.Point()
	if !t.exists {
		if err := t.fs.SyncDir(t.path); err != nil {
			return 0, fmt.Errorf("durus: restore: %s is there, but it is not known whether a power cut leaves its name: %w: %w", t.path, vfs.ErrUnknownOutcome, err)
		}
		return p.End, nil
	}
	err := filestorage.Supersede(ctx, t.fs, name, t.path, p, t.timeout)
	if err == nil || errors.Is(err, vfs.ErrUnknownOutcome) {
		return p.End, err
	}
	if gone := t.fs.Remove(name); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return 0, err
}
