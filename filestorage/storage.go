package filestorage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/exclusive"
)

// Options of Open. The zero value of everything but FS is the safest choice.
type Options struct {
	FS          vfs.FS             // where the file lives; required
	ReadOnly    bool               // create and touch nothing, take no lock
	MustExist   bool               // do not create
	Sync        storage.SyncPolicy // when a commit is reported
	SyncEvery   time.Duration      // with SyncInterval; 0 = 100 ms
	LockTimeout time.Duration      // longest wait for the commit lock; 0 = 10 s
	Perm        fs.FileMode        // of a new file; 0 = 0600
	Logger      *slog.Logger       // nil = slog.Default()
	AllowRemote bool               // write to a network file system, where locks and sizes may lie

	// Foreground starts no goroutines: what a handle would do in the
	// background is left to whoever syncs next. For simulations, where a
	// process is one goroutine.
	Foreground bool
	Now        func() time.Time // nil = time.Now

	indexTail int64 // see checkpointLeast; tests write an index of small files, too
}

// Storage is a record file, opened. It implements storage.Storage.
type Storage struct {
	fs     vfs.FS // its calls wait, whatever kind of storage Options.FS is
	path   string // absolute, symbolic links resolved
	opts   Options
	stable bool          // what fs says of the size of a file is true at that moment
	live   bool          // mappings of its files show what is appended
	piece  int           // how much of a large frame is in memory at a time, bytes; see pieces
	sole   *exclusive.FS // the right to write, on a storage without locks; nil elsewhere

	// lineage is the file as it is now. reload, under reloading, replaces it;
	// everybody loads it without a lock and notices a stale one by its `dead`.
	lineage   atomic.Pointer[lineage]
	reloading sync.Mutex
	foreign   atomic.Pointer[error] // another database took the path; set once, under reloading

	queue   queue
	lease   lease
	news    news
	syncing sync.Mutex   // held by the one background sync
	packing atomic.Bool  // a pack of this handle runs; set by compare-and-swap
	looked  atomic.Int64 // when the path was last compared with the open file, ns

	mu      sync.Mutex // guards closed and the count of running calls
	closed  bool
	running int
	idle    *sync.Cond
	stop    chan struct{} // closed by Close: ends the interval syncer

	stats struct{ commits, conflicts, syncs, lockWaits, lockWaited, groups, appended atomic.Uint64 } // lockWaited: nanoseconds
}

// Open opens a record file and, unless the options say otherwise, creates it
// when it is missing. It never waits for another process. Errors: fs.ErrNotExist,
// fs.ErrPermission, storage.ErrNotDurus, ErrTooNew, ErrCorrupt (only when the
// file header is beyond use: a file that is damaged further behind opens, and
// its transactions say so).
func Open(path string, opts Options) (*Storage, error) {
	if opts.SyncEvery <= 0 {
		opts.SyncEvery = 100 * time.Millisecond
	}
	if opts.LockTimeout <= 0 {
		opts.LockTimeout = 10 * time.Second
	}
	if opts.indexTail == 0 {
		opts.indexTail = checkpointLeast
	}
	if opts.Perm == 0 {
		opts.Perm = 0o600
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.FS == nil {
		return nil, errors.New("durus: open: Options.FS is nil: it says where files are, posix.New() for those of the system")
	}
	resolved, err := opts.FS.Resolve(path)
	switch {
	case path == "":
		return nil, fmt.Errorf("durus: open: the path is empty: give the name of a file: %w", fs.ErrNotExist)
	case strings.HasSuffix(filepath.ToSlash(path), "/"): // which Resolve may cut off
		return nil, fmt.Errorf("durus: open %s: the name of a directory: %w: give the name of a file", path, vfs.ErrNotRegular)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("durus: open %s: %w: check the path: its directory must exist, and a link must lead to a file", path, err)
	case err != nil:
		return nil, fmt.Errorf("durus: open %s: %w", path, err)
	}
	s := &Storage{path: resolved, opts: opts, piece: pieceSize, stop: make(chan struct{})}
	s.idle = sync.NewCond(&s.mu)
	if err := s.suit(); err != nil {
		return nil, err
	}
	l, err := s.openOrCreate()
	if err != nil {
		return nil, errors.Join(err, s.giveUp())
	}
	s.lineage.Store(l)
	if opts.Sync == storage.SyncInterval && !opts.ReadOnly && !opts.Foreground {
		go s.syncEvery()
	}
	return s, nil
}

func (s *Storage) openOrCreate() (*lineage, error) {
	for range 8 {
		l, err := s.openLineage()
		switch {
		case !errors.Is(err, fs.ErrNotExist):
			return l, err
		case s.opts.ReadOnly || s.opts.MustExist:
			return nil, fmt.Errorf("%w: check the path; only an Open without ReadOnly and MustExist creates a database", err)
		}
		// Another process may create it at the same moment: the one that
		// comes second opens the file of the first.
		if err := create(s.fs, s.path, s.opts.Perm, s.opts.Now()); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, vfs.ErrUnknownOutcome) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("durus: %s is created and removed again and again", s.path)
}

func (s *Storage) current() *lineage { return s.lineage.Load() }
func (s *Storage) now() time.Time    { return s.opts.Now() }

// Path is where the file is, absolute, symbolic links resolved.
func (s *Storage) Path() string { return s.path }

// Header is what the file says of itself.
func (s *Storage) Header() Header { return s.current().header }

// enter counts a call that Close waits for.
func (s *Storage) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("%w: %s", storage.ErrClosed, s.path)
	}
	s.running++
	return nil
}

