package cache

import (
	"errors"
	"io/fs"
	"slices"
	"sync"
	"testing"

	"github.com/durusdb/durus/vfs"
)

// lazy is an asynchronous storage. What is begun is done by work, or at once in
// the background if busy is set.
type lazy struct {
	vfs.FS
	busy bool

	mu    sync.Mutex
	begun []string // methods, in order
	todo  []func()
}

// work does what has been begun.
func (l *lazy) work() {
	l.mu.Lock()
	todo := l.todo
	l.todo = nil
	l.mu.Unlock()
	for _, do := range todo {
		do()
	}
}

func (l *lazy) begin(what string, do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun = append(l.begun, what)
	if l.busy {
		go do()
	} else {
		l.todo = append(l.todo, do)
	}
}

// since returns what was begun since it was asked last.
func (l *lazy) since() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.begun
	l.begun = nil
	return s
}

func (l *lazy) Open(name string, mode vfs.Mode) vfs.File {
	return &lazyFile{File: l.FS.Open(name, mode), l: l, asked: map[question]*answer{}}
}

func (l *lazy) Create(name string, mode vfs.CreateMode, perm fs.FileMode) vfs.Writer {
	return &lazyWriter{l.FS.Create(name, mode, perm)}
}

type question struct {
	what string
	off  int64
	n    int
}

type answer struct {
	done bool
	p    []byte
	n    int64
	info vfs.Info
	err  error
}

type lazyFile struct {
	vfs.File
	l *lazy

	mu     sync.Mutex
	asked  map[question]*answer
	ready  func()
	advice []vfs.Advice
	ranges []extent
}

func (f *lazyFile) Unwrap() vfs.File { return f.File }

func (f *lazyFile) Advise(a vfs.Advice, off, n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.advice = append(f.advice, a)
	f.ranges = append(f.ranges, extent{off, off + n})
}

func (f *lazyFile) OnReady(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ready = fn
}

func (f *lazyFile) OnOpen(fn func(error)) { fn(nil) }

func (f *lazyFile) ask(q question, do func(*answer)) (*answer, error) {
	f.mu.Lock()
	a := f.asked[q]
	if a != nil && a.done {
		delete(f.asked, q)
		f.mu.Unlock()
		return a, a.err
	}
	if a == nil {
		a = &answer{}
		f.asked[q] = a
		defer f.l.begin(q.what, func() {
			do(a)
			f.mu.Lock()
			a.done = true
			ready := f.ready
			f.mu.Unlock()
			if ready != nil {
				ready()
			}
		})
	}
	f.mu.Unlock()
	return &answer{}, vfs.ErrAgain
}

func (f *lazyFile) ReadAt(p []byte, off int64) (int, error) {
	a, err := f.ask(question{"read", off, len(p)}, func(a *answer) {
		b := make([]byte, len(p))
		n, err := f.File.ReadAt(b, off)
		a.p, a.err = b[:n], err
	})
	return copy(p, a.p), err
}

func (f *lazyFile) Size() (int64, error) {
	a, err := f.ask(question{what: "size"}, func(a *answer) { a.n, a.err = f.File.Size() })
	return a.n, err
}

func (f *lazyFile) Stat() (vfs.Info, error) {
	a, err := f.ask(question{what: "stat"}, func(a *answer) { a.info, a.err = f.File.Stat() })
	return a.info, err
}

func (f *lazyFile) Append(p []byte, end int64) (int, error) {
	a, err := f.ask(question{"append", end, len(p)}, func(a *answer) {
		n, err := f.File.Append(p, end)
		a.n, a.err = int64(n), err
	})
	return int(a.n), err
}

func (f *lazyFile) Rewrite(p []byte, off int64) (int, error) {
	a, err := f.ask(question{"rewrite", off, len(p)}, func(a *answer) {
		n, err := f.File.Rewrite(p, off)
		a.n, a.err = int64(n), err
	})
	return int(a.n), err
}

func (f *lazyFile) Truncate(size int64) error {
	_, err := f.ask(question{"truncate", size, 0}, func(a *answer) { a.err = f.File.Truncate(size) })
	return err
}

type lazyWriter struct{ vfs.Writer }

func (*lazyWriter) OnReady(func()) {}

// lazyBed is a bed whose storage is asynchronous. The spy lies below it.
type lazyBed struct {
	*bed
	l *lazy
}

func newLazyBed(t *testing.T, data []byte) *lazyBed {
	b := newBed(t, Options{})
	l := &lazy{FS: b.s}
	b.c = New(l, Options{Page: 64})
	b.put(data)
	return &lazyBed{b, l}
}

// open opens /f and lets it be known what is open.
func (b *lazyBed) open() (f *asyncFile, lower *lazyFile) {
	f = b.c.Open("/f", vfs.Append).(*asyncFile)
	for {
		if _, err := f.Size(); err == nil {
			b.l.since()
			return f, f.lower.(*lazyFile)
		} else if !errors.Is(err, vfs.ErrAgain) {
			b.tb.Fatal(err)
		}
		b.l.work()
	}
}

// again expects that a read must wait.
func (b *lazyBed) again(f vfs.File, off int64, n int) {
	b.tb.Helper()
	if k, err := f.ReadAt(make([]byte, n), off); k != 0 || !errors.Is(err, vfs.ErrAgain) {
		b.tb.Fatalf("%d bytes at %d: %d, %v, want ErrAgain", n, off, k, err)
	}
}

// begun expects that the storage was asked for these things, in order.
func (b *lazyBed) begun(want ...string) {
	b.tb.Helper()
	if got := b.l.since(); !slices.Equal(got, want) {
		b.tb.Fatalf("the storage began %q, want %q", got, want)
	}
}
