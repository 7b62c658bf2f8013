//go:build linux

package torture

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/durusdb/durus/durus"
)

// chaosTask is what one process of the chaos does.
type chaosTask struct {
	Path       string
	Process    int
	Workers    int // of all processes
	Goroutines int // of this one; workers are numbered through
	First      int // number of its first worker
	Seed       uint64
	Scale      int    // how many keys there are
	Mix        uint64 // the same for all of a round
	Stack      string
	Weather    weather
	Options    durus.Options
	Only       string    // names of the only deeds, with commas; empty: all
	Watched    []watched // what the workers of the process have dealt with before
}

// chaosProcess is what the goroutines of one process share.
type chaosProcess struct {
	task  chaosTask
	ctx   context.Context
	db    atomic.Pointer[durus.DB]
	swaps sync.Mutex // one reopens at a time
	stamp atomic.Int64

	mu     sync.Mutex
	scenes map[durus.TID]uint64 // digests of states that were seen
}

// chaosWorker is one goroutine.
type chaosWorker struct {
	*chaosProcess
	number int
	rnd    *rand.Rand

	ctx     context.Context // of the deed that is done
	brief   bool            // its context ends soon
	deed    string
	since   atomic.Int64 // when it began, unix ms; 0: none
	page    int64        // how often it has written its page; -1: not known
	loose   []durus.OID  // purses that it has cut loose
	watched watched
	counts  map[string]int // deeds that were done
}

const (
	// deadline is how long a deed may take; it takes milliseconds.
	deadline = 30 * time.Second
	// afterwards all goroutines are shown.
	hung = deadline + 10*time.Second
)

// runChaos does deeds until its standard input ends.
func runChaos(task chaosTask) error {
	p := &chaosProcess{task: task, ctx: untilEOF(os.Stdin), scenes: make(map[durus.TID]uint64)}
	p.stamp.Store(time.Now().UnixNano())
	for p.db.Load() == nil {
		db, err := p.open(task.Options)
		if err != nil {
			return err
		}
		p.db.Store(db)
	}
	var all sync.WaitGroup
	workers := make([]*chaosWorker, task.Goroutines)
	for i := range workers {
		n := task.First + i
		workers[i] = &chaosWorker{
			chaosProcess: p, number: n, page: -1,
			rnd:     rand.New(rand.NewPCG(task.Seed, uint64(n))),
			watched: task.Watched[i],
			counts:  make(map[string]int),
		}
		all.Go(workers[i].run)
	}
	go p.overlook(workers)
	all.Wait()
	if err := p.close(p.db.Load()); err != nil {
		return err
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		left, err := p.leftOpen()
		if err != nil {
			return err
		}
		if len(left) == 0 {
			break
		}
		if time.Now().After(end) { // what an asynchronous storage had begun is over
			return fmt.Errorf("closed, and these files are still open: %q", left)
		}
	}
	var b strings.Builder
	for _, w := range workers {
		for deed, n := range w.counts {
			fmt.Fprintf(&b, " %s=%d", strings.ReplaceAll(deed, " ", "-"), n)
		}
	}
	return tell("done%s", b.String())
}

// open opens the database; nil if there was no room.
func (p *chaosProcess) open(o durus.Options) (*durus.DB, error) {
	o.FS = p.storage()
	db, err := durus.Open(p.task.Path, &o)
	if p.task.Weather.Full > 0 && errors.Is(err, syscall.ENOSPC) {
		return nil, nil
	}
	return db, err
}

// close closes a handle. It makes durable what is not, which may take the lock.
func (p *chaosProcess) close(db *durus.DB) error {
	err := db.Close()
	if p.task.Options.LockTimeout > 0 && errors.Is(err, durus.ErrLocked) || p.task.Weather.Full > 0 && errors.Is(err, syscall.ENOSPC) {
		return nil
	}
	return err
}

// leftOpen are the files of the database that the process has open.
func (p *chaosProcess) leftOpen() (names []string, err error) {
	const fds = "/proc/self/fd"
	entries, err := os.ReadDir(fds)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name, err := os.Readlink(filepath.Join(fds, e.Name()))
		if err == nil && strings.HasPrefix(name, p.task.Path) { // "(deleted)" behind it or not
			names = append(names, name)
		}
	}
	return names, nil
}

// overlook ends the process when a worker does not come back from a deed.
func (p *chaosProcess) overlook(workers []*chaosWorker) {
	for {
		time.Sleep(time.Second)
		for _, w := range workers {
			since := w.since.Load()
			if since > 0 && time.Since(time.UnixMilli(since)) > hung {
				fmt.Fprintf(os.Stderr, "worker %d hangs\n", w.number)
				_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 2)
				os.Exit(3)
			}
		}
	}
}

// deed is something that a worker does, and how often.
type deed struct {
	name   string
	weight int
	do     func(*chaosWorker)
}

