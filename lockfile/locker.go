package lockfile

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/durusdb/durus/vfs"
)

// maxTries is how often a lock file that was replaced is opened again before
// an acquisition gives up.
const maxTries = 64

// patientTries is how many of them Lock makes without a pause.
const patientTries = 4

// yields is how often Lock tries again before it waits in a helper, which takes
// some ten microseconds to sit down and as many to get up. The lock is held for
// less, most of the time.
const yields = 16

// Data is the data file that a lock guards: an *os.File, or what opens one at
// the first call.
type Data interface {
	SyscallConn() (syscall.RawConn, error)
}

// Locker is a lock file. It implements vfs.Locker, where its methods are
// specified.
type Locker struct {
	path string
	data Data
	mode vfs.Mode
	perm fs.FileMode

	lockIsLatch bool          // UpdateMark takes the lock itself; constant, tests set it
	latch       chan struct{} // in-process part of the mark's latch: full while somebody is inside
	done        chan struct{} // closed by Close

	// cur is the open lock file, nil before the first use. It is written under
	// mu; look tells why reading it without is safe.
	cur         atomic.Pointer[handle]
	incarnation atomic.Uint64 // written under mu; a stale value is one that was true a moment ago

	mu     sync.Mutex // guards what follows and every handle.refs; taken before registry.mu
	looked bool       // the path was looked at once
	closed bool
	guard  *guard    // nil until the first acquisition
	file   *dataFile // set with guard, then constant
	held   bool
	hold   hold // valid while held
}

// hold is what was taken to hold the lock.
type hold struct {
	h    *handle
	file *grant // the flock on the lock file, nil: on h's own descriptor
	data *grant // the flock on the data file, nil: on the data file's own descriptor
}

// New returns the lock file called path that guards data. It does no I/O and
// cannot fail. perm is that of a lock file to be created; it is narrowed to
// the permissions of the data file, and 0 means the same as those.
func New(path string, data Data, mode vfs.Mode, perm fs.FileMode) *Locker {
	return &Locker{
		path:        path,
		data:        data,
		mode:        mode,
		perm:        perm,
		lockIsLatch: lockIsLatch,
		latch:       make(chan struct{}, 1),
		done:        make(chan struct{}),
	}
}

var _ vfs.Locker = (*Locker)(nil)

// TryLock implements vfs.Locker. While this process still waits for the lock
// in a helper whose caller gave up, the answer may be "busy".
func (l *Locker) TryLock() (bool, error) {
	g, err := l.prepare()
	if err != nil {
		return false, err
	}
	if !g.tryTurn() {
		g.drop()
		return false, nil
	}
	ok, err := l.take(context.Background(), g, false)
	if !ok {
		g.giveTurn()
		g.drop()
	}
	return ok, fail("lock", l.path, err)
}

// Lock implements vfs.Locker.
func (l *Locker) Lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	g, err := l.prepare()
	if err != nil {
		return err
	}
	if err := g.turn(ctx, l.done); err != nil {
		g.drop()
		return l.failWait(ctx, "lock", err)
	}
	ok, err := l.take(ctx, g, true)
	if !ok {
		g.giveTurn()
		g.drop()
	}
	return l.failWait(ctx, "lock", err)
}

// failWait gives an end of ctx as it is, and everything else with the path.
func (l *Locker) failWait(ctx context.Context, op string, err error) error {
	if end := ctx.Err(); end != nil && errors.Is(err, end) {
		return end
	}
	return fail(op, l.path, err)
}

// prepare returns the guard of the data file. The caller uses it, beyond a
// Close of the Locker, until drop.
func (l *Locker) prepare() (*guard, error) {
	if l.mode == vfs.ReadOnly {
		return nil, fail("lock", l.path, vfs.ErrMode)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, fail("lock", l.path, vfs.ErrClosed)
	}
	if l.guard == nil {
		conn, _, err := l.describe()
		if err != nil {
			return nil, err
		}
		id, err := idOfConn(conn)
		if err != nil {
			return nil, fail("lock the data file of", l.path, err)
		}
		l.file, l.guard = newDataFile(conn), guardOf(id)
	}
	l.guard.retain()
	return l.guard, nil
}

// describe returns the data file's descriptor and its permissions.
func (l *Locker) describe() (syscall.RawConn, fs.FileMode, error) {
	if l.data == nil {
		return nil, 0, fail("lock", l.path, vfs.ErrNotSupported)
	}
	conn, err := l.data.SyscallConn()
	if err != nil {
		return nil, 0, err // it names the data file
	}
	perm, err := permOfConn(conn)
	if err != nil {
		return nil, 0, fail("stat the data file of", l.path, err)
	}
	return conn, perm, nil
}

// take takes both locks. The caller has the turn. Unless wait is true it
// answers at once.
func (l *Locker) take(ctx context.Context, g *guard, wait bool) (bool, error) {
	for try := 0; try < maxTries; try++ {
		got, waited, ok, err := l.takeBoth(ctx, g, wait)
		if ok {
			return l.store(got)
		}
		if !errors.Is(err, errStale) {
			return false, err
		}
		// Somebody deleted or replaced the lock file: lock the one that is
		// there now. Tries that waited do not count, ctx bounds them: others
		// held the lock meanwhile, so something went on.
		if waited {
			try = 0
		}
		if try >= patientTries && wait {
			// Whoever deletes it meets us in step, at the directory's lock.
			select {
			case <-time.After(rand.N(time.Millisecond)):
			case <-ctx.Done():
				return false, ctx.Err()
			}
		}
		if err := l.Reopen(); err != nil {
			return false, err
		}
	}
	return false, ErrUnstable
}

// errStale: what was locked is not the lock file any more.
var errStale = errors.New("stale lock file")

