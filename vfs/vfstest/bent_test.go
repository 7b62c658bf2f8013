package vfstest

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs"
)

// bent is a storage of which some methods do something else.
type bent struct {
	vfs.FS
	open    func(fsys vfs.FS, name string, mode vfs.Mode) vfs.File
	create  func(fsys vfs.FS, name string, mode vfs.CreateMode, perm fs.FileMode) vfs.Writer
	locker  func(fsys vfs.FS, name string, data vfs.File, mode vfs.Mode) vfs.Locker
	list    func(fsys vfs.FS, prefix string) iter.Seq2[string, error]
	remove  func(fsys vfs.FS, name string) error
	stat    func(fsys vfs.FS, name string) (vfs.Info, error)
	resolve func(fsys vfs.FS, name string) (string, error)
	syncDir func(fsys vfs.FS, name string) error
	props   func(fsys vfs.FS, name string) vfs.Props
}

func (b bent) Open(name string, mode vfs.Mode) vfs.File {
	if b.open == nil {
		return b.FS.Open(name, mode)
	}
	return b.open(b.FS, name, mode)
}

func (b bent) Create(name string, mode vfs.CreateMode, perm fs.FileMode) vfs.Writer {
	if b.create == nil {
		return b.FS.Create(name, mode, perm)
	}
	return b.create(b.FS, name, mode, perm)
}

func (b bent) Locker(name string, data vfs.File, mode vfs.Mode, perm fs.FileMode) vfs.Locker {
	if b.locker == nil {
		return b.FS.Locker(name, data, mode, perm)
	}
	return b.locker(b.FS, name, data, mode)
}

func (b bent) List(prefix string) iter.Seq2[string, error] {
	if b.list == nil {
		return b.FS.List(prefix)
	}
	return b.list(b.FS, prefix)
}

func (b bent) Remove(name string) error {
	if b.remove == nil {
		return b.FS.Remove(name)
	}
	return b.remove(b.FS, name)
}

func (b bent) Stat(name string) (vfs.Info, error) {
	if b.stat == nil {
		return b.FS.Stat(name)
	}
	return b.stat(b.FS, name)
}

func (b bent) Resolve(name string) (string, error) {
	if b.resolve == nil {
		return b.FS.Resolve(name)
	}
	return b.resolve(b.FS, name)
}

func (b bent) SyncDir(name string) error {
	if b.syncDir == nil {
		return b.FS.SyncDir(name)
	}
	return b.syncDir(b.FS, name)
}

func (b bent) Props(name string) vfs.Props {
	if b.props == nil {
		return b.FS.Props(name)
	}
	return b.props(b.FS, name)
}

// bentFile is a file of which some methods do something else.
type bentFile struct {
	vfs.File
	readAt   func(p []byte, off int64) (int, error)
	size     func() (int64, error)
	stat     func() (vfs.Info, error)
	add      func(p []byte, end int64) (int, error)
	rewrite  func(p []byte, off int64) (int, error)
	truncate func(size int64) error
	sync     func() error
	close    func() error
	advise   func(a vfs.Advice, off, n int64)
}

func (f bentFile) Unwrap() vfs.File { return f.File }

func (f bentFile) ReadAt(p []byte, off int64) (int, error) {
	if f.readAt == nil {
		return f.File.ReadAt(p, off)
	}
	return f.readAt(p, off)
}

func (f bentFile) Size() (int64, error) {
	if f.size == nil {
		return f.File.Size()
	}
	return f.size()
}

func (f bentFile) Stat() (vfs.Info, error) {
	if f.stat == nil {
		return f.File.Stat()
	}
	return f.stat()
}

func (f bentFile) Append(p []byte, end int64) (int, error) {
	if f.add == nil {
		return f.File.Append(p, end)
	}
	return f.add(p, end)
}

func (f bentFile) Rewrite(p []byte, off int64) (int, error) {
	if f.rewrite == nil {
		return f.File.Rewrite(p, off)
	}
	return f.rewrite(p, off)
}

func (f bentFile) Truncate(size int64) error {
	if f.truncate == nil {
		return f.File.Truncate(size)
	}
	return f.truncate(size)
}

