package mem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs"
)

var background = context.Background()

func locker(p *Process, data string) *Locker {
	return p.Locker("/db.lock", p.Open(data, vfs.Append), vfs.Append, 0o600).(*Locker)
}

func newDB(t *testing.T) *Disk {
	d := NewDisk()
	check(t, d.WriteFile("/db", []byte("data")))
	return d
}

func try(t *testing.T, l vfs.Locker, want bool) {
	t.Helper()
	got, err := l.TryLock()
	check(t, err)
	if got != want {
		t.Errorf("TryLock says %v", got)
	}
}

// F10, D10: a kill gives the lock back.
func TestLockExcludesAndKillReleases(t *testing.T) {
	d := newDB(t)
	p, q := d.Process("p"), d.Process("q")
	a, b, c := locker(p, "/db"), locker(q, "/db"), locker(q, "/db")
	try(t, a, true)
	try(t, a, false) // by another goroutine of the same Locker
	try(t, b, false)
	if h := b.Holder(); h != p.PID() {
		t.Errorf("holder is %d", h)
	}
	check(t, a.Unlock())
	try(t, b, true)
	try(t, c, false) // F12: two Lockers of one process
	check(t, b.Close())
	try(t, c, true)
	got := make(chan error)
	go func() { got <- a.Lock(background) }()
	waitFor(t, d, &c.ino.lock, 1)
	q.Kill()
	check(t, <-got)
	if h := a.Holder(); h != p.PID() {
		t.Errorf("holder is %d", h)
	}
	if err := c.Unlock(); !errors.Is(err, ErrKilled) {
		t.Errorf("a killed process may unlock: %v", err)
	}
	check(t, a.Unlock())
	if err := a.Unlock(); err == nil {
		t.Error("unlocked twice")
	}
	if a.Holder() != 0 {
		t.Error("a holder of a free lock")
	}
}

// waitFor waits until n goroutines wait at a gate.
func waitFor(t *testing.T, d *Disk, g *gate, n int) {
	t.Helper()
	for range 10000 {
		d.mu.Lock()
		got := len(g.queue)
		d.mu.Unlock()
		if got == n {
			return
		}
		time.Sleep(100 * time.Microsecond)
	}
	t.Fatalf("nobody waits")
}

// D18: first come, first served; who gave up is passed over.
func TestLockQueue(t *testing.T) {
	d := newDB(t)
	p := d.Process("p")
	first := locker(p, "/db")
	try(t, first, true)
	var mu sync.Mutex
	var order []int
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(background)
	for i := range 5 {
		l := locker(d.Process("q"), "/db")
		wg.Go(func() {
			c := background
			if i == 2 {
				c = ctx
			}
			if err := l.Lock(c); err != nil {
				if i != 2 || !errors.Is(err, context.Canceled) {
					t.Errorf("%d: %v", i, err)
				}
				return
			}
			mu.Lock()
			order = append(order, i)
			mu.Unlock()
			check(t, l.Unlock())
		})
		waitFor(t, d, &first.ino.lock, i+1)
	}
	cancel()
	waitFor(t, d, &first.ino.lock, 4)
	check(t, first.Unlock())
	wg.Wait()
	if fmt.Sprint(order) != "[0 1 3 4]" {
		t.Errorf("order %v", order)
	}
	try(t, first, true)
}

// A wait ends with its context, and leaves nothing behind.
func TestLockTimeout(t *testing.T) {
	d := newDB(t)
	a, b := locker(d.Process("p"), "/db"), locker(d.Process("q"), "/db")
	try(t, a, true)
	ctx, cancel := context.WithTimeout(background, 5*time.Millisecond)
	defer cancel()
	if err := b.Lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	check(t, a.Unlock())
	check(t, b.Lock(background))
	check(t, b.Unlock())
}

