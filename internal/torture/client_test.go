//go:build linux

package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/internal/history"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/async"
	"github.com/durusdb/durus/vfs/cache"
	"github.com/durusdb/durus/vfs/posix"
)

// Item is the list of numbers of one key.
type Item struct {
	Key  int64
	List []int64
}

// Shelf leads to items by their keys. Who asks for a key that is not there
// depends on the shelf, who adds it changes the shelf.
type Shelf struct {
	Items map[int64]durus.Ref[Item]
}

const itemClass = "torture.Item"

var (
	_ = durus.Register[Item](itemClass)
	_ = durus.Register[Shelf]("torture.Shelf")

	shelves = func() (all [64]durus.Root[Shelf]) {
		for i := range all {
			all[i] = durus.NewRoot[Shelf](fmt.Sprintf("shelf-%d", i))
		}
		return all
	}()
)

func shelfOf(key int64) durus.Root[Shelf] { return shelves[key%int64(len(shelves))] }

// client is the history.Client of a database.
type client struct {
	db     *durus.DB
	rnd    *rand.Rand
	reader bool // never begins a writable transaction
	eager  bool // always does
}

// Txn implements history.Client. Some of the transactions that write nothing
// are writable all the same: they may build on what is not durable yet, and
// wait for it.
func (c *client) Txn(ops []history.Op, readonly bool) (vals [][]int64, snap, tid uint64, err error) {
	writable := !readonly || c.eager || !c.reader && c.rnd.IntN(4) == 0
	tx, err := c.db.Begin(context.Background(), writable)
	if err != nil {
		return nil, 0, 0, outcome(err)
	}
	snap = uint64(tx.Snapshot())
	tx.OnCommit(func(t durus.TID) { tid = uint64(t) })
	vals, err = perform(tx, ops)
	if err != nil {
		return nil, 0, 0, errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return nil, 0, 0, outcome(err)
	}
	if readonly {
		tid = 0
	}
	return vals, snap, tid, nil
}

// outcome says in the words of package history what came of a transaction.
func outcome(err error) error {
	switch {
	case errors.Is(err, durus.ErrUnknownOutcome):
		return fmt.Errorf("%w: %w", history.ErrUnknown, err)
	case errors.Is(err, durus.ErrConflict):
		return fmt.Errorf("%w: %w", history.ErrConflict, err)
	}
	return err
}

// perform runs the operations in order. No list is changed in place, so states
// may be handed on without copies.
func perform(s durus.Session, ops []history.Op) (vals [][]int64, err error) {
	for _, op := range ops {
		shelf, err := shelfOf(op.Key).Load(s)
		if err != nil {
			return nil, err
		}
		ref, there := shelf.Items[op.Key]
		item := new(Item)
		if there {
			if item, err = ref.Load(s); err != nil {
				return nil, err
			}
		}
		if op.Reads() {
			vals = append(vals, item.List)
		}
		if !op.Writes() {
			continue
		}
		if err := write(s, ref, op, item.List); err != nil {
			return nil, err
		}
	}
	return vals, nil
}

func write(s durus.Session, ref durus.Ref[Item], op history.Op, state []int64) error {
	if !ref.IsNil() {
		item, err := ref.Edit(s)
		if err == nil {
			item.List = op.Apply(state)
		}
		return err
	}
	ref, err := durus.Add(s, &Item{Key: op.Key, List: op.Apply(state)})
	if err != nil {
		return err
	}
	shelf, err := shelfOf(op.Key).Edit(s)
	if err != nil {
		return err
	}
	if shelf.Items == nil {
		shelf.Items = make(map[int64]durus.Ref[Item])
	}
	shelf.Items[op.Key] = ref
	return nil
}

