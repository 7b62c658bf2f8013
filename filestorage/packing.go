package filestorage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// Packing is the making of a new file that takes the place of a database. What
// is kept is decided by its caller, package pack: he copies the objects that can
// be reached, one after the other, and then catches up with what others have
// committed. Nothing of the database is changed before Swap. One goroutine uses
// a Packing.
type Packing struct {
	s      *Storage
	l      *lineage // the file that is packed
	snap   *snapshot
	src    *source
	out    generation
	base   baseFrame
	tmp    draft       // memory for base frames
	writer *baseWriter // writes them before anything is caught up with; nil: it was stopped, or none may run, as in simulations

	horizon storage.TID
	time    int64  // of the horizon
	from    int64  // frames of the old file from here on are copied as they are
	covered int64  // and up to here they were
	old     uint64 // objects that the old file held when the last catching up began
	admin   int64  // what frames before say of classes and leases stands at the begin of the new file
	classes int    // how many there were at that moment
	checked chain  // the new file was found to be in order up to here

	dry     bool
	scratch string     // name of the new file, if it is there and ours
	lock    vfs.Locker // of this pack, and of the new file; nil without locks
	claimed bool       // s.packing
	over    bool
}

// PackingOptions say how much history a packing keeps.
type PackingOptions struct {
	Keep     time.Duration // transactions younger than this, and the state before them
	KeepFrom storage.TID   // this transaction and those after it; 0: see Keep
	DryRun   bool          // write nothing
}

// NewPacking begins. Nothing is taken but the lock that keeps other packs away.
// Errors: storage.ErrPacking, ErrReadOnly, vfs.ErrNotSupported, those of the file.
func (s *Storage) NewPacking(ctx context.Context, o PackingOptions) (*Packing, error) {
	for {
		p, err := s.newPacking(ctx, o)
		if err == nil && !p.late() {
			if err = p.start(); err == nil {
				return p, nil
			}
		}
		if closeErr := p.Close(); err != nil || closeErr != nil {
			return nil, errors.Join(err, closeErr)
		}
	}
}

// late reports whether another pack has replaced the file before this one had the
// lock. Behind that none can, so it is enough to begin once more.
func (p *Packing) late() bool { return !p.dry && (p.l.dead.Load() || p.s.stale(p.l)) }

// newPacking is NewPacking up to the lock. What it returns is to be closed, also
// with an error.
func (s *Storage) newPacking(ctx context.Context, o PackingOptions) (*Packing, error) {
	p := &Packing{s: s, dry: o.DryRun, over: true}
	if err := s.enter(); err != nil {
		return p, err
	}
	p.over = false
	if !o.DryRun {
		if err := s.writable(); err != nil {
			return p, err
		}
		if props := s.opts.FS.Props(s.path); !props.AtomicReplace || !props.Append {
			return p, fmt.Errorf("durus: pack %s: this storage cannot put one file in the place of another: copy the database to one that can, and pack it there: %w", s.path, vfs.ErrNotSupported)
		}
	}
	if err := p.begin(ctx); err != nil {
		return p, err
	}
	if err := p.choose(o); err != nil {
		return p, err
	}
	p.src = newSource(s.fs, p.l, p.from)
	p.src.advise()
	if !o.DryRun {
		if err := p.alone(); err != nil {
			return p, err
		}
		if err := p.lockOut(ctx); err != nil {
			return p, err
		}
	}
	return p, nil
}

// begin takes the state that is packed. Unless it is a dry run, what it holds is
// on the disk: what others have appended and a failing disk has lost must not
// be taken for damage, nor be copied.
func (p *Packing) begin(ctx context.Context) error {
	for try := 0; ; try++ {
		if !p.dry {
			if err := p.s.Sync(ctx); err != nil {
				return err
			}
		}
		snap, err := p.s.Begin(ctx, false)
		if err != nil {
			return err
		}
		p.snap = snap.(*snapshot)
		p.l = p.snap.l
		if p.dry || p.snap.end <= p.snap.st.base || try == 3 {
			return nil
		}
		p.snap.Release() // others do not promise, and were faster
	}
}

