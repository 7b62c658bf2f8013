package mem

import (
	"errors"
	"io/fs"
	"iter"
	"path"
	"slices"
	"sync/atomic"

	"github.com/durusdb/durus/vfs"
)

// Process is one simulated process: its files and locks go when it is killed.
// It implements vfs.FS and is safe for use by many goroutines, unless Run has
// started it: then its one goroutine uses it.
type Process struct {
	d    *Disk
	name string
	pid  int
	task *task         // of the scheduler, nil if Run has not started it
	died chan struct{} // closed when it is killed

	dead    atomic.Bool // written under Disk.mu; see begin
	stopped atomic.Bool // written under Disk.mu; whoever reads it stale has begun before the stop

	// Guarded by Disk.mu.
	resume  chan struct{} // closed by Continue; nil unless stopped
	files   []*File       // that are open
	writers []*Writer     // that have a temporary file open
	lockers []*Locker     // that have opened a lock file or hold something
}

var _ vfs.FS = (*Process)(nil)

// Process returns a new process. Several may have one name.
func (d *Disk) Process(name string) *Process {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lastPID++
	return &Process{d: d, name: name, pid: d.lastPID, died: make(chan struct{})}
}

// Name is the name given to Disk.Process.
func (p *Process) Name() string { return p.name }

// PID is what Locker.Holder answers for this process.
func (p *Process) PID() int { return p.pid }

// Disk is the disk of the process.
func (p *Process) Disk() *Disk { return p.d }

// Killed reports whether the process has been killed, or has ended under Run.
func (p *Process) Killed() bool { return p.dead.Load() }

// Kill ends the process as SIGKILL does: its locks are free, its handles are
// closed, and nothing that is done with it has an effect from now on. Under
// Run its goroutine ends at its next operation.
func (p *Process) Kill() {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	if p.dead.Swap(true) {
		return
	}
	close(p.died)
	p.wake()
	for _, l := range p.lockers {
		l.drop()
	}
	for _, f := range p.files {
		p.d.closeInode(f.ino)
	}
	for _, w := range p.writers {
		p.d.closeInode(w.ino)
	}
	p.lockers, p.files, p.writers = nil, nil, nil
}

// Handles counts what a process has open.
type Handles struct {
	Files   int // that have been opened, and not closed
	Writers int // that have a temporary file
	Lockers int // that have a lock file open
	Locks   int // Lockers that hold the lock, the latch, or a part of the lock
}

// Handles tells what the process has open at this moment.
func (p *Process) Handles() Handles {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	h := Handles{Files: len(p.files), Writers: len(p.writers), Lockers: len(p.lockers)}
	for _, l := range p.lockers {
		if l.locked || l.lockOn != nil || l.dataOn != nil || l.latchOn != nil {
			h.Locks++
		}
	}
	return h
}

// Stop suspends the process before its next operation, as SIGSTOP does.
func (p *Process) Stop() {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	if p.resume == nil && !p.dead.Load() {
		p.resume = make(chan struct{})
		p.stopped.Store(true)
	}
}

// Continue lets a stopped process go on.
func (p *Process) Continue() {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	p.wake()
}

func (p *Process) wake() {
	if p.resume != nil {
		close(p.resume)
		p.resume = nil
		p.stopped.Store(false)
	}
}

// pause waits while the process is stopped.
func (p *Process) pause(op Op) error {
	for p.stopped.Load() && !p.dead.Load() {
		if p.task != nil {
			p.task.yield(op) // the scheduler knows who is stopped
			continue
		}
		p.d.mu.Lock()
		resume := p.resume
		p.d.mu.Unlock()
		if resume != nil {
			<-resume
		}
	}
	if p.dead.Load() {
		return ErrKilled
	}
	return nil
}

// Yield is an operation that does nothing: a point where others may run.
func (p *Process) Yield() error {
	ft, err := p.begin(Op{Kind: OpYield})
	if err != nil {
		return err
	}
	return p.end(ft, nil)
}

