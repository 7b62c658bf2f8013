//go:build unix

package lockfile

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs"
)

// A10, H5, F12: two Lockers of one process exclude each other, and closing a third
// handle on the same files releases nothing.
func TestTwoLockersInOneProcess(t *testing.T) {
	noLeak(t)
	data := newData(t)
	a, b := openLocker(t, data, data+".lock"), openLocker(t, data, data+".lock")
	mustLock(t, a)
	mustBeBusy(t, b)

	third, err := os.OpenFile(data, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := New(data+".lock", third, vfs.Append, 0)
	mustBeBusy(t, c)
	if err := errors.Join(c.Close(), third.Close()); err != nil {
		t.Fatal(err)
	}
	mustBeBusy(t, b)

	mustUnlock(t, a)
	mustLock(t, b)
	mustBeBusy(t, a)
	mustUnlock(t, b)
	if err := b.Unlock(); !errors.Is(err, ErrNotHeld) {
		t.Fatalf("second Unlock: %v", err)
	}
}

// F12: goroutines exclude each other, on one Locker and on several.
func TestGoroutinesLoseNoUpdate(t *testing.T) {
	noLeak(t)
	data := newData(t)
	lockers := []*Locker{openLocker(t, data, data+".lock"), openLocker(t, data, data+".lock")}
	var n int // guarded by the lock file alone: the race detector watches
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			l := lockers[i%2]
			for range 200 {
				if err := l.Lock(context.Background()); err != nil {
					t.Error(err)
					return
				}
				n++
				if err := l.Unlock(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n != 8*200 {
		t.Fatalf("%d increments, want %d", n, 8*200)
	}
}

// D18: first come, first served inside a process.
func TestFIFO(t *testing.T) {
	noLeak(t)
	data := newData(t)
	l := openLocker(t, data, data+".lock")
	mustLock(t, l)
	const waiters = 20
	var order []int // guarded by the lock
	var wg sync.WaitGroup
	for i := range waiters {
		wg.Go(func() {
			if err := l.Lock(context.Background()); err != nil {
				t.Error(err)
				return
			}
			order = append(order, i)
			if err := l.Unlock(); err != nil {
				t.Error(err)
			}
		})
		eventually(t, "the waiter is in the queue", func() bool {
			l.guard.mu.Lock()
			defer l.guard.mu.Unlock()
			return len(l.guard.queue) == i+1
		})
	}
	mustUnlock(t, l)
	wg.Wait()
	if len(order) != waiters {
		t.Fatalf("%d of %d got the lock", len(order), waiters)
	}
	for i, got := range order {
		if got != i {
			t.Fatalf("order %v", order)
		}
	}
}

// foreign takes flocks as another process would: on descriptors of its own.
func foreign(t *testing.T, paths ...string) (release func()) {
	t.Helper()
	var files []*os.File
	for _, path := range paths {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return sync.OnceFunc(func() {
		for _, f := range files {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// D10: waiters that give up neither lose nor leak the lock, whichever of the
// two flocks they wait for.
func TestCancelledWait(t *testing.T) {
	data := newData(t)
	for name, path := range map[string]string{"lock file": data + ".lock", "data file": data} {
		t.Run(name, func(t *testing.T) {
			noLeak(t)
			l, other := openLocker(t, data, data+".lock"), openLocker(t, data, data+".lock")
			release := foreign(t, path)
			defer release()
			mustBeBusy(t, l)
			for range 5 {
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
				if err := l.Lock(ctx); err != context.DeadlineExceeded {
					t.Fatalf("Lock = %v", err)
				}
				cancel()
			}
			mustBeBusy(t, l)

			// The helper that they left behind serves the next one.
			got := make(chan error)
			go func() { got <- other.Lock(context.Background()) }()
			eventually(t, "it waits", func() bool { return other.joins() })
			l.guard.mu.Lock()
			helpers := len(l.guard.waits)
			l.guard.mu.Unlock()
			if helpers != 1 {
				t.Fatalf("%d helpers, want 1", helpers)
			}
			release()
			if err := <-got; err != nil {
				t.Fatal(err)
			}
			mustBeBusy(t, l)
			mustUnlock(t, other)
			mustLock(t, l)
			mustUnlock(t, l)
		})
	}
}

// joins reports whether a goroutine of this process waits in a helper.
func (l *Locker) joins() bool {
	l.mu.Lock()
	g := l.guard
	l.mu.Unlock()
	if g == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, w := range g.waits {
		if w.joined {
			return true
		}
	}
	return false
}

// D10: a lock that a helper gets when nobody wants it any more is given back.
func TestLateGrantIsGivenBack(t *testing.T) {
	noLeak(t)
	data := newData(t)
	l := openLocker(t, data, data+".lock")
	for _, path := range []string{data + ".lock", data} {
		release := foreign(t, path)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
		if err := l.Lock(ctx); err != context.DeadlineExceeded {
			t.Fatalf("Lock = %v", err)
		}
		cancel()
		release()
		eventually(t, "the lock is free again", func() bool {
			ok, err := l.TryLock()
			if err != nil {
				t.Fatal(err)
			}
			return ok
		})
		mustUnlock(t, l)
		foreign(t, data+".lock", data)()
	}
}

// D10, F35: many goroutines with short patience, and a foreign holder that
// comes and goes: exclusion holds and the lock is free in the end.
func TestImpatientCrowd(t *testing.T) {
	noLeak(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	data := newData(t)
	lockers := []*Locker{openLocker(t, data, data+".lock"), openLocker(t, data, data+".lock")}
	var inside, got, gaveUp atomic.Int64
	stop := make(chan struct{})
	var noise, wg sync.WaitGroup
	noise.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			paths := []string{data + ".lock", data}
			release := foreign(t, paths[i%2])
			time.Sleep(300 * time.Microsecond)
			release()
			time.Sleep(100 * time.Microsecond)
		}
	})
	for i := range 8 {
		rnd := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			l := lockers[i%2]
			for range 150 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rnd.IntN(2000))*time.Microsecond)
				err := l.Lock(ctx)
				cancel()
				if err != nil {
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Error(err)
					}
					gaveUp.Add(1)
					continue
				}
				if inside.Add(1) != 1 {
					t.Error("two holders")
				}
				got.Add(1)
				runtime.Gosched()
				inside.Add(-1)
				if err := l.Unlock(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	noise.Wait()
	if got.Load() == 0 || gaveUp.Load() == 0 {
		t.Errorf("vacuous: %d got the lock, %d gave up", got.Load(), gaveUp.Load())
	}
	mustLock(t, lockers[0])
	mustUnlock(t, lockers[0])
}

// F11, H4: what lies in the place of the lock file is refused, and the error
// tells where it is.
func TestRefusals(t *testing.T) {
	for name, plant := range map[string]func(path string) error{
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"symlink":   func(path string) error { return os.Symlink(filepath.Join(filepath.Dir(path), "target"), path) },
		"FIFO":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			noLeak(t)
			data := newData(t)
			if err := plant(data + ".lock"); err != nil {
				t.Fatal(err)
			}
			l := openLocker(t, data, data+".lock")
			err := l.Lock(context.Background())
			var e *Error
			if !errors.Is(err, vfs.ErrNotRegular) || !errors.As(err, &e) || e.Path != data+".lock" || e.Remedy == "" {
				t.Fatalf("Lock = %v", err)
			}
			if ok, err := l.TryLock(); ok || !errors.Is(err, vfs.ErrNotRegular) {
				t.Fatalf("TryLock = %v, %v", ok, err)
			}
			if _, err := os.Lstat(filepath.Join(filepath.Dir(data), "target")); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("the target of the planted link: %v", err)
			}
			if err := os.Remove(data + ".lock"); err != nil {
				t.Fatal(err)
			}
			mustLock(t, l) // the refusal is not sticky
			mustUnlock(t, l)
		})
	}
}

// F24: errors of a missing or an unwritable directory are typed.
func TestDirectoryErrors(t *testing.T) {
	data := newData(t)
	l := openLocker(t, data, filepath.Join(filepath.Dir(data), "gone", "x.lock"))
	if err := l.Lock(context.Background()); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Lock = %v", err)
	}
	if os.Getuid() == 0 {
		t.Skip("root may write everywhere")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	l = openLocker(t, data, filepath.Join(dir, "x.lock"))
	if err := l.Lock(context.Background()); !errors.Is(err, fs.ErrPermission) {
		t.Fatalf("Lock = %v", err)
	}
}

// RELIABILITY, Security: the lock file has the permissions of the data file,
// never more, whatever the umask is.
func TestPermissions(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	for _, c := range []struct{ data, perm, want fs.FileMode }{
		{0o600, 0, 0o600},
		{0o660, 0, 0o660},
		{0o600, 0o666, 0o600},
		{0o664, 0o660, 0o660},
	} {
		data := newData(t)
		if err := os.Chmod(data, c.data); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(data, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		l := New(data+".lock", f, vfs.Append, c.perm)
		mustLock(t, l)
		info, err := os.Stat(data + ".lock")
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != c.want {
			t.Errorf("data %v, perm %v: lock file %v, want %v", c.data, c.perm, info.Mode(), c.want)
		}
		if err := errors.Join(l.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// H4: after the lock file was deleted or replaced, the next holder holds the
// one that is there, and Incarnation tells.
func TestReplacedLockFile(t *testing.T) {
	data := newData(t)
	l := openLocker(t, data, data+".lock")
	if n := l.Incarnation(); n != 0 {
		t.Fatalf("incarnation %d before the first opening", n)
	}
	if gone, err := l.Deleted(); !gone || err != nil {
		t.Fatalf("Deleted = %v, %v with none open", gone, err)
	}
	mustLock(t, l)
	mustUnlock(t, l)
	mustLock(t, l)
	mustUnlock(t, l)
	if n := l.Incarnation(); n != 1 {
		t.Fatalf("incarnation %d, want 1", n)
	}
	if gone, err := l.Deleted(); gone || err != nil {
		t.Fatalf("Deleted = %v, %v", gone, err)
	}
	if err := os.Remove(data + ".lock"); err != nil {
		t.Fatal(err)
	}
	if gone, err := l.Deleted(); !gone || err != nil {
		t.Fatalf("Deleted = %v, %v after a deletion", gone, err)
	}
	mustLock(t, l)
	if _, err := os.Stat(data + ".lock"); err != nil {
		t.Fatal(err)
	}
	if n := l.Incarnation(); n != 2 {
		t.Fatalf("incarnation %d, want 2", n)
	}

	// Moved away while held: Reopen finds the new one, and Unlock still gives
	// back what was locked.
	if err := os.Rename(data+".lock", data+".away"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	if n := l.Incarnation(); n != 3 {
		t.Fatalf("incarnation %d, want 3", n)
	}
	b := openLocker(t, data, data+".lock")
	mustBeBusy(t, b)
	mustUnlock(t, l)
	foreign(t, data+".away", data+".lock", data)()
	mustLock(t, b)
	mustUnlock(t, b)
}

// F13: another name of the data file, with another lock file, excludes too.
func TestHardLink(t *testing.T) {
	noLeak(t)
	data := newData(t)
	link := data + ".link"
	if err := os.Link(data, link); err != nil {
		t.Fatal(err)
	}
	a, b := openLocker(t, data, data+".lock"), openLocker(t, link, link+".lock")
	mustLock(t, a)
	mustBeBusy(t, b)
	mustUnlock(t, a)
	mustLock(t, b)
	mustBeBusy(t, a)
	mustUnlock(t, b)
}

func TestReadOnly(t *testing.T) {
	noLeak(t)
	data := newData(t)
	f, err := os.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := New(data+".lock", f, vfs.ReadOnly, 0)
	defer r.Close()
	if err := r.Lock(context.Background()); !errors.Is(err, vfs.ErrMode) {
		t.Fatalf("Lock = %v", err)
	}
	if _, err := r.TryLock(); !errors.Is(err, vfs.ErrMode) {
		t.Fatalf("TryLock: %v", err)
	}
	update := func(*[vfs.MarkSize]byte, bool) bool { return true }
	if err := r.UpdateMark(context.Background(), update); !errors.Is(err, vfs.ErrMode) {
		t.Fatalf("UpdateMark = %v", err)
	}
	var p [vfs.MarkSize]byte
	if n, err := r.ReadMark(&p); n != 0 || err != nil {
		t.Fatalf("ReadMark = %d, %v", n, err)
	}
	if err := r.Reopen(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(data + ".lock"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a read-only Locker made a lock file: %v", err)
	}

	w := openLocker(t, data, data+".lock")
	if err := w.UpdateMark(context.Background(), func(p *[vfs.MarkSize]byte, ok bool) bool { p[0] = 7; return !ok }); err != nil {
		t.Fatal(err)
	}
	if err := r.Reopen(); err != nil {
		t.Fatal(err)
	}
	if n, err := r.ReadMark(&p); n != vfs.MarkSize || err != nil || p[0] != 7 {
		t.Fatalf("ReadMark = %d, %v, %d", n, err, p[0])
	}
}

func TestClose(t *testing.T) {
	noLeak(t)
	data := newData(t)
	l, other := openLocker(t, data, data+".lock"), openLocker(t, data, data+".lock")
	mustLock(t, l)
	waiting := make(chan error)
	go func() { waiting <- l.Lock(context.Background()) }()
	eventually(t, "it waits", func() bool {
		l.guard.mu.Lock()
		defer l.guard.mu.Unlock()
		return len(l.guard.queue) == 1
	})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; !errors.Is(err, vfs.ErrClosed) {
		t.Fatalf("the one who waited: %v", err)
	}
	mustLock(t, other) // Close has given the lock back
	mustUnlock(t, other)
	if err := l.Lock(context.Background()); !errors.Is(err, vfs.ErrClosed) {
		t.Fatalf("Lock = %v", err)
	}
	var p [vfs.MarkSize]byte
	if _, err := l.ReadMark(&p); !errors.Is(err, vfs.ErrClosed) {
		t.Fatalf("ReadMark: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestMarkUnderLock runs the latch of systems without OFD locks.
func TestMarkUnderLock(t *testing.T) {
	noLeak(t)
	data := newData(t)
	lockers := []*Locker{openLocker(t, data, data+".lock"), openLocker(t, data, data+".lock")}
	var wg sync.WaitGroup
	for _, l := range lockers {
		l.lockIsLatch = true
	}
	for i := range 8 {
		wg.Go(func() {
			l := lockers[i%2]
			for range 100 {
				if i < 4 { // as a committer does who replaces the mark
					if err := l.Lock(context.Background()); err != nil {
						t.Error(err)
						return
					}
				}
				if err := l.UpdateMark(context.Background(), increment); err != nil {
					t.Error(err)
				}
				if i < 4 {
					if err := l.Unlock(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if n := readCounter(t, lockers[0]); n != 800 {
		t.Fatalf("the mark counts %d, want 800", n)
	}
}

// The latch: a cancelled wait ends, the lock does not matter, and false writes nothing.
func TestUpdateMark(t *testing.T) {
	noLeak(t)
	data := newData(t)
	a, b := openLocker(t, data, data+".lock"), openLocker(t, data, data+".lock")
	mustLock(t, a)
	defer mustUnlock(t, a)
	if err := b.UpdateMark(context.Background(), increment); err != nil {
		t.Fatal(err)
	}
	for _, waiter := range []*Locker{a, b} { // once in the process's part of the latch, once in the file's
		err := a.UpdateMark(context.Background(), func(p *[vfs.MarkSize]byte, ok bool) bool {
			if n := binary.LittleEndian.Uint64(p[:]); !ok || n != 1 {
				t.Errorf("ok %v, n %d", ok, n)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
			defer cancel()
			if err := waiter.UpdateMark(ctx, increment); err != context.DeadlineExceeded {
				t.Errorf("inside the latch: %v", err)
			}
			p[0] = 99
			return false
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = b.UpdateMark(context.Background(), func(*[vfs.MarkSize]byte, bool) bool { panic("test") })
	}()
	if err := a.UpdateMark(context.Background(), increment); err != nil {
		t.Fatal(err)
	}
	if n := readCounter(t, b); n != 2 {
		t.Fatalf("the mark counts %d, want 2", n)
	}
}

// increment raises a counter in the mark.
func increment(p *[vfs.MarkSize]byte, _ bool) bool {
	binary.LittleEndian.PutUint64(p[:], binary.LittleEndian.Uint64(p[:])+1)
	return true
}

func readCounter(t testing.TB, l *Locker) uint64 {
	t.Helper()
	var p [vfs.MarkSize]byte
	if n, err := l.ReadMark(&p); n != vfs.MarkSize || err != nil {
		t.Fatalf("ReadMark = %d, %v", n, err)
	}
	return binary.LittleEndian.Uint64(p[:])
}

func BenchmarkLockUnlock(b *testing.B) {
	data := newData(b)
	l := openLocker(b, data, data+".lock")
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Lock(context.Background()); err != nil {
			b.Fatal(err)
		}
		mustUnlock(b, l)
	}
}

func BenchmarkUpdateMark(b *testing.B) {
	data := newData(b)
	l := openLocker(b, data, data+".lock")
	b.ReportAllocs()
	for b.Loop() {
		if err := l.UpdateMark(context.Background(), increment); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadMark(b *testing.B) {
	data := newData(b)
	l := openLocker(b, data, data+".lock")
	if err := l.UpdateMark(context.Background(), increment); err != nil {
		b.Fatal(err)
	}
	var p [vfs.MarkSize]byte
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.ReadMark(&p); err != nil {
			b.Fatal(err)
		}
	}
}

// D10: a data file that was closed before Unlock does not keep anything locked.
func TestDataFileClosedFirst(t *testing.T) {
	noLeak(t)
	data := newData(t)
	f, err := os.OpenFile(data, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	l := New(data+".lock", f, vfs.Append, 0)
	defer l.Close()
	mustLock(t, l)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	mustUnlock(t, l)
	foreign(t, data+".lock", data)()
	if err := l.Lock(context.Background()); !errors.Is(err, vfs.ErrClosed) {
		t.Fatalf("Lock = %v", err)
	}
	other := openLocker(t, data, data+".lock")
	mustLock(t, other)
	mustUnlock(t, other)
}

// While a helper sits on the data file's description, flock would tell us yes
// there for what the helper gives back a moment later: TryLock says busy.
func TestNoFlockBesideHelper(t *testing.T) {
	data := newData(t)
	l := openLocker(t, data, data+".lock")
	mustLock(t, l)
	mustUnlock(t, l)
	g := l.guard
	g.mu.Lock()
	g.waits[g.id] = &wait{done: make(chan struct{})}
	g.mu.Unlock()
	mustBeBusy(t, l)
	g.mu.Lock()
	delete(g.waits, g.id)
	g.mu.Unlock()
	mustLock(t, l)
	mustUnlock(t, l)
}
