package filestorage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// Salvage makes a new database of what is left of a damaged file. Nothing of
// what the file says is believed that its checksums do not hold:
//
//	1 survey    find every whole frame, wherever it lies, by its magic: its header
//	            says to which file it belongs (the salt), and to which place in it
//	2 rebuild   write the frames in the order of their places, and between them
//	            the records that are intact in what is damaged; first only to
//	            count, since the file header comes first and tells the end
//	3 commit    the new file gets its name when all of it is on the disk
//
// A file in which nothing is wrong is copied as it is.

// SalvageOptions say what to salvage.
type SalvageOptions struct {
	FS  vfs.FS // required
	In  string // the damaged file; it is only read
	Out string // the new one; it must not exist

	// Tail: what lies behind the last whole frame is damage, too, and not what
	// an interrupted commit has left. Without the lock file, which tells how much
	// was on the disk, the two cannot be told apart.
	Tail bool

	// Progress, if not nil, is called now and then with the work done and in
	// all, in bytes read.
	Progress func(done, total int64)
	Now      func() time.Time // nil: time.Now
}

// SalvageReport tells what was found. Its lists hold at most 1000 entries, its
// counts all.
type SalvageReport struct {
	Size    int64 // of the damaged file, bytes
	Written int64 // of the new one

	// Identical: nothing was wrong, and the new file has the bytes of the old
	// one up to Written.
	Identical      bool
	HeaderRepaired bool  // the file header was damaged, but one good copy was left
	HeaderLost     bool  // none was: the id of the database is a new one
	Tail           int64 // bytes of interrupted commits at the end, which are left out
	Frames         uint64
	Transactions   uint64 // whole ones
	Objects        uint64

	Missing      []Range // of the bytes that the file had; what is left of them is recovered
	MissingBytes int64
	Foreign      uint64 // frame headers of other databases

	Partial      []storage.TID // transactions of which only some records are left
	PartialTotal uint64
	Gone         []storage.TID // transactions that are known by their header alone
	GoneTotal    uint64
	Orphans      uint64 // records that are left of transactions that are not known

	Older         []storage.OID // objects whose newest state is damaged: an older one counts
	OlderTotal    uint64
	Lost          []storage.OID // objects that are known to have had a state, and have none
	LostTotal     uint64
	Dangling      []DanglingReference // of newest states
	DanglingTotal uint64

	Classes []string // names that were made up for classes whose own are lost
	Root    RootFate
	Named   uint64 // objects in the root directory that was made
	Unnamed uint64 // objects that nothing refers to, and that did not fit into it
}

// Range is a part of a file, in bytes.
type Range struct{ From, To int64 }

// DanglingReference is one to an object that does not exist.
type DanglingReference struct{ From, To storage.OID }

// RootFate is what became of the root directory.
type RootFate uint8

const (
	RootKept RootFate = iota // it is there, or there never was one
	RootMade                 // it was lost; a new one names the objects that nothing refers to
)

// Complete reports whether nothing that was committed is lost, as far as the
// file can tell.
func (r *SalvageReport) Complete() bool {
	return !r.HeaderLost && r.MissingBytes == 0 && len(r.Classes) == 0 && r.Root == RootKept
}

// listed is how many entries a list of a report has at most.
const listed = 1000

// note appends to a list of a report, as long as there is room.
func note[T any](list *[]T, v T) {
	if len(*list) < listed {
		*list = append(*list, v)
	}
}

// Salvage recovers what is intact in a damaged file. It terminates on any input
// and needs memory for two positions of each object, and for one frame. Errors:
// fs.ErrNotExist, fs.ErrExist, storage.ErrNotDurus when nothing of a database is
// in the file, storage.ErrTooNew, the context's, those of the files. After an
// error there is no new file, unless it Is vfs.ErrUnknownOutcome.
func Salvage(ctx context.Context, o SalvageOptions) (r *SalvageReport, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	fsys := vfs.Blocking(o.FS)
	in, err := fsys.Resolve(o.In)
	if err != nil {
		return nil, fmt.Errorf("durus: salvage %s: %w", o.In, err)
	}
	out, err := fsys.Resolve(o.Out)
	if err != nil {
		return nil, fmt.Errorf("durus: salvage into %s: %w", o.Out, err)
	}
	if err := vacant(fsys, out); err != nil {
		return nil, err
	}
	file := fsys.Open(in, vfs.ReadOnly)
	defer func() { _ = file.Close() }() // it was only read
	var m mark
	if fsys.Props(in).Locks { // before the size, which others may raise, and then the mark
		if m, err = markOf(fsys, in, file); err != nil {
			return nil, err
		}
	}
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("durus: salvage %s: %w", in, err)
	}
	s := &survey{ctx: ctx, file: file, path: in, size: info.Size, win: &window{file: file, size: info.Size}, mark: m, tail: o.Tail, progress: o.Progress}
	if err := s.readHeader(); err != nil {
		return nil, err
	}
	w := fsys.Create(out, vfs.FailIfExists, info.Perm)
	defer func() { err = errors.Join(err, w.Abort()) }() // does nothing after Commit
	if r, err = s.salvage(w, o.Now()); err != nil {
		return nil, err
	}
	if err := w.Commit(); err != nil {
		return nil, fmt.Errorf("durus: salvage into %s: %w", out, err)
	}
	if err := fsys.SyncDir(out); err != nil {
		return nil, fmt.Errorf("durus: salvage into %s: it is complete, but its name may not survive a power cut: %w: %w", out, vfs.ErrUnknownOutcome, err)
	}
	return r, nil
}

