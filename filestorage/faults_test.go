package filestorage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/fault"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/wrap"
)

// job is something a process does with a database, in which operations fail.
type job struct {
	name string
	run  func(h *patient) error
}

// patient is the process in which operations fail.
type patient struct {
	fs  vfs.FS
	s   *Storage // open, unless the job opens it
	oid storage.OID

	first storage.TID // of the commit that everybody has seen
	acked []string    // states that were acknowledged, oldest first
	tried []string    // and those that were not
}

func (h *patient) commit(text string) error {
	h.tried = append(h.tried, text)
	_, err := edit(h.s, h.oid, text)
	if err == nil {
		h.acked = append(h.acked, text)
	}
	return err
}

var jobs = []job{
	{"open", func(h *patient) (err error) {
		h.s, err = Open(worldPath, simulated(h.fs))
		return err
	}},
	{"view", func(h *patient) error {
		got, err := look(h.s, h.oid)
		if err == nil && got != "first" && got != "of B" {
			err = fmt.Errorf("a View shows %q: %w", got, errWrong)
		}
		return err
	}},
	{"begin and abort", func(h *patient) error {
		snap, err := h.s.Begin(background, true)
		if err == nil {
			_, err = state1(snap, h.oid)
			snap.Release()
		}
		return err
	}},
	{"commit", func(h *patient) error { return h.commit("one") }},
	{"two commits", func(h *patient) error {
		err := h.commit("one")
		return errors.Join(err, h.commit("two"))
	}},
	{"large commit", func(h *patient) error { return h.commit(strings.Repeat("large", 2000)) }},
	{"empty commit", func(h *patient) error {
		snap, err := h.s.Begin(background, true)
		if err == nil {
			_, err = h.s.Commit(background, &storage.Commit{Base: snap})
			snap.Release()
		}
		return err
	}},
	{"new oids", func(h *patient) error {
		seen := map[storage.OID]bool{h.oid: true}
		for range 20 {
			oid, err := h.s.NewOID(background)
			if err != nil {
				return err
			}
			if seen[oid] {
				return fmt.Errorf("object id %s came twice: %w", oid, errWrong)
			}
			seen[oid] = true
		}
		return nil
	}},
	{"class", func(h *patient) error { _, err := h.s.ClassID(background, "faults.Other"); return err }},
	{"verify", func(h *patient) error {
		r, err := h.s.Verify(background, nil)
		if err == nil && !r.OK() {
			err = fmt.Errorf("Verify says %v: %w", r.Problems, errWrong)
		}
		return err
	}},
	{"transactions", func(h *patient) error {
		for _, err := range h.s.Transactions(0, 1<<62) {
			if err != nil {
				return err
			}
		}
		return nil
	}},
	{"last transaction", func(h *patient) error { _, err := h.s.LastTID(); return err }},
	{"committed", func(h *patient) error {
		ok, err := h.s.Committed(h.first)
		if err == nil && !ok {
			err = fmt.Errorf("Committed does not know transaction %s: %w", h.first, errWrong)
		}
		return err
	}},
	{"stats", func(h *patient) error { _ = h.s.Stats(); return nil }},
	{"overview", func(h *patient) error {
		o, err := h.s.Overview(background, nil)
		if err == nil && (o.Damage != nil || o.Objects == 0) {
			err = fmt.Errorf("Overview finds %d objects, %v: %w", o.Objects, o.Damage, errWrong)
		}
		return err
	}},
	{"lock state", func(h *patient) error {
		st, err := h.s.LockState(background)
		if err == nil && (!st.Exists || st.Holder != 0) {
			err = fmt.Errorf("LockState is %+v: %w", st, errWrong)
		}
		return err
	}},
	{"history", history},
	{"hold", func(h *patient) error {
		hold, err := h.s.Hold(background, time.Hour)
		if err == nil {
			hold.Release()
		}
		return err
	}},
	{"sync", func(h *patient) error { return h.s.Sync(background) }},
	{"close", func(h *patient) error {
		err := h.s.Close()
		h.s = nil
		return err
	}},
}

