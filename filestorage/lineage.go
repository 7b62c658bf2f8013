package filestorage

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

const (
	// firstOID is the first object id that is given out; 1 is the root
	// directory's.
	firstOID storage.OID = 2
	// maxLease bounds one lease, so that a damaged file cannot claim more
	// object ids than its size warrants.
	maxLease = 1 << 16
)

// lineage is what a handle knows of one file and one history of it. When the
// file is rewound or replaced, a new lineage takes its place; snapshots of the
// old one keep it alive.
type lineage struct {
	id uint64 // different for every lineage of the process
	// history is the id of the first lineage from which packs have led to this
	// one. It is set before the lineage is known to anybody.
	history uint64
	path    string
	header  Header
	info    vfs.Info // when it was opened
	file    vfs.File
	lock    vfs.Locker
	logger  *slog.Logger
	news    *news // of the handle

	stable   bool          // the size of the file is never stale
	live     bool          // what is appended shows in mappings
	patience time.Duration // the longest wait for the mark's latch

	// state is what new snapshots begin from. The poller, under mu, stores it
	// after the index holds everything in it; Begin loads it without a lock. A
	// stale one is an older snapshot, never a wrong one.
	state atomic.Pointer[state]
	dead  atomic.Bool // rewound or closed; set once. The file closes with the last snapshot
	// broken is set when the file turned out not to hold what was applied. The
	// transaction that met it has been told; the next one gets a new lineage.
	broken atomic.Bool
	// next is the file that took the place of this one by a pack and holds all
	// of it. It is set once, under Storage.reloading, before dead is.
	next atomic.Pointer[succession]
	// atMoved is set while moving is not nil, for look's slow path. One that is
	// read a moment late costs one more look at the old file.
	atMoved atomic.Bool
	// ready is dur.warm and dur.dirSynced, for look's fast path. One that is
	// read a moment late costs a slower look.
	ready atomic.Bool

	index   index
	recent  recent
	classes classTable
	mapped  mappings

	// mu is held by whoever reads new frames or appends some: one function
	// does it for everybody. It guards all that follows.
	mu      sync.Mutex
	cur     cursor
	states  []*state // published ones that snapshots may hold, oldest first
	tail    tailLook // what was last seen behind the end
	dur     durability
	scratch [headerUsed]byte   // for anchored
	markBuf [vfs.MarkSize]byte // for readMark
	uses    int                // lock holds and syncs under way, which keep the files open
	damage  error              // what is wrong with the file for ever
	closed  bool

	indexed   int64    // a checkpoint of the index covers everything before
	origins   []origin // files that this one was packed from, the newest first
	originEnd int64    // what was appended since it was packed begins here; 0: it was not
	moving    *moved   // what stands at the end, if that is a moved frame; see moved.go
	stats     lineageStats
}

type lineageStats struct{ polls, followed uint64 }

// state is one published state of the file. All but refs is immutable.
type state struct {
	end        int64       // of the last valid frame
	tid        storage.TID // newest transaction in it
	visible    int64       // V: what is durable, for everybody but writers
	base       int64       // the mark that was read last covers this much
	visibleTID storage.TID
	refs       atomic.Int64 // snapshots
}

// cursor is where the handle stands in the file.
type cursor struct {
	chain             // what the next frame must fit to; pos is the end
	last     int64    // begin of the last frame, 0 when there is none
	anchor   []byte   // its header, or the file header: what must still be there
	checked  int64    // size of the file when the anchor was last compared
	frames   uint64   // valid frames
	txs      uint64   // of which transactions
	promised []span   // frames that may not be durable and that V must not pass
	skipped  uint64   // frames that a checkpoint has spared us; they are not in ring
	ring     [64]spot // ends of the newest frames, by frames % 64
}

type span struct {
	start, end int64
	tid        storage.TID // newest transaction before start
}

type spot struct {
	start, end int64
	tid        storage.TID
	sum        uint32
}

// tailLook is what a scan saw behind the end. While size and header stay the
// same nothing is read or summed again.
type tailLook struct {
	pos, size int64
	head      [frameHeaderSize]byte
	bad       error // CorruptError or ErrTooNew
}

var lineages atomic.Uint64

