package async

import (
	"sync"

	"github.com/durusdb/durus/vfs"
)

// file is a vfs.File whose operations do not wait. FS.mu guards all of it but
// the first five fields, which never change.
type file struct {
	fs     *FS
	lower  vfs.File
	name   string
	mode   vfs.Mode
	opened chan struct{} // closed when the opening has ended, or by Close before

	note notifier

	stage     stage
	openErr   error
	onOpen    []func(error) // to be called when the opening has ended
	openAsked bool          // a Locker was told to wait for it
	openLane  lane[job]     // the opening itself; the other lanes are in no ring before it has ended

	closed  bool
	closing bool // Close waits; it will close the lower file if nothing is under way then
	busy    int  // jobs that are under way
	writing bool // one of them changes the file

	calls    map[call]*op // begun or waiting, or done and not asked for since
	opLane   lane[job]
	changes  fifo[*op] // that wait for the change in opLane or under way
	changing bool      // there is one

	asked    map[extent]*span // likewise, of ReadAt
	readLane lane[*span]
	specLane lane[*span]
	ahead    ahead
}

// stage is how far the opening is.
type stage uint8

const (
	unopened stage = iota
	opening
	opened // well or not, before the file was closed
)

var (
	_ vfs.File    = (*file)(nil)
	_ vfs.Async   = (*file)(nil)
	_ vfs.Adviser = (*file)(nil)
)

func newFile(fsys *FS, lower vfs.File, name string, mode vfs.Mode) *file {
	f := &file{fs: fsys, lower: lower, name: name, mode: mode, opened: make(chan struct{}), calls: map[call]*op{}, asked: map[extent]*span{}}
	f.ahead = ahead{f: f, joined: map[extent]bool{}}
	f.note = notifier{fs: fsys, quiet: sync.Cond{L: &fsys.mu}}
	return f
}

// find returns the file of this package that data is or wraps, nil if there is
// none.
func find(data vfs.File) *file {
	for {
		if f, ok := data.(*file); ok {
			return f
		}
		w, ok := data.(interface{ Unwrap() vfs.File })
		if !ok {
			return nil
		}
		data = w.Unwrap()
	}
}

// Unwrap returns the file of the storage below.
func (f *file) Unwrap() vfs.File { return f.lower }

// fail says what was tried with the file.
func (f *file) fail(op string, err error) error { return fail(op, f.name, err) }

// open begins the opening, once. FS.mu is held.
func (f *file) open() {
	if f.stage == unopened && !f.closed {
		f.stage = opening
		f.openLane.push((*openJob)(f))
		f.fs.ops.add(&f.openLane)
		f.fs.workers.call()
	}
}

// openJob is the opening of a file.
type openJob file

func (j *openJob) begin() { j.busy++ }

func (j *openJob) do() {
	f := (*file)(j)
	_, err := f.lower.Stat()
	f.fs.mu.Lock()
	if !f.closed {
		f.stage, f.openErr = opened, err
		close(f.opened)
		for _, fn := range f.onOpen {
			f.note.once = append(f.note.once, func() { fn(err) })
		}
		f.onOpen = nil
		if len(f.note.once) > 0 {
			f.note.schedule()
		}
		if f.openAsked {
			f.note.ring()
		}
		f.list()
	}
	f.leave()
}

// list puts the lanes that have something into the rings, if the file is open.
// Until then it begins the opening. FS.mu is held.
func (f *file) list() {
	if f.stage != opened {
		f.open()
		return
	}
	f.fs.ops.add(&f.opLane)
	f.fs.reads.add(&f.readLane)
	f.fs.spec.add(&f.specLane)
	f.fs.workers.call()
}

// leave ends a job. The last one out closes the lower file, if Close could not;
// nobody is there who could be told an error. It gives FS.mu up.
func (f *file) leave() {
	f.busy--
	last := f.closed && f.busy == 0 && !f.closing
	f.fs.mu.Unlock()
	if last {
		_ = f.lower.Close()
	}
}

// OnOpen implements vfs.Async. When the opening has ended, or the file is
// closed, fn is called by OnOpen itself. If the opening has not ended when the
// file is closed, Close calls fn with an error that Is vfs.ErrClosed.
func (f *file) OnOpen(fn func(error)) {
	f.fs.mu.Lock()
	err := f.openErr
	switch {
	case f.stage == opened:
	case f.closed:
		err = f.fail("open", vfs.ErrClosed)
	default:
		f.onOpen = append(f.onOpen, fn)
		f.open()
		f.fs.mu.Unlock()
		return
	}
	f.fs.mu.Unlock()
	fn(err)
}

// OnReady implements vfs.Ready.
func (f *file) OnReady(fn func()) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.note.set(fn)
}

// tryOpened tells a Locker that the opening has ended, well or not: what came of
// it the storage below knows. It is vfs.ErrAgain if it has not; with call the
// callback of OnReady will say when it has.
func (f *file) tryOpened(call bool) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	switch {
	case f.stage == opened:
		return nil
	case f.closed:
		return f.fail("lock", vfs.ErrClosed)
	}
	f.open()
	f.openAsked = f.openAsked || call
	return vfs.ErrAgain
}

// Close implements vfs.File. Operations that have not begun are not carried
// out. It waits for a change that is under way, and for a callback that is
// running, unless that has called it; so nobody may call it with a lock for which
// a callback waits. The lower file is closed when nothing of
// this one is under way any more; that is now, and its error is returned, or
// after reads, a Sync or an opening.
func (f *file) Close() error {
	f.fs.mu.Lock()
	if f.closed {
		f.fs.mu.Unlock()
		return nil
	}
	f.closed, f.closing = true, true
	if f.stage != opened {
		close(f.opened)
	}
	waiting := f.note.once // an opening that has ended, of which nobody was told
	for _, fn := range f.onOpen {
		waiting = append(waiting, func() { fn(f.fail("open", vfs.ErrClosed)) })
	}
	f.onOpen = nil
	f.note.end()
	f.cancel()
	f.note.await(func() bool { return f.writing })
	f.closing = false
	idle := f.busy == 0
	f.fs.mu.Unlock()

	var err error
	if idle {
		err = f.lower.Close()
	}
	for _, fn := range waiting {
		fn()
	}
	return err
}

// cancel forgets what has not begun, and all results.
func (f *file) cancel() {
	f.openLane.clear()
	f.opLane.clear()
	f.readLane.clear()
	f.specLane.clear()
	f.changes.clear()
	clear(f.calls)
	for _, s := range f.asked {
		s.drop()
	}
	f.ahead.forget(0)
}
