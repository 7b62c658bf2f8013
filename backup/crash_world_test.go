package backup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/pack"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/mem"
)

// accident is a database that is restored over while processes use it, on a
// simulated disk with its backups, and what the outside was told. A power cut
// must take none of that back.
//
// The path leads to one of two histories: the old one, or the restored one,
// which lacks all from commit lost on. Every commit has a number.
type accident struct {
	disk  *mem.Disk
	ticks atomic.Int64
	class storage.ClassID
	oids  []storage.OID // one for each process that commits

	at      storage.TID // what is restored; 0: the newest that is backed up
	brought uint64      // the last commit that the restore brings
	lost    uint64      // the first that it takes back
	next    uint64      // number of the next commit

	must    map[bool]map[uint64]string // what has to be there and why, in the restored history (true) and in the old one
	settled string                     // why the restored history is there for good; "": it may be either
	newest  uint64                     // the last commit that was acknowledged, while nothing else has happened; 0: something has
	judged  map[judgement]bool
}

// judgement is what the verdict on an image depends on.
type judgement struct {
	image    uint64
	old, new int // commits that must be there
	settled  bool
}

// scene is how an accident begins.
type scene struct {
	name   string
	packed bool // after the last backup: another file
	older  bool // restored is an older state
}

var scenesOfRestore = []scene{{name: "newest"}, {name: "older", older: true}, {name: "packed since", packed: true}}

// user is a process that has the database open.
type user struct {
	name string
	fs   *mem.Process
	s    *filestorage.Storage
	oid  storage.OID
}

func (a *accident) now() time.Time {
	return time.UnixMicro(1_700_000_000_000_000 + 1_000_000*a.ticks.Add(1))
}

// begin makes the database and its backups, all on the disk.
func (sc scene) begin() (*mem.Image, *accident, error) {
	a := &accident{disk: mem.NewDisk(), next: 1}
	p, err := a.open("A", 0)
	if err != nil {
		return nil, nil, err
	}
	if a.class, err = p.s.ClassID(ctx, "node"); err != nil {
		return nil, nil, err
	}
	for range 3 {
		oid, err := p.s.NewOID(ctx)
		if err != nil {
			return nil, nil, err
		}
		a.oids = append(a.oids, oid)
	}
	p.oid = a.oids[0]
	a.must = map[bool]map[uint64]string{true: {}, false: {}}
	var tids []storage.TID
	for i := range 6 {
		tid, err := a.commit(p)
		if err != nil {
			return nil, nil, err
		}
		tids = append(tids, tid)
		if i == 1 || i == 3 {
			if _, err := Incremental(ctx, p.s, a.disk.Process("backup"), dir, Options{chunk: 400, now: a.now}); err != nil {
				return nil, nil, err
			}
		}
	}
	a.brought, a.lost = 4, 5
	if sc.older {
		a.at, a.brought, a.lost = tids[2], 3, 4
	}
	if sc.packed {
		if _, err := pack.Pack(ctx, p.s, pack.Options{KeepFrom: 1}); err != nil {
			return nil, nil, err
		}
	}
	if err := p.s.WriteIndex(ctx); err != nil {
		return nil, nil, err
	}
	a.settled = "" // so far all was in the one history that there was
	a.must[false], a.must[true] = a.must[true], map[uint64]string{}
	for n := uint64(1); n <= a.brought; n++ {
		a.must[true][n] = "it is in the backup"
	}
	p.fs.Kill()
	a.disk.SyncAll()
	for im := range a.disk.Images(mem.Options{Models: mem.M2}) {
		return im, a, nil
	}
	return nil, nil, errors.New("no image")
}

// fork is the accident on a disk of its own; it goes on by itself.
func (a *accident) fork(im *mem.Image) *accident {
	n := &accident{
		disk: im.Disk(), class: a.class, oids: a.oids, at: a.at, brought: a.brought, lost: a.lost, next: a.next,
		must:    map[bool]map[uint64]string{true: maps.Clone(a.must[true]), false: maps.Clone(a.must[false])},
		settled: a.settled, judged: map[judgement]bool{},
	}
	n.ticks.Store(a.ticks.Load() + 1000)
	return n
}

func (a *accident) open(name string, oid storage.OID) (*user, error) {
	return a.openAs(name, oid, filestorage.Options{})
}

func (a *accident) openAs(name string, oid storage.OID, o filestorage.Options) (*user, error) {
	p := &user{name: name, fs: a.disk.Process(name), oid: oid}
	o.FS, o.Logger, o.Foreground, o.Now = p.fs, slog.New(slog.DiscardHandler), true, a.now
	if o.LockTimeout == 0 {
		o.LockTimeout = 5 * time.Millisecond
	}
	var err error
	if p.s, err = filestorage.Open(dbPath, o); err != nil {
		return nil, fmt.Errorf("%s: open: %w", name, err)
	}
	return p, nil
}

