package filestorage

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
)

// Scenes that the sequences of TestCrashEverywhere do not reach: several
// goroutines of one handle, and hands that change files from outside.

// pausingFS lets a test come between a handle and its syncs.
type pausingFS struct {
	*mem.Process
	beforeSync func()
}

type pausingFile struct {
	vfs.File
	fs *pausingFS
}

func (f *pausingFS) Open(name string, mode vfs.Mode) vfs.File {
	return &pausingFile{f.Process.Open(name, mode), f}
}

func (f *pausingFile) Unwrap() vfs.File { return f.File }

func (f *pausingFile) Sync() error {
	if f.fs.beforeSync != nil {
		f.fs.beforeSync()
	}
	return f.File.Sync()
}

func mustWorld(t *testing.T) *world {
	t.Helper()
	im, base, err := baseWorld()
	if err != nil {
		t.Fatal(err)
	}
	return base.fork(im)
}

func (w *world) openOn(name string, fs vfs.FS) (*proc, error) {
	opts := w.options(nil, storage.SyncAlways)
	opts.FS = fs
	s, err := Open(worldPath, opts)
	if err != nil {
		return nil, err
	}
	p := &proc{name: name, s: s}
	w.procs[name] = p
	return p, nil
}

// judgeAll judges every state in which a power cut now may leave the disk.
func (w *world) judgeAll(t *testing.T, where string) {
	t.Helper()
	for im := range w.disk.Images(mem.Options{Samples: 256, Sectors: 8}) {
		if err := w.judge(im); err != nil {
			t.Fatalf("power cut %s, %v: %v", where, im, err)
		}
	}
}

// TestCrashOverlappingSyncs: two goroutines of one handle commit, and one sync
// fails. The kernel tells only one call of it: had the handle two in flight,
// the other one would acknowledge what is lost. F5
func TestCrashOverlappingSyncs(t *testing.T) {
	w := mustWorld(t)
	fs := &pausingFS{Process: w.disk.Process("A")}
	p, err := w.openOn("A", fs)
	if err != nil {
		t.Fatal(err)
	}
	first, second := make(chan struct{}), make(chan struct{})
	release := make(chan struct{})
	var mu sync.Mutex
	calls := 0
	pause := func() {
		mu.Lock()
		calls++
		n := calls
		mu.Unlock()
		switch n {
		case 1:
			close(first)
			<-release // the first sync has not reached the kernel yet
		case 2:
			close(second)
		}
	}
	begin := func() storage.Snapshot {
		snap, err := p.s.Begin(context.Background(), true)
		if err != nil {
			t.Fatal(err)
		}
		return snap
	}
	s1, s2 := begin(), begin()
	fs.beforeSync = pause
	w.disk.Inject(mem.Fault{Kinds: []mem.Kind{mem.OpSync}, Name: worldPath, Action: mem.FailSync(syscall.EIO, nil)})
	done1, done2 := make(chan error, 1), make(chan error, 1)
	var order sync.Mutex
	go func() {
		order.Lock()
		a := w.propose(p, s1, 40)
		order.Unlock()
		_, err := p.s.Commit(context.Background(), a)
		done1 <- err
	}()
	select {
	case <-first:
	case err := <-done1:
		t.Fatalf("the first commit ended without a sync: %v", err)
	}
	go func() {
		order.Lock()
		a := w.propose(p, s2, 40)
		order.Unlock()
		_, err := p.s.Commit(context.Background(), a)
		done2 <- err
	}()
	select {
	case <-second: // overlapping: it fails, and the first is not told
		err2 := <-done2
		done2 <- err2
	case <-time.After(50 * time.Millisecond): // it waits, as it should
	}
	close(release)
	for _, done := range []chan error{done1, done2} {
		if err := <-done; err == nil {
			l := p.s.current()
			w.require(p, l.state.Load().tid, l.dur.base, "acknowledged")
		} else if !expected(err) {
			t.Fatal(err)
		}
	}
	if w.err != nil {
		t.Fatal(w.err)
	}
	w.judgeAll(t, "after both")
}

