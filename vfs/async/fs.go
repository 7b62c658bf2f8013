package async

import (
	"fmt"
	"io/fs"
	"iter"
	"sync"

	"github.com/durusdb/durus/vfs"
)

// Options bound what an FS uses. A zero field stands for its default.
type Options struct {
	// Workers is how many operations are under way below at a time, at most;
	// 32 by default.
	Workers int
	// Buffer is how many bytes a Writer keeps that are not written yet, 1 MiB
	// by default. A Write beyond it is answered with vfs.ErrAgain, except that
	// one piece of any length is taken when no other waits.
	Buffer int
	// ReadBytes bounds the memory of reads that are under way and of results
	// that were not collected, for all files together; 64 MiB by default. One
	// read of any length is carried out when there are no others.
	ReadBytes int64
	// ReadAhead is how far ahead of a reader who reads a file in order is read,
	// in bytes; 1 MiB by default. A negative number turns reading ahead off.
	ReadAhead int64
}

const (
	defaultWorkers   = 32
	defaultBuffer    = 1 << 20
	defaultReadBytes = 64 << 20
	defaultReadAhead = 1 << 20
)

// FS makes the storage below asynchronous. It is safe for use by many
// goroutines.
type FS struct {
	lower vfs.FS
	opts  Options

	// mu guards everything below, and the state of all files and writers. It is
	// the only lock of this package, and a leaf: nothing is called under it.
	mu      sync.Mutex
	workers crew   // carries out ops and reads
	callers crew   // one goroutine, for the callbacks
	caller  uint64 // the number of that goroutine; it may have gone

	ops   ring[job]       // files and writers that have something to do but reading
	reads ring[*span]     // files that have reads which somebody asked for
	spec  ring[*span]     // files that have reads which nobody has asked for yet
	turn  bool            // the next job is to be a read
	due   fifo[*notifier] // those whose callback is to be called
	room  room
}

var _ vfs.FS = (*FS)(nil)

// New returns an asynchronous storage that keeps its files in lower.
func New(lower vfs.FS, opts Options) *FS {
	if opts.Workers <= 0 {
		opts.Workers = defaultWorkers
	}
	if opts.Buffer <= 0 {
		opts.Buffer = defaultBuffer
	}
	if opts.ReadBytes <= 0 {
		opts.ReadBytes = defaultReadBytes
	}
	if opts.ReadAhead == 0 {
		opts.ReadAhead = defaultReadAhead
	}
	// Blocking: workers wait for a storage that is asynchronous itself.
	f := &FS{lower: vfs.Blocking(lower), opts: opts}
	f.workers = crew{mu: &f.mu, limit: opts.Workers, next: f.nextJob}
	f.callers = crew{mu: &f.mu, limit: 1, next: f.nextCall}
	f.room.limit = opts.ReadBytes
	f.room.freed = f.workers.call
	f.room.mu = &f.mu
	return f
}

// Props implements vfs.FS. Files cannot be mapped: who touches a mapped page
// waits for the storage.
func (s *FS) Props(name string) vfs.Props {
	p := s.lower.Props(name)
	p.Mapping, p.LiveMapping = false, false
	return p
}

// Open implements vfs.FS. The file implements vfs.Async and vfs.Adviser.
func (s *FS) Open(name string, mode vfs.Mode) vfs.File {
	return newFile(s, s.lower.Open(name, mode), name, mode)
}

// Create implements vfs.FS. The writer implements vfs.Ready.
func (s *FS) Create(name string, mode vfs.CreateMode, perm fs.FileMode) vfs.Writer {
	return newWriter(s, s.lower.Create(name, mode, perm), name)
}

// Stat implements vfs.FS. It waits, as all operations on names do.
func (s *FS) Stat(name string) (vfs.Info, error) { return s.lower.Stat(name) }

// List implements vfs.FS.
func (s *FS) List(prefix string) iter.Seq2[string, error] { return s.lower.List(prefix) }

// Remove implements vfs.FS.
func (s *FS) Remove(name string) error { return s.lower.Remove(name) }

// Rename implements vfs.FS.
func (s *FS) Rename(old, name string) error { return s.lower.Rename(old, name) }

// SyncDir implements vfs.FS.
func (s *FS) SyncDir(name string) error { return s.lower.SyncDir(name) }

// Resolve implements vfs.FS.
func (s *FS) Resolve(name string) (string, error) { return s.lower.Resolve(name) }

// Locker implements vfs.FS. data may be a file of this package in any number of
// wrappers. TryLock of the Locker answers vfs.ErrAgain until it has been opened,
// and Lock waits for that; if it could not be opened, the storage below says so.
func (s *FS) Locker(name string, data vfs.File, mode vfs.Mode, perm fs.FileMode) vfs.Locker {
	f := find(data)
	if f == nil {
		return s.lower.Locker(name, data, mode, perm)
	}
	return &locker{Locker: s.lower.Locker(name, f.lower, mode, perm), f: f, closed: make(chan struct{})}
}

// nextJob gives a worker something to do: what files and writers have to do and
// what was asked to be read in turn, and what nobody has asked for when there is
// nothing else.
func (s *FS) nextJob(*hand) job {
	var j job
	for range 2 {
		s.turn = !s.turn
		if s.turn {
			if r := s.nextRead(); r != nil {
				j = r
				break
			}
		} else if s.ops.first() != nil {
			j = s.ops.take()
			break
		}
	}
	if j == nil {
		r := s.nextSpec()
		if r == nil {
			return nil
		}
		j = r
	}
	j.begin()
	if s.ops.first() != nil || s.reads.first() != nil && !s.room.blocked || s.spec.first() != nil {
		s.workers.call()
	}
	return j
}

// fail says what was tried with which file.
func fail(op, name string, err error) error { return fmt.Errorf("async: %s %s: %w", op, name, err) }