func (s *Storage) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running--; s.running == 0 {
		s.idle.Broadcast()
	}
}

func (s *Storage) readOnlyError() error {
	return fmt.Errorf("%w: %s was opened with ReadOnly", storage.ErrReadOnly, s.path)
}

// writable says why nothing may be written, if so.
func (s *Storage) writable() error {
	if s.opts.ReadOnly {
		return s.readOnlyError()
	}
	return nil
}

// Begin implements storage.Storage.
func (s *Storage) Begin(ctx context.Context, writable bool) (storage.Snapshot, error) {
	if writable {
		if err := s.writable(); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for {
		l := s.current()
		if l.broken.Load() {
			// The transaction that met it was told; this one begins on what
			// is there now.
			err := s.fault(l.rewoundError("it was rewound"))
			if l = s.current(); l.broken.Load() {
				return nil, err
			}
		}
		err := s.look(ctx, l, writable)
		if err == nil {
			snap := l.begin(writable)
			if !l.dead.Load() {
				return snap, nil
			}
			snap.Release()
			err = fmt.Errorf("%w: %s", storage.ErrClosed, s.path)
		}
		// A lineage that was replaced in the meantime has closed its files.
		if !l.dead.Load() || l == s.current() {
			if again, err := s.retry(l, err); !again {
				return nil, err
			}
		}
	}
}

// look makes the published state no older than this call. Its fast path is one
// system call and no lock: the file ends where the state ends, and the mark
// that was read last covers all of it. Otherwise the mark is read: it may cover
// more by now, or name another frame where this handle has applied one. A
// writer need not know: what is durable does not limit what he sees, and under
// the lock the frame before the end is compared anyway.
func (s *Storage) look(ctx context.Context, l *lineage, writable bool) error {
	if l.dead.Load() {
		if s.closedNow() {
			return fmt.Errorf("%w: %s", storage.ErrClosed, s.path)
		}
		return l.rewoundError("it was replaced")
	}
	if p := s.foreign.Load(); p != nil {
		return *p
	}
	if err := s.glance(l); err != nil {
		return err
	}
	size, err := l.file.Size()
	if err != nil {
		return s.sizeError(err)
	}
	st := l.state.Load()
	if size == st.end && (writable || st.base >= size) && l.ready.Load() {
		return nil
	}
	if !l.ready.Load() {
		if err := s.warmUp(ctx, l, writable); err != nil {
			return err
		}
	}
	st, err = l.refresh()
	if err == nil && l.atMoved.Load() {
		err = s.checkMoved(l)
	}
	if err != nil || st.base >= st.end {
		return err
	}
	// What is behind the mark may have been made durable by others, who wrote
	// so into another lock file if ours was deleted.
	gone, err := l.lock.Deleted()
	if err != nil {
		return fmt.Errorf("durus: lock file of %s: %w", s.path, err)
	}
	if gone {
		if err := l.lock.Reopen(); err != nil && !errors.Is(err, vfs.ErrMode) {
			return fmt.Errorf("durus: lock file of %s: %w", s.path, err)
		}
		if l.noteIncarnation() {
			if err := s.warmUp(ctx, l, writable); err != nil {
				return err
			}
			st, err = l.refresh() // by the mark in the new one
			if err != nil {
				return err
			}
		}
	}
	s.noticeLag(l, st)
	return nil
}

// glanceEvery is how often a handle that only reads compares the path with the
// file that it has open. Writers do so under the lock at every commit.
const glanceEvery = 50 * time.Millisecond

// glance finds out, now and then, whether the path leads to another file by
// now: somebody restored a backup by renaming it over.
func (s *Storage) glance(l *lineage) error {
	now := s.now().UnixNano()
	last := s.looked.Load()
	if now-last < int64(glanceEvery) && now >= last || !s.looked.CompareAndSwap(last, now) {
		return nil
	}
	if s.closedNow() {
		return fmt.Errorf("%w: %s", storage.ErrClosed, s.path)
	}
	info, err := s.fs.Stat(s.path)
	if err != nil { // missing: a reader goes on with the file it has
		return nil
	}
	if info.ID != l.info.ID {
		return l.rewoundError("its name leads to another file now")
	}
	return nil
}

func (s *Storage) closedNow() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *Storage) sizeError(err error) error {
	if s.closedNow() {
		return fmt.Errorf("%w: %s", storage.ErrClosed, s.path)
	}
	return fmt.Errorf("durus: %s: %w", s.path, err)
}

