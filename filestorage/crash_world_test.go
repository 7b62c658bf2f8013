package filestorage

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
)

// A world is one simulated disk with some processes that have one database
// open, and what the outside has been told: which commits were acknowledged
// and what Views returned. A power cut must not take any of it back.
type world struct {
	disk  *mem.Disk
	over  func(vfs.FS) vfs.FS // what each process puts over its files; nil: nothing
	clock atomic.Int64
	procs map[string]*proc
	next  int                    // number of the next commit
	made  map[int]*attempt       // every transaction that was ever appended, by number
	tids  map[int]storage.TID    // of those that were told to be there
	must  map[storage.TID]string // what has to survive, and why
	oids  []storage.OID          // the objects that commits write to
	given map[storage.OID]string // object ids that NewOID returned, to whom
	class storage.ClassID        // its name is className
	err   error                  // the first promise broken while the world ran
	rnd   *rand.Rand             // of random steps; nil where there are none

	// Only random workloads go on so long that these matter.
	unsure   bool // a sync has failed, and not everybody may have noticed
	unmarked bool // the lock file was deleted, and with it the mark

	recoveries int  // how many power cuts there were
	noting     bool // a recovery notes what it tells the outside

	// observer is asked by disk.Hook: over an asynchronous storage operations
	// may still be under way when nobody waits for them, so the hook itself
	// stays what it is.
	observer atomic.Pointer[observer]
}

type observer func(mem.Op) mem.Action

// attempt is a commit that may have reached the file.
type attempt struct {
	number  int
	promise bool
	base    storage.TID // the newest transaction that it saw
	oid     storage.OID
	payload []byte
	class   string // of the object, by name
}

func (a *attempt) record(class storage.ClassID) storage.Record {
	return storage.Record{OID: a.oid, Class: class, Codec: storage.CodecMsgpack, Payload: a.payload}
}

// proc is a process with its handle.
type proc struct {
	name string
	fs   *mem.Process
	s    *Storage
	sync storage.SyncPolicy
}

const (
	worldPath = "/db"
	className = "crash.Thing"
)

var quiet = slog.New(slog.DiscardHandler)

func (w *world) now() time.Time { return time.UnixMicro(w.clock.Add(1000)) }

func (w *world) options(fs *mem.Process, policy storage.SyncPolicy) Options {
	opts := Options{FS: fs, Sync: policy, Logger: quiet, Foreground: true, Now: w.now, LockTimeout: time.Second}
	if w.over != nil {
		opts.FS = w.over(fs)
	}
	return opts
}

func newWorld(d *mem.Disk) *world {
	w := &world{procs: map[string]*proc{}, made: map[int]*attempt{}, tids: map[int]storage.TID{}, must: map[storage.TID]string{}, given: map[storage.OID]string{}}
	w.clock.Store(1_700_000_000_000_000)
	w.live(d)
	return w
}

// live puts the world on a disk on which nobody has done anything.
func (w *world) live(d *mem.Disk) {
	w.disk = d
	d.Hook = w.observe
}

func (w *world) observe(op mem.Op) mem.Action {
	if o := w.observer.Load(); o != nil {
		return (*o)(op)
	}
	return mem.Proceed()
}

// watch sets who is asked before every operation. The function that it returns
// puts back who was asked before.
func (w *world) watch(o observer) (restore func()) {
	old := w.observer.Swap(&o)
	return func() { w.observer.Store(old) }
}