// alone refuses a file with several names: only one of them would lead to the
// new file.
func (p *Packing) alone() error {
	info, err := p.l.file.Stat()
	if err != nil {
		return fmt.Errorf("durus: pack %s: %w", p.s.path, err)
	}
	if info.Links > 1 {
		return fmt.Errorf("durus: pack %s: the file has %d names (hard links), and only one of them would lead to the packed file: remove the others, or pack a copy: %w", p.s.path, info.Links, vfs.ErrNotSupported)
	}
	return nil
}

// choose decides on the horizon, and finds where what is after it begins.
func (p *Packing) choose(o PackingOptions) error {
	sn, l := p.snap, p.l
	p.horizon, p.from, p.time = sn.tid, sn.end, 0
	low := l.header.Horizon
	var last func(h *frameHeader) bool // of a transaction: it is old enough to be packed
	switch {
	case o.KeepFrom > 0:
		last = func(h *frameHeader) bool { return h.tid < o.KeepFrom }
	case o.Keep > 0:
		limit := p.s.now().Add(-o.Keep).UnixMicro()
		last = func(h *frameHeader) bool { return h.time <= limit }
	default:
		last = func(*frameHeader) bool { return true }
	}
	for pos := sn.end; pos > headerSize; {
		h, err := l.headerBefore(pos)
		if err != nil {
			return err
		}
		if h.tid <= low || h.kind == kindTransaction && last(&h) {
			p.horizon, p.time = max(h.tid, low), h.time
			return nil
		}
		if h.kind == kindTransaction {
			p.from = h.pos
		}
		pos = h.pos
		p.horizon, p.time = low, 0
	}
	return nil
}

// headerBefore reads the header of the frame that ends at end.
func (l *lineage) headerBefore(end int64) (h frameHeader, err error) {
	w := &window{file: l.file, size: end, least: trailerSize}
	b, err := w.bytes(end-trailerSize, trailerSize)
	if err != nil {
		return h, fmt.Errorf("durus: read %s: %w", l.path, err)
	}
	start := end - trailerLength(b)
	if start < headerSize || start >= end {
		return h, corrupt(l.path, end-trailerSize, "no trailer at the end of a frame")
	}
	h, ok, err := l.headerAt(start)
	if err == nil && (!ok || h.end() != end) {
		err = corrupt(l.path, start, "checksum of a frame header")
	}
	return h, err
}

// packLockName is the lock of packs. It keeps other packs away; with it goes a
// flock on the new file, which keeps commits away from that until the swap is
// over, should somebody delete the lock file of the database meanwhile.
func packLockName(path string) string { return path + ".pack.lock" }

// scratchName is the new file's before it has the database's.
func scratchName(path string) string { return path + ".pack" }

// lockOut makes the new file and keeps other packs away.
func (p *Packing) lockOut(ctx context.Context) error {
	s := p.s
	if !s.packing.CompareAndSwap(false, true) {
		return p.busy(0)
	}
	p.claimed = true
	for range 8 {
		if err := ctx.Err(); err != nil {
			return err
		}
		ours, err := p.create()
		if err != nil || ours {
			return err
		}
	}
	return p.busy(0)
}

func (p *Packing) busy(holder int) error {
	who := "another pack"
	if holder != 0 {
		who = fmt.Sprintf("process %d", holder)
	}
	return fmt.Errorf("%w: %s is being packed by %s: wait for it", storage.ErrPacking, p.s.path, who)
}