// history looks at what there was, as tools do.
func history(h *patient) error {
	snap, damage, err := h.s.Examine(background)
	if err != nil {
		return err
	}
	defer snap.Release()
	if damage != nil {
		return fmt.Errorf("Examine finds %v: %w", damage, errWrong)
	}
	for _, newestFirst := range []bool{false, true} {
		n := 0
		for _, err := range h.s.History(snap, 0, 1<<62, newestFirst) {
			if err != nil {
				return err
			}
			n++
		}
		if n == 0 {
			return fmt.Errorf("History is empty: %w", errWrong)
		}
	}
	for _, err := range h.s.Revisions(snap, h.oid) {
		if err != nil {
			return err
		}
	}
	if _, err := h.s.ClassOf(snap, h.oid); err != nil {
		return err
	}
	return lookBack(h, snap.TID())
}

// lookBack looks at the state of the first transaction, and at that of now.
func lookBack(h *patient, newest storage.TID) error {
	old, err := h.s.BeginAt(background, h.first)
	if err != nil {
		return err
	}
	defer old.Release()
	if old.TID() != h.first {
		return fmt.Errorf("BeginAt finds %s in place of %s: %w", old.TID(), h.first, errWrong)
	}
	if _, err := old.Find(h.oid); err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	for tx, err := range h.s.Transactions(newest, newest) {
		if err != nil {
			return err
		}
		tid, err := h.s.TIDAt(background, tx.Time)
		if err == nil && tid != newest {
			err = fmt.Errorf("TIDAt finds %s in place of %s: %w", tid, newest, errWrong)
		}
		return err
	}
	return fmt.Errorf("transaction %s is not there: %w", newest, errWrong)
}

// errWrong marks answers that are worse than errors.
var errWrong = errors.New("a wrong answer")

// injection is a place where operations are made to fail.
type injection struct {
	name string
	over func(p *mem.Process) (fsys vfs.FS, arm armer)
}

// armer lets the n-th operation fail, times of them or, with -1, all from then
// on, before or after they happen. disarm ends that, and tells whether one has
// failed and whether that was a sync of which other processes are told as well.
type armer func(n, times int, after bool) (disarm func() (fired, synced bool))

// systemCalls fail as they do in a kernel.
func systemCalls(p *mem.Process) (vfs.FS, armer) {
	return p, func(n, times int, after bool) func() (fired, synced bool) {
		d, seen, fired, synced := p.Disk(), 0, false, false
		d.Hook = func(op mem.Op) mem.Action {
			if op.Process != p.Name() || !slices.Contains(mayFail, op.Kind) {
				return mem.Proceed()
			}
			if seen++; seen < n || times > 0 && seen >= n+times {
				return mem.Proceed()
			}
			fired, synced = true, synced || op.Kind == mem.OpSync
			if after {
				return mem.FailAfter(syscall.EIO)
			}
			return mem.Fail(syscall.EIO)
		}
		return func() (bool, bool) {
			d.Hook = nil
			return fired, synced
		}
	}
}

// storageCalls fail between the storage and the wrappers that over puts there.
func storageCalls(over func(vfs.FS) vfs.FS) func(p *mem.Process) (vfs.FS, armer) {
	return func(p *mem.Process) (vfs.FS, armer) {
		calls := fault.New(p, 1)
		return over(calls), func(n, times int, after bool) func() (fired, synced bool) {
			remove := calls.Add(fault.Rule{Ops: mayFailCalls, Nth: n, Times: times, After: after, Effect: fault.Fail(syscall.EIO)})
			return func() (bool, bool) { return remove() > 0, false }
		}
	}
}

// mayFail are the operations that can fail on a real system. Giving back a
// lock and a latch is not among them: the kernel does it when all else fails.
var mayFail = []mem.Kind{mem.OpOpen, mem.OpCreate, mem.OpRead, mem.OpSize, mem.OpStat, mem.OpAppend, mem.OpRewrite, mem.OpWrite,
	mem.OpTruncate, mem.OpSync, mem.OpRename, mem.OpLink, mem.OpRemove, mem.OpSyncDir, mem.OpTryLock, mem.OpLock, mem.OpLatch, mem.OpReadMark, mem.OpWriteMark}

