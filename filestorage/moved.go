package filestorage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/durusdb/durus/storage"
)

// A moved frame is the last one of a file that a pack replaces. It is appended
// before the renaming, under the commit lock, and never counts into the end: so
// whoever looks for new frames meets it again each time and decides anew.
//
//   - The path leads to another file: it is in force, and the handle goes on
//     with that one (succession.go).
//   - The file has no name left, or this handle came by another name than the
//     packer: commits are ErrRewound, for what they append nobody would see.
//   - Otherwise the packer has died or is about to rename. Readers stay. The next
//     holder of the commit lock knows that it died: he appends behind the frame,
//     which voids it. Nothing is truncated.
type moved struct {
	salt uint64 // of the file that takes its place
	ino  uint64 // of this file: a copy of it is another one, and never moved
	dir  uint64 // inode of the directory in which it is replaced
	name string // in that directory
	end  int64  // of the frame
}

const movedFixed = 24

func newMovedDraft(m *moved) *draft {
	d := &draft{header: frameHeader{kind: kindMoved, metaLen: movedFixed + len(m.name)}}
	d.header.length = d.header.bodyOff() + trailerSize
	d.buf = make([]byte, d.header.length)
	le := binary.LittleEndian
	b := d.buf[frameHeaderSize:]
	le.PutUint64(b, m.salt)
	le.PutUint64(b[8:], m.ino)
	le.PutUint64(b[16:], m.dir)
	copy(b[movedFixed:], m.name)
	return d
}

func parseMoved(f *frame) *moved {
	le := binary.LittleEndian
	b := f.meta
	return &moved{salt: le.Uint64(b), ino: le.Uint64(b[8:]), dir: le.Uint64(b[16:]), name: string(b[movedFixed:]), end: f.end()}
}

// errElsewhere is for a writer: readers go on.
var errElsewhere = fmt.Errorf("%w: it was packed under another name, and what is committed here would be lost", storage.ErrRewound)

// place is what a moved frame says of the handle's own path.
func (s *Storage) place(l *lineage) (ino, dir uint64, name string, err error) {
	info, err := s.fs.Stat(filepath.Dir(s.path))
	if err != nil {
		return 0, 0, "", fmt.Errorf("durus: %s: %w", s.path, err)
	}
	return l.info.ID.Ino, info.ID.Ino, filepath.Base(s.path), nil
}

// setMoving notes the moved frame at the end, or that there is none. l.mu is held.
func (l *lineage) setMoving(m *moved) {
	if m != nil || l.moving != nil {
		l.moving = m
		l.atMoved.Store(m != nil)
	}
}

// meetMoved decides whether a moved frame that follows the end stays pending.
// It does not when a frame follows it, or the mark names it, for then a holder of
// the commit lock has voided it. l.mu is held.
func (l *lineage) meetMoved(sc *scanner, f *frame, size, marked int64) (pending bool, err error) {
	if marked >= f.end() {
		return false, nil
	}
	m, head := parseMoved(f), *f
	c := l.cur.chain
	c.pos, c.sum, c.time = f.end(), f.sum, f.time
	meta := append([]byte(nil), f.meta...) // the scanner's room is used again
	if size > c.pos {
		_, v, _, err := sc.next(c, true, false)
		if err != nil {
			return false, err
		}
		if v != verdictShort && v != verdictBad {
			head.meta, head.table = meta, nil
			*f = head
			return false, nil
		}
	}
	l.setMoving(m)
	l.tail = tailLook{pos: l.cur.pos, size: size, head: f.raw}
	return true, nil
}

// checkMoved is for a handle that has met a moved frame: is it in force?
func (s *Storage) checkMoved(l *lineage) error {
	info, err := s.fs.Stat(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist): // readers go on with the file they have
		return nil
	case err != nil:
		return fmt.Errorf("durus: %s: %w", s.path, err)
	case info.ID != l.info.ID:
		return l.rewoundError("it was packed")
	}
	return nil
}

// voidMoved is for a holder of the commit lock who has found a moved frame at
// the end of a file that the path leads to: its packer is dead, unless he came
// by another name. l.mu is held.
func (s *Storage) voidMoved(l *lineage) error {
	m := l.moving
	if m == nil {
		return nil
	}
	ino, dir, name, err := s.place(l)
	if err != nil {
		return err
	}
	if m.ino == ino && (m.dir != dir || m.name != name) {
		inForce := true
		if m.dir == dir {
			there, err := s.fs.Stat(filepath.Join(filepath.Dir(s.path), m.name))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("durus: %s: %w", s.path, err)
			}
			inForce = err == nil && there.ID != l.info.ID
		}
		if inForce {
			return fmt.Errorf("%w: %s: open it as %q in the directory where that lies; if it is gone, copy the file and open the copy", errElsewhere, s.path, m.name)
		}
	}
	sc := scanner{salt: l.header.Salt, win: &window{file: l.file, size: m.end}}
	f, v, reason, err := sc.next(l.cur.chain, true, true)
	if err != nil {
		return l.scanError(err, true)
	}
	if v != verdictWhole || f.kind != kindMoved {
		return corrupt(l.path, l.cur.pos, reason)
	}
	l.apply(&f)
	return nil
}

// succession leads from a file to the one that a pack has put in its place.
type succession struct {
	to  *lineage
	end int64       // everything before it is in the new file
	tid storage.TID // newest transaction before end
}