// F11, H4: after the lock file was deleted two processes hold two lock files,
// and the lock of the data file still excludes.
func TestDeletedLockFile(t *testing.T) {
	d := newDB(t)
	p, q := d.Process("p"), d.Process("q")
	a, b := locker(p, "/db"), locker(q, "/db")
	try(t, a, true)
	if gone, err := a.Deleted(); gone || err != nil {
		t.Errorf("deleted: %v %v", gone, err)
	}
	check(t, q.Remove("/db.lock"))
	if gone, err := a.Deleted(); !gone || err != nil {
		t.Errorf("deleted: %v %v", gone, err)
	}
	try(t, b, false)
	if a.ino == b.ino || b.Incarnation() != 1 || a.Incarnation() != 1 {
		t.Errorf("incarnations %d and %d", a.Incarnation(), b.Incarnation())
	}
	other := q.Locker("/other.lock", q.Open("/db", vfs.Append), vfs.Append, 0o600)
	try(t, other, false)
	check(t, a.Unlock())
	try(t, b, true)
	check(t, b.Unlock())
	try(t, a, true) // reopens
	if a.ino != b.ino || a.Incarnation() != 2 {
		t.Errorf("incarnation %d", a.Incarnation())
	}
	check(t, a.Unlock())
	check(t, a.Reopen())
	if a.Incarnation() != 2 {
		t.Error("reopened although it was there")
	}
}

// A holder that opens the new lock file, because the old one was deleted, no
// longer holds up who waits at the old one; the data file's lock still does.
func TestReopenUnderLock(t *testing.T) {
	d := newDB(t)
	p, q := d.Process("p"), d.Process("q")
	a, b := locker(p, "/db"), locker(q, "/db")
	try(t, a, true)
	old := a.ino
	got := make(chan error)
	go func() { got <- b.Lock(background) }()
	waitFor(t, d, &old.lock, 1)
	check(t, p.Remove("/db.lock"))
	check(t, a.Reopen())
	waitFor(t, d, &old.lock, 0)
	waitFor(t, d, &a.dataOn.lock, 1)
	check(t, p.Remove("/db.lock")) // and again, while b waits for the data file
	check(t, a.Unlock())
	check(t, <-got)
	if gone, err := b.Deleted(); gone || err != nil {
		t.Errorf("locked a lock file that was deleted: %v, %v", gone, err)
	}
	try(t, a, false)
	check(t, b.Unlock())
	try(t, a, true)
}

// A lock that arrives together with the end of the wait is given back.
func TestLateGrant(t *testing.T) {
	d := newDB(t)
	a, b := locker(d.Process("p"), "/db"), locker(d.Process("q"), "/db")
	try(t, a, true)
	ctx, cancel := context.WithCancel(background)
	got := make(chan error)
	go func() { got <- b.Lock(ctx) }()
	waitFor(t, d, &a.ino.lock, 1)
	d.mu.Lock() // b wakes up for ctx, and finds that it has the lock
	cancel()
	a.unlock()
	d.mu.Unlock()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	try(t, a, true)
}

// A lock file that somebody replaces at once, always, is an error in the end;
// what is no regular file is one at once.
func TestLockFileRefused(t *testing.T) {
	d := newDB(t)
	l := locker(d.Process("p"), "/db")
	d.Hook = func(op Op) Action {
		if op.Kind == OpTryLock {
			check(t, d.Remove("/db.lock"))
		}
		return Proceed()
	}
	if _, err := l.TryLock(); err == nil || !strings.Contains(err.Error(), "64 times") {
		t.Errorf("got %v", err)
	}
	d.Hook = nil
	try(t, l, true)
	p := d.Process("p")
	create(t, p, "/dir/file", nil)
	_, err := p.Locker("/dir", nil, vfs.Append, 0o600).TryLock()
	is(t, err, vfs.ErrNotRegular)
	_, err = locker(p, "/none").TryLock()
	is(t, err, fs.ErrNotExist)
	boom := errors.New("boom")
	for _, kind := range []Kind{OpStat, OpOpen, OpCreate, OpLock, OpReadMark, OpWriteMark, OpLatch, OpUnlatch} {
		l := p.Locker("/fault.lock", nil, vfs.Append, 0o600)
		remove := d.Inject(Fault{Kinds: []Kind{kind}, Action: Fail(boom)})
		err := l.Lock(background)
		if err == nil {
			check(t, l.Unlock())
			err = l.UpdateMark(background, func(*[vfs.MarkSize]byte, bool) bool { return true })
		}
		if remove(); !errors.Is(err, boom) {
			t.Errorf("%v fails: %v", kind, err)
		}
		check(t, l.Lock(background))
		check(t, l.UpdateMark(background, func(*[vfs.MarkSize]byte, bool) bool { return false }))
		check(t, l.Close())
		check(t, p.Remove("/fault.lock"))
	}
	p.Kill()
	is(t, l.p.Locker("/x", nil, vfs.Append, 0).(*Locker).Unlock(), errNotLocked)
	is(t, locker(p, "/db").Lock(background), ErrKilled)
	_, err = locker(p, "/db").TryLock()
	is(t, err, ErrKilled)
}