// TestCrashRestoreBeforeRaise: A has synced its commit and is about to raise
// the mark; an older copy is restored over the file, and B appends another
// frame at the same place. A must not raise the mark over it: after a power cut
// the unsynced frame of B would look like damage. F26
func TestCrashRestoreBeforeRaise(t *testing.T) {
	w := mustWorld(t)
	old, err := w.disk.ReadFile(worldPath)
	if err != nil {
		t.Fatal(err)
	}
	a, err := w.open("A", storage.SyncAlways)
	if err != nil {
		t.Fatal(err)
	}
	b, err := w.open("B", storage.SyncAlways)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.view(b); err != nil {
		t.Fatal(err)
	}
	if err := w.view(a); err != nil {
		t.Fatal(err)
	}
	stopped := map[string]chan struct{}{"A": make(chan struct{}), "B": make(chan struct{})}
	kinds := map[string]mem.Kind{"A": mem.OpLatch, "B": mem.OpSync}
	w.disk.Hook = func(op mem.Op) mem.Action {
		if c := stopped[op.Process]; c != nil && op.Kind == kinds[op.Process] {
			stopped[op.Process] = nil
			close(c)
			return mem.Stop()
		}
		return mem.Proceed()
	}
	stopA, stopB := stopped["A"], stopped["B"]
	done := make(chan error, 2)
	go func() { _, err := w.commit(a, 40); done <- err }()
	reached(t, stopA, done)
	if err := w.disk.WriteFile(worldPath, old); err != nil {
		t.Fatal(err)
	}
	go func() {
		done <- again(func() error { _, err := w.commit(b, 40); return err })
	}()
	reached(t, stopB, done)
	a.fs.Continue()
	if err := <-done; err != nil && !expected(err) {
		t.Fatal(err)
	}
	w.must = map[storage.TID]string{} // what A was told went with the restored copy
	w.judgeAll(t, "while B's commit is not synced")
	b.fs.Continue()
	if err := <-done; !expected(err) {
		t.Fatal(err)
	}
	w.judgeAll(t, "at the end")
}

// TestDamageIsNotATail: a bad frame before W is damage. Nothing is cut,
// nothing appended, the error says where; a bad frame behind W is a tail. F2 N19
func TestDamageIsNotATail(t *testing.T) {
	for _, mark := range []string{"mark", "no mark"} {
		t.Run(mark, func(t *testing.T) {
			w := mustWorld(t)
			p, err := w.open("A", storage.SyncAlways)
			if err != nil {
				t.Fatal(err)
			}
			var ends []int64
			for range 3 {
				if _, err := w.commit(p, 40); err != nil {
					t.Fatal(err)
				}
				ends = append(ends, p.s.current().end())
			}
			if mark == "no mark" {
				if err := w.disk.Remove(lockName(worldPath)); err != nil {
					t.Fatal(err)
				}
			}
			// The header of the second commit: the third one's `durable`
			// field tells that it was safe, the mark too.
			if err := w.disk.Patch(worldPath, ends[0]+10, []byte{0xff}); err != nil {
				t.Fatal(err)
			}
			before, _ := w.disk.ReadFile(worldPath)
			r, err := w.openOn("R", w.disk.Process("R"))
			if err != nil {
				t.Fatal(err)
			}
			for _, writable := range []bool{false, true} {
				_, err := r.s.Begin(context.Background(), writable)
				var c *storage.CorruptError
				if !errors.As(err, &c) || c.Offset != ends[0] {
					t.Fatalf("Begin(%v): %v, want damage at byte %d", writable, err, ends[0])
				}
			}
			r.s.Close()
			if after, _ := w.disk.ReadFile(worldPath); !bytes.Equal(before, after) {
				t.Fatal("the damaged file was changed")
			}
		})
	}
}

// reached waits until a process was stopped where it should be.
func reached(t *testing.T, stopped chan struct{}, done chan error) {
	t.Helper()
	select {
	case <-stopped:
	case err := <-done:
		t.Fatalf("a process ended before it was stopped: %v", err)
	}
}

