package async

import (
	"math"
	"slices"
	"sort"
	"time"

	"github.com/durusdb/durus/vfs"
)

const (
	maxSpans     = 4096     // of one file; advice beyond is ignored
	maxStreams   = 4        // readers in order that are told apart
	firstWindow  = 64 << 10 // how far ahead is read at first
	windowFactor = 4        // and then: so many times what was read in order
	chunks       = 8        // that make up a window
	minChunk     = 16 << 10
	maxChunk     = 1 << 20
)

// ahead is what was read of a file, or is being read, before somebody asked for
// it. FS.mu guards it.
type ahead struct {
	f       *file
	settled int64   // bytes before it do not change any more
	spans   []*span // by offset
	longest int     // at least the length of the longest

	streams [maxStreams]stream // the one that was used last first
	joined  map[extent]bool    // reads that were told to wait for spans
}

// stream is a reader who reads in order.
type stream struct {
	from int64 // where he began
	next int64 // where he is expected to go on; 0 if there is no such reader
	upto int64 // as far as there is nothing to be read ahead
}

// Advise implements vfs.Adviser.
func (f *file) Advise(a vfs.Advice, off, n int64) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return
	}
	switch a {
	case vfs.WillNeed:
		if n <= math.MaxInt32 {
			f.ahead.read(extent{off, int(n)}, false)
		}
	case vfs.Settled:
		if off >= 0 && off <= f.ahead.settled && n > 0 {
			f.ahead.settled = max(f.ahead.settled, off+n)
		}
	case vfs.Doubted:
		f.doubt(off, n)
	}
}

// doubt forgets what was read ahead, and what was read of a range, also for those
// who have asked: a read that began before must not be what they get. What is
// settled will be said again by who has made sure.
func (f *file) doubt(off, n int64) {
	f.ahead.settled = 0
	f.ahead.forget(0)
	end := off + n
	if n < 0 || end < off {
		off, end = math.MinInt64, math.MaxInt64
	}
	for x, s := range f.asked {
		if s.state != queued && x.off < end && off < x.end() {
			s.drop()
		}
	}
}

// changed forgets what a change that begins or ends may make wrong. What is
// settled is nothing that a sound caller cuts or appends to.
func (a *ahead) changed(c call) {
	if c.method != rewrite {
		a.settled = min(a.settled, max(c.off, 0))
	}
	a.forget(c.off)
}

// forget drops all that reaches beyond off. Who waits for it reads anew.
func (a *ahead) forget(off int64) {
	spans := a.spans
	a.spans = nil
	var rest []*span
	for _, s := range spans {
		if s.end() > off {
			s.drop()
		} else {
			rest = append(rest, s)
		}
	}
	a.spans = rest
}

// remove takes a span out, if it is there.
func (a *ahead) remove(s *span) {
	for i := a.after(s.off - 1); i < len(a.spans) && a.spans[i].off == s.off; i++ {
		if a.spans[i] == s {
			a.spans = slices.Delete(a.spans, i, i+1)
			break
		}
	}
	if len(a.spans) == 0 {
		a.longest = 0
	}
}

// after is the index of the first span that begins behind off.
func (a *ahead) after(off int64) int {
	return sort.Search(len(a.spans), func(i int) bool { return a.spans[i].off > off })
}

// cover finds spans, appended to parts, in which the extent lies. They are all
// here, or some are still to come. It returns none if bytes are missing.
func (a *ahead) cover(x extent, parts []*span) (found []*span, here bool) {
	if len(a.spans) == 0 || !x.sound() {
		return nil, false
	}
	now := time.Now()
	here = true
	i := a.after(x.off - int64(a.longest))
	for pos := x.off; pos < x.end(); {
		var best *span // of those that have pos the one that reaches farthest
		for ; i < len(a.spans) && a.spans[i].off <= pos; i++ {
			s := a.spans[i]
			if s.reach() > pos && s.good(now) && (best == nil || s.reach() > best.reach()) {
				best = s
			}
		}
		if best == nil {
			return nil, false
		}
		here = here && best.state == done
		pos = best.reach()
		parts = append(parts, best)
	}
	return parts, here
}

