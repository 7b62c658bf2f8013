package filestorage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
	Reclaimable  int64      // bytes that a pack without history removes at least: all but the newest states and what they need
	Packed       bool       // nothing is left to a pack: the file was packed without history, and nothing was committed since
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
		}
		if f.kind == kindTransaction || f.kind == kindBase {
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
	if o.Packed = l.packedSince(sn.end) && o.Transactions == 0; !o.Packed {
		// A pack would need a header and a table entry of each object, and
		// little else.
		o.Reclaimable = max(sn.end-headerSize-o.Live-int64(o.Objects)*(tableEntrySize+baseEntrySize)-l.fixed(), 0)
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

// packedSince reports whether the file ends where its last pack ended.
func (l *lineage) packedSince(end int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.originEnd > 0 && l.originEnd == end
}

// fixed is about what a packed file takes besides its objects, in bytes.
func (l *lineage) fixed() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := int64(frameHeaderSize+trailerSize+originSize) * 2
	for _, name := range l.classes.first(l.cur.cls) {
		n += frameHeaderSize + trailerSize + 4 + int64(len(name))
	}
	return n
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