// TestCrashStaleFrameBehind: two commits are in the unsynced window, the disk
// loses the first. The next writer cuts both and appends a frame of the same
// length; the power goes before anything of that is on the disk but the new
// bytes. The second of the old frames, whole and at its place, must not be
// taken for the follower of the new one. H1 H8 H9
func TestCrashStaleFrameBehind(t *testing.T) {
	w := mustWorld(t)
	a, err := w.open("A", storage.SyncAlways)
	if err != nil {
		t.Fatal(err)
	}
	b, err := w.open("B", storage.SyncAlways)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*proc{a, b} {
		if err := w.view(p); err != nil {
			t.Fatal(err)
		}
	}
	stopped := map[string]chan struct{}{"A": make(chan struct{}), "B": make(chan struct{})}
	stopA, stopB := stopped["A"], stopped["B"]
	w.disk.Hook = func(op mem.Op) mem.Action {
		if c := stopped[op.Process]; c != nil && op.Kind == mem.OpSync {
			stopped[op.Process] = nil
			close(c)
			return mem.Stop()
		}
		return mem.Proceed()
	}
	done := make(chan error, 2)
	from := a.s.current().end()
	// The first frame ends where a sector ends: then the disk may have the
	// new one there and the old one behind.
	size := int((from/512+1)*512-from) - frameHeaderSize - tableEntrySize - recordHeaderSize - trailerSize
	go func() { _, err := w.commit(a, size); done <- err }()
	reached(t, stopA, done)
	go func() { _, err := w.commit(b, 40); done <- err }()
	reached(t, stopB, done)
	// The second frame gets to the disk, the first does not.
	second := b.s.current().end() - from
	if err := w.disk.FailWriteback(worldPath, func(i int, off int64, n int) bool { return off < from+second/2 }, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.disk.Evict(worldPath, 0, -1); err != nil {
		t.Fatal(err)
	}
	w.disk.SyncAll() // what was lost stays lost
	a.fs.Kill()
	b.fs.Kill()
	<-done
	<-done
	w.must = map[storage.TID]string{}
	w.disk.Hook = func(op mem.Op) mem.Action {
		if op.Kind == mem.OpSync {
			w.judgeAll(t, op.String())
		}
		return mem.Proceed()
	}
	w.clock.Add(-1_000_000_000) // ids do not give the old frame away
	if err := w.commitStep("C", storage.SyncAlways, size); err != nil {
		t.Fatal(err)
	}
	w.judgeAll(t, "at the end")
}

// TestCrashLockFileDeletedBeforeAppend: A has the lock of a new database when
// the lock file is deleted; B opens and gets a new one; then A appends, syncs,
// and raises the mark in the file that it has, which nobody else reads. It must
// see that, and raise the mark where B looks, before it acknowledges. H4 F11
func TestCrashLockFileDeletedBeforeAppend(t *testing.T) {
	w := newWorld(mem.NewDisk())
	a, err := w.open("A", storage.SyncAlways)
	if err != nil {
		t.Fatal(err)
	}
	snap, err := a.s.Begin(context.Background(), true)
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	first := true
	w.disk.Hook = func(op mem.Op) mem.Action {
		if op.Process == "A" && op.Kind == mem.OpAppend && first {
			first = false
			close(stopped)
			return mem.Stop()
		}
		return mem.Proceed()
	}
	done := make(chan error, 1)
	var tid storage.TID
	go func() {
		var err error
		tid, err = a.s.Commit(context.Background(), &storage.Commit{Base: snap, Meta: storage.Meta{User: "a"}})
		done <- err
	}()
	reached(t, stopped, done)
	if err := w.disk.Remove(lockName(worldPath)); err != nil {
		t.Fatal(err)
	}
	b, err := w.open("B", storage.SyncAlways)
	if err != nil {
		t.Fatal(err)
	}
	if last, err := b.s.LastTID(); err != nil || last != 0 {
		t.Fatalf("B sees transaction %d of an empty database, %v", last, err)
	}
	a.fs.Continue()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if last, err := b.s.LastTID(); err != nil || last != tid {
		t.Fatalf("B sees transaction %d, %v; %d was acknowledged", last, err, tid)
	}
}
