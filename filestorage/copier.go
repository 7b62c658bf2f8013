package filestorage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/durusdb/durus/storage"
)

// Copier copies a database file up to some point, frame by frame, and checks
// each frame and each record of it while it does: what is damaged is never
// copied. The bytes are those of the file, so a copy can be continued later,
// behind the Point where it ended, with what the file got since. It needs
// memory for the largest record and no more. One goroutine uses a Copier.
type Copier struct {
	path   string // for messages
	header Header
	sc     scanner
	c      chain
	last   frameHeader // of the frame that ends at c.pos; its kind is 0 where that is the file header
	begun  bool        // the file header was written, or is in what is continued
	txs    uint64      // transactions among what was copied
	base   int64       // newest time of a state in a base frame

	behind  error // what is wrong behind the end of what is copied
	damaged func(oid storage.OID, pos storage.Position, reason string) error
	release func()
	alone   bool // no goroutines
}

// Point is the end of a frame, with what the next frame must fit to. A file
// that holds a frame with this end and this checksum holds the same history
// before it: as each frame names the checksum of the one before, one stands
// for all.
type Point struct {
	Start   int64       // where the frame begins; 0: End is that of the file header
	End     int64       // everything before is in the copy, bytes
	Sum     uint32      // checksum of the frame's header
	TID     storage.TID // newest transaction before End
	Time    int64       // of the frame, microseconds since 1970
	HighOID storage.OID // first object id that was not given out
	TopOID  storage.OID // greatest object id that has a state
	Classes int         // how many have a number
}

// Limit says where a copy ends. The zero value is the end of what can be copied.
type Limit struct {
	TID   storage.TID // before the first transaction greater than this; 0: no limit
	Time  time.Time   // before the first transaction later than this; zero: no limit
	Bytes int64       // behind the frame with which this much was written, for copies in pieces; 0: no limit
}

// passed reports whether a frame is beyond the limit.
func (l *Limit) passed(h *frameHeader) bool {
	return h.kind == kindTransaction && (l.TID > 0 && h.tid > l.TID || !l.Time.IsZero() && h.time > l.Time.UnixMicro())
}

// copierWindow is how much of the file is read at once.
const copierWindow = 256 << 10

func newCopier(path string, h Header, src io.ReaderAt, end int64) *Copier {
	win := &window{file: src, size: end, least: copierWindow}
	return &Copier{
		path: path, header: h, c: h.chain(),
		sc: scanner{salt: h.Salt, win: win, body: win},
		damaged: func(oid storage.OID, pos storage.Position, reason string) error {
			return &storage.CorruptError{Path: path, Offset: int64(pos), OID: oid, Reason: reason}
		},
		release: func() {},
	}
}

// NewCopier copies the first size bytes of src, which hold whole frames: a
// backup. path is for messages. Errors: storage.ErrNotDurus, ErrTooNew,
// ErrCorrupt, those of reading.
func NewCopier(path string, src io.ReaderAt, size int64) (*Copier, error) {
	head := make([]byte, headerSize)
	n, err := src.ReadAt(head[:min(size, headerSize)], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("durus: read %s: %w", path, err)
	}
	h, err := parseHeader(path, head[:n], int64(n))
	if err != nil {
		return nil, err
	}
	return newCopier(path, h, src, size), nil
}

// Copier copies what a View sees at this moment, while others commit and pack:
// the file that it began with stays open. With whole it copies everything that
// is valid, as whoever opens the file for writing will see it; what is wrong
// behind that is an error when the copy gets there. It works on a handle that
// was opened with ReadOnly, takes no lock and changes nothing. Errors are those
// of Begin. The caller must Close it, and Storage.Close waits for that.
func (s *Storage) Copier(ctx context.Context, whole bool) (_ *Copier, err error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.leave()
		}
	}()
	sn, behind, err := s.examine(ctx)
	if errors.Is(err, storage.ErrRewound) { // a copy has seen nothing yet that could be void
		sn, behind, err = s.examine(ctx)
	}
	if err != nil {
		return nil, err
	}
	if whole {
		old := sn
		sn = sn.l.begin(true)
		old.Release()
	} else if behind != nil {
		sn.Release()
		return nil, behind
	}
	c := newCopier(s.path, sn.l.header, sn.l.file, sn.end)
	c.behind, c.damaged, c.alone = behind, sn.l.damaged, s.opts.Foreground
	c.release = func() { sn.Release(); s.leave() }
	return c, nil
}

