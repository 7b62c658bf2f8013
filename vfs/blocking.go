package vfs

import (
	"context"
	"errors"
	"io/fs"
	"sync"
)

// Blocking returns fsys with operations that wait for their end instead of
// answering ErrAgain. Files of a storage that does so anyway stay as they are.
func Blocking(fsys FS) FS {
	if b, ok := fsys.(blockingFS); ok {
		return b
	}
	return blockingFS{fsys}
}

type blockingFS struct{ FS }

func (b blockingFS) Open(name string, mode Mode) File {
	f := b.FS.Open(name, mode)
	a, ok := f.(Async)
	if !ok {
		return f
	}
	return newBlockingFile(f, a)
}

func (b blockingFS) Create(name string, mode CreateMode, perm fs.FileMode) Writer {
	w := b.FS.Create(name, mode, perm)
	r, ok := w.(Ready)
	if !ok {
		return w
	}
	bw := &blockingWriter{Writer: w}
	bw.watch(r)
	return bw
}

func (b blockingFS) Locker(name string, data File, mode Mode, perm fs.FileMode) Locker {
	l := b.FS.Locker(name, data, mode, perm)
	for f := data; ; { // which others may have wrapped
		if b, ok := f.(*blockingFile); ok {
			return &blockingLocker{l, b}
		}
		w, ok := f.(interface{ Unwrap() File })
		if !ok {
			return l
		}
		f = w.Unwrap()
	}
}

// waiter waits for one file or writer to have something ready.
type waiter struct {
	mu    sync.Mutex
	ready chan struct{} // closed when something has become ready since it was made; guarded by mu
}

func (w *waiter) watch(r Ready) {
	w.ready = make(chan struct{})
	r.OnReady(w.wake)
}

func (w *waiter) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.ready)
	w.ready = make(chan struct{})
}

// next is closed when something becomes ready from now on.
func (w *waiter) next() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ready
}

// until calls op until it answers something else than ErrAgain. It looks for
// the channel first, so that no wake-up is lost in between.
func (w *waiter) until(ctx context.Context, op func() error) error {
	for {
		next := w.next()
		err := op()
		if !errors.Is(err, ErrAgain) {
			return err
		}
		select {
		case <-next:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var background = context.Background()

// blockingFile waits. Of several calls for the same thing one is on its way at
// a time: a call must not get the answer to an earlier one, which may be older
// than itself.
type blockingFile struct {
	File
	waiter

	turn sync.Mutex // guards busy
	busy map[call]bool
	free sync.Cond // signalled, with turn, when busy has lost one
}

// call is what an operation is known by.
type call struct {
	method method
	off    int64
	n      int
}

type method uint8

const (
	read method = iota
	size
	stat
	write // all that change the file: one after the other
	flush
)

func newBlockingFile(f File, a Async) *blockingFile {
	b := &blockingFile{File: f, busy: map[call]bool{}}
	b.free.L = &b.turn
	b.watch(a)
	return b
}

// alone calls op until it is done, while nobody else does so for the same call.
func (f *blockingFile) alone(c call, op func() error) error {
	f.turn.Lock()
	for f.busy[c] {
		f.free.Wait()
	}
	f.busy[c] = true
	f.turn.Unlock()
	defer func() {
		f.turn.Lock()
		defer f.turn.Unlock()
		delete(f.busy, c)
		f.free.Broadcast()
	}()
	return f.until(background, op)
}

// Unwrap returns the file below.
func (f *blockingFile) Unwrap() File { return f.File }

func (f *blockingFile) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.alone(call{read, off, len(p)}, func() error { n, err = f.File.ReadAt(p, off); return err })
	return n, err
}

func (f *blockingFile) Size() (end int64, err error) {
	err = f.alone(call{method: size}, func() error { end, err = f.File.Size(); return err })
	return end, err
}

func (f *blockingFile) Stat() (info Info, err error) {
	err = f.alone(call{method: stat}, func() error { info, err = f.File.Stat(); return err })
	return info, err
}

func (f *blockingFile) Append(p []byte, end int64) (n int, err error) {
	err = f.alone(call{method: write}, func() error { n, err = f.File.Append(p, end); return err })
	return n, err
}

func (f *blockingFile) Rewrite(p []byte, off int64) (n int, err error) {
	err = f.alone(call{method: write}, func() error { n, err = f.File.Rewrite(p, off); return err })
	return n, err
}

func (f *blockingFile) Truncate(size int64) error {
	return f.alone(call{method: write}, func() error { return f.File.Truncate(size) })
}

func (f *blockingFile) Sync() error { return f.alone(call{method: flush}, f.File.Sync) }

// Close wakes those who wait: what they ask for answers ErrClosed.
func (f *blockingFile) Close() error {
	err := f.File.Close()
	f.wake()
	return err
}

// blockingWriter waits.
type blockingWriter struct {
	Writer
	waiter
}

func (w *blockingWriter) Write(p []byte) (n int, err error) {
	err = w.until(background, func() error { n, err = w.Writer.Write(p); return err })
	return n, err
}

func (w *blockingWriter) Commit() error { return w.until(background, w.Writer.Commit) }
func (w *blockingWriter) Abort() error  { return w.until(background, w.Writer.Abort) }

// blockingLocker waits until the file that it guards is open.
type blockingLocker struct {
	Locker
	data *blockingFile
}

func (l *blockingLocker) TryLock() (ok bool, err error) {
	err = l.data.until(background, func() error { ok, err = l.Locker.TryLock(); return err })
	return ok, err
}

func (l *blockingLocker) Lock(ctx context.Context) error {
	return l.data.until(ctx, func() error { return l.Locker.Lock(ctx) })
}

// Close wakes those who wait: what they ask for answers ErrClosed.
func (l *blockingLocker) Close() error {
	err := l.Locker.Close()
	l.data.wake()
	return err
}