// F11: a lock file that is deleted all the time, under several processes, in
// any order: no update is lost.
func TestDeletedLockFileUnderRun(t *testing.T) {
	for seed := range uint64(200) {
		d := NewDisk()
		check(t, d.WriteFile("/db", []byte{0}))
		count := func(p *Process) {
			f := p.Open("/db", vfs.Append)
			l := p.Locker("/db.lock", f, vfs.Append, 0o600)
			for range 3 {
				check(t, l.Lock(background))
				var b [1]byte
				_, err := f.ReadAt(b[:], 0)
				check(t, err)
				b[0]++
				_, err = f.Rewrite(b[:], 0)
				check(t, err)
				check(t, l.Unlock())
			}
		}
		err := d.Run(Seeded(seed), count, count, count, func(p *Process) {
			for range 20 {
				p.Remove("/db.lock") // it may not be there
			}
		})
		check(t, err)
		cached(t, d, "/db", "\x09")
	}
}

// The mark: a record, one writer at a time, lost with the lock file.
func TestMark(t *testing.T) {
	d := newDB(t)
	p, q := d.Process("p"), d.Process("q")
	reader := q.Locker("/db.lock", q.Open("/db", vfs.ReadOnly), vfs.ReadOnly, 0)
	var rec [vfs.MarkSize]byte
	if n, err := reader.ReadMark(&rec); n != 0 || err != nil {
		t.Errorf("a mark of %d bytes, %v", n, err)
	}
	if gone, err := reader.Deleted(); !gone || err != nil {
		t.Errorf("deleted: %v, %v", gone, err)
	}
	if _, err := reader.TryLock(); !errors.Is(err, vfs.ErrMode) {
		t.Errorf("a reader may lock: %v", err)
	}
	if err := reader.UpdateMark(background, nil); !errors.Is(err, vfs.ErrMode) {
		t.Errorf("a reader may write: %v", err)
	}
	check(t, reader.Reopen())
	if len(d.Names()) != 1 {
		t.Errorf("a reader has created %v", d.Names())
	}

	var wg sync.WaitGroup
	const times = 200
	for range 4 {
		l := locker(d.Process("w"), "/db")
		wg.Go(func() {
			for range times {
				check(t, l.UpdateMark(background, func(p *[vfs.MarkSize]byte, ok bool) bool {
					if ok != (p[0] != 0 || p[1] != 0) {
						t.Errorf("ok %v for %v", ok, p[:2])
					}
					if p[0]++; p[0] == 0 {
						p[1]++
					}
					return true
				}))
			}
		})
	}
	wg.Wait()
	if n, err := reader.ReadMark(&rec); n != 0 || err != nil {
		t.Errorf("a mark of %d bytes without Reopen, %v", n, err)
	}
	check(t, reader.Reopen())
	if n, err := reader.ReadMark(&rec); n != vfs.MarkSize || err != nil || int(rec[0])+256*int(rec[1]) != 4*times {
		t.Errorf("mark %d bytes %v, %v", n, rec[:2], err)
	}

	l := locker(p, "/db")
	check(t, l.UpdateMark(background, func(p *[vfs.MarkSize]byte, ok bool) bool { p[0] = 77; return false }))
	check(t, p.Remove("/db.lock"))
	check(t, l.UpdateMark(background, func(p *[vfs.MarkSize]byte, ok bool) bool { p[0] = 1; return ok })) // the deleted one
	check(t, l.Reopen())
	if n, err := l.ReadMark(&rec); n != 0 || err != nil || l.Incarnation() != 2 {
		t.Errorf("mark of %d bytes in a new lock file, %v, incarnation %d", n, err, l.Incarnation())
	}
	check(t, l.Close())
	if err := l.Reopen(); !errors.Is(err, vfs.ErrClosed) {
		t.Errorf("closed Locker: %v", err)
	}
}

