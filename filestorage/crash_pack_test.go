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

// packAll packs with all history kept: the transactions stay what they are, and
// so does what must survive.
func packAll(s *Storage) error {
	p, err := s.NewPacking(background, PackingOptions{KeepFrom: 1})
	if err != nil {
		return err
	}
	link := func(from, to storage.OID) error { return fmt.Errorf("object %s refers to %s", from, to) }
	n := 0
	c := &Caught{Transactions: &n, Records: func(storage.ClassID, int64, bool) {}}
	if err := p.CatchUp(background, c, link); err != nil {
		return errors.Join(err, p.Close())
	}
	_, err = p.Swap(background, c, link)
	return errors.Join(err, p.Close())
}

// packStep packs in a process of its own, or another one.
func (w *world) packStep(name string) error {
	return again(func() error {
		p, err := w.open(name, storage.SyncAlways)
		if err != nil {
			return err
		}
		return packAll(p.s)
	})
}

// TestCrashPack stops a pack before each of its operations. Meanwhile another
// process commits and is acknowledged, and a third one looks. Then the packer
// is killed, or goes on, and both do so again. At each of these moments the power
// is cut in all ways. Nothing that was acknowledged or shown is lost, the
// database opens and takes commits, and the next pack leaves no litter.
// D5 H3 F15 F16 F17 N7, SCENARIO 64 69 70 72
func TestCrashPack(t *testing.T) {
	for _, kill := range []bool{true, false} {
		for _, cold := range []bool{false, true} {
			name := map[bool]string{true: "killed", false: "stopped"}[kill] + map[bool]string{true: ", others are cold", false: ""}[cold]
			t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
				t.Parallel()
				step := 1
				if testing.Short() {
					step = 5
				}
				for k := 0; ; k += step {
					more, err := crashPackAt(k, kill, cold)
					if err != nil {
						t.Fatalf("operation %d: %v", k, err)
					}
					if !more {
						t.Logf("%d operations", k)
						return
					}
				}
			})
		}
	}
}

// crashPackAt does that for one operation; more is false when the pack has
// fewer.
func crashPackAt(k int, kill, cold bool) (more bool, err error) {
	im, base, err := baseWorld()
	if err != nil {
		return false, err
	}
	w := base.fork(im)
	for _, name := range []string{"P", "B", "V"} {
		if cold && name != "P" {
			continue
		}
		p, err := w.open(name, storage.SyncAlways)
		if err != nil {
			return false, err
		}
		p.s.opts.LockTimeout = 5 * time.Millisecond
		if name == "V" {
			err = w.view(p)
		} else {
			_, err = w.commit(p, 40)
		}
		if err != nil {
			return false, err
		}
	}
	packer := w.procs["P"]
	packer.s.opts.LockTimeout = time.Minute
	stopped := make(chan mem.Op, 1)
	n := 0
	defer w.watch(func(op mem.Op) mem.Action {
		if op.Process == "P" {
			if n++; n == k+1 {
				stopped <- op
				return mem.Stop()
			}
		}
		return mem.Proceed()
	})()
	done := make(chan error, 1)
	go func() { done <- packAll(packer.s) }()
	var where mem.Op
	select {
	case where = <-stopped:
		more = true
	case err := <-done:
		if err != nil {
			return false, err
		}
	}
	at := func(err error) error {
		if err == nil {
			return nil
		}
		return fmt.Errorf("before %v: %w", where, err)
	}
	if err := w.goOn("the packer is stopped"); err != nil {
		return more, at(err)
	}
	if kill {
		delete(w.procs, "P")
		packer.fs.Kill()
	}
	packer.fs.Continue()
	if more {
		if err := <-done; err != nil && !kill {
			return more, at(fmt.Errorf("the pack that went on: %w", err))
		}
	}
	if err := w.goOn("the packer is over"); err != nil {
		return more, at(err)
	}
	return more, at(w.litter())
}

// goOn commits in B, looks in V, and cuts the power. A lock that is held is no
// error.
func (w *world) goOn(where string) error {
	for _, name := range []string{"B", "V"} {
		p, err := w.open(name, storage.SyncAlways)
		if err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		p.s.opts.LockTimeout = 5 * time.Millisecond
		for range 2 {
			if name == "V" {
				err = w.view(p)
			} else {
				_, err = w.commit(p, 40)
			}
			if err == nil {
				err = w.err
			}
			if err != nil && !errors.Is(err, storage.ErrLocked) {
				return fmt.Errorf("%s: %s: %w", where, name, err)
			}
		}
		for im := range w.disk.Images(mem.Options{Samples: 6, Sectors: 2}) {
			if err := w.judge(im); err != nil {
				return fmt.Errorf("%s, power cut after %s, %v: %w", where, name, im, err)
			}
		}
	}
	return nil
}

// litter packs once more, and finds nothing but the database and its locks.
func (w *world) litter() error {
	if err := w.packStep("Q"); err != nil {
		return fmt.Errorf("the next pack: %w", err)
	}
	for name, err := range w.disk.Process("list").List("/") {
		if err != nil {
			return err
		}
		switch name {
		case worldPath, lockName(worldPath), packLockName(worldPath), checkpointName(worldPath):
		default:
			return fmt.Errorf("the next pack leaves %s", name)
		}
	}
	return nil
}