// openLineage opens an existing file and reads it to its end.
func (s *Storage) openLineage() (_ *lineage, err error) {
	path, mode := s.path, vfs.Append
	if s.opts.ReadOnly {
		mode = vfs.ReadOnly
	}
	l := &lineage{id: lineages.Add(1), path: path, stable: s.stable, live: s.live, patience: s.opts.LockTimeout, logger: s.opts.Logger, news: &s.news}
	l.history = l.id
	l.file = s.fs.Open(path, mode)
	defer func() {
		if err != nil {
			l.file.Close()
			if l.lock != nil {
				l.lock.Close()
			}
		}
	}()
	if l.info, err = l.file.Stat(); err != nil {
		return nil, fmt.Errorf("durus: open: %w", err)
	}
	head := make([]byte, headerSize)
	n, err := l.file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("durus: read %s: %w", path, err)
	}
	if l.header, err = parseHeader(path, head[:n], int64(n)); err != nil {
		return nil, err
	}
	l.lock = s.fs.Locker(lockName(path), l.file, mode, l.info.Perm)
	if err := l.lock.Reopen(); err != nil && !errors.Is(err, vfs.ErrMode) {
		return nil, fmt.Errorf("durus: lock file of %s: %w", path, err)
	}
	l.dur.incarnation = l.lock.Incarnation()
	l.cur.chain = l.header.chain()
	if bytes.Equal(head[:headerUsed], l.header.raw[:]) { // else the second copy serves
		l.cur.anchor = slices.Clone(l.header.raw[:])
	}
	l.dur.base = l.header.Synced
	// A handle vouches only for bytes that are written after its descriptor
	// was opened.
	if l.dur.unvouched, err = l.file.Size(); err != nil {
		return nil, fmt.Errorf("durus: %s: %w", path, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.loadCheckpoint(s); err != nil {
		return nil, err
	}
	l.state.Store(&state{end: headerSize, visible: headerSize, base: headerSize})
	if _, err = l.poll(); err == nil && l.cur.pos < l.header.Synced {
		err = corrupt(path, l.cur.pos, "the file is shorter than it was when it was made")
		l.damage = err
	}
	if err != nil {
		// A damaged file opens; its transactions say what is wrong.
		if !errors.Is(err, storage.ErrCorrupt) && !errors.Is(err, storage.ErrTooNew) {
			return nil, err
		}
		err = nil
	}
	l.recent.forget(l.cur.pos)
	return l, nil
}

func lockName(path string) string { return path + ".lock" }

// apply takes a valid frame into the index. l.mu is held. While the file is
// opened nothing is remembered: nobody has a snapshot.
func (l *lineage) apply(f *frame) {
	l.recent.mu.Lock()
	remember := l.recent.from > 0
	l.cur.top = max(l.cur.top, f.greatest())
	for i := range f.records {
		oid, pos := f.oid(i), f.recordPos(i)
		if remember {
			l.recent.add(oid, pos, l.index.get(oid))
		}
		l.index.set(oid, pos)
	}
	l.recent.mu.Unlock()
	l.advance(&f.frameHeader, f.raw[:])
	switch f.kind {
	case kindClass:
		l.classes.add(storage.ClassID(binary.LittleEndian.Uint32(f.meta)), string(f.meta[4:]))
		l.cur.cls++
	case kindOrigin:
		l.origins, l.originEnd = parseOrigins(f.meta), f.end()
	}
}

// advance moves the cursor behind a frame.
func (l *lineage) advance(h *frameHeader, raw []byte) {
	c := &l.cur
	if h.promise() && h.end() > l.dur.base {
		c.promised = append(c.promised, span{h.pos, h.end(), c.tid})
	}
	c.pos, c.sum, c.tid, c.time, c.last = h.end(), h.sum, h.tid, h.time, h.pos
	c.anchor = append(c.anchor[:0:cap(c.anchor)], raw...)
	if h.leaseFirst != 0 {
		c.high = h.leaseFirst + storage.OID(h.leaseCount)
	}
	l.setMoving(nil)
	c.ring[c.frames%uint64(len(c.ring))] = spot{h.pos, h.end(), h.tid, h.sum}
	c.frames++
	if h.kind == kindTransaction {
		c.txs++
	}
	// The writer of a frame knew everything before `durable` to be on the
	// disk: a mark that was read earlier.
	if h.durable > l.dur.base && l.endsAt(h.durable) {
		l.raiseBase(h.durable)
	}
}

// endsAt reports whether an applied frame ends at pos. What a frame of a
// hostile file calls durable may be any place.
func (l *lineage) endsAt(pos int64) bool {
	s, all := l.spotAt(pos)
	if all {
		return s.end == pos
	}
	_, err := l.markAt(pos) // older than what is remembered
	return err == nil
}

// spotAt returns the last frame that ends at pos or before, if it is among
// those that are remembered.
func (l *lineage) spotAt(pos int64) (s spot, ok bool) {
	c := &l.cur
	for i := range min(c.frames-c.skipped, uint64(len(c.ring))) {
		if s = c.ring[(c.frames-1-i)%uint64(len(c.ring))]; s.end <= pos {
			return s, true
		}
	}
	return spot{}, false
}

// publish makes what the cursor knows the state of new snapshots. l.mu is held.
func (l *lineage) publish() *state {
	c := &l.cur
	n := &state{end: c.pos, tid: c.tid, visible: c.pos, visibleTID: c.tid, base: l.dur.base}
	if len(c.promised) > 0 {
		n.visible, n.visibleTID = c.promised[0].start, c.promised[0].tid
	}
	if n.visible == n.end {
		l.dur.lagging = time.Time{}
	}
	old := l.state.Load()
	if old.end == n.end && old.visible == n.visible && old.base == n.base {
		return old
	}
	if n.base > old.base {
		vfs.Advise(l.file, vfs.Settled, 0, n.base) // F2: what is durable is never changed nor cut
	}
	l.state.Store(n)
	l.states = append(l.states, old)
	// A snapshot takes its reference before it looks whether the state is
	// still the newest (see begin), so a state without references that is no
	// longer the newest will never get one.
	live := l.states[:0]
	floor := n.visible
	for _, s := range l.states {
		if s.refs.Load() > 0 {
			live = append(live, s)
			floor = min(floor, s.visible)
		}
	}
	clear(l.states[len(live):])
	l.states = live
	l.recent.forget(floor)
	if n.visible > old.visible {
		l.news.published()
	}
	return n
}

// end is the end of the last valid frame that this handle has applied.
func (l *lineage) end() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cur.pos
}

