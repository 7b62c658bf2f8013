package filestorage

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// poll looks for what is new in the file and publishes it. It is the one
// function that does so, for Begin, commits and everybody else. l.mu is held.
func (l *lineage) poll() (*state, error) {
	if l.dead.Load() {
		return nil, l.rewoundError("it was replaced")
	}
	if l.damage != nil {
		return nil, l.damage
	}
	size, m, err := l.measure(true)
	if err != nil {
		return nil, err
	}
	if size != l.cur.checked {
		if err := l.checkAnchor(size); err != nil {
			return nil, err
		}
	}
	if size > l.cur.pos {
		if err := l.follow(size, m, false); err != nil {
			l.publish()
			return nil, err
		}
	}
	if err := l.meetMark(m); err != nil {
		return nil, err
	}
	return l.publish(), nil
}

// measure takes the size of the file, and reads the mark, if it is wanted, before
// that: what the mark covers was in the file when its size was taken, and a bad
// frame there is damage and not a tail. l.mu is held.
func (l *lineage) measure(marked bool) (size int64, m mark, err error) {
	if marked {
		if m, err = l.readMark(); err != nil {
			return 0, m, err
		}
	}
	if size, err = l.file.Size(); err != nil {
		return 0, m, fmt.Errorf("durus: %s: %w", l.path, err)
	}
	return size, m, nil
}

// refresh is poll for those who do not hold l.mu.
func (l *lineage) refresh() (*state, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.poll()
}

// checkAnchor finds out whether the file is still the one that was read, when
// its size has changed (H7): it is not shorter, and the frame before the end
// has not changed. As every frame holds the checksum of the one before, the
// last one stands for all of them.
//
// Where a size may be stale, a smaller one tells nothing, and neither does an
// anchor that cannot be read to its end: the handle goes on with what it has.
func (l *lineage) checkAnchor(size int64) error {
	if size < l.cur.pos && l.stable {
		return l.rewoundError(fmt.Sprintf("it has %d bytes and had %d", size, l.cur.pos))
	}
	ok, err := l.anchored()
	if err != nil {
		return err
	}
	if !ok {
		return l.rewoundError(fmt.Sprintf("the frame at byte %d is another one now", l.cur.last))
	}
	l.cur.checked = size
	return nil
}

// follow applies the frames between the end and size. m is the mark as it was
// before size was taken. What is behind the last valid frame is left alone;
// l.tail tells what it is. With full, which is for holders of the commit lock,
// it is looked at again although it looks the same.
func (l *lineage) follow(size int64, m mark, full bool) error {
	c := &l.cur
	sc := scanner{salt: l.header.Salt, win: &window{file: l.file, size: size}}
	if !full { // nothing is cut because of what is seen here
		sc.sparse = l.file
	}
	trusted, doubted, err := l.markCovers(m, size)
	if err != nil {
		return l.scanError(err, full)
	}
	vfs.Advise(l.file, vfs.Settled, 0, trusted) // so that it can be read ahead
	before := c.txs
	l.stats.polls++
	defer func() { l.stats.followed += c.txs - before }()
	for c.pos < size {
		if !full && l.sameTail(&sc, size, max(trusted, doubted)) {
			return l.tail.bad
		}
		deep := c.pos >= max(trusted, l.dur.base)
		f, v, reason, err := sc.next(c.chain, true, deep)
		if err != nil {
			return l.scanError(err, full)
		}
		if v == verdictWhole && f.kind == kindMoved {
			if pending, err := l.meetMoved(&sc, &f, size, trusted); err != nil {
				return l.scanError(err, full)
			} else if pending {
				return nil
			}
		}
		if v == verdictWhole {
			l.apply(&f)
			continue
		}
		// Tail or damage? W of DESIGN section 3: the greatest of the mark and
		// of the `durable` fields of all valid frames, those behind included.
		w := max(trusted, doubted, l.dur.base)
		l.tail = tailLook{pos: c.pos, size: size, head: f.raw}
		if v == verdictTooNew {
			l.tail.bad = fmt.Errorf("%w: %s, byte %d: %s; use a newer program", storage.ErrTooNew, l.path, c.pos, reason)
			return l.tail.bad
		}
		if c.pos >= w && size-c.pos > maxTail {
			l.tail.bad = corrupt(l.path, c.pos, fmt.Sprintf("%s, and %d bytes follow, which is more than interrupted commits leave", reason, size-c.pos))
			return l.tail.bad
		}
		if c.pos >= w {
			from := c.pos + 1
			if f.length > 0 && v == verdictRecords {
				from = f.end()
			}
			durable, _, err := sc.behind(from)
			if err != nil {
				return l.scanError(err, full)
			}
			w = max(w, durable)
		}
		switch {
		case c.pos >= w: // the unsynced window: acknowledged by nobody, an ordinary tail
			return nil
		case v == verdictRecords: // damage in some objects: they answer with it, the others live
			l.apply(&f)
		default:
			l.tail.bad = corrupt(l.path, c.pos, reason)
			return l.tail.bad
		}
	}
	l.tail = tailLook{}
	return nil
}

