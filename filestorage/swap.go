package filestorage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/durusdb/durus/vfs"
)

// Swap puts the new file in the place of the database. It was model-checked
// (DESIGN section 8); its order, and what a crash between two lines leaves:
//
//	1 the commit lock, with the flocks on the old file and on the new one
//	2 sync the old file: a commit that it holds and whose own sync comes too
//	  late is reported because the new file holds it, and a power cut may
//	  bring the old one back. It comes before 3, so that bytes which a failing
//	  disk has lost are not copied, nor taken for damage
//	3 the last catch-up
//	4 sync the new file: the name must never lead to bytes that are not there
//	5 append a moved frame to the old file. Killed from here to 6: the next
//	  holder of the lock voids it, the database is what it was
//	6 rename. Killed from here on: the new file is the database. Before 7 a power
//	  cut may bring the old one back; whoever meets the new one syncs the directory
//	  before he acknowledges or shows anything (R9), so then nothing is lost
//	7 sync the directory
//	8 raise the mark to the end of the new file. Killed before it: the next
//	  holder of the lock replaces the mark, which is of another file (R8)
//	9 unlock
//
// link is that of CatchUp. took is how long the commit lock was held. After an
// error that Is vfs.ErrUnknownOutcome the new file may be in place; after any
// other the database is what it was.
func (p *Packing) Swap(ctx context.Context, c *Caught, link Link) (took time.Duration, err error) {
	if p.dry {
		return 0, errors.New("durus: a dry run has nothing to put in place")
	}
	// Almost everything is on the disk before anybody has to wait.
	if err := p.out.flush(); err != nil {
		return 0, err
	}
	if err := p.out.syncAhead(); err != nil {
		return 0, err
	}
	p.writeIndex()
	if err := p.check(); err != nil {
		return 0, err
	}
	if err := p.out.sync(); err != nil {
		return 0, err
	}
	if err := p.s.settle(p.l, p.l.end()); err != nil {
		return 0, p.replaced(err)
	}
	for try := 0; ; try++ {
		var other *flight
		begun := time.Time{}
		err := p.s.submit(ctx, &member{alone: true, run: func(b *batch) (err error) {
			begun = p.s.now()
			if b.l != p.l {
				return p.replaced(p.l.rewoundError("it was replaced"))
			}
			// R1: at most one sync of the old file is in flight. Nobody waits
			// for another one under the lock, which that one may need.
			mine, free := p.l.claimFlight()
			if !free {
				other = mine
				return errFlight
			}
			defer p.l.endFlight(mine)
			return p.swap(ctx, c, link)
		}})
		if !begun.IsZero() {
			took = max(took, p.s.now().Sub(begun))
		}
		switch {
		case errors.Is(err, errFlight):
			<-other.done
			continue
		case err != nil:
			return took, err
		}
		return took, p.finish()
	}
}

var errFlight = errors.New("a sync is under way")

// claimFlight makes the caller the one who may sync; free is false, and f the
// one who does, if there is one.
func (l *lineage) claimFlight() (f *flight, free bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.dur.flight; f != nil {
		if f.done == nil {
			f.done = make(chan struct{})
		}
		return f, false
	}
	l.dur.flight = new(flight)
	return l.dur.flight, true
}

// endFlight lets others sync. Who has joined this flight is covered by nothing
// and tries again.
func (l *lineage) endFlight(f *flight) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dur.flight = nil
	if f.done != nil {
		close(f.done)
	}
}

// swap is steps 2 to 8, under the commit lock.
func (p *Packing) swap(ctx context.Context, c *Caught, link Link) error {
	s, l := p.s, p.l
	if err := p.alone(); err != nil { // somebody may have linked it since
		return err
	}
	s.stats.syncs.Add(1)
	if err := l.file.Sync(); err != nil { // 2; the leader has written again what this handle cannot vouch for (R4)
		l.distrust()
		return p.replaced(fmt.Errorf("sync: %w", err))
	}
	if err := p.catchUp(ctx, l.end(), c, link, nil); err != nil { // 3
		return err
	}
	l.mu.Lock()
	from := append([]origin{l.asOrigin()}, l.origins...)
	tid, end := l.cur.tid, l.cur.pos
	l.mu.Unlock()
	if err := p.out.add(newOriginDraft(from), 0, 0); err != nil {
		return err
	}
	if p.out.chain.tid != tid {
		return fmt.Errorf("durus: pack %s: given up: the new file ends at transaction %s and the old one at %s", s.path, p.out.chain.tid, tid)
	}
	if err := p.out.sync(); err != nil { // 4
		return err
	}
	if err := p.check(); err != nil {
		return err
	}
	if err := p.appendMoved(end); err != nil { // 5
		return err
	}
	if err := p.rename(); err != nil { // 6
		return err
	}
	p.scratch = ""
	// From here on the pack has succeeded, whatever happens: others do what is
	// left undone, as said above.
	if err := s.fs.SyncDir(s.path); err != nil { // 7
		s.opts.Logger.Warn("durus: pack: sync the directory", "path", s.path, "err", err)
		return nil
	}
	if err := p.raise(); err != nil { // 8
		s.opts.Logger.Warn("durus: pack: raise the durable mark", "path", s.path, "err", err)
	}
	return nil
}

