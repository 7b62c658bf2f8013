package durus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
)

// DB is an open database: a handle on a file that any number of processes may
// have open. It is safe for use by many goroutines; one per file and process
// is enough, several are as good as several processes.
type DB struct {
	st    storage.Storage
	path  string
	opts  Options // with defaults filled in; constant
	tag   uint64  // of the references of this handle, 1 to 65535
	watch bool    // Updates are watched by goroutine, see checkNested
	bound int64   // of what edited and added objects take in memory, bytes; see relief

	packer packer // of the storage; nil: it cannot be packed

	running  running
	counters counters

	// life ends when Close begins: who waits for others without keeping the
	// database open, as Watch does, ends with it.
	life context.Context
	end  context.CancelFunc

	// current is the memory of the newest lineage seen. It is read without a
	// lock: an old one serves snapshots of its lineage, and generation
	// compares.
	current atomic.Pointer[generation]
	renew   sync.Mutex  // serialises stores to current, and guards former
	former  *generation // of an older lineage, asked for last; nil: none

	closing  sync.Once
	closeErr error // set by closing
}

// open makes a handle on a storage.
func open(st storage.Storage, opts Options, path string) (*DB, error) {
	tag, err := tags.take()
	if err != nil {
		return nil, err
	}
	db := &DB{st: st, path: path, opts: opts.resolved(), tag: tag}
	db.watch = testing.Testing() && db.opts.Check != CheckNothing
	db.bound = max(db.opts.CacheBytes, minBound)
	db.running.path = path
	db.running.idle = make(chan struct{})
	db.life, db.end = context.WithCancel(context.Background())
	db.current.Store(newGeneration(0, db.opts.CacheBytes))
	return db, nil
}

// Close waits for running transactions, makes everything durable and closes
// the file. Every later use of the handle is ErrClosed; Close again returns
// what the first one did. It must not be called inside a transaction, for
// which it would wait; after some seconds of waiting it logs that. Connections are not waited for: their uncommitted
// changes are lost. Loops over Watch end with ErrClosed.
//
// After an error the file is closed all the same. It tells that something of what
// was committed without SyncAlways may not be on the disk: the disk's error, or
// ErrLocked where making it durable took the commit lock.
func (db *DB) Close() error {
	if db.st == nil {
		return db.running.open()
	}
	db.closing.Do(func() {
		db.end()
		warn := time.AfterFunc(closePatience, db.warnClosing)
		db.running.close()
		warn.Stop()
		db.closeErr = db.st.Close()
		tags.release(db.tag)
	})
	return db.closeErr
}

// closePatience is how long Close waits for transactions without a word.
const closePatience = 5 * time.Second

// warnClosing says what Close waits for.
func (db *DB) warnClosing() {
	logger := db.opts.Logger
	if logger == nil {
		logger = slog.Default()
	}
	logger.Warn("durus: Close waits for transactions", "path", db.path, "transactions", db.running.count())
}

// Path is the name that the database was opened with.
func (db *DB) Path() string { return db.path }

// Sync returns when everything that this handle has committed is on the disk,
// whatever Options.Sync is.
func (db *DB) Sync(ctx context.Context) error {
	if err := db.running.enter(); err != nil {
		return err
	}
	defer db.running.leave()
	return db.st.Sync(ctx)
}

// LastTID returns the newest durable transaction, of any process. It looks at
// the file.
func (db *DB) LastTID() (TID, error) {
	if err := db.running.enter(); err != nil {
		return 0, err
	}
	defer db.running.leave()
	return db.st.LastTID()
}

// Committed tells, after an *UnknownOutcomeError, whether that transaction is
// part of the database for good. It settles the question first, which may take
// a sync.
func (db *DB) Committed(tid TID) (bool, error) {
	if err := db.running.enter(); err != nil {
		return false, err
	}
	defer db.running.leave()
	return db.st.Committed(tid)
}

// running counts the transactions that Close waits for, without a lock: each
// begin and end costs one atomic addition.
type running struct {
	state atomic.Int64 // how many, plus closedFlag once close was called
	idle  chan struct{}
	once  sync.Once // closes idle
	path  string
}

const closedFlag = 1 << 62

// enter keeps the database open until leave.
func (r *running) enter() error {
	if r.idle == nil {
		return r.open()
	}
	if r.state.Add(1) > closedFlag {
		r.leave()
		return r.open()
	}
	return nil
}

func (r *running) leave() {
	if r.state.Add(-1) == closedFlag {
		r.once.Do(func() { close(r.idle) })
	}
}

// open returns ErrClosed once close was called.
func (r *running) open() error {
	if r.idle == nil {
		return fmt.Errorf("%w: it was never opened: Open and OpenMemory make a DB", ErrClosed)
	}
	if r.state.Load() >= closedFlag {
		return fmt.Errorf("%w: %s", ErrClosed, r.path)
	}
	return nil
}

// count is how many have entered and not left.
func (r *running) count() int64 { return r.state.Load() &^ closedFlag }

// close lets nobody in any more and waits until all have left. It is called once.
func (r *running) close() {
	r.state.Add(closedFlag + 1)
	r.leave()
	<-r.idle
}

// tags are the numbers that references carry in memory to tell their database:
// those of open handles differ. A number is reused only after all others were,
// so that a reference kept from a closed handle is found out.
var tags tagSet

type tagSet struct {
	mu   sync.Mutex // guards the rest
	last uint16
	live map[uint16]bool
}

func (s *tagSet) take() (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.live) >= 1<<16-1 {
		return 0, errors.New("durus: 65535 databases are open in this process: close some")
	}
	if s.live == nil {
		s.live = map[uint16]bool{}
	}
	for s.last++; s.last == 0 || s.live[s.last]; s.last++ {
	}
	s.live[s.last] = true
	return uint64(s.last), nil
}

func (s *tagSet) release(tag uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, uint16(tag))
}
