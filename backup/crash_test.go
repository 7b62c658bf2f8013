package backup

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/durusdb/durus/pack"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
)

// overwrite is what durusctl restore --overwrite calls.
func (a *accident) overwrite(p *mem.Process, at storage.TID, wait time.Duration) error {
	_, err := Restore(ctx, p, dir, dbPath, RestoreOptions{AtTID: at, Overwrite: true, LockTimeout: wait})
	return err
}

// restore is one that nobody interrupts.
func (a *accident) restore(p *mem.Process, wait time.Duration) error {
	err := a.overwrite(p, a.at, wait)
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
	a.newest = 0
	p := a.disk.Process("R")
	r := halt(p, k, func() error { return a.overwrite(p, a.at, time.Minute) })
	if r.more {
		if err := a.cut("while the restore is stopped"); err != nil {
			return true, r.at(err)
		}
		if c.b == nil {
			if c, err = a.crew(); err != nil {
				return true, r.at(err)
			}
		}
		if err := a.goOn(&c, "while the restore is stopped"); err != nil {
			return true, r.at(err)
		}
	}
	a.newest = 0
	switch err := r.end(kill); {
	case err == nil:
		a.settled = "a restore said that it is done"
	case !kill || !r.more || !errors.Is(err, mem.ErrKilled):
		return r.more, r.at(fmt.Errorf("the restore: %w", err))
	}
	if c.b == nil {
		if c, err = a.crew(); err != nil {
			return r.more, r.at(err)
		}
	}
	if err := a.over(&c); err != nil {
		return r.more, r.at(err)
	}
	return r.more, r.at(a.nextRestore())
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

// TestCrashRestoreMeets is the same the other way round: a process that commits
// or packs is stopped before each of its operations, and a restore comes, which
// does not get the lock or is done. What the other one does afterwards, to the
// old file, to the mark and to the name, harms nobody.
func TestCrashRestoreMeets(t *testing.T) {
	work := map[string]func(a *accident, p *user, snap storage.Snapshot, number uint64) error{
		"commit": func(a *accident, p *user, snap storage.Snapshot, number uint64) error {
			_, err := p.s.Commit(ctx, a.write(p, snap, number))
			return err
		},
		"pack": func(a *accident, p *user, _ storage.Snapshot, _ uint64) error {
			_, err := pack.Pack(ctx, p.s, pack.Options{KeepFrom: 1})
			return err
		},
	}
	for name, do := range work {
		for _, sc := range scenesOfRestore {
			t.Run(strings.ReplaceAll(name+" "+sc.name, " ", "_"), func(t *testing.T) {
				t.Parallel()
				im, base, err := sc.begin()
				if err != nil {
					t.Fatal(err)
				}
				step := 1
				if testing.Short() && name == "pack" {
					step = 4
				}
				for k := 0; ; k += step {
					a := base.fork(im)
					more, err := a.meetsAt(k, name == "commit", func(p *user, snap storage.Snapshot, number uint64) error { return do(a, p, snap, number) })
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

// meetsAt stops do in B before operation k; more is false if it has fewer.
func (a *accident) meetsAt(k int, commits bool, do func(*user, storage.Snapshot, uint64) error) (more bool, err error) {
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
	number := a.next
	a.next++
	b := halt(c.b.fs, k, func() error { return do(c.b, snap, number) })
	var restored error
	if b.more {
		restored = a.restore(a.disk.Process("R"), 5*time.Millisecond)
	}
	if restored != nil && !errors.Is(restored, storage.ErrLocked) {
		return true, b.at(fmt.Errorf("the restore: %w", restored))
	}
	if err := a.cut("after the restore"); err != nil {
		return b.more, b.at(err)
	}
	switch err := b.end(false); {
	case err == nil && commits && a.settled == "":
		// Else it was appended before the restore had the lock, and is lost with
		// the old file, as all that was acknowledged there before.
		a.newest = number
	case err != nil && (restored != nil || !errors.Is(err, storage.ErrRewound)):
		return b.more, b.at(fmt.Errorf("what B does: %w", err))
	}
	if err := a.view(c.v); err != nil {
		return b.more, b.at(fmt.Errorf("V: %w", err))
	}
	return b.more, b.at(a.goOn(&c, "when both are over"))
}

// TestTwoRestores lets two restores over one database run into each other, each
// stopped before any of its operations: what is there in the end one of those
// brought that said that they are done.
func TestTwoRestores(t *testing.T) {
	im, base, err := scene{older: true}.begin()
	if err != nil {
		t.Fatal(err)
	}
	step := 1
	if testing.Short() {
		step = 3
	}
	tried := 0
	for i, more := 0, true; more; i += step {
		for j := 0; more; j += step {
			a := base.fork(im)
			p, q := a.disk.Process("older"), a.disk.Process("newer")
			first := halt(p, i, func() error { return a.overwrite(p, a.at, 5*time.Millisecond) })
			second := halt(q, j, func() error { return a.overwrite(q, 0, 5*time.Millisecond) })
			err1 := first.end(false)
			err2 := second.end(false)
			if err := a.oneOf(err1, err2, first.op.Kind == mem.OpRename); err != nil {
				t.Fatalf("%v, %v: %v", first.op, second.op, err)
			}
			tried++
			if !second.more {
				more = first.more
				break
			}
		}
	}
	t.Logf("%d pairs of operations", tried)
}

// oneOf wants the state of a restore that has succeeded, or the old one if none has.
// The older one was late if it was about to rename its file when the newer one
// came with another.
func (a *accident) oneOf(older, newer error, late bool) error {
	p, err := a.open("F", a.oids[0])
	if err != nil {
		return err
	}
	seen, err := a.look(p)
	if err != nil {
		return err
	}
	switch n := seen[len(seen)-1]; {
	case n == 3 && older == nil, n == 4 && newer == nil, n == 6 && older != nil && newer != nil:
	case n == 4 && late && errors.Is(older, vfs.ErrUnknownOutcome): // it has seen what it renamed
	default:
		return fmt.Errorf("it ends with commit %d; the restore up to 3 said %v, the one up to 4 %v", n, older, newer)
	}
	_, err = a.commit(p)
	return errors.Join(err, p.s.Close())
}
