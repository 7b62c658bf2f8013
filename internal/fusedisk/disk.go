package fusedisk

import (
	"slices"
	"sync"
	"syscall"
)

// Disk is a disk in memory with a volatile cache. It notes what it does, and
// fails when told to. It is safe for use by many goroutines; operations happen
// one after the other, in the order of the log.
type Disk struct {
	mu     sync.Mutex // guards the rest, except log.Base
	now    Image      // what a read sees
	log    Log        // its Base stays as it is
	faults []*fault
}

// NewDisk returns a disk that holds content, all of it durable.
func NewDisk(content Image) *Disk {
	return &Disk{now: content.Clone(), log: Log{Base: content.Clone()}}
}

// Fault makes one operation of a disk fail. What a failing flush should have
// made durable stays in the cache, and the next flush covers it.
type Fault struct {
	// Kind is Write or Flush.
	Kind Kind
	// Match says which writes count; nil: all. It is called with the disk
	// locked and must not keep p.
	Match func(p []byte, off int64) bool
	// After is how many that count pass before one fails.
	After int
	// Torn is how many bytes of a failing write the disk takes all the same,
	// a multiple of Sector.
	Torn int
}

// fault is a Fault that waits for its operation.
type fault struct {
	Fault
	fired chan struct{}
}

// Inject makes an operation fail, once, with EIO. The channel is closed when
// that has happened.
func (d *Disk) Inject(f Fault) (fired <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := &fault{f, make(chan struct{})}
	d.faults = append(d.faults, w)
	return w.fired
}

// fails tells whether a fault meets this operation. Of a write, it does as much
// as the fault says. d.mu is held.
func (d *Disk) fails(kind Kind, p []byte, off int64) bool {
	for i, f := range d.faults {
		if f.Kind != kind || f.Match != nil && !f.Match(p, off) {
			continue
		}
		if f.After--; f.After < 0 {
			d.faults = slices.Delete(d.faults, i, i+1)
			close(f.fired)
			if n := min(f.Torn, len(p)); n > 0 {
				d.write(p[:n], off)
			}
			return true
		}
	}
	return false
}

// Size is the size of the disk in bytes.
func (d *Disk) Size() int64 { return d.log.Base.Size() }

// ReadAt implements io.ReaderAt.
func (d *Disk) ReadAt(p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now.ReadAt(p, off)
}

// WriteAt implements io.WriterAt. What it has written is in the cache.
func (d *Disk) WriteAt(p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if off < 0 || off+int64(len(p)) > d.Size() {
		return 0, syscall.ENOSPC
	}
	if d.fails(Write, p, off) {
		return 0, syscall.EIO
	}
	d.write(p, off)
	return len(p), nil
}

// write is called with d.mu held.
func (d *Disk) write(p []byte, off int64) {
	data := slices.Clone(p) // shared by the log and the images from here on
	d.log.Ops = append(d.log.Ops, Op{Kind: Write, Off: off, Data: data})
	d.now.write(data, off)
}

// Flush makes what was written before durable.
func (d *Disk) Flush() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fails(Flush, nil, 0) {
		return syscall.EIO
	}
	d.log.Ops = append(d.log.Ops, Op{Kind: Flush})
	return nil
}

// Moment is how many operations the disk has done.
func (d *Disk) Moment() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.log.Ops)
}

// Log returns what the disk has done so far.
func (d *Disk) Log() Log {
	d.mu.Lock()
	defer d.mu.Unlock()
	return Log{Base: d.log.Base, Ops: slices.Clip(d.log.Ops)}
}