// behind is how much of it is not known to be durable, in bytes.
func (l *lineage) behind() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cur.pos - l.dur.base
}

// anchored reports whether the frame before the end is still what it was.
func (l *lineage) anchored() (bool, error) {
	c := &l.cur
	if c.anchor == nil {
		return true, nil
	}
	b := l.scratch[:len(c.anchor)]
	vfs.Advise(l.file, vfs.Doubted, c.last, int64(len(b)))
	n, err := l.file.ReadAt(b, c.last)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("durus: read %s: %w", l.path, err)
	}
	if n < len(b) && !l.stable {
		return true, nil // see checkAnchor
	}
	if n < len(b) || !bytes.Equal(b, c.anchor) {
		return false, nil
	}
	vfs.Advise(l.file, vfs.Settled, 0, l.dur.base) // the doubt was unfounded
	return true, nil
}

// rewoundError is for a file that no longer holds the history that was read.
func (l *lineage) rewoundError(how string) error {
	return fmt.Errorf("%w: %s: %s; what was read from it before is void: begin a new transaction", storage.ErrRewound, l.path, how)
}

// use keeps the files open until drop, also when the lineage is retired
// meanwhile: nobody may go on appending with a lock that was closed under him.
func (l *lineage) use() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.uses++
}

// useOpen is use, unless the files are closed already.
func (l *lineage) useOpen() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.uses++
	return true
}

// using returns the lineage of this moment, in use until drop. Who works on one
// without a snapshot of it needs that: a pack, or another transaction of the
// handle that meets the packed file, closes the files that nobody uses.
func (s *Storage) using() (*lineage, error) {
	for {
		l := s.current()
		if l.useOpen() {
			return l, nil
		}
		if l == s.current() { // else a pack was faster, and its file is there
			return nil, fmt.Errorf("%w: %s", storage.ErrClosed, s.path)
		}
	}
}

func (l *lineage) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.uses--
	if err := l.closeFiles(); err != nil {
		l.logger.Warn("durus: close", "path", l.path, "err", err)
	}
}

// closeFiles closes the descriptors once nobody needs them any more. l.mu is held.
func (l *lineage) closeFiles() error {
	if l.closed || !l.dead.Load() || l.uses > 0 || l.state.Load().refs.Load() > 0 {
		return nil
	}
	for _, s := range l.states {
		if s.refs.Load() > 0 {
			return nil
		}
	}
	l.closed = true
	return errors.Join(l.mapped.close(), l.file.Close(), l.lock.Close())
}

// retire marks the lineage as over.
func (l *lineage) retire() error {
	l.dead.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closeFiles()
}

// background is the context of what must not be given up half way.
var background = context.Background()