func (f bentFile) Sync() error {
	if f.sync == nil {
		return f.File.Sync()
	}
	return f.sync()
}

func (f bentFile) Close() error {
	if f.close == nil {
		return f.File.Close()
	}
	return f.close()
}

func (f bentFile) Advise(a vfs.Advice, off, n int64) {
	if f.advise != nil {
		f.advise(a, off, n)
	}
}

// bentWriter is a writer of which some methods do something else.
type bentWriter struct {
	vfs.Writer
	write  func(p []byte) (int, error)
	commit func() error
	abort  func() error
}

func (w bentWriter) Write(p []byte) (int, error) {
	if w.write == nil {
		return w.Writer.Write(p)
	}
	return w.write(p)
}

func (w bentWriter) Commit() error {
	if w.commit == nil {
		return w.Writer.Commit()
	}
	return w.commit()
}

func (w bentWriter) Abort() error {
	if w.abort == nil {
		return w.Writer.Abort()
	}
	return w.abort()
}

// bentLocker is a Locker of which some methods do something else.
type bentLocker struct {
	vfs.Locker
	tryLock     func() (bool, error)
	lock        func(ctx context.Context) error
	unlock      func() error
	close       func() error
	holder      func() int
	reopen      func() error
	incarnation func() uint64
	updateMark  func(ctx context.Context, update func(p *[vfs.MarkSize]byte, ok bool) bool) error
}

func (l bentLocker) TryLock() (bool, error) {
	if l.tryLock == nil {
		return l.Locker.TryLock()
	}
	return l.tryLock()
}

func (l bentLocker) Lock(ctx context.Context) error {
	if l.lock == nil {
		return l.Locker.Lock(ctx)
	}
	return l.lock(ctx)
}

func (l bentLocker) Unlock() error {
	if l.unlock == nil {
		return l.Locker.Unlock()
	}
	return l.unlock()
}

func (l bentLocker) Close() error {
	if l.close == nil {
		return l.Locker.Close()
	}
	return l.close()
}

func (l bentLocker) Holder() int {
	if l.holder == nil {
		return l.Locker.Holder()
	}
	return l.holder()
}

func (l bentLocker) Reopen() error {
	if l.reopen == nil {
		return l.Locker.Reopen()
	}
	return l.reopen()
}

func (l bentLocker) Incarnation() uint64 {
	if l.incarnation == nil {
		return l.Locker.Incarnation()
	}
	return l.incarnation()
}

func (l bentLocker) UpdateMark(ctx context.Context, update func(p *[vfs.MarkSize]byte, ok bool) bool) error {
	if l.updateMark == nil {
		return l.Locker.UpdateMark(ctx, update)
	}
	return l.updateMark(ctx, update)
}

// recorder takes down what a rule reports, instead of failing.
type recorder struct {
	testing.TB

	mu       sync.Mutex // guards what follows
	reports  []string
	skipped  string
	cleanups []func()
}

// record runs a rule on a storage.
func record(t testing.TB, r rule, patience time.Duration, env Env) *recorder {
	rec := &recorder{TB: t}
	done := make(chan struct{})
	go func() { // Fatal and Skip end it
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				rec.Errorf("panic: %v", p)
			}
			for _, fn := range slices.Backward(rec.cleanups) {
				fn()
			}
		}()
		s := newSubject(rec, env)
		s.patience = patience
		r.test(s)
	}()
	<-done
	return rec
}

func (r *recorder) report(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reports = append(r.reports, s)
}

func (r *recorder) Failed() bool { return len(r.reported()) > 0 }

// reported returns what was reported until now: a storage that calls too late
// may go on after its test.
func (r *recorder) reported() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.reports)
}

func (r *recorder) Cleanup(fn func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, fn)
}

func (r *recorder) Error(args ...any)                 { r.report(fmt.Sprint(args...)) }
func (r *recorder) Errorf(format string, args ...any) { r.report(fmt.Sprintf(format, args...)) }
func (r *recorder) Logf(string, ...any)               {}

func (r *recorder) Fatal(args ...any) {
	r.Error(args...)
	runtime.Goexit()
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Skip(args ...any) {
	r.skipped = fmt.Sprint(args...) // on the goroutine of the rule
	runtime.Goexit()
}
