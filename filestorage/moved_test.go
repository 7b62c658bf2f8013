package filestorage

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/mem"
)

// packUntil packs in process P and stops it before it renames. then runs; it
// kills the packer, or lets it go on.
func (w *world) packUntil(then func() (kill bool)) error {
	p, err := w.open("P", storage.SyncAlways)
	if err != nil {
		return err
	}
	stopped := make(chan struct{}, 1)
	once := true
	restore := w.watch(func(op mem.Op) mem.Action {
		if once && op.Process == "P" && op.Kind == mem.OpRename && op.Name == worldPath {
			once = false
			stopped <- struct{}{}
			return mem.Stop()
		}
		return mem.Proceed()
	})
	defer restore()
	done := make(chan error, 1)
	go func() { done <- packAll(p.s) }()
	select {
	case err := <-done:
		return fmt.Errorf("it does not rename: %w", err)
	case <-stopped:
	}
	kill := then()
	if kill {
		delete(w.procs, "P")
		p.fs.Kill()
	}
	p.fs.Continue()
	if err := <-done; !kill {
		return err
	}
	return nil
}

func dies() bool { return true } // for packUntil

// size is that of the database file.
func (w *world) size() int64 {
	b, err := w.disk.ReadFile(worldPath)
	if err != nil {
		return 0
	}
	return int64(len(b))
}

// F16: a packer that died between its moved frame and the renaming: readers stay
// where they are, look again and again, and see what is committed; the next
// writer appends behind the frame. Nothing is truncated.
func TestMovedFrameIsVoided(t *testing.T) {
	w := mustWorld(t)
	for _, name := range []string{"A", "V"} {
		must(t, w.viewStep(name))
	}
	must(t, w.commitStep("A", storage.SyncAlways, 40))
	before := w.size()
	must(t, w.packUntil(dies))
	with := w.size()
	if with <= before {
		t.Fatalf("no moved frame: %d bytes, %d before", with, before)
	}
	v := w.procs["V"].s
	for range 3 {
		must(t, w.viewStep("V"))
		if v.Stats().End != before || !v.current().atMoved.Load() {
			t.Fatalf("V ends at %d, the frame begins at %d", v.Stats().End, before)
		}
	}
	must(t, w.viewStep("late")) // one who opens it now
	must(t, w.commitStep("A", storage.SyncAlways, 40))
	if w.size() <= with {
		t.Fatalf("%d bytes, %d before: something was cut", w.size(), with)
	}
	must(t, w.viewStep("V"))
	if v.Stats().End != w.size() || v.current().atMoved.Load() {
		t.Errorf("V ends at %d of %d", v.Stats().End, w.size())
	}
	w.judgeAll(t, "after the frame was voided")
	// A second one behind it, and then a pack that succeeds.
	must(t, w.packUntil(dies))
	must(t, w.viewStep("V"))
	must(t, w.packStep("A"))
	must(t, w.viewStep("V"))
	must(t, w.commitStep("V", storage.SyncAlways, 40))
	if g := v.Header().Generation; g != 1 {
		t.Errorf("generation %d", g)
	}
	w.judgeAll(t, "at the end")
}

// What a dying writer leaves behind a moved frame is cut there, and what the
// next one writes in its place is seen although the size is the same.
func TestTornFrameBehindAMovedOne(t *testing.T) {
	w := mustWorld(t)
	must(t, w.viewStep("V"))
	must(t, w.packUntil(dies))
	must(t, w.viewStep("V"))
	with := w.size()
	b, err := w.open("B", storage.SyncAlways)
	must(t, err)
	restore := w.watch(func(op mem.Op) mem.Action {
		if op.Process == "B" && op.Kind == mem.OpAppend {
			return mem.KillAfter(op.Len - 1)
		}
		return mem.Proceed()
	})
	_, err = w.commit(b, 40)
	restore()
	delete(w.procs, "B")
	if !errors.Is(err, mem.ErrKilled) || w.size() <= with {
		t.Skipf("the writer did not die in its append: %v", err)
	}
	must(t, w.viewStep("V"))
	must(t, w.commitStep("C", storage.SyncAlways, 40))
	must(t, w.viewStep("V"))
	if v := w.procs["V"].s; v.Stats().End != w.size() {
		t.Errorf("V ends at %d of %d", v.Stats().End, w.size())
	}
	w.judgeAll(t, "at the end")
}