// vacant refuses a name that is taken before much work is done. Whether it still
// is free in the end, Commit finds out.
func vacant(fsys vfs.FS, path string) error {
	_, err := fsys.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = fs.ErrExist
	}
	return fmt.Errorf("durus: %s: a new database is written there, and nothing is overwritten: choose another name: %w", path, err)
}

// markOf reads the durable mark of a file that may have none.
func markOf(fsys vfs.FS, path string, file vfs.File) (m mark, err error) {
	lock := fsys.Locker(lockName(path), file, vfs.ReadOnly, 0)
	defer func() { _ = lock.Close() }() // it was only read
	var b [vfs.MarkSize]byte
	n, err := lock.ReadMark(&b)
	if errors.Is(err, fs.ErrNotExist) || err == nil && n < len(b) {
		return mark{}, nil
	}
	if err != nil {
		return mark{}, fmt.Errorf("durus: lock file of %s: %w", path, err)
	}
	return parseMark(&b), nil
}

// salvage writes the new file, up to its commit.
func (s *survey) salvage(w vfs.Writer, now time.Time) (_ *SalvageReport, err error) {
	r := &SalvageReport{Size: s.size}
	if err := s.find(); err != nil {
		return nil, err
	}
	end, whole, err := s.intact(r)
	if err != nil {
		return nil, err
	}
	if whole {
		return r, s.copy(w, r, end)
	}
	*r = SalvageReport{Size: s.size, HeaderRepaired: s.headerBad && s.headerGood}
	s.order(r)
	h := s.newHeader(now)
	count := rebuild{s: s, now: now, report: new(SalvageReport)}
	count.out.begin(h)
	if err := count.run(); err != nil {
		return nil, err
	}
	if h.HighOID = count.high; r.MissingBytes > 0 {
		// What is missing may have given out ids that others have kept.
		h.HighOID = min(h.HighOID+maxLease, storage.MaxOID)
	}
	final := rebuild{s: s, now: now, report: r, final: &count.out.index}
	if r.MissingBytes > 0 && count.out.index.objects > 0 && count.out.index.get(rootOID) == 0 {
		if final.roots, err = count.unreferenced(h); err != nil {
			return nil, err
		}
	}
	w.Write(h.encode()) // errors come back from Commit
	final.out.begin(h)
	final.out.file = unfinished{w: w}
	if err := final.run(); err != nil {
		return nil, err
	}
	return r, final.finish()
}

// intact reports whether nothing is wrong with the file up to end, but for its
// header perhaps: the whole frames are one chain from the first to the last, no
// mark says that there was more, and what follows is no damage.
func (s *survey) intact(r *SalvageReport) (end int64, whole bool, err error) {
	c := s.header.chain()
	stop := c.pos
	switch {
	case !s.headerGood || len(s.stretches) > 1:
		return 0, false, nil
	case len(s.stretches) == 1:
		if st := s.stretches[0]; st.at != c.pos || st.pos != c.pos {
			return 0, false, nil
		}
		stop = s.stretches[0].stop()
	}
	if s.damagedBehind(stop, s.size-stop) {
		return 0, false, nil
	}
	var objects index
	sc := scanner{salt: s.salt, win: &window{file: s.file, size: s.size}}
	last, moved := c.pos, false // where the last frame begins
	for c.pos < stop {
		f, v, _, err := sc.next(c, true, false)
		if err != nil {
			return 0, false, s.failed(err)
		}
		if v != verdictWhole {
			return 0, false, nil
		}
		if r.Frames++; f.kind == kindTransaction {
			r.Transactions++
		}
		for i := range f.records {
			objects.set(f.oid(i), f.recordPos(i))
		}
		last, moved = c.pos, f.kind == kindMoved
		c = c.after(&f)
		if err := s.step(2*s.size + c.pos); err != nil {
			return 0, false, err
		}
	}
	if moved && s.marked() <= last { // it does not count as long as nothing follows it
		c.pos = last
		r.Frames--
	}
	r.Objects, r.Foreign = objects.objects, s.foreign
	return c.pos, true, nil
}

// after is what the frame behind f must fit to.
func (c chain) after(f *frame) chain {
	if f.leaseFirst != 0 {
		c.high = f.leaseFirst + storage.OID(f.leaseCount)
	}
	if f.kind == kindClass {
		c.cls++
	}
	c.top = max(c.top, f.greatest())
	c.pos, c.sum, c.tid, c.time = f.end(), f.sum, f.tid, f.time
	return c
}

// copy writes an undamaged file again, with two good copies of its header.
func (s *survey) copy(w vfs.Writer, r *SalvageReport, end int64) error {
	w.Write(s.header.bytes()) // errors come back from Commit
	win := window{file: s.file, size: end}
	for pos := int64(headerSize); pos < end; {
		b, err := win.bytes(pos, int(min(windowSize, end-pos)))
		if err != nil {
			return s.failed(err)
		}
		w.Write(b)
		pos += int64(len(b))
		if err := s.step(3*s.size + pos); err != nil {
			return err
		}
	}
	r.Identical, r.HeaderRepaired = !s.headerBad, s.headerBad
	r.Written, r.Tail = end, s.size-end
	return nil
}
