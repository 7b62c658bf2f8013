package mem

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/durusdb/durus/vfs"
)

// maxSize is the greatest size of a file; beyond it is syscall.EFBIG.
const maxSize = 1 << 34

// devices counts the disks of this program: each is a device of its own.
var devices atomic.Uint64

// Disk is a simulated disk with a page cache and any number of processes. It
// is safe for use by many goroutines.
type Disk struct {
	// Hook, if it is set, is asked before every operation of every process
	// what is to become of it. It runs on the goroutine of that process and may
	// use the methods of Disk (take crash images, kill another process), but no
	// file of this disk. One call runs at a time. Set it while no process runs.
	Hook func(Op) Action

	// FreshInodes makes the disk give no inode number twice. Usually a number
	// is given again as soon as no name and no handle leads to the inode, as
	// ext4 does. Set it while no process runs.
	FreshInodes bool

	// StepLimit is how many operations Run allows before it gives up; 0 is a
	// million. Set it while no process runs.
	StepLimit int

	dev      uint64
	volatile bool // nothing is logged: what is written is on the disk

	hookMu sync.Mutex // held while Hook runs; before mu
	seq    uint64     // of the newest operation given to Hook or faults; guarded by hookMu

	// faulty is the number of fault rules. It is written under mu; an operation
	// that reads it stale has begun before the rule was added.
	faulty atomic.Int32

	// mu guards everything below, and all inodes, handles and locks.
	mu      sync.Mutex
	names   directory // in the cache
	disk    directory // persisted
	dirlog  []*change // changes of names that lies between the two, oldest first
	changes uint64    // number of the newest change
	lastIno uint64
	freeIno []uint64
	lastPID int
	lastTmp uint64
	limited bool  // space counts
	space   int64 // bytes by which files may still grow
	faults  []*Fault
}

// inode is a file, whatever names it has.
type inode struct {
	id      uint64
	perm    fs.FileMode
	links   int       // names in the cache
	opens   int       // handles and lock files that hold it open
	cache   content   // what everybody reads
	disk    content   // what has been persisted
	pending []*change // what lies between the two, oldest first; less what a failed sync lost
	failSeq uint64    // counts failed write-backs
	failErr error     // of the newest one
	lock    gate      // flock(2)
	latch   gate      // of the mark
}

// NewDisk returns an empty disk. It remembers what was written and not synced,
// for Images; a disk that only has to hold files is NewVolatile.
func NewDisk() *Disk { return &Disk{dev: devices.Add(1), lastPID: 1000} }

// NewVolatile returns an empty disk that keeps one copy of each file and no
// log: all that is written counts as synced. It has one crash image, of
// everything. Syncs cannot lose anything.
func NewVolatile() *Disk {
	d := NewDisk()
	d.volatile = true
	return d
}

// directory holds the names of the whole disk, sorted. It never changes: a
// change makes a new one. So it can be shared with crash images.
type directory []entry

type entry struct {
	name string
	ino  *inode // nil, in a change: the name goes
}

func (dir directory) search(name string) (int, bool) {
	return slices.BinarySearchFunc(dir, name, func(e entry, name string) int { return strings.Compare(e.name, name) })
}

// find returns the inode of a name, nil if there is none.
func (dir directory) find(name string) *inode {
	if i, ok := dir.search(name); ok {
		return dir[i].ino
	}
	return nil
}

// with returns the directory after a change.
func (dir directory) with(set []entry) directory {
	next := slices.Clone(dir)
	for _, e := range set {
		i, ok := next.search(e.name)
		switch {
		case ok && e.ino == nil:
			next = slices.Delete(next, i, i+1)
		case ok:
			next[i] = e
		case e.ino != nil:
			next = slices.Insert(next, i, e)
		}
	}
	return next
}

// clean returns the one spelling of a name. The working directory is the root.
func clean(name string) string {
	if strings.HasPrefix(name, "/") {
		return path.Clean(name)
	}
	return path.Clean("/" + name)
}

