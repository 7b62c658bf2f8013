package backup

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/mem"
)

// restore is what durusctl restore --overwrite calls.
func (a *accident) restore(p *mem.Process, wait time.Duration) error {
	_, err := Restore(ctx, p, dir, dbPath, RestoreOptions{AtTID: a.at, Overwrite: true, LockTimeout: wait})
	if err == nil {
		a.settled, a.newest = "a restore said that it is done", 0
	}
	return err
}

// TestCrashRestore stops a restore over a database before each of its
// operations. Meanwhile one process commits and is acknowledged, another one
// looks. Then the restore is killed, or goes on, and both do so again. At each of
// these moments the power is cut in all ways. The path leads to the whole old
// database or to the whole restored one, with all that was acknowledged or shown
// of it; the mark fits, the next restore succeeds, and nothing is left over.
// S43 S44 D15 H7
func TestCrashRestore(t *testing.T) {
	for _, sc := range scenesOfRestore {
		for _, kill := range []bool{true, false} {
			for _, cold := range []bool{false, true} {
				name := sc.name + map[bool]string{true: ", killed", false: ", stopped"}[kill] + map[bool]string{true: ", others are cold", false: ""}[cold]
				t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
					t.Parallel()
					im, base, err := sc.begin()
					if err != nil {
						t.Fatal(err)
					}
					step, states := 1, 0
					if testing.Short() {
						step = 4
					}
					for k := 0; ; k += step {
						a := base.fork(im)
						more, err := a.restoreAt(k, kill, cold)
						if err != nil {
							t.Fatalf("operation %d: %v", k, err)
						}
						states += len(a.judged)
						if !more {
							t.Logf("%d operations, %d states", k, states)
							return
						}
					}
				})
			}
		}
	}
}

// crew are the processes beside the restore: B commits, V looks, and S has begun
// a transaction before it.
type crew struct {
	b, v, s *user
	sleeps  storage.Snapshot // of S
}

func (a *accident) crew() (c crew, err error) {
	for i, p := range []**user{&c.b, &c.v, &c.s} {
		if *p, err = a.open([]string{"B", "V", "S"}[i], a.oids[i]); err != nil {
			return c, err
		}
	}
	return c, nil
}

// restoreAt stops the restore before operation k; more is false when it has fewer.
func (a *accident) restoreAt(k int, kill, cold bool) (more bool, err error) {
	var c crew
	if !cold {
		if c, err = a.crew(); err != nil {
			return false, err
		}
		if _, err := a.commit(c.b); err != nil {
			return false, err
		}
		if err := a.view(c.v); err != nil {
			return false, err
		}
		if c.sleeps, err = c.s.begin(true); err != nil {
			return false, err
		}
	}
	p := a.disk.Process("R")
	a.newest = 0
	stopped, done := make(chan mem.Op, 1), make(chan error, 1)
	n := 0
	a.disk.Hook = func(op mem.Op) mem.Action {
		if op.Process == "R" {
			if n++; n == k+1 {
				stopped <- op
				return mem.Stop()
			}
		}
		return mem.Proceed()
	}
	go func() {
		_, err := Restore(ctx, p, dir, dbPath, RestoreOptions{AtTID: a.at, Overwrite: true, LockTimeout: time.Minute})
		done <- err
	}()
	var where mem.Op
	select {
	case where = <-stopped:
		more = true
	case err = <-done:
		done <- err
	}
	at := func(err error) error {
		if err == nil {
			return nil
		}
		return fmt.Errorf("before %v: %w", where, err)
	}
	if more {
		if err := a.cut("while the restore is stopped"); err != nil {
			return more, at(err)
		}
		if c.b == nil {
			if c, err = a.crew(); err != nil {
				return more, at(err)
			}
		}
		if err := a.goOn(&c, "while the restore is stopped"); err != nil {
			return more, at(err)
		}
	}
	if kill && more {
		p.Kill()
	}
	p.Continue()
	a.newest = 0
	switch err := <-done; {
	case err == nil:
		a.settled = "a restore said that it is done"
	case !kill || !more || !errors.Is(err, mem.ErrKilled):
		return more, at(fmt.Errorf("the restore: %w", err))
	}
	if c.b == nil {
		if c, err = a.crew(); err != nil {
			return more, at(err)
		}
	}
	if err := a.over(&c); err != nil {
		return more, at(err)
	}
	return more, at(a.nextRestore())
}