// begin is a transaction of p, which may be told once that the file was restored.
func (p *user) begin(writable bool) (storage.Snapshot, error) {
	snap, err := p.s.Begin(ctx, writable)
	if errors.Is(err, storage.ErrRewound) {
		snap, err = p.s.Begin(ctx, writable)
	}
	return snap, err
}

// commit is a transaction that the restore does not come between.
func (a *accident) commit(p *user) (storage.TID, error) {
	for try := 0; ; try++ {
		snap, err := p.begin(true)
		if err != nil {
			return 0, err
		}
		tid, err := a.commitOn(p, snap)
		snap.Release()
		if !errors.Is(err, storage.ErrRewound) || try > 0 {
			return tid, err
		}
	}
}

// commitOn commits what a snapshot has seen. What is acknowledged has to be
// there, in the history that the snapshot is of, for ever.
func (a *accident) commitOn(p *user, snap storage.Snapshot) (storage.TID, error) {
	seen, err := a.read(p, snap)
	if err != nil {
		return 0, err
	}
	n := a.next
	a.next++
	tid, err := p.s.Commit(ctx, a.write(p, snap, n))
	if err != nil {
		return 0, err
	}
	restored := a.restored(seen)
	why := fmt.Sprintf("commit %d of %s was acknowledged", n, p.name)
	switch {
	case restored && a.settled == "":
		a.settled = why
	case !restored && a.settled != "":
		return 0, fmt.Errorf("%s in the old file, although %s", why, a.settled)
	}
	a.must[restored][n], a.newest = why, n
	return tid, nil
}

// write is commit n of p.
func (a *accident) write(p *user, snap storage.Snapshot, n uint64) *storage.Commit {
	payload := append(binary.LittleEndian.AppendUint64(nil, n), make([]byte, 100)...)
	return &storage.Commit{
		Base: snap, Meta: storage.Meta{Description: strconv.FormatUint(n, 10)},
		Records: []storage.Record{{OID: p.oid, Class: a.class, Codec: storage.CodecMsgpack, Payload: payload}},
	}
}

// view is a View of p: it shows all that must be there, and what it shows must
// be there from now on.
func (a *accident) view(p *user) error {
	seen, err := a.look(p)
	if err != nil {
		return err
	}
	if err := a.check(seen); err != nil {
		return err
	}
	restored, why := a.restored(seen), "a View of "+p.name+" showed it"
	if restored && a.settled == "" {
		a.settled = why
	}
	for _, n := range seen {
		if a.must[restored][n] == "" {
			a.must[restored][n] = why
		}
	}
	return nil
}

// restored tells which history the commits are of.
func (a *accident) restored(seen []uint64) bool { return !slices.Contains(seen, a.lost) }

// check holds what a state shows against what must be there.
func (a *accident) check(seen []uint64) error {
	if !slices.Contains(seen, a.brought) {
		return fmt.Errorf("it holds commits %v: neither the old history nor the restored one", seen)
	}
	restored := a.restored(seen)
	if !restored && a.settled != "" {
		return fmt.Errorf("the old file is back, although %s", a.settled)
	}
	for n, why := range a.must[restored] {
		if !slices.Contains(seen, n) {
			return fmt.Errorf("commit %d is lost (restored: %v): %s", n, restored, why)
		}
	}
	if a.newest != 0 && !slices.Contains(seen, a.newest) {
		return fmt.Errorf("commit %d was acknowledged in a file that nobody sees", a.newest)
	}
	return nil
}

// look is read of what is there now.
func (a *accident) look(p *user) ([]uint64, error) {
	snap, err := p.begin(false)
	if err != nil {
		return nil, err
	}
	defer snap.Release()
	return a.read(p, snap)
}

// read returns the numbers of all commits of a state, oldest first. Each object
// is what the last commit that wrote it has made of it.
func (a *accident) read(p *user, snap storage.Snapshot) (seen []uint64, err error) {
	want := map[storage.OID]uint64{}
	for tx, err := range p.s.History(snap, 1, snap.TID(), false) {
		if err != nil {
			return nil, err
		}
		n, err := strconv.ParseUint(tx.Description, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("transaction %s: %w", tx.TID, err)
		}
		seen = append(seen, n)
		for _, oid := range tx.OIDs {
			want[oid] = n
		}
	}
	for oid, n := range want {
		pos, err := snap.Find(oid)
		if err != nil {
			return nil, fmt.Errorf("object %s: %w", oid, err)
		}
		rec, err := snap.Read(oid, pos)
		if err != nil {
			return nil, err
		}
		if got := binary.LittleEndian.Uint64(rec.Payload); got != n {
			return nil, fmt.Errorf("object %s is of commit %d, and commit %d was the last one to write it", oid, got, n)
		}
	}
	return seen, nil
}

