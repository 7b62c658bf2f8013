package async

import (
	"container/list"
	"time"

	"github.com/durusdb/durus/vfs"
)

// extent is what a read is known by.
type extent struct {
	off int64
	n   int
}

// end is the byte behind it. It is only asked of extents that are sound.
func (x extent) end() int64 { return x.off + int64(x.n) }

// sound reports whether an extent has bytes, all at offsets that exist.
func (x extent) sound() bool { return x.off >= 0 && x.n > 0 && x.end() > x.off }

// span is a read: a job, and then its result. FS.mu guards all of it; but while
// it is running buf belongs to the worker, and once it is done buf never changes.
type span struct {
	f *file
	extent
	asked bool // by ReadAt; the others are in file.ahead
	chunk bool // of reading ahead, else of WillNeed; if not asked
	state state

	wanted  bool  // not asked, but somebody waits for it
	moved   bool  // and so it is in the lane of those that are
	settled bool  // the bytes could not change any more when it began
	left    int64 // of them nobody has read yet, about

	buf []byte // what was read
	err error

	charged int64 // by the room
	expires time.Time
	shelf   *list.List // of the room, nil if it is in none
	place   *list.Element
}

type state uint8

const (
	queued state = iota
	running
	done
	gone // nobody wants it, wherever it still is
)

// overhead is what a read costs beside its bytes.
const overhead = 256

func (s *span) cost() int64 { return int64(s.n) + overhead }

// reach is the end of the bytes that it has, or is expected to have.
func (s *span) reach() int64 {
	if s.state == done {
		return s.off + int64(len(s.buf))
	}
	return s.end()
}

// good reports whether its bytes may be handed out: those that might have
// changed since are not for long.
func (s *span) good(now time.Time) bool {
	return s.state != done || s.settled || now.Before(s.expires)
}

// spent reports whether the bytes have served their purpose, as far as can be
// told.
func (s *span) spent() bool { return s.state == done && s.left <= 0 }

// drop forgets a read. Who waits for it is called, and then reads anew.
func (s *span) drop() {
	if s.state == gone {
		return
	}
	waited := s.state != done && (s.wanted || s.asked)
	s.unlink()
	if s.state != running {
		s.f.fs.room.release(s) // otherwise the worker does it
	}
	s.state = gone
	if waited && !s.f.closed {
		s.f.note.ring()
	}
}

// unlink takes a read out of its file.
func (s *span) unlink() {
	if s.asked {
		delete(s.f.asked, s.extent)
	} else {
		s.f.ahead.remove(s)
	}
}

func (s *span) begin() {
	s.state = running
	s.settled = s.sound() && s.end() <= s.f.ahead.settled
	s.f.busy++
}

func (s *span) do() {
	f := s.f
	buf := make([]byte, s.n)
	n, err := f.lower.ReadAt(buf, s.off)
	f.fs.mu.Lock()
	if s.state == gone {
		f.fs.room.release(s)
		f.leave()
		return
	}
	s.state, s.buf, s.err, s.left = done, buf[:n], err, int64(n)
	s.expires = time.Now().Add(patience)
	if s.asked || s.wanted {
		f.note.fresh = append(f.note.fresh, s)
		f.note.ring()
	} else {
		f.fs.room.offer(s)
	}
	f.leave()
}

// ReadAt implements vfs.File.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	if f.closed {
		f.fs.mu.Unlock()
		return 0, f.fail("read", vfs.ErrClosed)
	}
	x := extent{off, len(p)}
	if s := f.asked[x]; s != nil {
		if s.state != done {
			f.fs.mu.Unlock()
			return 0, vfs.ErrAgain
		}
		s.unlink()
		f.fs.room.release(s)
		s.state = gone
		f.fs.mu.Unlock()
		return copy(p, s.buf), s.err
	}
	var some [8]*span
	parts, here := f.ahead.cover(x, some[:0])
	switch {
	case here:
		f.ahead.used(x, parts)
	case len(parts) > 0:
		f.ahead.want(parts)
	default:
		f.read(x)
	}
	f.ahead.observe(x, !here && len(parts) > 0)
	f.fs.mu.Unlock()
	if !here {
		return 0, vfs.ErrAgain
	}
	gather(p, off, parts)
	return len(p), nil
}

// read begins a read that was asked for.
func (f *file) read(x extent) {
	s := &span{f: f, extent: x, asked: true}
	f.asked[x] = s
	f.readLane.push(s)
	f.list()
}

// nextRead takes the next of the reads that somebody has asked for; nil if there
// is none, or no room for it. The others wait behind it, so that a long one gets
// its room.
func (s *FS) nextRead() job {
	for {
		l := s.reads.first()
		if l == nil {
			return nil
		}
		r := l.peek()
		if r.state == queued && r.charged == 0 && !s.room.admit(r) {
			s.room.refuse()
			return nil
		}
		if s.reads.take(); r.state == queued {
			return r
		}
	}
}

// nextSpec takes the next of those that nobody has asked for; they have room.
func (s *FS) nextSpec() job {
	for s.spec.first() != nil {
		if r := s.spec.take(); r.state == queued {
			return r
		}
	}
	return nil
}