// F14: a file that got a second name in the last moment before the renaming.
// Who comes by that name reads on, and cannot commit.
func TestMovedUnderAnotherName(t *testing.T) {
	for _, kill := range []bool{false, true} {
		w := mustWorld(t)
		must(t, w.commitStep("A", storage.SyncAlways, 40))
		must(t, w.packUntil(func() bool {
			must(t, w.disk.Process("ln").Link(worldPath, "/other"))
			return kill
		}))
		o, err := Open("/other", w.options(w.disk.Process("o"), storage.SyncAlways))
		must(t, err)
		commit := func() error {
			snap, err := o.Begin(background, true)
			if err != nil {
				return err
			}
			defer snap.Release()
			_, err = o.Commit(background, &storage.Commit{Base: snap, Records: []storage.Record{{OID: w.oids[0], Class: w.class, Payload: payload(1<<29, 0, 16)}}})
			return err
		}
		if _, err := o.LastTID(); err != nil {
			t.Errorf("killed %v: a reader: %v", kill, err)
		}
		err = commit()
		// If the packer has died, the name that it would have replaced still
		// leads to this file, and it is seen that it has not.
		if kill && err != nil || !kill && (!errors.Is(err, storage.ErrRewound) || !strings.Contains(err.Error(), "under another name")) {
			t.Errorf("killed %v: a commit by the other name: %v", kill, err)
		}
		must(t, w.disk.Remove("/other"))
		if !kill {
			must(t, w.commitStep("A", storage.SyncAlways, 40))
			must(t, w.viewStep("V"))
			w.judgeAll(t, "at the end")
		}
	}
}

// A copy of the file that was taken between the moved frame and the renaming is
// a backup like any other: it opens and takes commits, under any name.
func TestMovedFrameInACopy(t *testing.T) {
	w := mustWorld(t)
	must(t, w.commitStep("A", storage.SyncAlways, 40))
	var copied []byte
	must(t, w.packUntil(func() bool {
		var err error
		copied, err = w.disk.ReadFile(worldPath)
		must(t, err)
		return true
	}))
	p := w.disk.Process("copy")
	c := p.Create("/backup", 0, 0o600)
	c.Write(copied)
	must(t, c.Commit())
	s, err := Open("/backup", w.options(p, storage.SyncAlways))
	must(t, err)
	snap := beginTest(t, s)
	_, err = s.Commit(background, &storage.Commit{Base: snap, Records: []storage.Record{{OID: w.oids[0], Class: w.class, Payload: payload(1<<29, 0, 16)}}})
	must(t, err)
	snap.Release()
	r, err := s.Verify(background, nil)
	if err != nil || !r.OK() {
		t.Errorf("%v, %v", r, err)
	}
	must(t, s.Close())
}

// A commit that was appended before the swap, and whose sync comes after it, is
// reported: the packed file holds it. F15
func TestCommitAcrossTheSwap(t *testing.T) {
	w := mustWorld(t)
	a, err := w.open("A", storage.SyncAlways)
	must(t, err)
	must(t, w.commitStep("A", storage.SyncAlways, 40))
	if _, err := w.open("P", storage.SyncAlways); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	once := true
	restore := w.watch(func(op mem.Op) mem.Action {
		if once && op.Process == "A" && op.Kind == mem.OpSync && op.Name == worldPath {
			once = false
			close(stopped)
			return mem.Stop()
		}
		return mem.Proceed()
	})
	defer restore()
	done := make(chan error, 1)
	go func() {
		_, err := w.commit(a, 40)
		done <- err
	}()
	<-stopped
	must(t, w.packStep("P"))
	must(t, w.commitStep("P", storage.SyncAlways, 40))
	a.fs.Continue()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("the commit: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
	if g := a.s.Header().Generation; g != 1 {
		t.Errorf("generation %d", g)
	}
	must(t, w.viewStep("A"))
	w.judgeAll(t, "at the end")
}

// A file that was restored is not taken for a packed one: an older copy, and the
// packed file of a history that branched off.
func TestRestoredIsNotPacked(t *testing.T) {
	w := mustWorld(t)
	must(t, w.commitStep("A", storage.SyncAlways, 40))
	early, err := w.disk.ReadFile(worldPath)
	must(t, err)
	must(t, w.commitStep("A", storage.SyncAlways, 40))
	// Elsewhere somebody goes on with the early copy, and packs it.
	p := w.disk.Process("elsewhere")
	c := p.Create("/branch", 0, 0o600)
	c.Write(early)
	must(t, c.Commit())
	s, err := Open("/branch", w.options(p, storage.SyncAlways))
	must(t, err)
	must(t, packAll(s))
	must(t, s.Close())
	must(t, p.Rename("/branch", worldPath))
	a := w.procs["A"].s
	_, err = w.commit(w.procs["A"], 40)
	if !errors.Is(err, storage.ErrRewound) {
		t.Errorf("a commit: %v", err)
	}
	if g := a.Header().Generation; g != 1 {
		t.Errorf("generation %d", g)
	}
}