// A latch goes with its process, and its wait ends with ctx.
func TestLatch(t *testing.T) {
	d := newDB(t)
	p, q := d.Process("p"), d.Process("q")
	a, b := locker(p, "/db"), locker(q, "/db")
	inside, leave := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() {
		done <- a.UpdateMark(background, func(*[vfs.MarkSize]byte, bool) bool { close(inside); <-leave; return true })
	}()
	<-inside
	ctx, cancel := context.WithTimeout(background, time.Millisecond)
	defer cancel()
	yes := func(*[vfs.MarkSize]byte, bool) bool { return true }
	if err := b.UpdateMark(ctx, yes); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	try(t, b, true) // independent of the lock
	p.Kill()
	check(t, b.UpdateMark(background, yes))
	close(leave)
	if err := <-done; !errors.Is(err, ErrKilled) {
		t.Errorf("killed under the latch: %v", err)
	}
}

// Wrappers of the data file are looked through; what is no file of the disk is refused.
func TestLockOfForeignFile(t *testing.T) {
	d := newDB(t)
	p := d.Process("p")
	wrapped := p.Locker("/a.lock", wrapper{p.Open("/db", vfs.Append)}, vfs.Append, 0o600)
	try(t, wrapped, true)
	try(t, locker(p, "/db"), false)
	for _, f := range []vfs.File{opaque{p.Open("/db", vfs.Append)}, newDB(t).Process("q").Open("/db", vfs.Append)} {
		if _, err := p.Locker("/b.lock", f, vfs.Append, 0o600).TryLock(); !errors.Is(err, vfs.ErrNotSupported) {
			t.Errorf("%T: %v", f, err)
		}
	}
	try(t, p.Locker("/c.lock", nil, vfs.Append, 0o600), true)
}

type opaque struct{ vfs.File }

type wrapper struct{ vfs.File }

func (w wrapper) Unwrap() vfs.File { return w.File }

// Handles counts what is open, and nothing after it was closed or killed.
func TestHandles(t *testing.T) {
	d := NewDisk()
	p := d.Process("p")
	want := func(what string, h Handles) {
		t.Helper()
		if got := p.Handles(); got != h {
			t.Errorf("%s: %+v, want %+v", what, got, h)
		}
	}
	w := p.Create("/f", vfs.FailIfExists, 0o600)
	_, err := w.Write([]byte("x"))
	check(t, err)
	want("a writer", Handles{Writers: 1})
	check(t, w.Commit())
	f := p.Open("/f", vfs.Append)
	want("a file that nobody has used", Handles{})
	check(t, f.Sync())
	l := p.Locker("/f.lock", f, vfs.Append, 0o600)
	check(t, l.Reopen())
	want("a file and a locker", Handles{Files: 1, Lockers: 1})
	check(t, l.Lock(context.Background()))
	want("a lock", Handles{Files: 1, Lockers: 1, Locks: 1})
	check(t, l.Unlock())
	want("no lock", Handles{Files: 1, Lockers: 1})
	check(t, l.Close())
	check(t, f.Close())
	want("nothing", Handles{})
	check(t, p.Open("/f", vfs.Append).Sync())
	p.Kill()
	want("a killed process", Handles{})
}