// sameTail reports whether the bytes behind the end were looked at before and
// cannot have become a valid frame: size and header are the same, and the mark
// does not cover them.
func (l *lineage) sameTail(sc *scanner, size, marked int64) bool {
	// What follows a moved frame may have been cut and written again.
	if l.moving != nil || l.tail.size != size || l.tail.pos != l.cur.pos || marked > l.cur.pos || size-l.cur.pos < frameHeaderSize {
		return false
	}
	b, err := sc.win.bytes(l.cur.pos, frameHeaderSize)
	return err == nil && bytes.Equal(b, l.tail.head[:])
}

// scanError makes an error of reading what the caller sees. A file that became
// shorter during the scan is looked at again by the next poll. Under the lock
// nobody shortens it: there a read that ends too early is an error, and never
// the end of the file, behind which something would be cut (F7).
func (l *lineage) scanError(err error, locked bool) error {
	switch {
	case !errors.Is(err, errShrunk):
		return fmt.Errorf("durus: read %s: %w", l.path, err)
	case locked:
		return fmt.Errorf("durus: read %s: it ends before its size says: %w", l.path, io.ErrUnexpectedEOF)
	}
	l.cur.checked = 0
	return nil
}

// readMark reads the mark without any lock: it is checksummed, and one that is
// read while it is written counts as missing, which only makes V lag.
func (l *lineage) readMark() (mark, error) {
	n, err := l.lock.ReadMark(&l.markBuf)
	if err != nil {
		return mark{}, fmt.Errorf("durus: lock file of %s: %w", l.path, err)
	}
	if n < vfs.MarkSize {
		return mark{}, nil
	}
	return parseMark(&l.markBuf), nil
}

// markCovers tells how far the mark reaches beyond the end: trusted when the
// frame that it names is there, doubted when there is something bad in its
// place. A mark of another file, one beyond the end of this file and one whose
// place is taken by another valid frame cover nothing.
func (l *lineage) markCovers(m mark, size int64) (trusted, doubted int64, err error) {
	if m.end <= l.cur.pos || m.salt != l.header.Salt || m.end > size || m.start < l.cur.pos {
		return 0, 0, nil
	}
	sc := scanner{salt: l.header.Salt, win: &window{file: l.file, size: size}}
	f, v, _, err := sc.next(chain{pos: m.start}, false, true)
	switch {
	case err != nil:
		return 0, 0, err
	case v == verdictWhole && f.sum == m.sum && f.end() == m.end:
		return m.end, 0, nil
	case v == verdictWhole:
		return 0, 0, nil
	}
	return 0, m.end, nil
}

// relation of a mark to the chain that this handle has applied.
type relation uint8

const (
	markNone    relation = iota // no mark
	markOnChain                 // names a frame of the chain
	markBeyond                  // speaks of more than the handle has applied
	markForeign                 // names no frame of this file
	markOther                   // names another frame at a place that the handle knows
)

func (l *lineage) relationOf(m mark) (relation, error) {
	c := &l.cur
	switch {
	case m.end == 0:
		return markNone, nil
	case m.salt != l.header.Salt:
		return markForeign, nil
	case m.end > c.pos:
		return markBeyond, nil
	case m.end == headerSize:
		return markOnChain, nil
	}
	if s, ok := l.spotAt(m.end); ok {
		if s.end == m.end && s.sum == m.sum {
			return markOnChain, nil
		}
		return markOther, nil
	}
	// Older than what is remembered: the file knows.
	h, ok, err := l.headerAt(m.start)
	if err != nil {
		return 0, err
	}
	if ok && h.sum == m.sum && h.end() == m.end {
		return markOnChain, nil
	}
	return markOther, nil
}

// headerAt reads the header of the frame that begins at pos; ok is false when
// none does.
func (l *lineage) headerAt(pos int64) (h frameHeader, ok bool, err error) {
	buf := readBuffers.Get().(*[readGuess]byte)
	defer readBuffers.Put(buf)
	b := buf[:frameHeaderSize]
	vfs.Advise(l.file, vfs.Doubted, pos, frameHeaderSize)
	n, err := l.file.ReadAt(b, pos)
	if n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			return h, false, nil
		}
		return h, false, fmt.Errorf("durus: read %s: %w", l.path, err)
	}
	h.get(b)
	return h, goodHeader(b, &h, l.header.Salt, pos), nil
}

// meetMark takes the mark as a fact when it names a frame of the applied
// chain. One that names another frame where this handle has applied one means
// that the file was rewound, also when its size is unchanged; unless the file
// still holds our chain, then the mark is a foreign one. l.mu is held.
func (l *lineage) meetMark(m mark) error {
	if m.end == l.dur.base && m.sum == l.dur.baseSum && m.salt == l.header.Salt {
		return nil
	}
	r, err := l.relationOf(m)
	if err != nil {
		return err
	}
	l.dur.foreign = r == markForeign
	switch r {
	case markOnChain:
		if m.end > l.dur.base {
			l.dur.baseSum = m.sum
			l.raiseBase(m.end)
		}
	case markOther:
		ok, err := l.anchored()
		if err != nil {
			return err
		}
		if !ok {
			return l.rewoundError("its durable mark names another history")
		}
		l.dur.foreign = true
	case markBeyond:
		size, err := l.file.Size()
		if err != nil {
			return fmt.Errorf("durus: %s: %w", l.path, err)
		}
		l.dur.foreign = m.end > size
	}
	return nil
}