var deeds = []deed{
	{"page", 20, (*chaosWorker).writePage},
	{"furnish", 4, (*chaosWorker).furnish},
	{"transfer", 24, (*chaosWorker).transfer},
	{"slow transfer", 4, (*chaosWorker).slowTransfer},
	{"connection", 3, (*chaosWorker).connection},
	{"shape", 12, (*chaosWorker).reshape},
	{"rows", 8, (*chaosWorker).reshapeRows},
	{"loose", 6, (*chaosWorker).cutAndTie},
	{"relic", 4, (*chaosWorker).moveRelics},
	{"old program", 2, (*chaosWorker).oldProgram},
	{"extra root", 4, (*chaosWorker).extra},
	{"bulk", 1, (*chaosWorker).bulk},
	{"view", 12, (*chaosWorker).view},
	{"long view", 2, (*chaosWorker).longView},
	{"view at", 8, (*chaosWorker).viewAt},
	{"history", 4, (*chaosWorker).history},
	{"undo", 8, (*chaosWorker).undo},
	{"watch", 6, (*chaosWorker).watch},
	{"pack", 3, (*chaosWorker).pack},
	{"reopen", 2, (*chaosWorker).reopen},
	{"read only", 2, (*chaosWorker).readOnly},
	{"backup", 1, (*chaosWorker).backup},
	{"verify", 1, (*chaosWorker).verify},
	{"reindex", 2, (*chaosWorker).reindex},
	{"drop index", 2, (*chaosWorker).dropIndex},
	{"migrate", 1, (*chaosWorker).migrate},
	{"instances", 2, (*chaosWorker).instances},
	{"facts", 4, (*chaosWorker).facts},
}

// mix is how often each deed is done in a round: some more, some less, some not
// at all, so that rounds differ in what meets what.
func (p *chaosProcess) mix() (mine []deed, sum int) {
	rnd := rand.New(rand.NewPCG(p.task.Mix, 5))
	for _, d := range deeds {
		d.weight *= []int{0, 1, 1, 1, 3, 10}[rnd.IntN(6)]
		if p.task.Only != "" {
			d.weight = 10
			if !slices.Contains(strings.Split(p.task.Only, ","), d.name) {
				d.weight = 0
			}
		}
		switch d.name {
		case "page", "furnish", "view":
			d.weight = max(d.weight, 2)
		}
		sum += d.weight
		mine = append(mine, d)
	}
	return mine, sum
}

func (w *chaosWorker) run() {
	mine, sum := w.mix()
	for w.chaosProcess.ctx.Err() == nil {
		n := w.rnd.IntN(sum)
		for _, d := range mine {
			if n -= d.weight; n < 0 {
				w.do(d.name, d.do)
				break
			}
		}
	}
}

func (w *chaosWorker) do(name string, do func(*chaosWorker)) {
	limit := deadline
	if w.brief = w.rnd.IntN(25) == 0; w.brief {
		limit = time.Duration(w.rnd.Int64N(int64(4 * time.Millisecond)))
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	w.ctx, w.deed = ctx, name
	w.since.Store(time.Now().UnixMilli())
	do(w)
	w.since.Store(0)
	w.counts[name]++
}

// accept tells whether a call succeeded. It ends the process if it failed with an
// error that is not expected of it: besides those that are given, that of a
// context that ends soon, and ErrClosed when another goroutine has reopened.
func (w *chaosWorker) accept(db *durus.DB, err error, expected ...error) bool {
	if err == nil {
		return true
	}
	if errors.Is(err, errWrong) || errors.Is(err, durus.ErrCorrupt) {
		w.fail("%v", err)
	}
	for _, e := range expected {
		if errors.Is(err, e) {
			return false
		}
	}
	switch {
	case w.brief && errors.Is(err, context.DeadlineExceeded):
	case db != w.db.Load() && errors.Is(err, durus.ErrClosed):
	case w.task.Options.LockTimeout > 0 && (errors.Is(err, durus.ErrLocked) || errors.Is(err, durus.ErrUnknownOutcome)):
		w.counts["locked out"]++
	case w.task.Weather.Full > 0 && errors.Is(err, syscall.ENOSPC):
		w.counts["full"]++
	case w.task.Options.MaxRetries > 0 && errors.Is(err, durus.ErrConflict):
		w.counts["gave up"]++
	default:
		w.fail("%v", err)
	}
	return false
}

func (w *chaosWorker) fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "worker %d, %s: %s\n%s", w.number, w.deed, fmt.Sprintf(format, args...), debug.Stack())
	os.Exit(1)
}

// expect fails unless something holds.
func (w *chaosWorker) expect(ok bool, format string, args ...any) {
	if !ok {
		w.fail(format, args...)
	}
}

func (p *chaosProcess) nextStamp() int64 { return p.stamp.Add(1)<<4 | int64(p.task.Process) }

// errNothing ends a function that finds nothing to do.
var errNothing = errors.New("nothing to do")