// asked asks who is asked now.
func (w *world) asked() observer {
	if o := w.observer.Load(); o != nil {
		return *o
	}
	return func(mem.Op) mem.Action { return mem.Proceed() }
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
	if w.class, err = p.s.ClassID(ctx, className); err != nil {
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
	maps.Copy(n.made, w.made)
	maps.Copy(n.must, w.must)
	maps.Copy(n.given, w.given)
	return n
}

// open returns the handle of a process, opened now if it is not.
func (w *world) open(name string, policy storage.SyncPolicy) (*proc, error) {
	if p := w.procs[name]; p != nil {
		return p, nil
	}
	p := &proc{name: name, fs: w.disk.Process(name), sync: policy}
	if err := w.start(p); err != nil {
		return nil, fmt.Errorf("%s: open: %w", name, err)
	}
	w.procs[name] = p
	return p, nil
}

// start opens the database in a process.
func (w *world) start(p *proc) (err error) {
	p.s, err = Open(worldPath, w.options(p.fs, p.sync))
	return err
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
	return w.submit(p, w.propose(p, snap, size))
}

// attempt returns the commit with a number, nil if nobody has made it.
func (w *world) attempt(number int) *attempt { return w.made[number] }

// propose makes the next commit without running it.
func (w *world) propose(p *proc, snap storage.Snapshot, size int) *storage.Commit {
	n := w.next
	w.next++
	a := &attempt{number: n, promise: p.sync == storage.SyncAlways, base: snap.TID(), oid: w.oids[n%len(w.oids)], class: className}
	a.payload = payload(n, a.base, size)
	w.made[n] = a
	return &storage.Commit{Base: snap, Records: []storage.Record{a.record(w.class)}}
}

// submit runs a commit of p that was proposed.
func (w *world) submit(p *proc, c *storage.Commit) (acked bool, err error) {
	return w.submitAs(p, c, c)
}

// submitAs is submit in another form: with records that were spilled.
func (w *world) submitAs(p *proc, c, form *storage.Commit) (acked bool, err error) {
	tid, err := p.s.Commit(context.Background(), form)
	if err != nil {
		return false, err
	}
	a := w.attempt(int(binary.LittleEndian.Uint64(c.Records[0].Payload)))
	w.tids[a.number] = tid
	if a.promise {
		w.require(p, tid, p.s.current().state.Load().end, fmt.Sprintf("commit %d of %s was acknowledged", a.number, p.name))
	}
	return true, nil
}

// require notes that tid and all before it, as the file of p has them up to
// end, must survive, as far as somebody promised it.
func (w *world) require(p *proc, tid storage.TID, end int64, why string) {
	chain, err := readChain(p.s.current(), end)
	if errors.Is(err, mem.ErrKilled) { // as soon as it had told
		chain, err = w.readDisk(p.s.current(), end)
	}
	if err != nil {
		w.broken("%s: %v", why, err)
		return
	}
	last := -1
	for i, t := range chain {
		if a := w.attempt(t.number); t.TID <= tid && a != nil && a.promise {
			last = i
		}
	}
	w.keep(chain[:last+1], why)
}

func (w *world) keep(txns []txn, why string) {
	for _, t := range txns {
		if _, ok := w.must[t.TID]; !ok {
			w.must[t.TID] = why
		}
	}
}

// view is a View of p: everything that must survive must be in it (a View
// that begins after an acknowledgement shows it), and what it shows must
// survive from now on.
//
// Two things are allowed after a failed sync. A handle that was not told of it
// yet and has lost the mark as well cannot know at once what is durable; its
// next View does. And one may have seen frames that nobody has promised and the
// disk has lost, with the rest of the file as it was: it notices when it is to
// vouch for them.
func (w *world) view(p *proc) error {
	missing, err := w.viewOnce(p)
	switch {
	case missing != nil && w.unsure && w.unmarked:
		missing, err = w.viewOnce(p)
	case w.unsure && (errors.Is(err, errDiffers) || errors.Is(err, storage.ErrCorrupt)):
		told := p.s.Sync(background)
		for range 2 {
			if errors.Is(told, syscall.EIO) {
				told = p.s.Sync(background)
			}
		}
		if !errors.Is(told, storage.ErrRewound) {
			return fmt.Errorf("%w, and its Sync ends with %v", err, told)
		}
		missing, err = w.viewOnce(p)
	}
	if missing != nil {
		w.broken("a View of %s does not show everything: %w", p.name, missing)
	}
	return err
}

func (w *world) viewOnce(p *proc) (missing, err error) {
	snap, err := p.s.Begin(context.Background(), false)
	if err != nil {
		return nil, err
	}
	defer snap.Release()
	shown, err := w.read(snap.(*snapshot))
	if err != nil {
		return nil, err
	}
	w.require(p, snap.TID(), snap.(*snapshot).end, "a View of "+p.name+" showed it")
	return w.missing(shown), nil
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
	newest := make([]*attempt, len(w.oids)) // by object
	for i, t := range chain {
		a := w.attempt(t.number)
		if a == nil {
			return nil, fmt.Errorf("transaction %d holds what nobody wrote (number %d)", t.TID, t.number)
		}
		if a.base != t.base || t.base != 0 && !slices.ContainsFunc(chain[:i], func(b txn) bool { return b.TID == t.base }) {
			return nil, fmt.Errorf("transaction %d (number %d) saw %d, which is not before it", t.TID, t.number, t.base)
		}
		newest[slices.Index(w.oids, a.oid)] = a
	}
	for _, a := range newest {
		if a == nil {
			continue
		}
		if err := w.readObject(sn, a); err != nil {
			return nil, err
		}
	}
	return chain, nil
}

// errDiffers: the index leads elsewhere than the frames of the file.
var errDiffers = errors.New("the index and the frames differ")

// readObject reads the object that an attempt was the last one to write.
func (w *world) readObject(sn *snapshot, a *attempt) error {
	pos, err := sn.Find(a.oid)
	if errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("%w: object %d, which commit %d wrote, is not there", errDiffers, a.oid, a.number)
	}
	if err != nil {
		return fmt.Errorf("object %d: %w", a.oid, err)
	}
	r, err := sn.Read(a.oid, pos)
	if err != nil {
		return err
	}
	if !bytes.Equal(r.Payload, a.payload) {
		return fmt.Errorf("%w: object %d does not hold what commit %d wrote", errDiffers, a.oid, a.number)
	}
	if name, _ := sn.ClassName(r.Class); name != a.class {
		return fmt.Errorf("object %d is a %q and was written as a %q", a.oid, name, a.class)
	}
	return nil
}

