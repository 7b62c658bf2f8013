package exclusive

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
)

const lock = "/db.lock"

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Of many who want to write one may. A11
func TestOneWriter(t *testing.T) {
	d := mem.NewDisk()
	var got atomic.Pointer[FS]
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			f, err := Writer(d.Process("p"), lock, 0o600)
			if err == nil && got.Swap(f) != nil {
				t.Error("two have the lease")
			}
			if err != nil && (!errors.Is(err, ErrTaken) || !strings.Contains(err.Error(), Name(lock)) || !strings.Contains(err.Error(), "pid")) {
				t.Errorf("refused with %v", err)
			}
		})
	}
	group.Wait()
	must(t, got.Load().Release())
	must(t, got.Load().Release())
	f, err := Writer(d.Process("p"), lock, 0o600)
	must(t, err)
	must(t, f.Release())
	if names := d.Names(); len(names) > 0 {
		t.Errorf("left: %q", names)
	}
}

// An outcome that is not known is found out. A11
func TestUnknownOutcome(t *testing.T) {
	d := mem.NewDisk()
	d.Inject(mem.Fault{Kinds: []mem.Kind{mem.OpRename}, Action: mem.FailAfter(errors.New("lost"))})
	f, err := Writer(d.Process("p"), lock, 0o600)
	must(t, err)
	l := f.Locker(lock, nil, vfs.Append, 0o600)
	if ok, err := l.TryLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	must(t, l.Close())
	must(t, f.Release())
}

// The lockers of one program exclude one another; waiting ends with its
// context and with Close.
func TestLock(t *testing.T) {
	f, err := Writer(mem.NewDisk().Process("p"), lock, 0o600)
	must(t, err)
	a := f.Locker(lock, nil, vfs.Append, 0o600)
	b := f.Locker(lock, nil, vfs.Append, 0o600)
	must(t, a.Lock(context.Background()))
	if a.Incarnation() != 1 || a.Holder() == 0 {
		t.Error(a.Incarnation(), a.Holder())
	}
	if ok, err := b.TryLock(); ok || err != nil {
		t.Fatal(ok, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := b.Lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	waiting := make(chan error)
	go func() { waiting <- b.Lock(context.Background()) }()
	must(t, a.Unlock())
	must(t, <-waiting)
	if err := a.Unlock(); err == nil {
		t.Error("unlocked twice")
	}
	go func() { waiting <- a.Lock(context.Background()) }()
	must(t, a.Close())
	if err := <-waiting; !errors.Is(err, vfs.ErrClosed) {
		t.Fatal(err)
	}
	must(t, b.Close()) // gives the lock back
	c := f.Locker(lock, nil, vfs.Append, 0o600)
	if ok, err := c.TryLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
}

// Somebody removes the lease, or takes it: no lock is given any more, and
// Release leaves alone what is another's.
func TestLost(t *testing.T) {
	d := mem.NewDisk()
	f, err := Writer(d.Process("p"), lock, 0o600)
	must(t, err)
	l := f.Locker(lock, nil, vfs.Append, 0o600)
	must(t, d.Remove(Name(lock)))
	if ok, err := l.TryLock(); ok || !errors.Is(err, ErrLost) {
		t.Fatal(ok, err)
	}
	g, err := Writer(d.Process("q"), lock, 0o600)
	must(t, err)
	if err := l.Lock(context.Background()); !errors.Is(err, ErrLost) {
		t.Fatal(err)
	}
	if err := f.Release(); !errors.Is(err, ErrLost) {
		t.Fatal(err)
	}
	m := g.Locker(lock, nil, vfs.Append, 0o600)
	must(t, m.Lock(context.Background()))
}

// The mark is written by the writer, seen by readers, and none when the file is
// new or gone; a lock file that was deleted is noticed and made again.
func TestMark(t *testing.T) {
	d := mem.NewDisk()
	f, err := Writer(d.Process("p"), lock, 0o600)
	must(t, err)
	w := f.Locker(lock, nil, vfs.Append, 0o600)
	r := Reader(d.Process("q")).Locker(lock, nil, vfs.ReadOnly, 0)
	var p [vfs.MarkSize]byte
	for _, l := range []vfs.Locker{r, w} {
		if n, err := l.ReadMark(&p); n != 0 || err != nil {
			t.Fatal(n, err)
		}
		if gone, err := l.Deleted(); !gone || err != nil {
			t.Fatal(gone, err)
		}
	}
	must(t, r.Reopen())
	if len(d.Names()) != 1 {
		t.Fatalf("a reader made %q", d.Names())
	}
	set := func(c byte, was bool) {
		t.Helper()
		must(t, w.UpdateMark(context.Background(), func(p *[vfs.MarkSize]byte, ok bool) bool {
			if ok != was {
				t.Errorf("there is a mark: %v", ok)
			}
			p[0] = c
			return true
		}))
	}
	set('x', false)
	set('y', true)
	must(t, w.UpdateMark(context.Background(), func(p *[vfs.MarkSize]byte, ok bool) bool { p[0] = 'z'; return false }))
	must(t, r.Reopen())
	if n, err := r.ReadMark(&p); n != vfs.MarkSize || err != nil || p[0] != 'y' {
		t.Fatal(n, err, p[0])
	}
	must(t, d.Remove(lock))
	if gone, err := r.Deleted(); !gone || err != nil {
		t.Fatal(gone, err)
	}
	was := w.Incarnation()
	must(t, w.Lock(context.Background()))
	if w.Incarnation() == was {
		t.Error("the new lock file is not told")
	}
	set('a', false)
	if err := r.UpdateMark(context.Background(), nil); !errors.Is(err, vfs.ErrMode) {
		t.Error(err)
	}
	if _, err := r.TryLock(); !errors.Is(err, vfs.ErrMode) {
		t.Error(err)
	}
}