// create makes the new file, which holds nothing but its header, and locks it.
// ours is false if that has to be tried again: a file was there that a killed
// pack has left, or somebody has taken ours for such a one.
func (p *Packing) create() (ours bool, err error) {
	s, l := p.s, p.l
	h := p.settleAdmin()
	p.out.begin(h)
	p.out.room = p.room
	if err := p.room(min(p.snap.end, generationSync)); err != nil {
		return false, err
	}
	if !s.opts.Foreground {
		p.out.ahead = make(chan error, 1)
	}
	name := scratchName(s.path)
	err = createWith(s.fs, name, l.info.Perm, &h)
	left := errors.Is(err, fs.ErrExist)
	if err != nil && !left {
		return false, err
	}
	p.out.path, p.out.file = name, s.fs.Open(name, vfs.Append)
	own, err := p.out.file.Stat()
	if errors.Is(err, fs.ErrNotExist) { // its pack is over
		return false, p.out.file.Close()
	}
	if err != nil {
		return false, fmt.Errorf("durus: pack %s: %w", s.path, err)
	}
	if s.sole == nil { // else nobody else writes, and the one lock is that of commits
		p.lock = s.fs.Locker(packLockName(s.path), p.out.file, vfs.Append, l.info.Perm)
		ok, err := p.lock.TryLock()
		if err != nil {
			return false, fmt.Errorf("durus: pack %s: lock %s: %w", s.path, packLockName(s.path), err)
		}
		if !ok {
			err := p.busy(p.lock.Holder())
			return false, errors.Join(err, p.discard())
		}
	}
	// With the lock: the file is ours, or its pack is dead.
	there, err := s.fs.Stat(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("durus: pack %s: %w", s.path, err)
	}
	if err == nil && there.ID == own.ID {
		p.scratch = name
	}
	if left || p.scratch == "" {
		return false, p.discard()
	}
	return true, nil
}

// reserve is what a pack leaves free: the commits of others need room, too.
const reserve = 16 << 20

// room refuses to write n more bytes where that would fill the disk, if the
// storage can tell. How large the new file will be is not known before it is
// written, so this is asked again and again.
func (p *Packing) room(n int64) error {
	space, ok := p.s.opts.FS.(vfs.Space)
	if !ok {
		return nil
	}
	free, err := space.Free(p.s.path)
	if err != nil || free >= n+reserve {
		return nil // who cannot tell is no reason to stop; writing will tell
	}
	return fmt.Errorf("durus: pack %s: %d bytes are free on its disk and it wants %d now, more before it is done, since it writes a new file beside the old one (durusctl pack --dry-run tells how large): make room, or pack a copy elsewhere; nothing was changed: %w", p.s.path, free, n+reserve, syscall.ENOSPC)
}

// settleAdmin decides, at one moment, what the begin of the new file says of
// classes and leases: what frames before that moment say of them is not copied,
// what frames behind it say is. It returns the header.
func (p *Packing) settleAdmin() Header {
	l := p.l
	l.mu.Lock()
	defer l.mu.Unlock()
	p.admin, p.classes = l.cur.pos, l.cur.cls
	return nextHeader(&l.header, p.horizon, l.cur.high, p.s.now().UnixMicro())
}