// cut cuts the power at this moment, in many ways, and judges what is there.
func (a *accident) cut(where string) error {
	for im := range a.disk.Images(mem.Options{Samples: 6, Sectors: 2}) {
		j := judgement{im.Hash(), len(a.must[false]), len(a.must[true]), a.settled != ""}
		if a.judged[j] {
			continue
		}
		a.judged[j] = true
		if err := a.judge(im); err != nil {
			return fmt.Errorf("power cut %s, %v: %w", where, im, err)
		}
	}
	return nil
}

// judge is what processes find after a power cut: first one that only reads,
// then one that commits, then another one. Before the commit the power is cut
// once more.
func (a *accident) judge(im *mem.Image) error {
	n := a.fork(im)
	if err := n.readOnly(); err != nil {
		return err
	}
	p, err := n.open("J", n.oids[0])
	if err != nil {
		return err
	}
	if err := n.view(p); err != nil {
		return err
	}
	for im := range n.disk.Images(mem.Options{Models: mem.M1 | mem.M2 | mem.M7, Samples: 8, Sectors: 2}) {
		again := n.fork(im)
		p, err := again.open("K", again.oids[0])
		if err == nil {
			err = again.view(p)
		}
		if err != nil {
			return fmt.Errorf("and again after the first View, %v: %w", im, err)
		}
	}
	return n.resume(p)
}

// readOnly is a reader without a mark, perhaps: it may lag, but sees one of the
// histories, and all that was restored.
func (a *accident) readOnly() error {
	p, err := a.openAs("r", 0, filestorage.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	seen, err := a.look(p)
	if err == nil && !slices.Contains(seen, a.brought) {
		err = fmt.Errorf("it shows commits %v: the restore brings %d", seen, a.brought)
	}
	if err != nil {
		return fmt.Errorf("read only: %w", err)
	}
	return nil
}

// resume commits: the mark speaks of this file then, and of all of it. Another
// process finds the same, also from the index that was just written.
func (a *accident) resume(p *user) error {
	if _, err := a.commit(p); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	lock, err := p.s.LockState(ctx)
	if err != nil {
		return fmt.Errorf("lock file: %w", err)
	}
	if !lock.Exists || !lock.MarkFits || lock.MarkEnd != lock.End || lock.Damage != nil {
		return fmt.Errorf("the mark does not fit: %+v", *lock)
	}
	if err := p.s.WriteIndex(ctx); err != nil {
		return fmt.Errorf("index: %w", err)
	}
	if err := p.s.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	again, err := a.open("L", 0)
	if err != nil {
		return fmt.Errorf("again: %w", err)
	}
	if err := a.view(again); err != nil {
		return fmt.Errorf("again: %w", err)
	}
	v, err := again.s.Verify(ctx, nil)
	if err == nil && (!v.OK() || v.Tail != 0) {
		err = fmt.Errorf("verify: %v, tail %d", v.Problems, v.Tail)
	}
	return errors.Join(err, again.s.Close())
}

// temporaryName is what a Writer of vfs/mem and of vfs/posix calls its file.
var temporaryName = regexp.MustCompile(`\.new\.[0-9a-f]{16}$`)

// halted is a process that was stopped before one of its operations.
type halted struct {
	p    *mem.Process
	op   mem.Op // that it is stopped before
	more bool   // it is; else it had done all before
	done chan error
}

// halt runs f in a process until that is about to do operation k, from 0 on.
func halt(p *mem.Process, k int, f func() error) *halted {
	h := &halted{p: p, done: make(chan error, 1)}
	stopped := make(chan mem.Op, 1)
	n, old := 0, p.Disk().Hook
	p.Disk().Hook = func(op mem.Op) mem.Action {
		if op.Process == p.Name() {
			if n++; n == k+1 {
				stopped <- op
				return mem.Stop()
			}
		} else if old != nil {
			return old(op)
		}
		return mem.Proceed()
	}
	go func() { h.done <- f() }()
	select {
	case h.op = <-stopped:
		h.more = true
		_ = p.Disk().Process("others").Yield() // who comes after it finds it stopped
	case err := <-h.done:
		h.done <- err
	}
	return h
}

// end kills the process, or lets it go on, and returns what f has said.
func (h *halted) end(kill bool) error {
	if kill && h.more {
		h.p.Kill()
	}
	h.p.Continue()
	err := <-h.done
	h.p.Disk().Hook = nil
	return err
}

// at says where the process was stopped when something went wrong.
func (h *halted) at(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s before %v: %w", h.p.Name(), h.op, err)
}
