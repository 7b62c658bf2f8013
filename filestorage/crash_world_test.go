package filestorage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/mem"
)

// A world is one simulated disk with up to three processes that have one
// database open, and what the outside has been told: which commits were
// acknowledged and what Views returned. A power cut must not take any of it
// back.
type world struct {
	disk  *mem.Disk
	clock atomic.Int64
	procs map[string]*proc
	next  int                      // number of the next commit
	made  map[storage.TID]*attempt // every transaction that was ever appended
	tids  map[int]storage.TID      // by number
	must  map[storage.TID]string   // what has to survive, and why
	oids  []storage.OID            // the objects that commits write to
	given map[storage.OID]string   // object ids that NewOID returned, to whom
	class storage.ClassID
	err   error // the first promise broken while the world ran
}

// attempt is a commit that may have reached the file.
type attempt struct {
	number  int
	promise bool
	base    storage.TID // the newest transaction that it saw
	oid     storage.OID
	size    int
}

// proc is a process with its handle.
type proc struct {
	name string
	fs   *mem.Process
	s    *Storage
	sync storage.SyncPolicy
}

const worldPath = "/db"

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func (w *world) now() time.Time { return time.UnixMicro(w.clock.Add(1000)) }

func (w *world) options(fs *mem.Process, policy storage.SyncPolicy) Options {
	return Options{FS: fs, Sync: policy, Logger: quiet, Foreground: true, Now: w.now, LockTimeout: time.Second}
}

func newWorld(d *mem.Disk) *world {
	w := &world{disk: d, procs: map[string]*proc{}, made: map[storage.TID]*attempt{}, tids: map[int]storage.TID{}, must: map[storage.TID]string{}, given: map[storage.OID]string{}}
	w.clock.Store(1_700_000_000_000_000)
	return w
}

// baseWorld creates a database with a class and a few object ids, all on the
// disk, so that workloads begin with equal bytes.
func baseWorld() (*mem.Image, *world, error) {
	w := newWorld(mem.NewDisk())
	p, err := w.open("A", storage.SyncAlways)
	if err != nil {
		return nil, nil, err
	}
	ctx := context.Background()
	if w.class, err = p.s.ClassID(ctx, "crash.Thing"); err != nil {
		return nil, nil, err
	}
	for range 4 {
		oid, err := p.s.NewOID(ctx)
		if err != nil {
			return nil, nil, err
		}
		w.oids = append(w.oids, oid)
		w.given[oid] = "base"
	}
	if err := p.s.Sync(ctx); err != nil {
		return nil, nil, err
	}
	p.fs.Kill()
	w.disk.SyncAll()
	for im := range w.disk.Images(mem.Options{Models: mem.M2}) {
		return im, w, nil
	}
	return nil, nil, errors.New("no image")
}

// fork returns a world like w on a disk of its own.
func (w *world) fork(im *mem.Image) *world {
	n := newWorld(im.Disk())
	n.clock.Store(w.clock.Load())
	n.next, n.class, n.oids = w.next, w.class, slices.Clone(w.oids)
	for k, v := range w.made {
		n.made[k] = v
	}
	for k, v := range w.must {
		n.must[k] = v
	}
	for k, v := range w.given {
		n.given[k] = v
	}
	return n
}

// open returns the handle of a process, opened now if it is not.
func (w *world) open(name string, policy storage.SyncPolicy) (*proc, error) {
	if p := w.procs[name]; p != nil {
		return p, nil
	}
	p := &proc{name: name, fs: w.disk.Process(name), sync: policy}
	s, err := Open(worldPath, w.options(p.fs, policy))
	if err != nil {
		return nil, fmt.Errorf("%s: open: %w", name, err)
	}
	p.s = s
	w.procs[name] = p
	return p, nil
}

