package cache

import (
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/durusdb/durus/vfs"
)

// errOutdated: something happened to the file meanwhile; read again.
var errOutdated = errors.New("cache: outdated")

// ReadAt implements vfs.File. This is the short way, for bytes that are here.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if ino := f.ino.Load(); ino != nil {
		st := ino.state.Load()
		if st.kept(off, len(p)) && f.fs.pages.copy(p, ino, off) == len(p) && ino.same(st) {
			f.fs.hit(off)
			return len(p), nil
		}
	}
	return f.readSlowly(p, off)
}

func (f *file) readSlowly(p []byte, off int64) (int, error) {
	for join := true; ; join = false { // who has waited for another one once asks for himself
		ino, err := f.open()
		if err != nil {
			return 0, err
		}
		n, err := f.read(ino, p, off, join)
		if !errors.Is(err, errOutdated) {
			return n, err
		}
	}
}

func (f *file) read(ino *inode, p []byte, off int64, join bool) (int, error) {
	st := ino.state.Load()
	if !st.settled(off, len(p)) || len(p) > f.fs.most {
		return f.pass(ino, st, p, off)
	}
	return f.fill(ino, st, p, off, join)
}

// pass reads exactly what was asked for, and keeps nothing of it. Even if a
// part of it is settled, one read is not slower than none.
func (f *file) pass(ino *inode, st *state, p []byte, off int64) (n int, err error) {
	if !f.async && off >= st.limit { // nothing to compare
		f.fs.reads.Add(1)
		return f.lower.ReadAt(p, off)
	}
	fl, _ := f.take(ino, off, len(p), false, false)
	n, err = f.fetch(ino, fl, p, false, false)
	if failed(err) && st.inDoubt(off, fl.end) {
		return 0, stale(err)
	}
	return n, err
}

// failed reports whether an error leaves open what the storage has.
func failed(err error) bool {
	return err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, vfs.ErrAgain) && !errors.Is(err, errOutdated)
}

func stale(err error) error { return errors.Join(vfs.ErrStale, err) }

// fill answers from the pages that are there, up to the first that is missing,
// and from the storage, whose pages it keeps. Doubted bytes are not answered
// from pages.
func (f *file) fill(ino *inode, st *state, p []byte, off int64, join bool) (int, error) {
	c, end, have := f.fs, off+int64(len(p)), 0
	if !st.inDoubt(off, end) {
		have = c.pages.copy(p, ino, off)
	}
	if have == len(p) {
		if !ino.same(st) {
			return 0, errOutdated
		}
		c.hit(off)
		return have, nil
	}
	if f.async {
		have = 0 // see span
	}
	lo, hi := f.span(st, off+int64(have), end)
	fl, mine := f.take(ino, lo, int(hi-lo), true, join)
	if !mine {
		<-fl.done
		return 0, errOutdated
	}
	exact := lo == off+int64(have) && hi == end // nothing but what the caller wants
	own := fl.n <= 1<<c.pages.shift             // what is read becomes the page
	var b []byte
	switch {
	case own:
		b = make([]byte, fl.n)
	case exact:
		b = p[have:]
	default:
		s := scratch.Get().(*[]byte)
		defer scratch.Put(s)
		*s = slices.Grow((*s)[:0], fl.n)
		b = (*s)[:fl.n]
	}
	n, err := f.fetch(ino, fl, b, true, own)
	switch {
	case n == len(b) && !failed(err):
		c.misses.Add(1)
		if copy(p[have:], b[off+int64(have)-lo:]); have > 0 && !ino.same(st) {
			return 0, errOutdated
		}
		return len(p), nil
	case errors.Is(err, io.EOF): // it was cut, and nothing of it counts as settled any more
		return 0, errOutdated
	case !failed(err):
		return 0, err
	case !exact || have > 0: // perhaps only the rest of a page cannot be read
		return f.pass(ino, st, p, off)
	case st.inDoubt(off, end):
		return 0, stale(err)
	}
	return 0, err
}

// scratch holds buffers for reads of several pages.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// span is what has to be read for the bytes from off to end: whole pages, as
// far as they are settled.
//
// An asynchronous storage knows a read by its offset and length, so both must
// be the same when the caller comes again, whatever has been settled or kept
// meanwhile: there the caller reads all that he asks for, and a page that is
// not settled to its end as far as he asks for it.
func (f *file) span(st *state, off, end int64) (lo, hi int64) {
	mask := int64(1)<<f.fs.pages.shift - 1
	lo, last := off&^mask, (end-1)|mask
	switch {
	case last < st.limit:
		return lo, last + 1
	case f.async:
		return lo, end
	}
	return lo, st.limit
}

// fetch carries out a read that take has begun. It compares what the storage
// has with the pages and, if keep is set, keeps it; own says that nobody else
// uses b.
func (f *file) fetch(ino *inode, fl *flight, b []byte, keep, own bool) (n int, err error) {
	again := false
	defer func() { f.leave(ino, fl, again) }()
	n, err = f.lower.ReadAt(b, fl.off)
	if again = errors.Is(err, vfs.ErrAgain); again {
		return 0, err
	}
	f.fs.reads.Add(1)
	if failed(err) {
		return n, err
	}
	if f.async && f.outdated(fl, keep) {
		return 0, errOutdated
	}
	f.fs.check(ino, fl.begun, b[:n], fl.off, n < len(b))
	if keep && n == len(b) {
		f.fs.keep(ino, fl, b, own)
	}
	return n, err
}