// lookup returns the inode of a clean name for an operation. Directories are
// there as soon as a name lies in them.
func (d *Disk) lookup(name string) (*inode, error) {
	if ino := d.names.find(name); ino != nil {
		return ino, nil
	}
	if d.isDir(name) {
		return nil, vfs.ErrNotRegular
	}
	return nil, fs.ErrNotExist
}

func (d *Disk) isDir(name string) bool {
	if name == "/" {
		return true
	}
	i, _ := d.names.search(name + "/")
	return i < len(d.names) && strings.HasPrefix(d.names[i].name, name+"/")
}

// newInode returns an inode without names.
func (d *Disk) newInode(perm fs.FileMode) *inode {
	ino := &inode{perm: perm.Perm()}
	if n := len(d.freeIno); n > 0 && !d.FreshInodes {
		ino.id = d.freeIno[n-1]
		d.freeIno = d.freeIno[:n-1]
	} else {
		d.lastIno++
		ino.id = d.lastIno
	}
	return ino
}

// unref gives the number and the space of an inode back when nothing leads to
// it any more. The persisted directory may still do: that is no use of it.
func (d *Disk) unref(ino *inode) {
	if ino.links == 0 && ino.opens == 0 {
		d.freeIno = append(d.freeIno, ino.id)
		d.space += ino.cache.size
	}
}

// closeInode ends one of the handles on an inode.
func (d *Disk) closeInode(ino *inode) {
	ino.opens--
	d.unref(ino)
}

func (d *Disk) info(ino *inode) vfs.Info {
	return vfs.Info{
		ID:    vfs.FileID{Dev: d.dev, Ino: ino.id},
		Size:  ino.cache.size,
		Links: uint64(ino.links),
		Perm:  ino.perm,
	}
}

// setNames changes names in the cache, as one atomic step, and logs it.
func (d *Disk) setNames(set ...entry) {
	for _, e := range set {
		if e.ino != nil {
			e.ino.links++
		}
	}
	for _, e := range set {
		if old := d.names.find(e.name); old != nil {
			old.links--
			d.unref(old)
		}
	}
	d.names = d.names.with(set)
	if d.volatile {
		d.disk = d.names
		return
	}
	d.changes++
	d.dirlog = append(d.dirlog, &change{seq: d.changes, kind: changeNames, set: set})
}

// write puts p at off, as far as there is space, and logs it.
func (d *Disk) write(ino *inode, p []byte, off int64) (int, error) {
	var err error
	if off < 0 {
		return 0, syscall.EINVAL
	}
	if off > maxSize-int64(len(p)) {
		return 0, syscall.EFBIG
	}
	grow := max(0, off+int64(len(p))-ino.cache.size)
	if free := max(0, d.space); d.limited && grow > free {
		err = syscall.ENOSPC
		p = p[:max(0, int64(len(p))-(grow-free))]
		grow = max(0, off+int64(len(p))-ino.cache.size)
		if len(p) == 0 {
			return 0, err
		}
	}
	d.space -= grow
	ino.cache.writeAt(p, off)
	if !d.volatile && len(p) > 0 {
		d.record(ino, &change{kind: changeWrite, off: off, data: slices.Clone(p)})
	}
	return len(p), err
}

// truncate gives the file a size and logs it.
func (d *Disk) truncate(ino *inode, size int64) error {
	grow := size - ino.cache.size
	switch {
	case size < 0:
		return syscall.EINVAL
	case size > maxSize:
		return syscall.EFBIG
	case d.limited && grow > max(0, d.space):
		return syscall.ENOSPC
	}
	d.space -= grow
	ino.cache.resize(size)
	if !d.volatile {
		d.record(ino, &change{kind: changeSize, off: size})
	}
	return nil
}

// SetSpace limits the bytes by which all files together may still grow. What
// is cut off or removed afterwards can be used again. A write that does not
// fit is done as far as it does, and answers with syscall.ENOSPC. A negative
// number takes the limit away.
func (d *Disk) SetSpace(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.limited, d.space = n >= 0, max(n, 0)
}

// pathError says what was tried with which name.
func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	var pe *fs.PathError
	if errors.As(err, &pe) && pe.Path == name {
		return err
	}
	return &fs.PathError{Op: op, Path: name, Err: fmt.Errorf("mem: %w", err)}
}