// Close ends the copy. It is idempotent.
func (c *Copier) Close() {
	c.release()
	c.release = func() {}
}

// Header is that of the file, and of the copy.
func (c *Copier) Header() Header { return c.header }

// End is how much can be copied, in bytes.
func (c *Copier) End() int64 { return c.sc.win.size }

// BaseTime is the time of the newest state that a pack has kept without its
// transaction, as far as it was copied, microseconds since 1970; 0: none was.
func (c *Copier) BaseTime() int64 { return c.base }

// Point is where the copy ends so far.
func (c *Copier) Point() Point {
	return Point{
		Start: c.last.pos, End: c.c.pos, Sum: c.c.sum, TID: c.c.tid, Time: c.c.time,
		HighOID: c.c.high, TopOID: c.c.top, Classes: c.c.cls,
	}
}

// Continue makes the copy go on behind a point where an earlier one ended, and
// reports whether this file holds all that the earlier one does; if not,
// nothing has happened. A point behind End is one that a View does not see any
// more or not again: if the file holds it, there is nothing to copy.
func (c *Copier) Continue(p Point) (bool, error) {
	if p.Start == 0 {
		if p.End != headerSize || p.Sum != c.header.checksum() {
			return false, nil
		}
		c.begun = true
		return true, nil
	}
	w := window{file: c.sc.win.file, size: p.Start + frameHeaderSize, least: frameHeaderSize}
	b, err := w.bytes(p.Start, frameHeaderSize)
	if errors.Is(err, errShrunk) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("durus: read %s: %w", c.path, err)
	}
	var h frameHeader
	h.get(b)
	if !goodHeader(b, &h, c.header.Salt, p.Start) || h.sum != p.Sum || h.end() != p.End || h.tid != p.TID {
		return false, nil
	}
	c.c = chain{pos: p.End, sum: p.Sum, tid: p.TID, time: p.Time, high: p.HighOID, top: p.TopOID, cls: p.Classes}
	c.last, c.begun = h, true
	return true, nil
}

// Copy writes what comes before the limit, from where the copy stands. done
// is false if Limit.Bytes has ended it and there is more. w is written to on
// another goroutine, which ends before Copy does. progress, if not nil, is
// called now and then with bytes done and in all. After an error Point tells
// how far everything was in order; less may have been written. Errors:
// *storage.CorruptError, storage.ErrRewound (another history was copied over
// the file meanwhile), storage.ErrPacked and ErrNotFound (nothing is as old as
// the limit), the context's, those of w.
func (c *Copier) Copy(ctx context.Context, w io.Writer, to Limit, progress func(done, total int64)) (done bool, err error) {
	out := &behind{w: w, alone: c.alone}
	done, err = c.copy(ctx, out, to, progress)
	if closeErr := out.close(err != nil); err == nil {
		err = closeErr
	}
	return done && err == nil, err
}

func (c *Copier) copy(ctx context.Context, out io.Writer, to Limit, progress func(done, total int64)) (done bool, err error) {
	begin := c.c.pos
	if !c.begun {
		begin = 0
		if _, err := out.Write(c.header.bytes()); err != nil {
			return false, err
		}
		c.begun = true
	}
	for !c.ended() {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if to.TID > 0 && c.c.tid == to.TID && c.txs > 0 { // what follows may be damaged
			return true, nil
		}
		f, err := c.head()
		if err != nil {
			return false, err
		}
		if to.passed(&f.frameHeader) {
			return true, c.reaches(to)
		}
		if err := c.frame(out, &f); err != nil {
			return false, err
		}
		if progress != nil {
			progress(c.c.pos, c.End())
		}
		if to.Bytes > 0 && c.c.pos-begin >= to.Bytes && !c.ended() {
			return false, nil
		}
	}
	if c.behind != nil && (c.c.tid != to.TID || c.txs == 0) {
		return false, c.behind
	}
	return true, c.reaches(to)
}

func (c *Copier) ended() bool { return c.c.pos >= c.End() }

// reaches reports why a copy that ended at the limit is not the state there.
func (c *Copier) reaches(to Limit) error {
	if c.txs > 0 || to.TID == 0 && to.Time.IsZero() {
		return nil
	}
	h := c.header.Horizon
	switch {
	case h == 0 && c.c.tid == 0:
		return fmt.Errorf("%w: %s holds no transaction that is as old: choose a later one", storage.ErrNotFound, c.path)
	case c.c.tid == h && (to.TID > 0 && to.TID < h || !to.Time.IsZero() && to.Time.UnixMicro() < c.base):
		return fmt.Errorf("%w: %s was packed, and what it holds begins with the state at %s: choose a later transaction, or an older backup", storage.ErrPacked, c.path, h)
	}
	return nil
}

