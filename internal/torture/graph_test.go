//go:build linux

package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"syscall"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/pack"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/posix"
	"github.com/durusdb/durus/vfs/wrap"
)

// Branch is a node of a tree. Its number stands in it twice.
type Branch struct {
	Number, Again int64
	Kids          []durus.Ref[Branch]
}

// Forest is one tree for each worker, and how many branches each has.
type Forest struct {
	Trees []durus.Ref[Branch]
	Sizes []durus.Ref[Size]
}

// Size is how many branches a tree has.
type Size struct{ N int }

var (
	_      = durus.Register[Branch]("torture.Branch")
	_      = durus.Register[Forest]("torture.Forest")
	_      = durus.Register[Size]("torture.Size")
	forest = durus.NewRoot[Forest]("forest")
)

type graphTask struct {
	Path   string
	Worker int
	Seed   uint64
}

// gardener changes trees, his own mostly, and looks at all of them.
type gardener struct {
	db   *durus.DB
	task graphTask
	rnd  *rand.Rand
	kept []durus.Ref[Branch] // branches that he has cut off and may graft again

	Cuts, Grafts, Gone, Moves, Walks int
}

// runGraph works until its standard input ends, and tells what it has done.
func runGraph(task graphTask) error {
	ctx := untilEOF(os.Stdin)
	db, err := durus.Open(task.Path, &durus.Options{MustExist: true, CacheBytes: 64 << 10})
	if err != nil {
		return err
	}
	g := &gardener{db: db, task: task, rnd: rand.New(rand.NewPCG(task.Seed, uint64(task.Worker)))}
	for ctx.Err() == nil {
		if err := g.step(); err != nil {
			return fmt.Errorf("worker %d: %w", task.Worker, err)
		}
	}
	return errors.Join(db.Close(), tell("%d %d %d %d %d", g.Cuts, g.Grafts, g.Gone, g.Moves, g.Walks))
}

func (g *gardener) step() error {
	switch n := g.rnd.IntN(20); {
	case n < 9:
		return g.update(g.grow)
	case n < 12:
		return g.update(g.cut)
	case n < 15 && len(g.kept) > 0:
		return g.graft()
	case n < 17:
		return g.update(g.move)
	default:
		g.Walks++
		return g.db.View(context.Background(), walkForest)
	}
}

func (g *gardener) update(f func(*durus.Tx, *Forest) error) error {
	return g.db.Update(context.Background(), func(tx *durus.Tx) error {
		all, err := forest.Load(tx)
		if err != nil {
			return err
		}
		return f(tx, all)
	})
}

// somewhere walks down a tree at random and stops somewhere.
func (g *gardener) somewhere(tx *durus.Tx, at durus.Ref[Branch]) (durus.Ref[Branch], *Branch) {
	b := durus.Must(at.Load(tx))
	for len(b.Kids) > 0 && g.rnd.IntN(4) > 0 {
		at = b.Kids[g.rnd.IntN(len(b.Kids))]
		b = durus.Must(at.Load(tx))
	}
	return at, b
}

func (g *gardener) resize(tx *durus.Tx, all *Forest, worker, by int) {
	durus.Must(all.Sizes[worker].Edit(tx)).N += by
}

// grow adds a branch with some of its own.
func (g *gardener) grow(tx *durus.Tx, all *Forest) error {
	at, _ := g.somewhere(tx, all.Trees[g.task.Worker])
	n := g.rnd.Int64()
	b := durus.Must(durus.Add(tx, &Branch{Number: n, Again: n}))
	for range g.rnd.IntN(3) {
		n := g.rnd.Int64()
		kid := durus.Must(durus.Add(tx, &Branch{Number: n, Again: n}))
		e := durus.Must(b.Edit(tx))
		e.Kids = append(e.Kids, kid)
	}
	size := 1 + len(durus.Must(b.Load(tx)).Kids)
	e := durus.Must(at.Edit(tx))
	e.Kids = append(slices.Clone(e.Kids), b)
	g.resize(tx, all, g.task.Worker, size)
	return nil
}

// cut takes a branch off, with all that grows on it, and may keep it.
func (g *gardener) cut(tx *durus.Tx, all *Forest) error {
	b, size, err := g.takeOff(tx, all.Trees[g.task.Worker])
	if err != nil || size == 0 {
		return err
	}
	g.resize(tx, all, g.task.Worker, -size)
	keep := g.rnd.IntN(2) == 0
	tx.OnCommit(func(durus.TID) {
		if g.Cuts++; keep && len(g.kept) < 20 {
			g.kept = append(g.kept, b)
		}
	})
	return nil
}

func (g *gardener) takeOff(tx *durus.Tx, tree durus.Ref[Branch]) (b durus.Ref[Branch], size int, err error) {
	at, branch := g.somewhere(tx, tree)
	if len(branch.Kids) == 0 {
		return b, 0, nil
	}
	e, err := at.Edit(tx)
	if err != nil {
		return b, 0, err
	}
	i := g.rnd.IntN(len(e.Kids))
	b = e.Kids[i]
	e.Kids = slices.Delete(slices.Clone(e.Kids), i, i+1)
	size, err = sizeOf(tx, b)
	return b, size, err
}