// goOn commits in B, looks in V, and cuts the power. A lock that is held is no
// error.
func (a *accident) goOn(c *crew, where string) error {
	for range 2 {
		if _, err := a.commit(c.b); err != nil && !errors.Is(err, storage.ErrLocked) {
			return fmt.Errorf("%s: B: %w", where, err)
		}
	}
	if err := a.cut(where + ", after commits"); err != nil {
		return err
	}
	for range 2 {
		if err := a.view(c.v); err != nil {
			return fmt.Errorf("%s: V: %w", where, err)
		}
	}
	return a.cut(where + ", after Views")
}

// over is what is done when the restore has ended, one way or the other. Who
// began a transaction before it is told if it was done.
func (a *accident) over(c *crew) error {
	if err := a.cut("when the restore is over"); err != nil {
		return err
	}
	if c.sleeps != nil {
		_, err := a.commitOn(c.s, c.sleeps)
		c.sleeps.Release()
		if err != nil && !errors.Is(err, storage.ErrRewound) {
			return fmt.Errorf("S: %w", err)
		}
		if err := a.view(c.v); err != nil {
			return fmt.Errorf("V: %w", err)
		}
	}
	return a.goOn(c, "when the restore is over")
}

// nextRestore restores once more. It leaves the database, what belongs to it,
// and nothing else; of what a Writer had not finished vfs/posix takes care.
func (a *accident) nextRestore() error {
	a.must[true], a.newest = map[uint64]string{}, 0
	if err := a.restore(a.disk.Process("R2"), time.Second); err != nil {
		return fmt.Errorf("the next restore: %w", err)
	}
	for name, err := range a.disk.Process("list").List("/db/") {
		if err != nil {
			return err
		}
		switch name {
		case dbPath, dbPath + ".lock", dbPath + ".index", dbPath + ".pack.lock":
		default:
			return fmt.Errorf("the next restore leaves %s", name)
		}
	}
	return a.cut("after the next restore")
}

// TestCrashRestoreMeetsCommit is the same the other way round: a process that
// commits is stopped before each of its operations, and a restore comes, which
// does not get the lock or is done. What the commit does to the old file and to
// the mark afterwards harms nobody.
func TestCrashRestoreMeetsCommit(t *testing.T) {
	for _, sc := range scenesOfRestore {
		t.Run(strings.ReplaceAll(sc.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			im, base, err := sc.begin()
			if err != nil {
				t.Fatal(err)
			}
			for k := 0; ; k++ {
				a := base.fork(im)
				more, err := a.commitAt(k)
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

func (a *accident) commitAt(k int) (more bool, err error) {
	c, err := a.crew()
	if err != nil {
		return false, err
	}
	if err := a.view(c.v); err != nil {
		return false, err
	}
	if _, err := a.commit(c.b); err != nil {
		return false, err
	}
	snap, err := c.b.begin(true)
	if err != nil {
		return false, err
	}
	defer snap.Release()
	stopped, done := make(chan mem.Op, 1), make(chan error, 1)
	n := 0
	a.disk.Hook = func(op mem.Op) mem.Action {
		if op.Process == "B" {
			if n++; n == k+1 {
				stopped <- op
				return mem.Stop()
			}
		}
		return mem.Proceed()
	}
	number := a.next
	a.next++
	go func() {
		_, err := c.b.s.Commit(ctx, a.write(c.b, snap, number))
		done <- err
	}()
	var where mem.Op
	select {
	case where = <-stopped:
		more = true
	case err = <-done:
		done <- err
	}
	at := func(err error) error {
		if err == nil {
			return nil
		}
		return fmt.Errorf("B before %v: %w", where, err)
	}
	var restored error
	if more {
		restored = a.restore(a.disk.Process("R"), 5*time.Millisecond)
	}
	if restored != nil && !errors.Is(restored, storage.ErrLocked) {
		return more, at(fmt.Errorf("the restore: %w", restored))
	}
	if err := a.cut("after the restore"); err != nil {
		return more, at(err)
	}
	c.b.fs.Continue()
	err = <-done
	a.disk.Hook = nil
	switch {
	case err == nil && a.settled == "":
		// Else it was appended before the restore had the lock, and is lost with
		// the old file, as all that was acknowledged there before.
		a.newest = number
	case err != nil && (restored != nil || !errors.Is(err, storage.ErrRewound)):
		return more, at(fmt.Errorf("the commit: %w", err))
	}
	if err := a.view(c.v); err != nil {
		return more, at(fmt.Errorf("V: %w", err))
	}
	return more, at(a.goOn(&c, "when both are over"))
}