// stale reports whether the lineage no longer fits what the path leads to.
func (s *Storage) stale(l *lineage) bool {
	info, err := s.fs.Stat(s.path)
	if err != nil || info.ID != l.info.ID || info.Links == 0 {
		return err == nil
	}
	if l.broken.Load() {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	size, err := l.file.Size()
	if err != nil {
		return false
	}
	if size < l.cur.pos {
		return true
	}
	ok, err := l.anchored()
	return err == nil && !ok
}

// LastTID implements storage.Storage.
func (s *Storage) LastTID() (storage.TID, error) {
	snap, err := s.Begin(background, false)
	if err != nil {
		return 0, err
	}
	defer snap.Release()
	return snap.TID(), nil
}

// Sync implements storage.Storage.
func (s *Storage) Sync(ctx context.Context) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if s.opts.ReadOnly {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for {
		l, err := s.using()
		if err != nil {
			return err
		}
		if err = s.look(ctx, l, true); err == nil {
			err = s.safe(l, l.end())
		}
		l.drop()
		if again, err := s.retry(l, err); !again {
			return err
		}
	}
}

// Committed implements storage.Storage.
func (s *Storage) Committed(tid storage.TID) (bool, error) {
	if !s.opts.ReadOnly {
		if err := s.Sync(background); err != nil {
			return false, err
		}
	}
	if tid > 0 && tid == s.Header().Horizon { // the last one that was packed away: its state is there
		return true, nil
	}
	for t, err := range s.Transactions(tid, tid) {
		return err == nil && t.TID == tid, err
	}
	return false, nil
}

func (s *Storage) syncEvery() {
	t := time.NewTicker(s.opts.SyncEvery)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
			if l := s.current(); l.behind() > 0 {
				s.background(l)
			}
		}
	}
}

// Stats implements storage.Storage.
func (s *Storage) Stats() storage.Stats {
	l := s.current()
	l.mu.Lock()
	defer l.mu.Unlock()
	st := l.state.Load()
	return storage.Stats{
		Commits: s.stats.commits.Load(), Conflicts: s.stats.conflicts.Load(), Syncs: s.stats.syncs.Load(),
		LockWaits: s.stats.lockWaits.Load(), LockWaited: time.Duration(s.stats.lockWaited.Load()), Appended: s.stats.appended.Load(), Groups: s.stats.groups.Load(),
		Followed: l.stats.followed, Polls: l.stats.polls,
		End: st.end, Visible: st.visible, Mark: l.dur.base, Objects: l.index.objects, LastTID: st.tid,
	}
}

// Close implements storage.Storage. Snapshots that are still open can be read
// until they are released.
func (s *Storage) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return fmt.Errorf("%w: %s", storage.ErrClosed, s.path)
	}
	s.closed = true // no call begins from here on; those that run are waited for
	close(s.stop)
	s.news.close()
	for s.running > 0 {
		s.idle.Wait()
	}
	s.mu.Unlock()
	err := s.finish()
	s.reloading.Lock() // nobody replaces the lineage any more
	defer s.reloading.Unlock()
	return errors.Join(err, s.current().retire(), s.giveUp())
}

// finish is what Close does before it closes anything.
func (s *Storage) finish() error {
	for {
		l := s.current()
		if s.opts.ReadOnly || !l.useOpen() {
			return nil
		}
		err := s.returnLease(background, l)
		if errors.Is(err, storage.ErrLocked) {
			err = nil
		}
		if l.behind() > 0 {
			err = errors.Join(err, s.safe(l, l.end()))
		}
		l.drop()
		again, err := s.retry(l, err)
		if !again {
			if err == nil {
				s.indexAtClose(l)
			}
			return err
		}
	}
}