// graft puts back a branch that was cut off, perhaps long ago. A pack may have
// removed it: then it is refused, and nothing else will do.
func (g *gardener) graft() error {
	i := g.rnd.IntN(len(g.kept))
	b := g.kept[i]
	g.kept = slices.Delete(g.kept, i, i+1)
	blind := g.rnd.IntN(2) == 0 // without a look at it
	err := g.update(func(tx *durus.Tx, all *Forest) error {
		at, _ := g.somewhere(tx, all.Trees[g.task.Worker])
		size, err := 1, error(nil)
		if !blind {
			if size, err = sizeOf(tx, b); err != nil {
				return err
			}
		}
		e, err := at.Edit(tx)
		if err != nil {
			return err
		}
		e.Kids = append(slices.Clone(e.Kids), b)
		if blind { // what it has is counted only after it is there
			if size, err = sizeOf(tx, b); err != nil && !errors.Is(err, durus.ErrNotFound) {
				return err
			}
		}
		g.resize(tx, all, g.task.Worker, size)
		return nil
	})
	switch {
	case err == nil:
		g.Grafts++
	case errors.Is(err, durus.ErrNotFound): // ErrDangling is one
		g.Gone++
		return nil
	}
	return err
}

// move takes a branch from the worker's tree to another one's.
func (g *gardener) move(tx *durus.Tx, all *Forest) error {
	other := g.rnd.IntN(len(all.Trees))
	if other == g.task.Worker {
		return nil
	}
	b, size, err := g.takeOff(tx, all.Trees[g.task.Worker])
	if err != nil || size == 0 {
		return err
	}
	e, err := all.Trees[other].Edit(tx)
	if err != nil {
		return err
	}
	e.Kids = append(slices.Clone(e.Kids), b)
	g.resize(tx, all, g.task.Worker, -size)
	g.resize(tx, all, other, size)
	g.Moves++
	return nil
}

// sizeOf counts the branches from one on.
func sizeOf(s durus.Session, b durus.Ref[Branch]) (int, error) {
	branch, err := b.Load(s)
	if err != nil {
		return 0, err
	}
	if branch.Number != branch.Again {
		return 0, fmt.Errorf("branch %s holds %d and %d", b, branch.Number, branch.Again)
	}
	n := 1
	for _, kid := range branch.Kids {
		k, err := sizeOf(s, kid)
		if err != nil {
			return 0, fmt.Errorf("on branch %s: %w", b, err)
		}
		n += k
	}
	return n, nil
}

// walkForest finds every branch of every tree, and as many as were counted.
func walkForest(tx *durus.Tx) error {
	all, err := forest.Load(tx)
	if err != nil {
		return err
	}
	for i, tree := range all.Trees {
		n, err := sizeOf(tx, tree)
		if err != nil {
			return fmt.Errorf("tree %d at transaction %s: %v", i, tx.Snapshot(), err) // not ErrNotFound for callers
		}
		if want := durus.Must(all.Sizes[i].Load(tx)).N; n != want {
			return fmt.Errorf("tree %d has %d branches at transaction %s, and should have %d", i, n, tx.Snapshot(), want)
		}
	}
	return nil
}

// plant makes a forest.
func plant(db *durus.DB, trees int) error {
	return db.Update(context.Background(), func(tx *durus.Tx) error {
		all, err := forest.Edit(tx)
		if err != nil {
			return err
		}
		for range trees {
			all.Trees = append(all.Trees, durus.Must(durus.Add(tx, &Branch{})))
			all.Sizes = append(all.Sizes, durus.Must(durus.Add(tx, &Size{N: 1})))
		}
		return nil
	})
}

type packTask struct {
	Path string
	Keep bool // all history
	Die  int  // kills itself at the swap: 1 before the renaming, 2 behind it
}

// suicidal is a storage whose process kills itself when it is to rename, before
// or behind that.
func suicidal(behind bool) vfs.FS {
	return wrap.New(posix.New(), func(c *wrap.Call) {
		if c.Op != wrap.Rename {
			c.Next()
			return
		}
		if behind {
			c.Next()
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	})
}

// runPack packs until its standard input ends, and tells of each pack.
func runPack(task packTask) error {
	ctx := untilEOF(os.Stdin)
	opts := durus.Options{MustExist: true}
	if task.Die > 0 {
		opts.FS = suicidal(task.Die == 2)
	}
	db, err := durus.Open(task.Path, &opts)
	if err != nil {
		return err
	}
	o := pack.Options{}
	if task.Keep {
		o.KeepFrom = 1
	}
	for ctx.Err() == nil {
		r, err := db.Pack(context.Background(), o)
		switch {
		case errors.Is(err, durus.ErrPacking):
		case err != nil:
			return err
		case r.DanglingTotal > 0:
			return fmt.Errorf("dangling references: %v", r.Dangling)
		default:
			if err := tell("%d %d", r.Dropped.Objects, r.Lock); err != nil {
				return err
			}
		}
	}
	return db.Close()
}