// mayFailCalls are the same for calls of a storage.
const mayFailCalls = wrap.All &^ (wrap.Props | wrap.Holder | wrap.Unlock | wrap.LockClose | wrap.Close | wrap.Abort)

// TestEveryOperationFails lets the n-th operation fail, for n = 1, 2, 3 ...
// until none does; once or from then on; without having happened, or having
// happened and reported as failed; in the system, and in the storage below each
// stack of wrappers. The answer is an error that Is EIO and never one of damage;
// no lock is left behind, nothing acknowledged is lost, nothing committed is cut
// off, the database is usable by the handle and by others, and when they are
// closed nothing is open. S18 S60 F5 F7 D10 D14 N16 B3
func TestEveryOperationFails(t *testing.T) {
	before := runtime.NumGoroutine()
	im, oid, first := faultyBase(t)
	places := []injection{{"system", systemCalls}}
	for _, st := range stacks {
		if st.name == "async over latency" && !tortured() {
			continue // as async, and slow
		}
		places = append(places, injection{"storage below " + st.name, storageCalls(st.over)})
	}
	for i, place := range places {
		t.Run(place.name, func(t *testing.T) {
			tried := 0
			for _, j := range jobs {
				tried += failEach(t, place, j, patient{oid: oid, first: first}, im, i == 0 || tortured())
			}
			t.Logf("%d faults", tried)
			if tried < 100 {
				t.Fatal("the faults did not reach what they should")
			}
		})
	}
	for i := 0; runtime.NumGoroutine() > before; i++ {
		if i == 200 {
			buf := make([]byte, 1<<16)
			t.Fatalf("goroutines are left: %s", buf[:runtime.Stack(buf, true)])
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// failEach lets each operation of a job fail, in all ways if everyWay, and
// returns how many did.
func failEach(t *testing.T, place injection, j job, h patient, im *mem.Image, everyWay bool) (tried int) {
	for _, behind := range []bool{false, true} { // does it find frames of others?
		for _, times := range []int{1, -1} {
			for _, after := range []bool{false, true} {
				if !everyWay && (!behind || times < 0) {
					continue
				}
				for n := 1; ; n++ {
					patient := h
					fired, err := patient.failNth(im, place, j, n, times, after, behind)
					if err != nil {
						t.Errorf("%s, operation %d fails (times %d, after it happened %v, frames to follow %v): %v", j.name, n, times, after, behind, err)
						break
					}
					if !fired {
						break
					}
					tried++
				}
			}
		}
	}
	return tried
}

func faultyBase(t *testing.T) (im *mem.Image, oid storage.OID, first storage.TID) {
	t.Helper()
	im, oid = two(t)
	d := im.Disk()
	s := opened(t, worldPath, simulated(d.Process("A")))
	first, err := edit(s, oid, "first")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	d.SyncAll()
	for im := range d.Images(mem.Options{Models: mem.M2}) {
		return im, oid, first
	}
	t.Fatal("no image")
	return nil, 0, 0
}

// failNth runs a job in which one operation, or all from one on, fail.
func (h *patient) failNth(im *mem.Image, place injection, j job, n, times int, after, behind bool) (fired bool, err error) {
	d := im.Disk()
	a, other := d.Process("A"), d.Process("B")
	fsys, arm := place.over(a)
	h.fs = fsys
	b, err := Open(worldPath, simulated(other))
	if err != nil {
		return false, err
	}
	if j.name != "open" {
		if h.s, err = Open(worldPath, simulated(h.fs)); err != nil {
			return false, err
		}
		if _, err := h.s.ClassID(background, "faults.Mine"); err != nil {
			return false, err
		}
	}
	if behind {
		if _, err := edit(b, h.oid, "of B"); err != nil {
			return false, err
		}
		h.acked = append(h.acked, "of B")
	}
	whole, err := d.ReadFile(worldPath)
	if err != nil {
		return false, err
	}
	disarm := arm(n, times, after)
	jobErr := j.run(h)
	fired, synced := disarm()
	if err := honest(jobErr, fired); err != nil {
		return fired, err
	}
	// Others come first: no lock is left, nothing acknowledged is missing.
	err = h.settled(b, "the other process")
	if synced && errors.Is(err, syscall.EIO) { // the kernel tells all who have the file open, once
		h.tried = append(h.tried, "by the other process")
		err = h.settled(b, "the other process")
	}
	if err != nil {
		return fired, err
	}
	h.s, err = h.reopened()
	if err != nil {
		return fired, err
	}
	if err := h.settled(h.s, "the handle itself"); err != nil {
		return fired, err
	}
	now, err := d.ReadFile(worldPath)
	if err != nil {
		return fired, err
	}
	if !bytes.HasPrefix(now, whole) {
		return fired, errors.New("committed bytes were cut off or changed")
	}
	return fired, errors.Join(h.s.Close(), b.Close(), nothingOpen(a), nothingOpen(other))
}

// honest checks what a job said.
func honest(err error, fired bool) error {
	switch {
	case err == nil:
		return nil
	case !fired:
		return fmt.Errorf("without a fault: %w", err)
	case errors.Is(err, errWrong), errors.Is(err, storage.ErrCorrupt), errors.Is(err, storage.ErrNotDurus):
		return err
	case !errors.Is(err, syscall.EIO):
		return fmt.Errorf("the error is not EIO: %w", err)
	}
	return nil
}

// nothingOpen checks that a process has neither files nor locks any more. Over
// an asynchronous storage the last ones are closed a moment later.
func nothingOpen(p *mem.Process) error {
	for range 400 {
		if p.Handles() == (mem.Handles{}) {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Errorf("when all is closed process %s has open %+v", p.Name(), p.Handles())
}

// reopened is the handle, opened again if the job closed it or failed to open it.
func (h *patient) reopened() (*Storage, error) {
	if h.s != nil {
		return h.s, nil
	}
	return Open(worldPath, simulated(h.fs))
}

// settled checks that a handle finds what was acknowledged, and can commit.
// One that was told of a failed sync may be told once more that the end of the
// file is not what it was.
func (h *patient) settled(s *Storage, who string) error {
	var got string
	err := again(func() (err error) {
		snap, err := s.Begin(background, true)
		if err == nil {
			got, err = state1(snap, h.oid)
			snap.Release()
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%s cannot begin: %w", who, err)
	}
	allowed := []string{"first"}
	if len(h.acked) > 0 {
		allowed = h.acked[len(h.acked)-1:]
	}
	if len(h.tried) > len(h.acked) || len(h.tried) > 0 && h.tried[len(h.tried)-1] != allowed[0] {
		allowed = append(allowed, h.tried...)
	}
	if !slices.Contains(allowed, got) {
		return fmt.Errorf("%s finds %.20q, want one of %.60q", who, got, allowed)
	}
	text := "by " + who
	if _, err := edit(s, h.oid, text); err != nil {
		return fmt.Errorf("%s cannot commit: %w", who, err)
	}
	h.acked, h.tried = []string{text}, nil
	if err := clean(s); err != nil {
		return fmt.Errorf("%s: %w", who, err)
	}
	return nil
}

// TestFullDisk leaves room for n more bytes, for every n that a commit may need
// and more: the commit fails with an error that Is ENOSPC, readers go on, and
// with room again the handle and another one commit. The file grows by whole
// frames only. F6 S60 N15
func TestFullDisk(t *testing.T) {
	im, oid, _ := faultyBase(t)
	for _, shape := range shapes {
		step := int64(1)
		if shape.size > 1000 && !tortured() {
			step = 31
		}
		t.Run(shape.name, func(t *testing.T) {
			failed := 0
			for n := int64(0); ; n += step {
				err := fullAt(im, oid, n, strings.Repeat("z", shape.size))
				if errors.Is(err, errRoom) {
					break
				}
				if err != nil {
					t.Fatalf("room for %d bytes: %v", n, err)
				}
				failed++
			}
			if int64(failed)*step < int64(shape.size) {
				t.Fatalf("only %d commits failed", failed)
			}
		})
	}
}

var errRoom = errors.New("there was room enough")

func fullAt(im *mem.Image, oid storage.OID, room int64, text string) error {
	d := im.Disk()
	a, err := Open(worldPath, simulated(d.Process("A")))
	if err != nil {
		return err
	}
	b, err := Open(worldPath, simulated(d.Process("B")))
	if err != nil {
		return err
	}
	for _, s := range []*Storage{a, b} {
		if _, err := look(s, oid); err != nil {
			return err
		}
	}
	before, err := d.ReadFile(worldPath)
	if err != nil {
		return err
	}
	d.SetSpace(room)
	_, err = edit(a, oid, text)
	if err == nil {
		return errRoom
	}
	if !errors.Is(err, syscall.ENOSPC) || errors.Is(err, storage.ErrUnknownOutcome) {
		return fmt.Errorf("the commit said %w", err)
	}
	after, err := d.ReadFile(worldPath)
	if err != nil {
		return err
	}
	if !bytes.Equal(before, after) {
		return fmt.Errorf("the file has %d bytes and had %d", len(after), len(before))
	}
	for _, s := range []*Storage{a, b} {
		if got, err := look(s, oid); err != nil || got != "first" {
			return fmt.Errorf("while the disk is full a View shows %q, %w", got, err)
		}
	}
	d.SetSpace(-1)
	for _, s := range []*Storage{a, b} {
		if _, err := edit(s, oid, text); err != nil {
			return err
		}
		if err := clean(s); err != nil {
			return err
		}
	}
	return errors.Join(a.Close(), b.Close())
}

// TestFullDiskWhileCreating gives a creator every amount of room: it fails with
// ENOSPC and leaves nothing that hinders the next one. F6 S60
func TestFullDiskWhileCreating(t *testing.T) {
	made := false
	for room := int64(0); !made; room += 3 {
		d := mem.NewDisk()
		d.SetSpace(room)
		s, err := Open(worldPath, simulated(d.Process("A")))
		if err == nil {
			_, err = s.NewOID(background)
		}
		if err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("room for %d bytes: %v", room, err)
		}
		made = err == nil
		d.SetSpace(-1)
		n := opened(t, worldPath, simulated(d.Process("B")))
		if _, err := n.NewOID(background); err != nil {
			t.Fatalf("room for %d bytes, then enough: %v", room, err)
		}
		if err := clean(n); err != nil {
			t.Fatal(err)
		}
		for _, name := range d.Names() {
			if name != worldPath && name != lockName(worldPath) {
				t.Fatalf("room for %d bytes: %s is left", room, name)
			}
		}
	}
}

// TestPanicInReadSet: code of the caller that runs within Commit panics, or
// ends its goroutine. The lock is free and the handle usable. D10 F34
func TestPanicInReadSet(t *testing.T) {
	im, oid, _ := faultyBase(t)
	for _, goexit := range []bool{false, true} {
		d := im.Disk()
		a := opened(t, worldPath, simulated(d.Process("A")))
		b := opened(t, worldPath, simulated(d.Process("B")))
		snap, err := a.Begin(context.Background(), true)
		if err != nil {
			t.Fatal(err)
		}
		// B commits when A is about to lock, so that A asks its read set
		// under the lock.
		at, did := make(chan struct{}), make(chan struct{})
		armed := true
		d.Hook = func(op mem.Op) mem.Action {
			if armed && op.Process == "A" && op.Kind == mem.OpTryLock {
				armed = false
				close(at)
				return mem.Stop()
			}
			return mem.Proceed()
		}
		go func() {
			defer close(did)
			defer func() {
				if v := recover(); v != nil && v != "of a read set" {
					t.Error(v)
				}
			}()
			_, err := a.Commit(context.Background(), &storage.Commit{Base: snap, Reads: nastyReads{goexit}, Records: []storage.Record{{OID: oid, Class: 1, Payload: []byte("never")}}})
			panic(fmt.Sprintf("the commit returned %v", err))
		}()
		<-at
		if _, err := edit(b, oid, "of B"); err != nil {
			t.Fatal(err)
		}
		a.opts.FS.(*mem.Process).Continue()
		<-did
		snap.Release()
		for _, s := range []*Storage{b, a} {
			if _, err := edit(s, oid, "after"); err != nil {
				t.Fatalf("goexit %v: %v", goexit, err)
			}
		}
	}
}

type nastyReads struct{ goexit bool }

func (n nastyReads) Depends(storage.OID, storage.Position) bool {
	if n.goexit {
		runtime.Goexit()
	}
	panic("of a read set")
}
