package filestorage

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/durusdb/durus/storage"
)

// Problem is something wrong in a file.
type Problem = storage.Problem

// Report is what Verify found.
type Report = storage.VerifyReport

// problem adds to a report.
func problem(r *Report, off int64, oid storage.OID, format string, args ...any) {
	r.Add(Problem{Offset: off, OID: oid, Reason: fmt.Sprintf(format, args...)})
}

// Verify reads the whole file and checks every rule of the package comment, the
// chain of each object's records, classes, references, and the index of this
// handle. It takes no lock, changes nothing, and goes on behind damage.
// progress, if not nil, is called now and then with bytes done and in all.
func (s *Storage) Verify(ctx context.Context, progress func(done, total int64)) (*Report, error) {
	return s.VerifyRecords(ctx, nil, progress)
}

// VerifyRecords is Verify that also shows every record whose checksums are good
// to check, which knows what payloads look like and says what is wrong with
// one, "" for nothing. The record's payload is valid until check returns.
func (s *Storage) VerifyRecords(ctx context.Context, check func(*storage.Record) string, progress func(done, total int64)) (*Report, error) {
	for {
		// A pack may replace the file meanwhile; it stays open until it is read.
		l, err := s.using()
		if err != nil {
			return nil, err
		}
		v, size, err := s.verifier(l, check)
		if err == nil {
			err = v.run(ctx, size, progress)
		}
		l.drop()
		if again, err := s.retry(l, err); again {
			continue
		} else if err != nil {
			return nil, err
		}
		return v.report, nil
	}
}

// verifier prepares the reading of a file that is used. size is how much of it
// there is to read.
func (s *Storage) verifier(l *lineage, check func(*storage.Record) string) (v *verifier, size int64, err error) {
	m, w, known, err := l.extent()
	if err == nil && l.atMoved.Load() {
		err = s.checkMoved(l)
	}
	if err != nil && !errors.Is(err, storage.ErrCorrupt) && !errors.Is(err, storage.ErrTooNew) {
		return nil, 0, err
	}
	if size, err = l.file.Size(); err != nil {
		return nil, 0, s.sizeError(err)
	}
	if m.salt == l.header.Salt && m.end <= size {
		w = max(w, m.end)
	}
	return &verifier{l: l, report: &Report{Size: size}, window: w, known: known, check: check, classes: make(map[storage.ClassID]bool)}, size, nil
}

// extent polls, and tells how far the file is known: the mark, W, and the end
// of what this handle has applied.
func (l *lineage) extent() (m mark, w, known int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m, err = l.readMark(); err == nil {
		_, err = l.poll()
	}
	return m, max(l.dur.base, l.cur.pos), l.cur.pos, err
}

// verifier builds an index of its own while it reads.
type verifier struct {
	l       *lineage
	report  *Report
	index   index
	sizes   map[storage.OID]int64
	window  int64 // W: what is bad before it is damage
	known   int64 // the handle has applied everything before; what follows, perhaps
	check   func(*storage.Record) string
	classes map[storage.ClassID]bool
	refs    []danglingRef // targets that did not exist when they were met
}

type danglingRef struct {
	at       int64
	from, to storage.OID
}

func (v *verifier) run(ctx context.Context, size int64, progress func(done, total int64)) error {
	r, h := v.report, &v.l.header
	if err := v.checkFileHeader(); err != nil {
		return err
	}
	sc := scanner{salt: h.Salt, win: &window{file: v.l.file, size: size}, sparse: v.l.file}
	c := h.chain()
	link := true
	for c.pos < size {
		if err := ctx.Err(); err != nil {
			return err
		}
		f, verdict, reason, err := sc.next(c, link, true)
		if err != nil {
			return fmt.Errorf("durus: read %s: %w", v.l.path, err)
		}
		if verdict != verdictWhole && verdict != verdictRecords || verdict == verdictRecords && c.pos >= v.window {
			next, found, err := v.skip(&sc, c.pos, size, reason, verdict)
			if err != nil {
				return err
			}
			if !found {
				break
			}
			c.pos, link = next, false
			continue
		}
		if verdict == verdictRecords {
			problem(r, f.pos, 0, "%s", reason)
		}
		if err := v.frame(&sc, &f); err != nil {
			return err
		}
		cls := c.cls
		if f.kind == kindClass && len(f.meta) > 4 {
			cls++
			v.classes[storage.ClassID(cls)] = true
		}
		high := c.high
		if f.leaseFirst != 0 {
			high = f.leaseFirst + storage.OID(f.leaseCount)
		}
		top := max(c.top, f.greatest())
		c = chain{pos: f.end(), sum: f.sum, tid: f.tid, time: f.time, high: high, top: top, cls: cls}
		link = true
		if progress != nil {
			progress(c.pos, size)
		}
	}
	r.End, r.Tail = c.pos, size-c.pos
	r.Objects = v.index.objects
	for _, ref := range v.refs {
		if v.index.get(ref.to) == 0 {
			problem(r, ref.at, ref.from, "refers to object %s, which does not exist", ref.to)
		}
	}
	v.compareIndex(c.pos)
	return nil
}