func (w *world) broken(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

// payload is different for each commit and tells what it saw.
func payload(number int, base storage.TID, size int) []byte {
	b := make([]byte, max(size, 16))
	binary.LittleEndian.PutUint64(b, uint64(number))
	binary.LittleEndian.PutUint64(b[8:], uint64(base))
	for i := 16; i < len(b); i++ {
		b[i] = byte(number*31 + i)
	}
	return b
}

// commit runs one transaction of p that writes size bytes, and notes what was
// told. It reports whether it was acknowledged.
func (w *world) commit(p *proc, size int) (acked bool, err error) {
	ctx := context.Background()
	snap, err := p.s.Begin(ctx, true)
	if err != nil {
		return false, err
	}
	defer snap.Release()
	return w.commitOn(p, snap, size)
}

func (w *world) commitOn(p *proc, snap storage.Snapshot, size int) (acked bool, err error) {
	n := w.next
	w.next++
	a := &attempt{number: n, promise: p.sync == storage.SyncAlways, base: snap.TID(), oid: w.oids[n%len(w.oids)], size: max(size, 16)}
	rec := storage.Record{OID: a.oid, Class: w.class, Codec: storage.CodecMsgpack, Payload: payload(n, a.base, size)}
	w.attempts(a)
	tid, err := p.s.Commit(context.Background(), &storage.Commit{Base: snap, Records: []storage.Record{rec}})
	if err != nil {
		return false, err
	}
	w.tids[n] = tid
	if a.promise {
		w.require(p, tid, p.s.current().state.Load().end, fmt.Sprintf("commit %d of %s was acknowledged", n, p.name))
	}
	return true, nil
}

// attempts notes a commit by its number; its TID is known when it is found.
func (w *world) attempts(a *attempt) { w.made[storage.TID(a.number)|attemptBit] = a }

const attemptBit = 1 << 62

func (w *world) attempt(number int) *attempt { return w.made[storage.TID(number)|attemptBit] }

// require notes that tid and all before it, as the file of p has them up to
// end, must survive.
func (w *world) require(p *proc, tid storage.TID, end int64, why string) {
	chain, err := readChain(p.s.current(), end)
	if err != nil {
		w.broken("%s: %v", why, err)
		return
	}
	last := -1
	for i, t := range chain {
		if t.TID <= tid && w.promised(t) {
			last = i
		}
	}
	for _, t := range chain[:last+1] {
		if _, ok := w.must[t.TID]; !ok {
			w.must[t.TID] = why
		}
	}
}

func (w *world) promised(t txn) bool {
	a := w.attempt(t.number)
	return a != nil && a.promise
}

// view is a View of p: everything that must survive must be in it (a View
// that begins after an acknowledgement shows it), and what it shows must
// survive from now on.
func (w *world) view(p *proc) error {
	snap, err := p.s.Begin(context.Background(), false)
	if err != nil {
		return err
	}
	defer snap.Release()
	shown, err := w.read(snap.(*snapshot))
	if err != nil {
		return err
	}
	seen := map[storage.TID]bool{}
	for _, t := range shown {
		seen[t.TID] = true
	}
	for tid, why := range w.must {
		if !seen[tid] {
			w.broken("a View of %s does not show transaction %d: %s", p.name, tid, why)
		}
	}
	w.require(p, snap.TID(), snap.(*snapshot).end, "a View of "+p.name+" showed it")
	return nil
}

// txn is a transaction as it was found in a file.
type txn struct {
	TID    storage.TID
	number int
	base   storage.TID
}

// read reads all transactions of a snapshot and checks that each is there as a
// whole, as it was made, behind the one that it saw.
func (w *world) read(sn *snapshot) ([]txn, error) {
	chain, err := readChain(sn.l, sn.end)
	if err != nil {
		return nil, sn.l.damaged(0, storage.Position(sn.end), err.Error())
	}
	seen := map[storage.TID]bool{0: true}
	last := map[storage.OID]int{}
	for _, t := range chain {
		a := w.attempt(t.number)
		switch {
		case a == nil:
			return nil, fmt.Errorf("transaction %d holds what nobody wrote (number %d)", t.TID, t.number)
		case a.base != t.base || !seen[t.base]:
			return nil, fmt.Errorf("transaction %d (number %d) saw %d, which is not before it", t.TID, t.number, t.base)
		}
		seen[t.TID] = true
		last[a.oid] = t.number
	}
	for oid, n := range last {
		pos, err := sn.Find(oid)
		if err != nil {
			return nil, fmt.Errorf("object %d: %w", oid, err)
		}
		r, err := sn.Read(oid, pos)
		if err != nil {
			return nil, err
		}
		if a := w.attempt(n); !slices.Equal(r.Payload, payload(n, a.base, a.size)) {
			return nil, fmt.Errorf("object %d does not hold what commit %d wrote", oid, n)
		}
	}
	return chain, nil
}

// readChain reads the transactions of a file up to end.
func readChain(l *lineage, end int64) ([]txn, error) {
	var out []txn
	sc := scanner{salt: l.header.Salt, win: &window{file: l.file, size: end}}
	for pos := int64(headerSize); pos < end; {
		f, v, reason, err := sc.next(chain{pos: pos}, false, true)
		if err != nil || v != verdictWhole {
			return nil, fmt.Errorf("frame at byte %d: %v %s", pos, err, reason)
		}
		for i := range f.records {
			b, err := sc.body.bytes(int64(f.recordPos(i)), recordHeaderSize+16)
			if err != nil {
				return nil, err
			}
			b = b[recordHeaderSize:]
			out = append(out, txn{f.tid, int(binary.LittleEndian.Uint64(b)), storage.TID(binary.LittleEndian.Uint64(b[8:]))})
		}
		pos = f.end()
	}
	return out, nil
}

// judge is the oracle: on the disk as a power cut left it, a process that
// opens the database finds all that must be there and nothing in part, can
// commit, and leaves a file that verifies.
func (w *world) judge(im *mem.Image) error {
	d := im.Disk()
	clock := w.clock.Load() + 1_000_000
	ctx := context.Background()
	open := func(policy storage.SyncPolicy) (*Storage, error) {
		opts := w.options(d.Process("R"), policy)
		opts.Now = func() time.Time { clock += 1000; return time.UnixMicro(clock) }
		return Open(worldPath, opts)
	}
	s, err := open(storage.SyncAlways)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	snap, err := s.Begin(ctx, false)
	if err != nil {
		return fmt.Errorf("view: %w", err)
	}
	shown, err := w.read(snap.(*snapshot))
	if err != nil {
		return err
	}
	snap.Release()
	seen := map[storage.TID]bool{}
	for _, t := range shown {
		seen[t.TID] = true
	}
	for tid, why := range w.must {
		if !seen[tid] {
			return fmt.Errorf("transaction %d is lost: %s", tid, why)
		}
	}
	snap, err = s.Begin(ctx, true)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	oid, err := s.NewOID(ctx)
	if err != nil {
		return fmt.Errorf("new oid: %w", err)
	}
	if who, ok := w.given[oid]; ok && w.used(shown, oid) {
		return fmt.Errorf("object id %d is given out twice, before to %s", oid, who)
	}
	tid, err := s.Commit(ctx, &storage.Commit{Base: snap, Records: []storage.Record{{OID: w.oids[0], Class: w.class, Codec: storage.CodecMsgpack, Payload: payload(1<<30, snap.TID(), 16)}}})
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	snap.Release()
	if err := s.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	if s, err = open(storage.SyncAlways); err != nil {
		return fmt.Errorf("open again: %w", err)
	}
	defer s.Close()
	if last, err := s.LastTID(); err != nil || last != tid {
		return fmt.Errorf("after reopening the last transaction is %d, %v; want %d", last, err, tid)
	}
	r, err := s.Verify(ctx, nil)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if !r.OK() || r.Tail != 0 {
		return fmt.Errorf("verify: %v, tail %d", r.Problems, r.Tail)
	}
	return nil
}

// used reports whether an object id stands in a transaction that survived. An
// id whose lease was lost with everything that used it may come again.
func (w *world) used(shown []txn, oid storage.OID) bool {
	for _, t := range shown {
		if a := w.attempt(t.number); a != nil && a.oid == oid {
			return true
		}
	}
	return w.given[oid] == "base"
}

// step is one operation of a workload.
type step struct {
	name string
	run  func(w *world) error
}

// expected are errors that a step may end with: the outcome is unknown, or
// the file was rewound by what a failed sync lost.
func expected(err error) bool {
	return err == nil || errors.Is(err, storage.ErrUnknownOutcome) || errors.Is(err, storage.ErrRewound) || errors.Is(err, storage.ErrConflict) || errors.Is(err, syscall.EIO)
}

// again runs f once more when the file was rewound: the next transaction sees
// the new history.
func again(f func() error) error {
	err := f()
	if errors.Is(err, storage.ErrRewound) {
		err = f()
	}
	return err
}

func (w *world) commitStep(name string, policy storage.SyncPolicy, size int) error {
	return again(func() error {
		p, err := w.open(name, policy)
		if err != nil {
			return err
		}
		_, err = w.commit(p, size)
		return err
	})
}

var steps = []step{
	{"small", func(w *world) error { return w.commitStep("A", storage.SyncAlways, 40) }},
	{"9KiB", func(w *world) error { return w.commitStep("A", storage.SyncAlways, 9<<10) }},
	{"small of B", func(w *world) error { return w.commitStep("B", storage.SyncAlways, 40) }},
	{"two before any sync", twoBeforeSync},
	{"failed sync", func(w *world) error { return w.failedSync(false) }},
	{"failed sync, evicted", func(w *world) error { return w.failedSync(true) }},
	{"no promise", func(w *world) error { return w.commitStep("N", storage.SyncNever, 40) }},
	{"aborted", aborted},
	{"lease", lease1},
	{"reopen", reopen},
	{"view", func(w *world) error { return w.viewStep("V") }},
	{"lock file deleted", func(w *world) error {
		if err := w.disk.Remove(lockName(worldPath)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}},
	{"view of A", func(w *world) error { return w.viewStep("A") }},
}

func (w *world) viewStep(name string) error {
	return again(func() error {
		p, err := w.open(name, storage.SyncAlways)
		if err != nil {
			return err
		}
		return w.view(p)
	})
}

// twoBeforeSync: A and B append one commit each, then A syncs, then B.
func twoBeforeSync(w *world) error {
	a, err := w.open("A", storage.SyncAlways)
	if err != nil {
		return err
	}
	b, err := w.open("B", storage.SyncAlways)
	if err != nil {
		return err
	}
	// B is ready before, so that its first sync is that of its commit.
	if err := again(func() error { return w.view(b) }); !expected(err) {
		return err
	}
	stopped := make(chan struct{})
	inner := w.disk.Hook
	first := true
	w.disk.Hook = func(op mem.Op) mem.Action {
		if op.Process == "A" && op.Kind == mem.OpSync && first {
			first = false
			if inner != nil {
				inner(op)
			}
			close(stopped)
			return mem.Stop()
		}
		if inner != nil {
			return inner(op)
		}
		return mem.Proceed()
	}
	done := make(chan error, 1)
	go func() {
		_, err := w.commit(a, 40)
		done <- err
	}()
	select {
	case <-stopped:
	case err := <-done: // it ended without a sync
		w.disk.Hook = inner
		return err
	}
	_, errB := w.commit(b, 40)
	a.fs.Continue()
	errA := <-done
	w.disk.Hook = inner
	if !expected(errA) {
		return errA
	}
	return errB
}

func (w *world) failedSync(evict bool) error {
	p, err := w.open("A", storage.SyncAlways)
	if err != nil {
		return err
	}
	remove := w.disk.Inject(mem.Fault{Kinds: []mem.Kind{mem.OpSync}, Process: "A", Name: worldPath, Action: mem.FailSync(syscall.EIO, nil)})
	_, err = w.commit(p, 40)
	remove()
	if evict {
		if err := w.disk.Evict(worldPath, 0, -1); err != nil {
			return err
		}
	}
	return err
}

// aborted: a commit that loses against another one, of the same process.
func aborted(w *world) error {
	p, err := w.open("A", storage.SyncAlways)
	if err != nil {
		return err
	}
	ctx := context.Background()
	snap, err := p.s.Begin(ctx, true)
	if err != nil {
		return err
	}
	defer snap.Release()
	if _, err := w.commit(p, 40); !expected(err) {
		return err
	} else if err != nil {
		return nil
	}
	oid := w.attempt(w.next - 1).oid
	_, err = p.s.Commit(ctx, &storage.Commit{Base: snap, Records: []storage.Record{{OID: oid, Class: w.class, Payload: payload(1<<29, 0, 16)}}})
	if !errors.Is(err, storage.ErrConflict) {
		w.broken("a commit on an old snapshot ended with %v", err)
	}
	return nil
}

func lease1(w *world) error {
	for _, name := range []string{"A", "B"} {
		p, err := w.open(name, storage.SyncAlways)
		if err != nil {
			return err
		}
		for range 5 {
			oid, err := p.s.NewOID(context.Background())
			if err != nil {
				return err
			}
			if who, ok := w.given[oid]; ok {
				w.broken("object id %d was given to %s and %s", oid, who, name)
			}
			w.given[oid] = name
		}
	}
	return nil
}

func reopen(w *world) error {
	if p := w.procs["A"]; p != nil {
		delete(w.procs, "A")
		if err := p.s.Close(); !expected(err) {
			return err
		}
	}
	p, err := w.open("A", storage.SyncAlways)
	if err != nil {
		return err
	}
	return again(func() error { return w.view(p) })
}