// head reads what comes before the records of the next frame.
func (c *Copier) head() (frame, error) {
	f, v, reason, err := c.sc.next(c.c, true, false)
	switch {
	case err != nil:
		return f, c.failed(0, c.c.pos, err)
	case v == verdictTooNew:
		return f, fmt.Errorf("%w: %s, byte %d: %s; use a newer program", storage.ErrTooNew, c.path, c.c.pos, reason)
	case v != verdictWhole:
		return f, c.damaged(0, storage.Position(c.c.pos), reason)
	}
	return f, nil
}

// frame writes a frame, and moves behind it once all of it was in order.
func (c *Copier) frame(out io.Writer, f *frame) error {
	for _, b := range [][]byte{f.raw[:], f.meta, f.table} {
		if _, err := out.Write(b); err != nil {
			return err
		}
	}
	for i := range f.records {
		b, reason, err := c.sc.record(f, i)
		if err != nil {
			return c.failed(f.oid(i), int64(f.recordPos(i)), err)
		}
		if reason != "" {
			return c.damaged(f.oid(i), f.recordPos(i), reason)
		}
		if _, err := out.Write(b); err != nil {
			return err
		}
	}
	b, err := c.sc.body.bytes(f.end()-trailerSize, trailerSize)
	if err != nil {
		return c.failed(0, f.end()-trailerSize, err)
	}
	if !goodTrailer(b, f.length, f.sum) {
		return c.damaged(0, storage.Position(f.end()-trailerSize), "no trailer at the end of a frame")
	}
	if _, err := out.Write(b); err != nil {
		return err
	}
	switch {
	case f.kind == kindTransaction:
		c.txs++
	case c.c.tid == c.header.Horizon && f.kind == kindBase: // a later one belongs to a transaction
		c.base = max(c.base, f.newest())
	}
	if f.pos == headerSize && c.header.Horizon > 0 {
		// The time of the horizon itself: its id, unless the clock was wrong; and
		// no later than what a pack has written first.
		c.base = max(c.base, min(int64(c.header.Horizon), f.time))
	}
	c.c.pass(f)
	c.last = f.frameHeader
	return nil
}

// failed is for a read that has failed: a file that is too short is damaged,
// or another one by now.
func (c *Copier) failed(oid storage.OID, pos int64, err error) error {
	if errors.Is(err, errShrunk) {
		return c.damaged(oid, storage.Position(pos), "the file ends inside a frame")
	}
	return fmt.Errorf("durus: read %s: %w", c.path, err)
}

// Seal ends a copy that is to be a database: by a frame that says nothing but
// that everything before it is whole. So all of the copy is shown to whoever
// opens it, without its lock file and read-only, and what is damaged later is
// told as such, and never taken for an interrupted commit. Copies that end so
// anyway stay as they are: a copy of a copy is the same.
func (c *Copier) Seal(w io.Writer) error {
	if c.c.pos == headerSize || c.last.kind != kindMoved && !c.last.promise() && c.last.durable == c.last.pos {
		return nil
	}
	d := newLeaseDraft(c.c.high, 0) // what was not given out is still not given out
	d.seal(place{pos: c.c.pos, tid: c.c.tid, time: c.c.time, salt: c.header.Salt, durable: c.c.pos, prev: c.c.sum}, nil)
	if _, err := w.Write(d.buf); err != nil {
		return err
	}
	c.c.pass(&frame{frameHeader: d.header})
	c.last = d.header
	return nil
}

// Backup writes a copy of what a View sees at this moment to w: a database file
// that holds everything up to the transaction that it returns. See Copier for
// what others may do meanwhile, and for errors. progress, if not nil, is
// called now and then with bytes done and in all.
func (s *Storage) Backup(ctx context.Context, w io.Writer, progress func(done, total int64)) (storage.TID, error) {
	c, err := s.Copier(ctx, false)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if _, err := c.Copy(ctx, w, Limit{}, progress); err != nil {
		return 0, err
	}
	if err := c.Seal(w); err != nil {
		return 0, err
	}
	return c.Point().TID, nil
}