// workloads by name, on keys of their own; those of lists begin at lists.
var workloads = map[string]func(lists int64) history.Workload{
	// all of them at once
	"mixed": func(lists int64) history.Workload {
		return history.Mix(
			history.ListAppend(lists, 8, 20),
			history.Register(1_000_000, 4),
			history.Bank(bankBase, bankAccounts),
			history.SkewPairs(3_000_000, 2),
			history.ReadOnlyAnomaly(4_000_000, 2),
			history.Fork(5_000_000, 2),
			history.Counter(counterKey),
		)
	},
	// as many keys as porcupine can bear
	"small": func(int64) history.Workload {
		return history.Mix(
			history.Register(1_000_000, 3),
			history.Bank(bankBase, 3),
			history.SkewPairs(3_000_000, 2),
			history.ReadOnlyAnomaly(4_000_000, 1),
			history.Fork(5_000_000, 1),
			history.Counter(counterKey),
		)
	},
	// a counter that everybody fights for, and lists
	"counter": func(lists int64) history.Workload {
		return history.Mix(history.Counter(counterKey), history.ListAppend(lists, 4, 20))
	},
}

const (
	bankBase     = 2_000_000
	bankAccounts = 5
	counterKey   = 6_000_000
	epochKeys    = 1000
)

// reading makes reads of all that a workload would do. It pauses in between:
// readers are so fast that a history would hold little else.
func reading(w history.Workload) history.Workload {
	return func(rnd *rand.Rand, stamps *history.Stamps) ([]history.Op, bool) {
		time.Sleep(time.Duration(rnd.Int64N(int64(time.Millisecond))))
		ops, _ := w(rnd, stamps)
		for i := range ops {
			ops[i] = history.R(ops[i].Key)
		}
		return ops, true
	}
}

// clientTask is what a client process does.
type clientTask struct {
	Dir, Path            string // of events, of the database
	Process, Incarnation int
	Seed                 uint64
	Workload             string
	Epoch                int64 // grows with time: who is started later does not append to old lists
	Goroutines, Handles  int   // goroutine i works on handle i modulo Handles
	Limit                int   // of transactions of a goroutine; 0: none
	Reader               bool
	NoViews              bool   // of a writer: what only reads is writable, too
	Stack                string // what lies over the files: see stacks
	Options              durus.Options
}

// stacks are the storages that clients keep the database on, over the files.
var stacks = map[string]func(files vfs.FS) vfs.FS{
	"":      func(files vfs.FS) vfs.FS { return files },
	"async": func(files vfs.FS) vfs.FS { return async.New(files, async.Options{}) },
	"cache": func(files vfs.FS) vfs.FS { return cache.New(files, cache.Options{Bytes: 1 << 20}) },
	"cached async": func(files vfs.FS) vfs.FS {
		return cache.New(async.New(files, async.Options{Workers: 3}), cache.Options{})
	},
}

// maxGoroutines of one client process; each has a process number of its own in
// the history.
const maxGoroutines = 16

// runClient runs transactions until its standard input ends.
func runClient(task clientTask) error {
	ctx := untilEOF(os.Stdin)
	task.Options.FS = stacks[task.Stack](posix.New())
	handles := make([]*durus.DB, task.Handles)
	for i := range handles {
		db, err := durus.Open(task.Path, &task.Options)
		if err != nil {
			return err
		}
		handles[i] = db
	}
	errs := make([]error, task.Goroutines)
	var all sync.WaitGroup
	for g := range task.Goroutines {
		all.Go(func() { errs[g] = task.run(ctx, g, handles[g%task.Handles]) })
	}
	all.Wait()
	for _, db := range handles {
		errs = append(errs, db.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return nil
}

// run is one goroutine of the client.
func (task *clientTask) run(ctx context.Context, g int, db *durus.DB) error {
	rec, err := history.NewRecorder(task.Dir, task.Process*maxGoroutines+g, task.Incarnation)
	if err != nil {
		return err
	}
	workload := workloads[task.Workload](task.Epoch * epochKeys)
	if task.Reader {
		workload = reading(workload)
	}
	rnd := rand.New(rand.NewPCG(task.Seed, uint64(task.Process*maxGoroutines+g)<<32|uint64(task.Incarnation)))
	c := &client{db: db, rnd: rnd, reader: task.Reader, eager: task.NoViews && !task.Reader}
	err = history.Run(ctx, rec, rec.Stamps(), c, workload, rnd, task.Limit)
	return errors.Join(err, rec.Close())
}

// syncEvery is short, so that a ring sees many syncs in the background.
const syncEvery = 5 * time.Millisecond
