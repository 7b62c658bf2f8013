package async

import "github.com/durusdb/durus/vfs"

// call is what an operation other than ReadAt is known by.
type call struct {
	method method
	off    int64
	n      int
}

type method uint8

const (
	size method = iota
	stat
	flush
	grow // this and those below change the file
	rewrite
	cut
)

var methods = [...]string{"size", "stat", "sync", "append", "rewrite", "truncate"}

func (m method) String() string { return methods[m] }

// changes reports whether the method changes the file.
func (m method) changes() bool { return m >= grow }

// op is an operation other than ReadAt: a job, and then its result.
type op struct {
	f *file
	call
	p    []byte // bytes to be written, the caller's; nil when it is done
	done bool   // guarded by FS.mu; what follows is written before

	n    int
	end  int64
	info vfs.Info
	err  error
}

// ask answers with the operation if it is done, and with nil and an error if it
// is not: vfs.ErrAgain, or why it cannot be.
func (f *file) ask(c call, p []byte) (*op, error) {
	if f.mode != vfs.Append && c.method >= flush {
		return nil, f.fail(c.method.String(), vfs.ErrMode)
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return nil, f.fail(c.method.String(), vfs.ErrClosed)
	}
	if o := f.calls[c]; o != nil {
		if !o.done {
			return nil, vfs.ErrAgain
		}
		delete(f.calls, c)
		return o, nil
	}
	o := &op{f: f, call: c, p: p}
	f.calls[c] = o
	if c.method.changes() && f.changing {
		f.changes.push(o)
		return nil, vfs.ErrAgain
	}
	f.changing = f.changing || c.method.changes()
	f.opLane.push(o)
	f.list()
	return nil, vfs.ErrAgain
}

func (o *op) begin() {
	o.f.busy++
	if o.method.changes() {
		o.f.writing = true
		o.f.ahead.changed(o.call)
	}
}

func (o *op) do() {
	f := o.f
	switch o.method {
	case size:
		o.end, o.err = f.lower.Size()
	case stat:
		o.info, o.err = f.lower.Stat()
	case flush:
		o.err = f.lower.Sync()
	case grow:
		o.n, o.err = f.lower.Append(o.p, o.off)
	case rewrite:
		o.n, o.err = f.lower.Rewrite(o.p, o.off)
	case cut:
		o.err = f.lower.Truncate(o.off)
	}
	o.p = nil
	f.fs.mu.Lock()
	o.done = true
	if o.method.changes() {
		o.changed()
	}
	if !f.closed {
		f.note.ring()
	}
	f.leave()
}

// changed lets the next change go on. What was read ahead while this one was
// under way may be older than its result. FS.mu is held.
func (o *op) changed() {
	f := o.f
	f.writing = false
	f.ahead.changed(o.call)
	if f.changing = !f.changes.empty(); f.changing {
		f.opLane.push(f.changes.pop())
		f.list()
	}
	f.note.quiet.Broadcast()
}

// Size implements vfs.File.
func (f *file) Size() (int64, error) {
	o, err := f.ask(call{method: size}, nil)
	if err != nil {
		return 0, err
	}
	return o.end, o.err
}

// Stat implements vfs.File.
func (f *file) Stat() (vfs.Info, error) {
	o, err := f.ask(call{method: stat}, nil)
	if err != nil {
		return vfs.Info{}, err
	}
	return o.info, o.err
}

// Append implements vfs.File. p must stay as it is until the result is there,
// or Close has returned.
func (f *file) Append(p []byte, end int64) (int, error) {
	return f.write(call{grow, end, len(p)}, p)
}

// Rewrite implements vfs.File, with p as for Append.
func (f *file) Rewrite(p []byte, off int64) (int, error) {
	return f.write(call{rewrite, off, len(p)}, p)
}

func (f *file) write(c call, p []byte) (int, error) {
	o, err := f.ask(c, p)
	if err != nil {
		return 0, err
	}
	return o.n, o.err
}

// Truncate implements vfs.File.
func (f *file) Truncate(size int64) error {
	o, err := f.ask(call{method: cut, off: size}, nil)
	if err != nil {
		return err
	}
	return o.err
}

// Sync implements vfs.File. It covers what was answered before the call that
// began it.
func (f *file) Sync() error {
	o, err := f.ask(call{method: flush}, nil)
	if err != nil {
		return err
	}
	return o.err
}
