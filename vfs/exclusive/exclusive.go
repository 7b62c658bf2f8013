package exclusive

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/durusdb/durus/vfs"
)

var (
	// ErrTaken: somebody else has the lease, or died with it.
	ErrTaken = errors.New("exclusive: another process writes to this storage, which has no locks")
	// ErrLost: the lease was removed, or replaced by somebody else's.
	ErrLost = errors.New("exclusive: it was taken away from this process")
)

// FS is a storage without locks of its own, with the lockers of this package.
// It is safe for use by many goroutines.
type FS struct {
	vfs.FS
	lease *lease // nil: for reading only
}

// lease is the right to write.
type lease struct {
	fs    vfs.FS
	name  string
	text  []byte
	turn  chan struct{} // full while one of this program's lockers holds the lock
	mu    sync.Mutex    // guards ended
	ended bool
}

// Name is the name of the lease that belongs to a lock file.
func Name(lock string) string { return lock + ".writer" }

// Writer takes the lease beside the lock file, which is to be created with
// perm. The error Is ErrTaken if somebody has it, and names the file.
func Writer(fsys vfs.FS, lock string, perm fs.FileMode) (*FS, error) {
	l := &lease{fs: fsys, name: Name(lock), turn: make(chan struct{}, 1)}
	l.text = fmt.Appendf(nil, "%s\npid %d\n", rand.Text(), os.Getpid())
	w := fsys.Create(l.name, vfs.FailIfExists, perm)
	w.Write(l.text) // errors come back from Commit
	err := w.Commit()
	switch {
	case err == nil:
	case errors.Is(err, vfs.ErrUnknownOutcome):
		if lost := l.check(); lost != nil {
			return nil, errors.Join(err, lost)
		}
	case errors.Is(err, fs.ErrExist):
		return nil, fmt.Errorf("%w%s; make sure that it does not live any more, then remove %s", ErrTaken, l.owner(), l.name)
	default:
		return nil, fmt.Errorf("exclusive: %w", err)
	}
	return &FS{fsys, l}, nil
}

// Reader returns fsys for those who only read.
func Reader(fsys vfs.FS) *FS { return &FS{FS: fsys} }

// Release gives the lease back. Nothing may be written after it.
func (f *FS) Release() error {
	l := f.lease
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return nil
	}
	l.ended = true
	if err := l.check(); err != nil {
		return err // it is not ours to remove
	}
	if err := l.fs.Remove(l.name); err != nil {
		return fmt.Errorf("exclusive: give it back: %w", err)
	}
	return nil
}

// Locker implements vfs.FS.
func (f *FS) Locker(name string, _ vfs.File, mode vfs.Mode, perm fs.FileMode) vfs.Locker {
	return &locker{lease: f.lease, mark: mark{fs: f.FS, name: name, mode: mode, perm: perm}, done: make(chan struct{})}
}

// read returns what the lease file holds.
func (l *lease) read() ([]byte, error) {
	f := l.fs.Open(l.name, vfs.ReadOnly)
	defer f.Close()
	var buf [256]byte
	n, err := f.ReadAt(buf[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return buf[:n], nil
}

// check finds out whether the lease is still ours.
func (l *lease) check() error {
	text, err := l.read()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s was removed; close and open again", ErrLost, l.name)
	case err != nil:
		return fmt.Errorf("exclusive: %w", err)
	case !bytes.Equal(text, l.text):
		return fmt.Errorf("%w: %s is another process's; close and open again", ErrLost, l.name)
	}
	return nil
}

// holder is the pid in the lease file, which may be of another machine; 0 if
// there is none.
func (l *lease) holder() int {
	text, err := l.read()
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "\npid ")
	pid, err := strconv.Atoi(strings.TrimSpace(rest))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}

func (l *lease) owner() string {
	if pid := l.holder(); pid != 0 {
		return fmt.Sprintf(" (pid %d)", pid)
	}
	return ""
}

// locker implements vfs.Locker.
type locker struct {
	lease *lease
	mark
	done chan struct{} // closed by Close

	mu     sync.Mutex // guards what follows
	held   bool
	closed bool
}

var _ vfs.Locker = (*locker)(nil)

func (l *locker) TryLock() (bool, error) {
	if err := l.able(); err != nil {
		return false, err
	}
	select {
	case l.lease.turn <- struct{}{}:
		return l.took()
	default:
		return false, nil
	}
}

func (l *locker) Lock(ctx context.Context) error {
	if err := l.able(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case l.lease.turn <- struct{}{}:
		_, err := l.took()
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-l.done:
		return l.able()
	}
}

// able says why this locker cannot lock.
func (l *locker) able() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return fmt.Errorf("exclusive: lock %s: %w", l.mark.name, vfs.ErrClosed)
	case l.lease == nil || l.mark.mode == vfs.ReadOnly:
		return fmt.Errorf("exclusive: lock %s: %w", l.mark.name, vfs.ErrMode)
	}
	return nil
}

// took makes a turn that was taken a lock: if the lease is still ours, and the
// lock file is there.
func (l *locker) took() (bool, error) {
	err := l.lease.check()
	if err == nil {
		err = l.Reopen()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil && l.closed {
		err = fmt.Errorf("exclusive: lock %s: %w", l.mark.name, vfs.ErrClosed)
	}
	if err != nil {
		<-l.lease.turn
		return false, err
	}
	l.held = true
	return true, nil
}

func (l *locker) Unlock() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.held {
		return fmt.Errorf("exclusive: unlock %s: it is not locked", l.mark.name)
	}
	l.held = false
	<-l.lease.turn
	return nil
}

// Holder is the pid in the lease, whether or not it holds the lock.
func (l *locker) Holder() int {
	if l.lease == nil {
		return (&lease{fs: l.mark.fs, name: Name(l.mark.name)}).holder()
	}
	return l.lease.holder()
}

func (l *locker) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	close(l.done)
	if l.held {
		l.held = false
		<-l.lease.turn
	}
	return l.mark.close()
}