// want lets somebody wait for spans, which thereby come before those that nobody
// waits for.
func (a *ahead) want(parts []*span) {
	for _, s := range parts {
		if s.wanted = true; s.state == queued && !s.moved {
			s.moved = true
			a.f.readLane.push(s)
		}
	}
	a.f.list()
}

// used takes note that an extent was handed out.
func (a *ahead) used(x extent, parts []*span) {
	for _, s := range parts {
		s.left -= min(x.end(), s.reach()) - max(x.off, s.off)
		switch {
		case s.chunk && s.spent() && x.end() >= s.reach(), // the reader has passed
			!s.settled && s.extent == x: // what vfs.WillNeed was for
			s.drop()
			continue
		case s.settled:
			s.expires = time.Now().Add(patience)
		}
		if s.shelf != nil {
			a.f.fs.room.offer(s)
		}
	}
}

// gather copies an extent out of the spans that cover it.
func gather(p []byte, off int64, parts []*span) {
	for _, s := range parts {
		n := copy(p, s.buf[off-s.off:])
		p, off = p[n:], off+int64(n)
	}
}

// read begins a read that nobody has asked for, if there is room.
func (a *ahead) read(x extent, chunk bool) bool {
	if !x.sound() || len(a.spans) >= maxSpans {
		return false
	}
	now := time.Now()
	for i := a.after(x.off - 1); i < len(a.spans) && a.spans[i].off == x.off; i++ {
		if s := a.spans[i]; s.n == x.n && s.good(now) {
			return true
		}
	}
	s := &span{f: a.f, extent: x, chunk: chunk}
	if !a.f.fs.room.admit(s) {
		return false
	}
	a.spans = slices.Insert(a.spans, a.after(x.off), s)
	a.longest = max(a.longest, x.n)
	a.f.specLane.push(s)
	a.f.list()
	return true
}

// observe looks for those who read in order. joined says that the read was told
// to wait for spans; when it comes again it is no new one.
func (a *ahead) observe(x extent, joined bool) {
	again := a.joined[x]
	switch {
	case !joined:
		delete(a.joined, x)
	case !again:
		if len(a.joined) >= maxSpans { // nobody came again; to forget costs no more than a guess
			clear(a.joined)
		}
		a.joined[x] = true
	}
	if again || a.f.fs.opts.ReadAhead < 0 || !x.sound() {
		return
	}
	s := stream{from: x.off, next: x.end(), upto: x.end()}
	i := slices.IndexFunc(a.streams[:], func(s stream) bool { return s.next == x.off && x.off > 0 })
	if i >= 0 {
		s = a.streams[i]
		s.next = x.end()
		s.upto = max(s.upto, s.next)
		a.fill(&s)
	} else {
		i = maxStreams - 1
	}
	copy(a.streams[1:i+1], a.streams[:i])
	a.streams[0] = s
}

// fill reads ahead of a reader, in pieces, several of which are then under way.
// The farther he has read in order the farther ahead he is expected to go.
func (a *ahead) fill(s *stream) {
	window := min(a.f.fs.opts.ReadAhead, max(firstWindow, windowFactor*(s.next-s.from)))
	chunk := min(window, max(minChunk, min(window/chunks, maxChunk)))
	to := min(s.next+window, a.settled)
	var some [1]*span
	for s.upto < to {
		n := min(chunk, to-s.upto)
		if n < chunk && to < a.settled {
			return // a whole piece, later
		}
		if parts, _ := a.cover(extent{s.upto, 1}, some[:0]); len(parts) > 0 {
			s.upto = parts[0].reach()
		} else if a.read(extent{s.upto, int(n)}, true) {
			s.upto += n
		} else {
			return
		}
	}
}
