package pack

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/storage"
)

// rootOID is the object from which everything is reached: the root directory.
const rootOID storage.OID = 1

const (
	// closeEnough is how little is to be left to catch up with before others
	// have to wait for the rest.
	closeEnough = 256 << 10
	// maxCatchUps bounds the rounds: with writers as fast as the pack it
	// would never end. What is left then is copied under the lock.
	maxCatchUps = 20
)

// Pack packs the file of an open storage, which goes on being used by all
// processes meanwhile. Errors: storage.ErrPacking when another pack runs,
// *storage.CorruptError when a record that can be reached is damaged, the
// context's, those of the file. After an error the database is what it was,
// unless it Is vfs.ErrUnknownOutcome, which tells what to do.
func Pack(ctx context.Context, s *filestorage.Storage, o Options) (r Report, err error) {
	begun := time.Now()
	p, err := s.NewPacking(ctx, filestorage.PackingOptions{Keep: o.Keep, KeepFrom: o.KeepFrom, DryRun: o.DryRun})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	r = Report{DryRun: o.DryRun, Horizon: p.Horizon(), Before: p.Before(), After: p.Before()}
	if p.Idle() {
		r.Nothing = true
		r.Took = time.Since(begun)
		return r, nil
	}
	t := &tally{report: &r}
	c := &pace{limit: o.BytesPerSecond, progress: o.Progress, tally: t, begun: begun}
	w := &walk{ctx: ctx, p: p, tally: t, pace: c}
	if err := w.from(0, rootOID); err != nil {
		return r, err
	}
	if err := w.catchUp(o.DryRun); err != nil {
		return r, err
	}
	if p.Objects() == 0 && p.OldObjects() > 0 {
		return r, fmt.Errorf("durus: pack %s: it holds %d objects and no root directory (object %s) that leads to any of them, so all of them would be removed: nothing was changed; was it made without package durus, or damaged?", s.Path(), p.OldObjects(), rootOID)
	}
	if !o.DryRun {
		c.tell(Swapping, p)
		w.pace = &pace{tally: t} // others wait: no rests, no calls of the program
		if r.Lock, err = p.Swap(ctx, w.caught(), w.from); err != nil {
			return r, err
		}
	}
	r.After = p.Size()
	c.tell(Counting, p)
	// The pack is over: what cannot be counted does not make it fail.
	if err := p.Dropped(ctx, t.drop); err != nil && o.DryRun {
		return r, err
	}
	t.finish(p.ClassName)
	r.Took = time.Since(begun)
	return r, nil
}

// catchUp copies what others have committed, until little is left.
func (w *walk) catchUp(dry bool) error {
	for round := 0; ; round++ {
		w.pace.tell(CatchingUp, w.p)
		if err := w.p.CatchUp(w.ctx, w.caught(), w.from); err != nil {
			return err
		}
		if dry {
			return nil
		}
		left, err := w.p.Refresh()
		if err != nil {
			return err
		}
		if left < closeEnough || round == maxCatchUps {
			return nil
		}
	}
}

// caught counts into the report.
func (w *walk) caught() *filestorage.Caught {
	return &filestorage.Caught{
		Records:      w.tally.keep,
		Transactions: &w.tally.report.Transactions,
		Step:         func() error { return w.pace.now(w.ctx, CatchingUp, w.p) },
	}
}
