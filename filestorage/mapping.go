package filestorage

import (
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// Records that are read again come from memory: the record file is mapped, with
// room to grow, once a handle has read some records. What a system call would
// copy is then copied without one.
//
// The first read of each page that this process has not written is a system call
// all the same: it may have to wait for the disk, which the Go scheduler sees in a
// system call and not in a page fault, and the kernel reads ahead for calls as it
// does for everybody. What was read once is most probably in the page cache.
//
// Nothing depends on a mapping. Only what lies before the end of a snapshot is
// taken from it, which is never written again; the copy must have the right
// checksums; and whatever looks wrong is read again by the system call, which
// knows the reasons.
type mapping struct {
	bytes []byte          // of the file from its begin, and more than it has now
	read  []atomic.Uint64 // a bit for each page that a system call has read or written; one that is seen too late costs a call
	unmap func() error
}

const (
	mappedPage = 4 << 10
	// mapAfter is how many records are read before the file is mapped: what opens a
	// file for a moment does not map it.
	mapAfter = 32
	// mapLeast is the smallest room, and mapMost the largest file: half of what
	// processors have addresses for would be more.
	mapLeast = 1 << 20
	mapMost  = 1 << 44

	fewAddresses = math.MaxInt == math.MaxInt32 // too few to map large files
)

// mappings are those of a lineage: the newest, and older ones that somebody may
// still read from. They end with its descriptor.
type mappings struct {
	newest atomic.Pointer[mapping] // stored under mu; an older one is as good, but shorter
	reads  atomic.Uint32           // records that came by system calls before there was one

	mu   sync.Mutex // guards all that follows; a leaf
	all  []*mapping
	over bool // no more of them: closed, or it does not work
}

// met notes that a system call has read n bytes at pos.
func (l *lineage) met(pos int64, n int) {
	m := l.mapped.newest.Load()
	if m == nil || pos+int64(n) > int64(len(m.bytes)) {
		if m == nil && l.mapped.reads.Add(1) < mapAfter {
			return
		}
		if m = l.mapped.extend(l, pos+int64(n)); m == nil {
			return
		}
	}
	m.touched(pos, n)
}

// wrote notes that n bytes at pos were just appended: their pages are in memory.
func (l *lineage) wrote(pos int64, n int) {
	if m := l.mapped.newest.Load(); m != nil && pos+int64(n) <= int64(len(m.bytes)) {
		m.touched(pos, n)
	}
}

// touched notes that system calls have read or written n bytes at pos.
func (m *mapping) touched(pos int64, n int) {
	for page := pos / mappedPage; page <= (pos+int64(n)-1)/mappedPage; page++ {
		if word, bit := &m.read[page/64], uint64(1)<<(page%64); word.Load()&bit == 0 {
			word.Or(bit)
		}
	}
}

// extend returns a mapping that reaches to the byte before end; nil if there is none.
func (a *mappings) extend(l *lineage, end int64) *mapping {
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.newest.Load()
	if old != nil && end <= int64(len(old.bytes)) {
		return old
	}
	if a.over {
		return nil
	}
	m, err := l.mapFile(end)
	if m == nil {
		a.over = true // the file stays readable
		if err != nil {
			l.logger.Debug("durus: not mapped", "path", l.path, "err", err)
		}
		return nil
	}
	if old != nil {
		for i := range old.read {
			m.read[i].Store(old.read[i].Load())
		}
	}
	a.all = append(a.all, m)
	a.newest.Store(m)
	return m
}

// mapFile maps twice of what there is, so that a file that grows is mapped
// seldom. It returns nil where a mapping does not show what is appended later,
// and where addresses are few.
func (l *lineage) mapFile(end int64) (*mapping, error) {
	mapper, ok := l.file.(vfs.Mapper)
	wrapped := vfs.Base(l.file) != l.file // its wrapper may have something to say to reads
	if !ok || wrapped || !l.live || fewAddresses {
		return nil, nil
	}
	size, err := l.file.Size()
	if err != nil {
		return nil, err
	}
	if size = max(size, end); size > mapMost {
		return nil, nil
	}
	n := (max(2*size, mapLeast) + 64*mappedPage - 1) &^ (64*mappedPage - 1)
	b, unmap, err := mapper.Map(0, int(n))
	if err != nil {
		return nil, err
	}
	return &mapping{bytes: b, read: make([]atomic.Uint64, n/(64*mappedPage)), unmap: unmap}, nil
}

// close ends all mappings. Who reads now meets addresses that are nobody's, which
// take survives, or somebody else's bytes, which have the wrong checksum.
func (a *mappings) close() (err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	a.newest.Store(nil)
	for _, m := range a.all {
		if e := m.unmap(); err == nil {
			err = e
		}
	}
	a.all = nil
	return err
}

// wasRead reports whether system calls have touched all of n bytes at pos.
func (m *mapping) wasRead(pos, n int64) bool {
	for page := pos / mappedPage; page <= (pos+n-1)/mappedPage; page++ {
		if m.read[page/64].Load()>>(page%64)&1 == 0 {
			return false
		}
	}
	return true
}

// take copies a record that ends at end or before, to buf if it fits there. It
// returns nil when the record is not to be had here, or is not one of oid.
func (m *mapping) take(oid storage.OID, pos, end int64, buf []byte) (h recordHeader, b []byte) {
	// The one place that touches the memory. Somebody from outside may have cut the
	// file; that would end the process, but for SetPanicOnFault.
	defer func(was bool) {
		debug.SetPanicOnFault(was)
		if cutOff(recover()) {
			b = nil
		}
	}(debug.SetPanicOnFault(true))
	end = min(end, int64(len(m.bytes)))
	if pos+recordHeaderSize > end || !m.wasRead(pos, recordHeaderSize) {
		return h, nil
	}
	copy(buf[:recordHeaderSize], m.bytes[pos:])
	if !h.get(buf) || h.oid != oid {
		return h, nil
	}
	n := h.length()
	if n > end-pos || !m.wasRead(pos, n) {
		return h, nil
	}
	if n > int64(len(buf)) {
		buf = make([]byte, n)
	}
	b = buf[:n]
	copy(b, m.bytes[pos:])
	// The copy is what is checked, from its first byte on.
	if !h.get(b) || h.length() != n {
		return h, nil
	}
	return h, b
}

// cutOff tells of what recover has returned, under debug.SetPanicOnFault, whether it
// is the fault of touching mapped memory whose file was cut. Any other panic goes on.
func cutOff(panicked any) bool {
	if panicked == nil {
		return false
	}
	if _, fault := panicked.(interface{ Addr() uintptr }); !fault {
		panic(panicked)
	}
	return true
}