// takeBoth locks the lock file and then the data file. Unless ok it leaves
// nothing locked.
func (l *Locker) takeBoth(ctx context.Context, g *guard, wait bool) (got hold, waited, ok bool, err error) {
	if got.h, err = l.use(); err != nil {
		return got, false, false, err
	}
	got.file, waited, ok, err = l.takeFile(ctx, g, got.h, wait)
	if !ok {
		l.drop(got.h)
		return got, waited, false, err
	}
	if !l.holdsName(got) {
		return got, waited, false, errors.Join(errStale, l.dropFile(got))
	}
	var waitedData bool
	got.data, waitedData, ok, err = l.takeData(ctx, g, wait)
	if !ok {
		return got, waited || waitedData, false, errors.Join(err, l.dropFile(got))
	}
	if waitedData && !l.holdsName(got) {
		got, ok, err = l.swapFile(got)
	}
	return got, waited || waitedData, ok, err
}

// swapFile replaces a lock file that went away while the data file was waited
// for. To wait for the new one, holding the data file, would be the wrong
// order; but nobody can hold it and be done, so it is tried. Unless ok
// everything is given back.
func (l *Locker) swapFile(got hold) (next hold, ok bool, err error) {
	for range maxTries {
		err = l.dropFile(got)
		next = hold{data: got.data}
		if err == nil {
			err = l.Reopen()
		}
		if err == nil {
			next.h, err = l.use()
		}
		if err != nil {
			return next, false, errors.Join(err, l.releaseData(got))
		}
		next.file, ok, err = tryLockFile(next.h.f, l.path)
		if !ok {
			if err = notFound(err); err == nil {
				err = errStale // busy: its holder waits for the data file, that is, for us
			}
			l.drop(next.h)
			return next, false, errors.Join(err, l.releaseData(got))
		}
		if l.holdsName(next) {
			return next, true, nil
		}
		got = next
	}
	return next, false, errors.Join(errStale, l.releaseAll(next))
}

// takeFile takes the flock on the lock file. Where a helper still waits for
// it, its place is taken over.
func (l *Locker) takeFile(ctx context.Context, g *guard, h *handle, wait bool) (got *grant, waited, ok bool, err error) {
	if !wait || !g.pending(h.id) {
		for n := 0; ; n++ {
			got, ok, err = tryLockFile(h.f, l.path)
			if ok || err != nil || !wait {
				return got, false, ok, notFound(err)
			}
			if n == yields {
				break
			}
			runtime.Gosched()
		}
	}
	got, err = g.await(ctx, l.done, h.id, func() (*grant, error) { return blockLockFile(l.path) })
	return got, true, err == nil, notFound(err)
}

// notFound makes a lock file that vanished before gofrs opened it a stale one.
func notFound(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errStale
	}
	return err
}

// takeData takes the flock on the data file. A helper that waits for it does
// so on the same file description, for which flock would say yes twice: then
// there is no other way than through the helper.
func (l *Locker) takeData(ctx context.Context, g *guard, wait bool) (got *grant, waited, ok bool, err error) {
	if !g.pending(g.id) {
		ok, err = l.file.tryLock()
		if ok || err != nil {
			return nil, false, ok, err
		}
	}
	if !wait {
		return nil, false, false, nil
	}
	got, err = g.await(ctx, l.done, g.id, l.file.block)
	return got, true, err == nil, err
}

// holdsName reports whether the path leads to the lock file that is locked.
func (l *Locker) holdsName(got hold) bool {
	if got.file != nil && got.file.id != (vfs.FileID{}) && got.file.id != got.h.id {
		return false
	}
	return l.leadsTo(got.h)
}

// store makes a complete hold the Locker's.
func (l *Locker) store(got hold) (bool, error) {
	l.mu.Lock()
	if !l.closed {
		l.held, l.hold = true, got
		l.mu.Unlock()
		return true, nil
	}
	l.mu.Unlock()
	_ = l.releaseAll(got) // what matters is that it was closed
	return false, vfs.ErrClosed
}

// Unlock implements vfs.Locker.
func (l *Locker) Unlock() error {
	if l.lockIsLatch {
		l.latch <- struct{}{} // a mark being updated relies on the lock
		defer l.exit()
	}
	l.mu.Lock()
	if !l.held {
		l.mu.Unlock()
		return fail("unlock", l.path, ErrNotHeld)
	}
	got, g := l.hold, l.guard
	l.held, l.hold = false, hold{}
	l.mu.Unlock()

	defer g.drop()
	defer g.giveTurn()
	return fail("unlock", l.path, l.releaseAll(got))
}

// releaseAll gives everything back, in the reverse order.
func (l *Locker) releaseAll(got hold) error {
	return errors.Join(l.releaseData(got), l.dropFile(got))
}

// dropFile gives back the lock file and the use of its handle.
func (l *Locker) dropFile(got hold) error {
	defer l.drop(got.h)
	if got.file != nil {
		return got.file.release()
	}
	return unlockFile(got.h.f)
}

func (l *Locker) releaseData(got hold) error {
	if got.data != nil {
		return got.data.release()
	}
	err := l.file.unlock()
	if errors.Is(err, os.ErrClosed) {
		return nil // closing the data file has given the lock back
	}
	return err
}

// Close implements vfs.Locker. Goroutines that wait in Lock or UpdateMark get
// vfs.ErrClosed.
func (l *Locker) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	close(l.done)
	held := l.held
	l.mu.Unlock()

	var err error
	if held {
		if err = l.Unlock(); errors.Is(err, ErrNotHeld) {
			err = nil // its owner was faster
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if h := l.cur.Load(); h != nil {
		l.cur.Store(nil)
		l.unref(h)
	}
	if l.guard != nil {
		l.guard.drop()
	}
	return err
}
