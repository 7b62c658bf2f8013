package filestorage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// Supersede puts the file called name, which is a whole database up to p and on
// the disk, in the place of the database at path, while other processes may have
// that open: a restore. It holds the commit lock of the old file meanwhile, so
// that no commit is on its way. Its order, and what a crash between two lines
// leaves:
//
//	1 the commit lock, with the flock on the old file. The new one is still the
//	  one that was checked: another restore writes under the same name
//	2 rename. Before it the database is what it was, behind it the restored one.
//	  A power cut before 3 may bring the old one back; who meets the new one
//	  syncs the directory before he acknowledges or shows anything (R9)
//	3 sync the directory
//	4 the mark, which spoke of the old file, names the end of the new one. Left
//	  out, the next holder of the lock replaces it (R8)
//	5 unlock
//
// Whoever has the old file open finds another inode under its name: writers at
// their next commit, which is ErrRewound, readers within glanceEvery. What is
// appended to the old file nobody sees, so nothing is.
//
// The old file need not be in order: it may be what is to be repaired. Another
// database is not replaced, as far as its header can be read. timeout is the
// longest wait for the lock; 0 = 10 s. Errors: fs.ErrNotExist (nothing is at
// path), *storage.LockError, storage.ErrForeign, vfs.ErrNotSupported, those of
// the storage; after an error that Is vfs.ErrUnknownOutcome the new file may be
// in place, after any other the database is what it was.
func Supersede(ctx context.Context, fsys vfs.FS, name, path string, p Point, timeout time.Duration) error {
	if timeout <= 0 {
		timeout = 10 * time.Second
	}
	path, err := fsys.Resolve(path)
	if err != nil {
		return fmt.Errorf("durus: %w", err)
	}
	if props := fsys.Props(path); !props.AtomicReplace || !props.Locks {
		return fmt.Errorf("durus: replace %s: this storage cannot put one file in the place of another: give the new one a name of its own: %w", path, vfs.ErrNotSupported)
	}
	r := replacing{fs: vfs.Blocking(fsys), name: name, path: path, end: p}
	file := r.fs.Open(name, vfs.ReadOnly)
	defer file.Close() // open to the end: nobody gets its inode number meanwhile
	if err = r.check(file); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for range 8 {
		again, err := r.try(wait)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return &storage.LockError{Path: lockName(path)}
		}
		if err != nil || !again {
			return err
		}
	}
	return fmt.Errorf("durus: replace %s: it is packed or replaced again and again: nothing was changed", path)
}

type replacing struct {
	fs         vfs.FS
	name, path string
	end        Point
	id         vfs.FileID // of the new file
	header     Header     // of the new file
}

// another says that the new file is not there any more, or is another one.
func (r *replacing) another(then string) error {
	return fmt.Errorf("durus: replace %s: %s is not what was written to it: is another restore running? %s", r.path, r.name, then)
}

// unchanged makes sure that the new file is under a name.
func (r *replacing) unchanged(name string) (bool, error) {
	there, err := r.fs.Stat(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("durus: replace %s: %w", r.path, err)
	}
	return err == nil && there.ID == r.id, nil
}

// check makes sure that the new file is the one that was written.
func (r *replacing) check(f vfs.File) error {
	info, err := f.Stat()
	if errors.Is(err, fs.ErrNotExist) {
		return errors.Join(r.another("nothing was changed"), err)
	}
	if err != nil {
		return fmt.Errorf("durus: %w", err)
	}
	c, err := NewCopier(r.name, f, info.Size)
	if err != nil {
		return err
	}
	if ok, err := c.Continue(r.end); err != nil || !ok || info.Size != r.end.End {
		return errors.Join(r.another("nothing was changed"), err)
	}
	r.id, r.header = info.ID, c.Header()
	return nil
}

// try replaces the file; again is true if another one had come to its place.
func (r *replacing) try(ctx context.Context) (again bool, err error) {
	old := r.fs.Open(r.path, vfs.Append)
	defer old.Close()
	info, err := old.Stat()
	if err != nil {
		return false, fmt.Errorf("durus: replace %s: %w", r.path, err)
	}
	if err := r.ours(old); err != nil {
		return false, err
	}
	lock := r.fs.Locker(lockName(r.path), old, vfs.Append, info.Perm)
	defer lock.Close() // gives it back
	if err := lock.Lock(ctx); err != nil {
		return false, fmt.Errorf("durus: lock %s: %w", lockName(r.path), err)
	}
	there, err := r.fs.Stat(r.path)
	switch {
	case err != nil:
		return false, fmt.Errorf("durus: replace %s: %w", r.path, err)
	case there.ID != info.ID:
		return true, nil
	case there.Links > 1:
		return false, fmt.Errorf("durus: replace %s: the file has %d names (hard links), and only one of them would lead to the new file: remove the others, or restore under a name of its own: %w", r.path, there.Links, vfs.ErrNotSupported)
	}
	if ours, err := r.unchanged(r.name); err != nil || !ours {
		return false, cmp.Or(err, r.another("nothing was changed"))
	}
	if err := r.fs.Rename(r.name, r.path); err != nil {
		return false, fmt.Errorf("durus: replace %s: %w", r.path, err)
	}
	if err := r.fs.SyncDir(r.path); err != nil {
		return false, fmt.Errorf("durus: %s is replaced, but it is not known whether a power cut brings the old file back: sync the disk: %w: %w", r.path, vfs.ErrUnknownOutcome, err)
	}
	// The other one needs no lock to write under that name: it may have come
	// between the look and the renaming. Its file is whole, too.
	if ours, err := r.unchanged(r.path); err != nil || !ours {
		return false, fmt.Errorf("%w: %w", cmp.Or(err, r.another("its file is in place now: restore once more, one at a time")), vfs.ErrUnknownOutcome)
	}
	m := mark{salt: r.header.Salt, start: r.end.Start, end: r.end.End, tid: r.end.TID, sum: r.end.Sum}
	// A failure here is made good by the next holder of the lock. Others wait for
	// that lock: nobody waits long for a process that was stopped with the latch.
	brief, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = lock.UpdateMark(brief, func(b *[vfs.MarkSize]byte, _ bool) bool { m.put(b); return true })
	return false, nil
}

// ours refuses a file that is another database.
func (r *replacing) ours(old vfs.File) error {
	head := make([]byte, headerSize)
	n, err := old.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("durus: read %s: %w", r.path, err)
	}
	if h, err := parseHeader(r.path, head[:n], int64(n)); err == nil && h.ID != r.header.ID {
		return fmt.Errorf("%w: %s holds another database than the backup: remove it first, or restore under another name", storage.ErrForeign, r.path)
	}
	return nil
}
