package filestorage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/durusdb/durus/storage"
)

// What tools ask of a file. Nothing here takes the commit lock or writes, and
// all of it works on a handle that was opened with ReadOnly while others
// write. Everything ends at the visible end, as a View does.

// FormatNumber is the version of the file format that this package writes.
const FormatNumber = formatNumber

// Overview says what a file is and how it is filled.
type Overview struct {
	Path     string // absolute, symbolic links resolved
	Header   Header
	Size     int64       // of the file, bytes
	End      int64       // of the last valid frame
	Visible  int64       // of what a View sees; the rest counts up to here
	Mark     int64       // of what is known to be durable
	Tail     int64       // bytes behind End: an interrupted commit, or what Damage is about
	LastTID  storage.TID // 0: no transaction yet
	LastTime time.Time   // of its commit

	Frames       uint64
	Transactions uint64
	Objects      uint64
	Unreadable   uint64     // objects whose record header is damaged; in no class
	Live         int64      // bytes of the newest record of each object
	Dead         int64      // bytes of the records that were replaced
	Classes      []ClassUse // with objects, those with the most bytes first

	Damage error // *storage.CorruptError or storage.ErrTooNew: what is behind End cannot be read
}

// ClassUse counts the objects of one class.
type ClassUse struct {
	ID      storage.ClassID
	Name    string // empty: the file does not name it
	Objects uint64
	Live    int64 // bytes of their newest records, headers and references included
}

// Examine is Begin for tools: of a file that is damaged, or goes on in a newer
// format, it returns a snapshot of what comes before, and what is wrong.
func (s *Storage) Examine(ctx context.Context) (snap storage.Snapshot, damage, err error) {
	sn, damage, err := s.examine(ctx)
	if err != nil {
		return nil, nil, err
	}
	return sn, damage, nil
}

func (s *Storage) examine(ctx context.Context) (sn *snapshot, damage, err error) {
	snap, err := s.Begin(ctx, false)
	switch {
	case err == nil:
		return snap.(*snapshot), nil, nil
	case errors.Is(err, storage.ErrCorrupt):
		// What is bad before W is damage, so all that comes before it is
		// durable, whether the poll that failed has got as far as the mark or not.
		return s.current().begin(true), err, nil
	case errors.Is(err, storage.ErrTooNew):
		return s.current().begin(false), err, nil
	}
	return nil, nil, err
}