// skip deals with bytes that are no valid frame: the tail, or damage with
// frames behind it.
func (v *verifier) skip(sc *scanner, pos, size int64, reason string, verdict verdict) (next int64, found bool, err error) {
	if size-pos > maxTail && pos >= v.window {
		problem(v.report, pos, 0, "%s, and %d bytes follow, which is more than interrupted commits leave", reason, size-pos)
		return 0, false, nil
	}
	for p := pos + 1; size-p >= frameHeaderSize; p++ {
		f, n, err := sc.find(p)
		if err != nil {
			return 0, false, fmt.Errorf("durus: read %s: %w", v.l.path, err)
		}
		if n == 0 {
			break
		}
		if f.durable > pos || pos < v.window {
			problem(v.report, pos, 0, "%s; the next whole frame is at byte %d", reason, f.pos)
			return f.pos, true, nil
		}
		p = f.pos
	}
	if pos < v.window || verdict == verdictTooNew {
		problem(v.report, pos, 0, "%s", reason)
	}
	return 0, false, nil
}

func (v *verifier) checkFileHeader() error {
	b := make([]byte, headerSize)
	n, err := v.l.file.ReadAt(b, 0)
	if n < headerSize && err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("durus: read %s: %w", v.l.path, err)
	}
	if n < headerSize {
		problem(v.report, int64(n), 0, "the file ends inside its header")
		return nil
	}
	for i, want := range v.l.header.encode() {
		if b[i] != want {
			problem(v.report, int64(i), 0, "one copy of the file header is damaged; the other one serves")
			return nil
		}
	}
	return nil
}

// frame checks what concerns more than one frame.
func (v *verifier) frame(sc *scanner, f *frame) error {
	r := v.report
	r.Frames++
	if f.kind == kindTransaction {
		r.Transactions++
	}
	if v.sizes == nil {
		v.sizes = make(map[storage.OID]int64)
	}
	for i := range f.records {
		r.Records++
		oid, pos := f.oid(i), f.recordPos(i)
		old := v.index.get(oid)
		v.index.set(oid, pos)
		n := f.off(i+1) - f.off(i)
		r.Live += n - v.sizes[oid]
		v.sizes[oid] = n
		b, err := sc.body.bytes(int64(pos), int(n))
		if err != nil {
			return fmt.Errorf("durus: read %s: %w", v.l.path, err)
		}
		var h recordHeader
		if !h.get(b) || h.length() != n || !h.headerIntact(b, sc.salt, int64(pos)) {
			continue // reported with the frame
		}
		if h.prev != old {
			problem(r, int64(pos), oid, "its previous record should be at byte %d, and is said to be at %d", old, h.prev)
		}
		if !v.classes[h.class] {
			problem(r, int64(pos), oid, "class number %d has no name", h.class)
		}
		strong, weak := h.refs(b)
		payload := b[recordHeaderSize+h.refsLen():]
		if v.check != nil && h.payloadIntact(payload, sc.salt, int64(pos)) {
			rec := storage.Record{OID: oid, Class: h.class, Codec: h.codec, Payload: payload, Strong: strong, Weak: weak, Prev: h.prev}
			if reason := v.check(&rec); reason != "" {
				problem(r, int64(pos), oid, "%s", reason)
			}
		}
		for _, to := range strong {
			if v.index.get(to) == 0 {
				v.refs = append(v.refs, danglingRef{int64(pos), oid, to})
			}
		}
	}
	return nil
}

// compareIndex holds the handle's own index against the file.
func (v *verifier) compareIndex(end int64) {
	v.index.each(func(oid storage.OID, pos storage.Position) bool {
		if got := v.l.index.get(oid); got != pos && int64(got) < end && int64(pos) < v.known {
			problem(v.report, int64(pos), oid, "the index of this process leads to byte %d", got)
		}
		return true
	})
}