// do runs a change or a question that is one operation on a name.
func (p *Process) do(op Op, what string, f func(d *Disk, name string) error) error {
	ft, err := p.begin(op)
	if err != nil {
		return pathError(what, op.Name, err)
	}
	p.d.mu.Lock()
	if err = ErrKilled; !p.dead.Load() {
		err = f(p.d, clean(op.Name))
	}
	p.d.mu.Unlock()
	return pathError(what, op.Name, p.end(ft, err))
}

// Props implements vfs.FS.
func (p *Process) Props(string) vfs.Props {
	return vfs.Props{Locks: true, Append: true, AtomicReplace: true, ConditionalPut: true, StableSize: true, ReliableListing: true}
}

// Open implements vfs.FS.
func (p *Process) Open(name string, mode vfs.Mode) vfs.File {
	return &File{p: p, name: name, mode: mode}
}

// Create implements vfs.FS. The bytes go to a temporary file beside the name,
// called after it with ".new." and sixteen digits; a kill leaves it behind.
func (p *Process) Create(name string, mode vfs.CreateMode, perm fs.FileMode) vfs.Writer {
	return &Writer{p: p, name: name, mode: mode, perm: perm}
}

// Stat implements vfs.FS.
func (p *Process) Stat(name string) (info vfs.Info, err error) {
	err = p.do(Op{Kind: OpStat, Name: name}, "stat", func(d *Disk, name string) error {
		if d.isDir(name) {
			info = vfs.Info{ID: vfs.FileID{Dev: d.dev}, Links: 1, Perm: 0o755, Type: fs.ModeDir}
			return nil
		}
		ino, err := d.lookup(name)
		if err == nil {
			info = d.info(ino)
		}
		return err
	})
	return info, err
}

// List implements vfs.FS.
func (p *Process) List(prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var names []string
		err := p.do(Op{Kind: OpList, Name: prefix}, "list", func(d *Disk, _ string) error {
			names = d.list(prefix)
			return nil
		})
		if err != nil {
			yield("", err)
			return
		}
		for _, name := range names {
			if !yield(name, nil) {
				return
			}
		}
	}
}

// Remove implements vfs.FS.
func (p *Process) Remove(name string) error {
	return p.do(Op{Kind: OpRemove, Name: name}, "remove", (*Disk).remove)
}

// Link gives a file another name, as link(2) does.
func (p *Process) Link(old, name string) error {
	return p.do(Op{Kind: OpLink, Name: name}, "link", func(d *Disk, name string) error { return d.link(clean(old), name) })
}

// Rename implements vfs.FS, as rename(2) does.
func (p *Process) Rename(old, name string) error {
	done := false
	err := p.do(Op{Kind: OpRename, Name: name}, "rename", func(d *Disk, name string) error {
		err := d.rename(clean(old), name)
		done = err == nil
		return err
	})
	if err != nil && done { // a rule lets it be reported as failed
		err = errors.Join(vfs.ErrUnknownOutcome, err)
	}
	return err
}

// SyncDir implements vfs.FS. Names changed before its start are on the disk
// after its end.
func (p *Process) SyncDir(name string) error {
	var upto uint64
	err := p.do(Op{Kind: OpSyncDir, Name: name}, "syncdir", func(d *Disk, _ string) error {
		upto = d.changes
		return nil
	})
	if err != nil {
		return err
	}
	return p.do(Op{Kind: OpSyncDirEnd, Name: name}, "syncdir", func(d *Disk, name string) error {
		d.persistNames(path.Dir(name), upto)
		return nil
	})
}

// Resolve implements vfs.FS. There are no symbolic links.
func (p *Process) Resolve(name string) (string, error) { return clean(name), nil }

// Locker implements vfs.FS. data must be a File of this package, or lead to
// one by methods Unwrap() vfs.File; nil is a lock file that guards no file.
func (p *Process) Locker(name string, data vfs.File, mode vfs.Mode, perm fs.FileMode) vfs.Locker {
	return &Locker{p: p, name: name, data: data, mode: mode, perm: perm, done: make(chan struct{})}
}

// forget removes one element, if it is there.
func forget[T comparable](s []T, x T) []T {
	if i := slices.Index(s, x); i >= 0 {
		return slices.Delete(s, i, i+1)
	}
	return s
}