// Overview reads the file from begin to end, without the states of objects.
// progress, if not nil, is called now and then with bytes done and in all.
func (s *Storage) Overview(ctx context.Context, progress func(done, total int64)) (*Overview, error) {
	sn, damage, err := s.settled(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Release()
	l := sn.l
	o := &Overview{
		Path: s.path, Header: l.header, Damage: damage,
		End: sn.st.end, Visible: sn.end, LastTID: sn.tid,
	}
	l.mu.Lock()
	o.Mark, o.Size = l.durableIn(sn, damage), max(l.cur.checked, o.End)
	l.mu.Unlock()
	o.Tail = o.Size - o.End
	return o, o.count(ctx, sn, progress)
}

// settled is examine that does not take an append which is being written at
// this moment for the rest of an interrupted one.
func (s *Storage) settled(ctx context.Context) (sn *snapshot, damage, err error) {
	for try := 0; ; try++ {
		sn, damage, err = s.examine(ctx)
		if err != nil || damage != nil || try == 3 {
			return sn, damage, err
		}
		sn.l.mu.Lock()
		tail := sn.l.cur.checked > sn.st.end
		sn.l.mu.Unlock()
		if !tail {
			return sn, nil, nil
		}
		sn.Release()
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// durableIn is how far the file is known to be durable. l.mu is held.
func (l *lineage) durableIn(sn *snapshot, damage error) int64 {
	if errors.Is(damage, storage.ErrCorrupt) {
		return max(l.dur.base, sn.end) // see examine
	}
	return l.dur.base
}

// count fills in what has to be counted.
func (o *Overview) count(ctx context.Context, sn *snapshot, progress func(done, total int64)) error {
	l := sn.l
	sc := scanner{salt: l.header.Salt, win: &window{file: l.file, size: sn.end}}
	heads := window{file: l.file, size: sn.end}
	classes := make(map[storage.ClassID]*ClassUse)
	for pos := int64(headerSize); pos < sn.end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		f, v, reason, err := sc.next(chain{pos: pos}, false, false)
		if err != nil {
			return fmt.Errorf("durus: read %s: %w", l.path, err)
		}
		if v != verdictWhole {
			return corrupt(l.path, pos, reason)
		}
		o.Frames++
		if f.kind == kindTransaction {
			o.Transactions++
			o.LastTime = time.UnixMicro(f.time)
		}
		for i := range f.records {
			if err := o.record(sn, &heads, classes, f.oid(i), f.recordPos(i), f.off(i+1)-f.off(i)); err != nil {
				return err
			}
		}
		pos = f.end()
		if progress != nil {
			progress(pos, sn.end)
		}
	}
	for id, c := range classes {
		c.ID = id
		c.Name, _ = l.classes.name(id)
		o.Classes = append(o.Classes, *c)
	}
	slices.SortFunc(o.Classes, func(a, b ClassUse) int {
		return cmp.Or(cmp.Compare(b.Live, a.Live), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return nil
}

// record counts the record of n bytes at pos.
func (o *Overview) record(sn *snapshot, heads *window, classes map[storage.ClassID]*ClassUse, oid storage.OID, pos storage.Position, n int64) error {
	newest, err := sn.Find(oid)
	if err != nil && !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrCorrupt) {
		return err
	}
	if newest != pos {
		o.Dead += n
		return nil
	}
	o.Objects++
	o.Live += n
	b, err := heads.bytes(int64(pos), recordHeaderSize)
	if err != nil {
		return fmt.Errorf("durus: read %s: %w", sn.l.path, err)
	}
	var h recordHeader
	if !h.get(b) || h.length() != n || h.oid != oid {
		o.Unreadable++
		return nil
	}
	c := classes[h.class]
	if c == nil {
		c = &ClassUse{}
		classes[h.class] = c
	}
	c.Objects++
	c.Live += n
	return nil
}

// Revision is one state that an object has had.
type Revision struct {
	Position storage.Position
	Size     int64 // of the record, bytes, header and references included
	Class    storage.ClassID

	storage.Transaction // that wrote it; OIDs are left out
}

// Revisions yields the states of an object that the snapshot holds, the newest
// first, as far back as the file goes. The error that ends the sequence is
// storage.ErrNotFound when there is no such object. The snapshot must be of
// this handle.
func (s *Storage) Revisions(snap storage.Snapshot, oid storage.OID) iter.Seq2[Revision, error] {
	return func(yield func(Revision, error) bool) {
		sn := snap.(*snapshot)
		pos, err := sn.Find(oid)
		for err == nil && pos != 0 {
			var r Revision
			var prev storage.Position
			if r, prev, err = sn.l.revision(oid, pos); err == nil && prev >= pos {
				err = sn.l.damaged(oid, pos, "its previous record lies behind it")
			}
			if err != nil || !yield(r, nil) {
				break
			}
			pos = prev
		}
		if err != nil {
			yield(Revision{}, err)
		}
	}
}

// ClassOf returns the class of the state that an object has in the snapshot,
// without reading that state. The snapshot must be of this handle.
func (s *Storage) ClassOf(snap storage.Snapshot, oid storage.OID) (storage.ClassID, error) {
	sn := snap.(*snapshot)
	pos, err := sn.Find(oid)
	if err != nil {
		return 0, err
	}
	return sn.Class(oid, pos)
}

// revision describes the record at pos.
func (l *lineage) revision(oid storage.OID, pos storage.Position) (r Revision, prev storage.Position, err error) {
	h, err := l.recordHeader(oid, pos)
	if err != nil {
		return r, 0, err
	}
	start := int64(pos) - h.frame
	if start < headerSize {
		return r, 0, l.damaged(oid, pos, "its frame begins before the first one")
	}
	size, err := l.file.Size()
	if err != nil {
		return r, 0, fmt.Errorf("durus: %s: %w", l.path, err)
	}
	sc := scanner{salt: l.header.Salt, win: &window{file: l.file, size: size}}
	f, v, reason, err := sc.next(chain{pos: start}, false, false)
	if err != nil {
		return r, 0, fmt.Errorf("durus: read %s: %w", l.path, err)
	}
	if v != verdictWhole {
		return r, 0, corrupt(l.path, start, reason)
	}
	r = Revision{Position: pos, Size: h.length(), Class: h.class}
	r.TID, r.Time = f.tid, time.UnixMicro(f.time)
	r.Meta, _ = parseMeta(f.meta) // one that cannot be read was refused when the frame was applied
	return r, h.prev, nil
}

// History yields the transactions from <= TID <= to that the snapshot holds,
// the newest first if wanted: those are found without reading what comes before
// them. An error ends the sequence. The snapshot must be of this handle.
func (s *Storage) History(snap storage.Snapshot, from, to storage.TID, newestFirst bool) iter.Seq2[storage.Transaction, error] {
	sn := snap.(*snapshot)
	if newestFirst {
		return func(yield func(storage.Transaction, error) bool) { sn.backwards(from, to, yield) }
	}
	return func(yield func(storage.Transaction, error) bool) { sn.transactions(from, to, yield) }
}

// backwards walks by the trailers.
func (sn *snapshot) backwards(from, to storage.TID, yield func(storage.Transaction, error) bool) {
	l := sn.l
	for end := sn.end; end > headerSize; {
		f, err := l.frameBefore(end)
		if err != nil {
			yield(storage.Transaction{}, err)
			return
		}
		end = f.pos
		if f.tid < from {
			return
		}
		if f.kind == kindTransaction && f.tid <= to && !yield(f.transaction(), nil) {
			return
		}
	}
}

// frameBefore reads the frame that ends at end, which is the end of a valid one.
func (l *lineage) frameBefore(end int64) (f frame, err error) {
	w := &window{file: l.file, size: end}
	b, err := w.bytes(end-trailerSize, trailerSize)
	if err != nil {
		return f, fmt.Errorf("durus: read %s: %w", l.path, err)
	}
	start := end - trailerLength(b)
	if start < headerSize || start >= end {
		return f, corrupt(l.path, end-trailerSize, "no trailer at the end of a frame")
	}
	sc := scanner{salt: l.header.Salt, win: w}
	f, v, reason, err := sc.next(chain{pos: start}, false, false)
	switch {
	case err != nil:
		return f, fmt.Errorf("durus: read %s: %w", l.path, err)
	case v != verdictWhole:
		return f, corrupt(l.path, start, reason)
	case f.end() != end:
		return f, corrupt(l.path, end-trailerSize, "no trailer at the end of a frame")
	}
	return f, nil
}

// LockState says what the lock file tells of a database.
type LockState struct {
	Path     string // of the lock file
	Exists   bool
	Holder   int         // pid of who holds the commit lock; 0: nobody, or the system cannot tell
	MarkEnd  int64       // what the mark in the lock file covers, bytes; 0: it holds none
	MarkTID  storage.TID // newest transaction before MarkEnd
	MarkFits bool        // the mark names a frame of this file
	Durable  int64       // what is known to be durable, from the mark or from the frames
	Size     int64       // of the file
	End      int64       // of the last valid frame
	Visible  int64       // of what a View sees
	Damage   error       // what is behind End cannot be read
}

// LockState reads the lock file and takes no lock.
func (s *Storage) LockState(ctx context.Context) (*LockState, error) {
	sn, damage, err := s.settled(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Release()
	l := sn.l
	l.mu.Lock()
	defer l.mu.Unlock()
	st := &LockState{
		Path: lockName(s.path), Damage: damage, Durable: l.durableIn(sn, damage),
		Size: max(l.cur.checked, sn.st.end), End: sn.st.end, Visible: sn.end,
	}
	gone, err := l.lock.Deleted()
	if err != nil {
		return nil, fmt.Errorf("durus: lock file of %s: %w", s.path, err)
	}
	st.Exists = !gone
	m, err := l.readMark()
	if err != nil {
		return nil, err
	}
	r, err := l.relationOf(m)
	if err != nil {
		return nil, err
	}
	st.MarkEnd, st.MarkTID = m.end, m.tid
	st.MarkFits = r == markOnChain || r == markBeyond
	st.Holder = l.lock.Holder()
	return st, nil
}