// discard drops the new file. What cannot be removed the next pack collects.
func (p *Packing) discard() error {
	var err error
	if p.scratch != "" {
		if err = p.s.fs.Remove(p.scratch); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	_ = p.stopWriter() // what it has written is not wanted any more
	if p.out.file != nil {
		_ = p.out.await() // it is not wanted any more, or has been waited for
		err = errors.Join(err, p.out.file.Close())
	}
	if p.lock != nil {
		err = errors.Join(err, p.lock.Close()) // gives it back
	}
	p.scratch, p.lock, p.out.file = "", nil, nil
	if err != nil {
		return fmt.Errorf("durus: pack %s: %w", p.s.path, err)
	}
	return nil
}

// start writes the classes.
func (p *Packing) start() error {
	if p.dry {
		p.out.begin(p.settleAdmin())
	}
	for id := storage.ClassID(1); int(id) <= p.classes; id++ {
		name, _ := p.l.classes.name(id)
		if err := p.out.add(newClassDraft(id, name), 0, p.time); err != nil {
			return err
		}
	}
	p.covered = p.from
	p.base.time = p.time
	if !p.s.opts.Foreground {
		p.writer = startBaseWriter(&p.out)
	}
	return nil
}

// Horizon is the transaction whose state is kept without history before it.
func (p *Packing) Horizon() storage.TID { return p.horizon }

// Before is the size of the database when the packing began, in bytes.
func (p *Packing) Before() int64 { return p.snap.end }

// Written is the size of the new file so far, in bytes.
func (p *Packing) Written() int64 {
	if p.writer != nil {
		return headerSize + p.writer.sent + p.base.size()
	}
	return p.out.chain.pos + int64(len(p.base.body))
}

// Idle reports whether there is nothing to gain: the file was packed, with the
// same horizon, and nothing was committed since.
func (p *Packing) Idle() bool {
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	return p.l.originEnd > 0 && p.horizon == p.l.header.Horizon && p.from == p.snap.end && p.l.originEnd == p.snap.end
}

// Kept is what Keep has kept.
type Kept struct {
	Class  storage.ClassID
	Size   int64         // of the record, bytes
	Strong []storage.OID // what it refers to; valid until the next call
}

// Keep copies the state that an object has at the horizon. found is false when
// it has none there. An object is to be kept once.
func (p *Packing) Keep(next Next, refs []storage.OID) (k Kept, found bool, err error) {
	defer p.src.guard(p.src.enter(), &err)
	pos := next.at
	if pos == 0 {
		if pos, err = p.find(next.OID); err != nil || pos == 0 {
			return k, false, err
		}
	}
	r, err := p.src.read(next.OID, pos)
	if err != nil {
		return k, false, err
	}
	p.base.add(&r)
	k = Kept{Class: r.class, Size: int64(len(r.raw)), Strong: r.appendStrong(refs[:0], r.raw)}
	if int64(len(p.base.body)) >= baseFrameTarget {
		err = p.nextBase()
	}
	return k, true, err
}

// nextBase ends the base frame that is being collected.
func (p *Packing) nextBase() (err error) {
	if p.writer == nil {
		return p.base.write(&p.out, &p.tmp)
	}
	p.base, err = p.writer.pass(p.base)
	p.base.time = p.time
	return err
}

func (p *Packing) find(oid storage.OID) (storage.Position, error) {
	pos := p.l.index.get(oid)
	if pos > 0 && int64(pos) < p.from {
		return pos, nil
	}
	if pos <= 0 {
		if err := p.l.absent(pos); !errors.Is(err, storage.ErrNotFound) {
			return 0, err
		}
		return 0, nil
	}
	sn := snapshot{l: p.l, end: p.from}
	pos, err := sn.older(oid, pos)
	if errors.Is(err, storage.ErrNotFound) {
		return 0, nil
	}
	return pos, err
}

// closeBase ends the base frame that is being collected, if there is anything in
// it. Then all that was kept is in the new file, and whoever calls it may go on
// with that.
func (p *Packing) closeBase() (err error) {
	if len(p.base.records) > 0 {
		err = p.nextBase()
	}
	return errors.Join(err, p.stopWriter())
}

func (p *Packing) stopWriter() error {
	if p.writer == nil {
		return nil
	}
	c := p.writer
	p.writer = nil
	return c.stop()
}

// appendStrong decodes the strong references.
func (r *recordHeader) appendStrong(to []storage.OID, raw []byte) []storage.OID {
	for i := range r.strong {
		to = append(to, storage.OID(le64(raw[recordHeaderSize+8*i:])))
	}
	return to
}

// Close ends the packing: unless Swap has succeeded, nothing of it is left.
func (p *Packing) Close() error {
	if p.over {
		return nil
	}
	p.over = true
	err := p.discard()
	if p.claimed {
		p.s.packing.Store(false)
	}
	if p.src != nil {
		err = errors.Join(err, p.src.close())
	}
	if p.snap != nil {
		p.snap.Release()
	}
	p.s.leave()
	return err
}
