package async

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
)

// lower is the storage below in these tests: a disk in memory on which every
// operation of a file or a writer first asks a hook, which may sleep, wait or
// let it fail, and is counted.
type lower struct {
	*mem.Process

	mu      sync.Mutex // guards what follows
	hook    func(op string, off int64, n int) error
	counts  map[string]int
	running int
	most    int // that ran at a time
}

func newLower() *lower {
	return &lower{Process: mem.NewVolatile().Process("p"), counts: map[string]int{}}
}

// sleep makes every operation take some time.
func (l *lower) sleep(d time.Duration) {
	l.on(func(string, int64, int) error {
		time.Sleep(d)
		return nil
	})
}

// on sets the hook.
func (l *lower) on(hook func(op string, off int64, n int) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hook = hook
}

func (l *lower) enter(op string, off int64, n int) error {
	l.mu.Lock()
	l.counts[op]++
	l.running++
	l.most = max(l.most, l.running)
	hook := l.hook
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.running--
	}()
	if hook == nil {
		return nil
	}
	return hook(op, off, n)
}

func (l *lower) count(op string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts[op]
}

// mostAtATime is how many operations were under way together.
func (l *lower) mostAtATime() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.most
}

func (l *lower) total() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.counts {
		n += c
	}
	return n
}

func (l *lower) Open(name string, mode vfs.Mode) vfs.File {
	return &lowerFile{l.Process.Open(name, mode), l}
}

func (l *lower) Create(name string, mode vfs.CreateMode, perm fs.FileMode) vfs.Writer {
	return &lowerWriter{l.Process.Create(name, mode, perm), l}
}

type lowerFile struct {
	vfs.File
	l *lower
}

func (f *lowerFile) Unwrap() vfs.File { return f.File }

func (f *lowerFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.l.enter("read", off, len(p)); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *lowerFile) Size() (int64, error) {
	if err := f.l.enter("size", 0, 0); err != nil {
		return 0, err
	}
	return f.File.Size()
}

func (f *lowerFile) Stat() (vfs.Info, error) {
	if err := f.l.enter("stat", 0, 0); err != nil {
		return vfs.Info{}, err
	}
	return f.File.Stat()
}

func (f *lowerFile) Append(p []byte, end int64) (int, error) {
	if err := f.l.enter("append", end, len(p)); err != nil {
		return 0, err
	}
	return f.File.Append(p, end)
}

func (f *lowerFile) Rewrite(p []byte, off int64) (int, error) {
	if err := f.l.enter("rewrite", off, len(p)); err != nil {
		return 0, err
	}
	return f.File.Rewrite(p, off)
}

func (f *lowerFile) Truncate(size int64) error {
	if err := f.l.enter("truncate", size, 0); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *lowerFile) Sync() error {
	if err := f.l.enter("sync", 0, 0); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *lowerFile) Close() error {
	if err := f.l.enter("close", 0, 0); err != nil {
		return err
	}
	return f.File.Close()
}

type lowerWriter struct {
	vfs.Writer
	l *lower
}

func (w *lowerWriter) Write(p []byte) (int, error) {
	if err := w.l.enter("write", 0, len(p)); err != nil {
		return 0, err
	}
	return w.Writer.Write(p)
}

func (w *lowerWriter) Commit() error {
	if err := w.l.enter("commit", 0, 0); err != nil {
		return err
	}
	return w.Writer.Commit()
}

func (w *lowerWriter) Abort() error {
	if err := w.l.enter("abort", 0, 0); err != nil {
		return err
	}
	return w.Writer.Abort()
}

// put makes a file of n random bytes without going through the hook.
func (l *lower) put(t testing.TB, name string, n int) []byte {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(n), 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	w := l.Process.Create(name, vfs.ReplaceIfExists, 0o600)
	_, err := w.Write(b)
	check(t, errors.Join(err, w.Commit()))
	return b
}

// client calls operations until they are done, as a program without goroutines
// does.
type client struct {
	t     testing.TB
	ready chan struct{}
}

func newClient(t testing.TB, r vfs.Ready) *client {
	c := &client{t, make(chan struct{}, 1)}
	r.OnReady(c.wake)
	return c
}

func (c *client) wake() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

func (c *client) until(op func() error) error {
	c.t.Helper()
	for {
		err := op()
		if !errors.Is(err, vfs.ErrAgain) {
			return err
		}
		select {
		case <-c.ready:
		case <-time.After(time.Hour): // of a clock that is not real
			c.t.Fatal("nobody calls")
		}
	}
}

// bubble runs a test with a clock of its own, which goes on when all wait. All
// goroutines must have ended a while after it.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(time.Minute)
		f(t)
	})
}

// rest lets some time of the bubble go by, and all that is to happen in it.
func rest(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
}

func again(t testing.TB, err error) {
	t.Helper()
	if !errors.Is(err, vfs.ErrAgain) {
		t.Fatalf("got error %v, want ErrAgain", err)
	}
}

// lasts fails the test unless f takes as long, on the clock of a bubble.
func lasts(t testing.TB, want time.Duration, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if d := time.Since(start); d != want {
		t.Errorf("it took %v, want %v", d, want)
	}
}

var errDisk = errors.New("the disk is broken")

// hands is how many goroutines the storage has.
func (s *FS) hands() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.workers.count + s.callers.count
}