// update runs a function in an Update, and tells whether it was committed.
func (w *chaosWorker) update(what string, fn func(*durus.Tx, *Vault) error, expected ...error) bool {
	db := w.db.Load()
	err := db.Update(w.ctx, func(tx *durus.Tx) error {
		v, err := vault.Load(tx)
		if err != nil {
			return err
		}
		tx.Describe("money", what, nil)
		return fn(tx, v)
	})
	return w.accept(db, err, append(expected, errNothing)...)
}

// note keeps a scene, and compares it with what was seen of the same
// transaction before, by anybody.
func (w *chaosWorker) note(s scene) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if was, ok := w.scenes[s.TID]; ok {
		w.expect(was == s.Digest, "transaction %s was %x, and is %x now", s.TID, was, s.Digest)
		return
	}
	if len(w.scenes) > 100 {
		for tid := range w.scenes {
			delete(w.scenes, tid)
			break
		}
	}
	w.scenes[s.TID] = s.Digest
	if err := tell("saw %d %d", s.TID, s.Digest); err != nil {
		w.fail("%v", err)
	}
}

// seen returns a transaction whose state was seen.
func (w *chaosWorker) seen() (tid durus.TID, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.rnd.IntN(max(1, min(len(w.scenes), 20)))
	for t := range w.scenes {
		if tid = t; n == 0 {
			break
		}
		n--
	}
	return tid, tid > 0
}

// writePage writes the worker's page and all that goes with it. What was
// acknowledged is there, and what failed is not.
func (w *chaosWorker) writePage() {
	db := w.db.Load()
	if w.page < 0 && !w.findPage(db) {
		return
	}
	n := w.page + 1
	if err := tell("will %d %d", w.number, n); err != nil {
		w.fail("%v", err)
	}
	var done durus.TID
	err := db.Update(w.ctx, func(tx *durus.Tx) error {
		tx.Describe("page", markOf(w.number, n), nil)
		tx.OnCommit(func(tid durus.TID) { done = tid })
		return w.turnPage(tx, n)
	})
	var unknown *durus.UnknownOutcomeError
	if errors.As(err, &unknown) {
		w.counts["unknown outcome"]++
		ok, err := db.Committed(unknown.TID)
		if !w.accept(db, err, durus.ErrPacked) {
			w.page = -1
			return
		}
		if ok {
			done = unknown.TID
		}
	} else if !w.accept(db, err) {
		return
	}
	if done == 0 {
		return
	}
	w.page = n
	if err := tell("did %d %d", w.number, n); err != nil {
		w.fail("%v", err)
	}
}

// findPage finds out how often the worker's page was written. Whoever wrote it may
// have been killed before it was durable, and then a View does not show it.
func (w *chaosWorker) findPage(db *durus.DB) bool {
	tx, err := db.Begin(w.ctx, true)
	if !w.accept(db, err) {
		return false
	}
	p, err := pageOf(w.number).Load(tx)
	if w.accept(db, errors.Join(err, tx.Rollback())) {
		w.page = p.N
	}
	return w.page >= 0
}

func (w *chaosWorker) turnPage(tx *durus.Tx, n int64) error {
	p, err := pageOf(w.number).Edit(tx)
	if err != nil {
		return err
	}
	w.expect(p.N == n-1, "page %d is written %d times, and should be %d times", w.number, p.N, n-1)
	p.N = n
	b, err := book.Load(tx)
	if err != nil {
		return err
	}
	entry, ok, err := b.Entries.Edit(tx, w.number)
	if err != nil {
		return err
	}
	fresh := Entry{N: n, Mark: markOf(w.number, n), Tags: []int64{n % 3, n % 5, int64(w.number)}}
	if ok {
		*entry = fresh
	} else if _, err := b.Entries.Insert(tx, w.number, &fresh); err != nil {
		return err
	}
	if _, err := b.Set.Delete(tx, markOf(w.number, n-1)); err != nil {
		return err
	}
	errs := []error{
		p.Counter.Add(tx, 1), p.List.Append(tx, n), b.Set.Add(tx, markOf(w.number, n)),
		b.Tree.Put(tx, w.number, n), b.Dict.Put(tx, w.number, n),
	}
	if n > pageLength {
		errs = append(errs, p.List.Delete(tx, 0))
	}
	return errors.Join(errs...)
}

// reopen closes the database under all others of the process, which writes the
// checkpoint of the index if the database has grown, and opens it again. Now and
// then the checkpoint is taken away.
func (w *chaosWorker) reopen() {
	if !w.swaps.TryLock() {
		return
	}
	defer w.swaps.Unlock()
	if w.rnd.IntN(4) == 0 {
		if err := os.Remove(w.task.Path + ".index"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.fail("%v", err)
		}
	}
	fresh, err := w.open(w.task.Options)
	if err != nil {
		w.fail("open: %v", err)
	}
	if fresh == nil {
		return
	}
	if err := w.close(w.db.Swap(fresh)); err != nil {
		w.fail("close: %v", err)
	}
}