var chainBuffers = sync.Pool{New: func() any { return new([]byte) }}

// readChain reads the transactions of a file up to end.
func readChain(l *lineage, end int64) ([]txn, error) {
	buf := chainBuffers.Get().(*[]byte)
	defer chainBuffers.Put(buf)
	n := int(end - headerSize)
	*buf = slices.Grow((*buf)[:0], n)[:n]
	if n, err := l.file.ReadAt(*buf, headerSize); n < len(*buf) {
		return nil, fmt.Errorf("%d bytes instead of %d: %w", n, len(*buf), err)
	}
	return parseChain(*buf, l.header.Salt)
}

// readDisk is readChain for a process that cannot read any more.
func (w *world) readDisk(l *lineage, end int64) ([]txn, error) {
	b, err := w.disk.ReadFile(worldPath)
	if err != nil {
		return nil, err
	}
	return parseChain(b[headerSize:end], l.header.Salt)
}

// parseChain finds the transactions in what follows the header of a file.
func parseChain(b []byte, salt uint64) ([]txn, error) {
	out := make([]txn, 0, 8)
	sc := scanner{salt: salt, win: memWindow(b, headerSize)}
	for pos := int64(headerSize); pos < headerSize+int64(len(b)); {
		f, v, reason, err := sc.next(chain{pos: pos}, false, true)
		if err != nil || v != verdictWhole {
			return nil, fmt.Errorf("frame at byte %d: %v %s", pos, err, reason)
		}
		for i := range f.records {
			b := b[int64(f.recordPos(i))-headerSize+recordHeaderSize:]
			out = append(out, txn{f.tid, int(binary.LittleEndian.Uint64(b)), storage.TID(binary.LittleEndian.Uint64(b[8:]))})
		}
		pos = f.end()
	}
	return out, nil
}
