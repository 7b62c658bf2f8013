package async

import (
	"sync"

	"github.com/durusdb/durus/vfs"
)

// writer is a vfs.Writer whose operations do not wait. It has one job at a time,
// so that the lower writer is used by one goroutine at a time, and in order.
// FS.mu guards all of it but the first three fields, which never change.
type writer struct {
	fs    *FS
	lower vfs.Writer
	name  string

	note  notifier
	lane  lane[job]
	phase phase
	bound bool // the job is in the lane or under way
	last  bool // the job has passed the point where Abort could stop it

	buf     []byte // taken and not written yet
	free    []byte // used in turn with buf
	waiting int    // bytes of buf, and those being written
	refused int    // length of the Write that was told to wait, 0 if there is none

	err    error // of lower.Write, the first one
	result error // of Commit, or Abort
}

// phase is what a writer is about to do, and has done in the end.
type phase uint8

const (
	writing phase = iota
	committing
	aborting
	committed // well or not
	aborted
)

var (
	_ vfs.Writer = (*writer)(nil)
	_ vfs.Ready  = (*writer)(nil)
)

func newWriter(fsys *FS, lower vfs.Writer, name string) *writer {
	w := &writer{fs: fsys, lower: lower, name: name}
	w.note = notifier{fs: fsys, quiet: sync.Cond{L: &fsys.mu}}
	return w
}

// OnReady implements vfs.Ready.
func (w *writer) OnReady(fn func()) {
	w.fs.mu.Lock()
	defer w.fs.mu.Unlock()
	w.note.set(fn)
}

// Write implements vfs.Writer. It copies p.
func (w *writer) Write(p []byte) (int, error) {
	w.fs.mu.Lock()
	defer w.fs.mu.Unlock()
	if w.phase != writing {
		return 0, fail("write", w.name, vfs.ErrClosed)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if !w.takes(len(p)) {
		w.refused = len(p)
		return 0, vfs.ErrAgain
	}
	w.refused = 0
	w.buf = append(w.buf, p...)
	w.waiting += len(p)
	w.enlist()
	return len(p), nil
}

// takes reports whether n more bytes may wait.
func (w *writer) takes(n int) bool { return w.waiting == 0 || n <= w.fs.opts.Buffer-w.waiting }

// enlist has the job done, unless it is waiting or under way: then it goes on.
func (w *writer) enlist() {
	if !w.bound {
		w.bound = true
		w.lane.push(w)
		w.fs.ops.add(&w.lane)
		w.fs.workers.call()
	}
}

// Commit implements vfs.Writer: vfs.ErrAgain until the lower Commit has
// returned, and then its result each time. No callback is running after that.
func (w *writer) Commit() error {
	w.fs.mu.Lock()
	defer w.fs.mu.Unlock()
	switch w.phase {
	case committed:
		w.settle()
		return w.result
	case aborting, aborted:
		return fail("commit", w.name, vfs.ErrClosed)
	}
	w.phase = committing
	w.enlist()
	return vfs.ErrAgain
}

// Abort implements vfs.Writer: vfs.ErrAgain until the lower Abort has returned,
// and then its result. It stops a Commit that has not begun below; otherwise it
// waits for its end and does nothing.
func (w *writer) Abort() error {
	w.fs.mu.Lock()
	defer w.fs.mu.Unlock()
	switch {
	case w.phase == aborted:
		w.settle()
		return w.result
	case w.phase == committed:
		w.settle()
		return nil
	case w.last:
		return vfs.ErrAgain
	}
	w.phase = aborting
	w.waiting -= len(w.buf)
	w.buf = nil
	w.enlist()
	return vfs.ErrAgain
}

// settle ends the callbacks.
func (w *writer) settle() {
	w.note.end()
	w.note.await(func() bool { return false })
}

func (w *writer) begin() {}

// do does one thing of those that are to be done, so that others have their turn
// between two of them.
func (w *writer) do() {
	w.fs.mu.Lock()
	defer w.fs.mu.Unlock()
	switch {
	case w.phase == aborting:
		w.finish(aborted, w.lower.Abort)
	case len(w.buf) > 0:
		w.flush()
	case w.phase == committing && w.err != nil:
		w.finish(committed, func() error {
			_ = w.lower.Abort() // the error that counts is the one before
			return w.err
		})
	case w.phase == committing:
		w.finish(committed, w.lower.Commit)
	}
	w.bound = false
	if w.phase == committing || w.phase == aborting || len(w.buf) > 0 {
		w.enlist()
	}
}

// flush writes what waits. It gives FS.mu up meanwhile.
func (w *writer) flush() {
	batch := w.buf
	w.buf, w.free = w.free, nil
	w.fs.mu.Unlock()
	_, err := w.lower.Write(batch)
	w.fs.mu.Lock()
	w.waiting -= len(batch)
	if cap(batch) <= w.fs.opts.Buffer {
		w.free = batch[:0]
	}
	if w.err == nil {
		w.err = err
	}
	if w.refused > 0 && w.takes(w.refused) {
		w.refused = 0
		w.note.ring()
	}
}

// finish does the last thing. It gives FS.mu up meanwhile.
func (w *writer) finish(phase phase, end func() error) {
	w.last = true
	w.fs.mu.Unlock()
	err := end()
	w.fs.mu.Lock()
	w.phase, w.result = phase, err
	w.buf, w.free = nil, nil
	w.note.ring()
}