// check reads what was written of the new file since the last check, as whoever
// opens it will: what cannot be read must not take the database's place. It reads
// headers and tables only.
func (p *Packing) check() error {
	if p.checked.pos == 0 {
		p.checked = p.out.header.chain()
	}
	c := &p.checked
	sc := scanner{salt: p.out.header.Salt, win: &window{file: p.out.file, size: p.out.done}}
	for c.pos < p.out.done {
		f, v, reason, err := sc.next(*c, true, false)
		if err != nil {
			return fmt.Errorf("durus: pack: read %s: %w", p.out.path, err)
		}
		if v != verdictWhole {
			return fmt.Errorf("durus: pack %s: given up, nothing was changed: the new file is not in order: %w", p.s.path, corrupt(p.out.path, c.pos, reason))
		}
		c.pass(&f)
	}
	if *c != p.out.chain {
		return fmt.Errorf("durus: pack %s: given up, nothing was changed: the new file ends elsewhere than it should", p.s.path)
	}
	return nil
}

// appendMoved is step 5. A frame that was written in part is cut by the next
// writer like any other; it is not synced, since it matters only to those who
// have the old file open.
func (p *Packing) appendMoved(end int64) error {
	s, l := p.s, p.l
	ino, dir, name, err := s.place(l)
	if err != nil {
		return err
	}
	l.mu.Lock()
	at := place{pos: end, tid: l.cur.tid, time: l.cur.time, salt: l.header.Salt, durable: l.dur.base, prev: l.cur.sum}
	l.mu.Unlock()
	d := newMovedDraft(&moved{salt: p.out.header.Salt, ino: ino, dir: dir, name: name})
	d.seal(at, nil)
	if _, err := l.file.Append(d.buf, end); err != nil {
		return p.replaced(fmt.Errorf("append to %s: %w", s.path, err))
	}
	return nil
}

// rename is step 6. Where the storage cannot say what became of it, the path
// does.
func (p *Packing) rename() error {
	s := p.s
	err := s.fs.Rename(p.scratch, s.path)
	if err == nil || !errors.Is(err, vfs.ErrUnknownOutcome) {
		if err != nil {
			err = p.replaced(err)
		}
		return err
	}
	there, statErr := s.fs.Stat(s.path)
	own, ownErr := p.out.file.Stat()
	switch {
	case statErr == nil && ownErr == nil && there.ID == own.ID:
		return nil
	case statErr == nil && there.ID == p.l.info.ID:
		return p.replaced(err)
	}
	return fmt.Errorf("durus: pack %s: it is not known which file the path leads to now; both hold the database: %w", s.path, errors.Join(err, statErr, ownErr))
}

// raise is step 8, with R7: a lock file that was deleted gets it again in the
// one that is there now.
func (p *Packing) raise() error {
	l := p.l
	m := p.out.mark()
	for range 64 {
		if err := l.updateMark(func(b *[vfs.MarkSize]byte, _ bool) bool { m.put(b); return true }); err != nil {
			return err
		}
		gone, err := l.lock.Deleted()
		if err != nil || !gone {
			return err
		}
		if err := l.lock.Reopen(); err != nil {
			return err
		}
	}
	return fmt.Errorf("durus: the lock file of %s is deleted again and again", l.path)
}

// finish gives the new file free and lets this handle go on with it.
func (p *Packing) finish() error {
	err := p.discard() // the name is not ours any more, and stays
	p.claimed = false
	p.s.packing.Store(false)
	if err != nil { // all its bytes are on the disk
		p.s.opts.Logger.Warn("durus: pack: close", "path", p.s.path, "err", err)
	}
	_, _ = p.s.retry(p.l, p.l.rewoundError("it was packed")) // the next transaction does it if this fails
	return nil
}

// Size is that of the new file, in bytes.
func (p *Packing) Size() int64 {
	if p.dry {
		return p.out.chain.pos + int64(originSize*(1+len(p.l.origins))) + frameHeaderSize + trailerSize
	}
	return p.out.chain.pos
}

// OldObjects is how many objects the old file holds of what CatchUp has covered:
// not those that were committed after it. It is 0 if a dry run did not count them.
func (p *Packing) OldObjects() uint64 { return p.old }

// Objects is how many objects the new file holds.
func (p *Packing) Objects() uint64 { return p.out.index.objects }
