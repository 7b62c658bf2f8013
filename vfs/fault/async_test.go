package fault_test

import (
	"io/fs"
	"sync"

	"github.com/durusdb/durus/vfs"
)

// async makes what lies below asynchronous as simply as possible: every
// operation has a goroutine of its own, and the bytes of a read their own room.
type async struct{ vfs.FS }

func (a async) Open(name string, mode vfs.Mode) vfs.File {
	return &asyncFile{File: a.FS.Open(name, mode)}
}

func (a async) Create(name string, mode vfs.CreateMode, perm fs.FileMode) vfs.Writer {
	return &asyncWriter{Writer: a.FS.Create(name, mode, perm)}
}

// pending are the operations that are under way, or that nobody has asked the
// answer of.
type pending struct {
	mu    sync.Mutex
	ops   map[operation]*answer
	ready func()
}

type operation struct {
	method string
	off    int64
	n      int
}

type answer struct {
	done bool
	p    []byte
	n    int64
	info vfs.Info
	err  error
}

func (p *pending) OnReady(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready = fn
}

// ask begins an operation, or returns its answer, once.
func (p *pending) ask(op operation, run func(a *answer)) *answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.ops[op]; a != nil && a.done {
		delete(p.ops, op)
		return a
	} else if a == nil {
		if p.ops == nil {
			p.ops = map[operation]*answer{}
		}
		a = &answer{}
		p.ops[op] = a
		go func() {
			run(a)
			p.mu.Lock()
			a.done = true
			ready := p.ready
			p.mu.Unlock()
			if ready != nil {
				ready()
			}
		}()
	}
	return &answer{err: vfs.ErrAgain}
}

type asyncFile struct {
	vfs.File
	pending
}

var _ vfs.Async = (*asyncFile)(nil)

func (f *asyncFile) Unwrap() vfs.File { return f.File }

func (f *asyncFile) OnOpen(fn func(err error)) {
	go func() { _, err := f.File.Stat(); fn(err) }()
}

func (f *asyncFile) ReadAt(p []byte, off int64) (int, error) {
	a := f.ask(operation{"read", off, len(p)}, func(a *answer) {
		a.p = make([]byte, len(p))
		n, err := f.File.ReadAt(a.p, off)
		a.n, a.err = int64(n), err
	})
	return copy(p, a.p[:a.n]), a.err
}

func (f *asyncFile) Append(p []byte, end int64) (int, error) {
	return f.write("append", p, end, f.File.Append)
}

func (f *asyncFile) Rewrite(p []byte, off int64) (int, error) {
	return f.write("rewrite", p, off, f.File.Rewrite)
}

func (f *asyncFile) write(method string, p []byte, off int64, run func([]byte, int64) (int, error)) (int, error) {
	a := f.ask(operation{method, off, len(p)}, func(a *answer) {
		n, err := run(p, off)
		a.n, a.err = int64(n), err
	})
	return int(a.n), a.err
}

func (f *asyncFile) Size() (int64, error) {
	a := f.ask(operation{method: "size"}, func(a *answer) { a.n, a.err = f.File.Size() })
	return a.n, a.err
}

func (f *asyncFile) Stat() (vfs.Info, error) {
	a := f.ask(operation{method: "stat"}, func(a *answer) { a.info, a.err = f.File.Stat() })
	return a.info, a.err
}

func (f *asyncFile) Truncate(size int64) error {
	return f.ask(operation{"truncate", size, 0}, func(a *answer) { a.err = f.File.Truncate(size) }).err
}

func (f *asyncFile) Sync() error {
	return f.ask(operation{method: "sync"}, func(a *answer) { a.err = f.File.Sync() }).err
}

type asyncWriter struct {
	vfs.Writer
	pending
}

var _ vfs.Ready = (*asyncWriter)(nil)

func (w *asyncWriter) Write(p []byte) (int, error) {
	a := w.ask(operation{"write", 0, len(p)}, func(a *answer) {
		n, err := w.Writer.Write(p)
		a.n, a.err = int64(n), err
	})
	return int(a.n), a.err
}

func (w *asyncWriter) Commit() error {
	return w.ask(operation{method: "commit"}, func(a *answer) { a.err = w.Writer.Commit() }).err
}

func (w *asyncWriter) Abort() error {
	return w.ask(operation{method: "abort"}, func(a *answer) { a.err = w.Writer.Abort() }).err
}
