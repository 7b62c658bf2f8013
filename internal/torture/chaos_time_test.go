//go:build linux

package torture

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/durusdb/durus/durus"
)

// look audits a view and notes what it has found.
func (w *chaosWorker) look(db *durus.DB, at *durus.At, expected ...error) {
	var s scene
	read := func(tx *durus.Tx) (err error) {
		s, err = audit(tx, w.task.Workers)
		return err
	}
	var err error
	if at == nil {
		err = db.View(w.ctx, read)
	} else {
		err = db.ViewAt(w.ctx, *at, read)
	}
	if w.accept(db, err, expected...) {
		w.note(s)
	}
}

func (w *chaosWorker) view() {
	// What this worker was told is there.
	page := w.page
	db := w.db.Load()
	var s scene
	err := db.View(w.ctx, func(tx *durus.Tx) (err error) {
		s, err = audit(tx, w.task.Workers)
		return err
	})
	if w.accept(db, err) {
		w.note(s)
		w.expect(page < 0 || s.Pages[w.number] == page, "page %d is written %d times, and should be %d times", w.number, s.Pages[w.number], page)
	}
}

// longView looks again and again at one state, whatever packs there are meanwhile.
func (w *chaosWorker) longView() {
	db := w.db.Load()
	var first scene
	err := db.View(w.ctx, func(tx *durus.Tx) error {
		for i := range 3 {
			s, err := audit(tx, w.task.Workers)
			if err != nil {
				return err
			}
			w.expect(i == 0 || s.Digest == first.Digest, "one View sees %x and %x", first.Digest, s.Digest)
			first = s
			time.Sleep(time.Duration(w.rnd.Int64N(int64(60 * time.Millisecond))))
		}
		return nil
	})
	if w.accept(db, err) {
		w.note(first)
	}
}

// viewAt looks at a state that was seen before, or one beside it.
func (w *chaosWorker) viewAt() {
	tid, ok := w.seen()
	if !ok {
		return
	}
	at := durus.AtTID(tid)
	switch w.rnd.IntN(4) {
	case 0:
		at = durus.AtTID(tid - 1)
	case 1:
		at = durus.AtTime(time.Now().Add(-time.Duration(w.rnd.Int64N(int64(time.Second)))))
	}
	w.look(w.db.Load(), &at, durus.ErrPacked)
}

// history walks over transactions, and over what became of an object.
func (w *chaosWorker) history() {
	db := w.db.Load()
	tid, _ := w.seen()
	var last durus.TID
	for info, err := range db.Transactions(tid, tid+200) {
		if !w.accept(db, err, durus.ErrPacked) {
			return
		}
		w.expect(info.TID > last && info.TID >= tid, "transaction %s comes behind %s", info.TID, last)
		last = info.TID
	}
	var oid durus.OID
	err := db.View(w.ctx, func(tx *durus.Tx) error {
		v, err := vault.Load(tx)
		if err == nil && len(v.Purses) > 0 {
			oid = v.Purses[w.rnd.IntN(len(v.Purses))].OID()
		}
		return err
	})
	if !w.accept(db, err) || oid == 0 {
		return
	}
	before := durus.TID(1<<63 - 1)
	for r, err := range db.History(oid) {
		if !w.accept(db, err, durus.ErrNotFound) { // the vault may be gone since
			return
		}
		w.expect(r.TID < before, "revision %s comes behind %s", r.TID, before)
		before = r.TID
	}
}

// target finds a transaction that may be undone.
func (w *chaosWorker) target(db *durus.DB) (found durus.TxInfo) {
	tid, ok := w.seen()
	if !ok {
		return found
	}
	skip := w.rnd.IntN(20)
	if w.rnd.IntN(3) > 0 { // the last one
		skip = 1 << 30
	}
	for info, err := range db.Transactions(tid, tid+2000) {
		if !w.accept(db, err, durus.ErrPacked) {
			return durus.TxInfo{}
		}
		free := info.User == "money" || info.User == "" && strings.HasPrefix(info.Description, "undo of") || info.Description == "durus: migrate"
		if !free || strings.Contains(info.Description, "never") {
			continue
		}
		found = info
		if skip--; skip < 0 {
			break
		}
	}
	return found
}

// undo takes back what somebody has done, or plans to.
func (w *chaosWorker) undo() {
	db := w.db.Load()
	info := w.target(db)
	if info.TID == 0 {
		return
	}
	expected := []error{durus.ErrConflict, durus.ErrDangling, durus.ErrPacked}
	expected = append(expected, w.doubles(info.Description)...)
	if info.Description == "rows final" {
		expected = append(expected, durus.ErrUnique)
	}
	final := strings.Contains(info.Description, "final")
	switch {
	case w.rnd.IntN(5) == 0:
		_, err := db.PlanUndo(w.ctx, info.TID)
		w.accept(db, err, expected...)
	case !final && !strings.Contains(info.Description, "once"):
		tids := []durus.TID{info.TID}
		if more := w.target(db); more.TID > 0 && more.TID != info.TID && !strings.Contains(more.Description, "final") && !strings.Contains(more.Description, "once") {
			tids = append(tids, more.TID)
		}
		done, err := db.Undo(w.ctx, tids...)
		if w.accept(db, err, expected...) {
			w.expect(done > 0, "the undo of %s has no id", info.TID)
			w.counts["undone"]++
		}
	default:
		what := "undo once"
		if final {
			what = "undo never"
		}
		if w.update(what, func(tx *durus.Tx, v *Vault) error {
			if fresh, err := v.Undone.Insert(tx, uint64(info.TID), w.nextStamp()); err != nil {
				return err
			} else if !fresh {
				return errNothing
			}
			return tx.Undo(info.TID)
		}, expected...) {
			w.counts["undone"]++
		}
	}
}

// watched is how far a worker has watched.
type watched struct {
	TID   durus.TID // the last change that it has dealt with
	Pages []int64   // what the workers had written by then
}

// watch reads on from the last change that this worker has dealt with, in an
// earlier process perhaps: each commit comes once, in order, and so each worker's
// pages are counted through.
func (w *chaosWorker) watch() {
	db := w.db.Load()
	if w.watched.TID == 0 && !w.watchFromNow(db) {
		return
	}
	ctx, cancel := context.WithTimeout(w.ctx, time.Duration(w.rnd.Int64N(int64(60*time.Millisecond))))
	defer cancel()
	first := w.watched.TID
	var tids []durus.TID
	for c, err := range db.Watch(ctx, first) {
		switch {
		case err == nil:
			w.changed(db, c)
			tids = append(tids, c.TID)
		case ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded):
		case !w.accept(db, err, durus.ErrPacked) && errors.Is(err, durus.ErrPacked):
			w.watched.TID = 0
			return
		}
	}
	if len(tids) == 0 {
		return
	}
	text, err := json.Marshal(w.watched)
	if err = errors.Join(err, tell("watched %d %s", w.number, text)); err != nil {
		w.fail("%v", err)
	}
	if w.rnd.IntN(2) == 0 {
		w.compare(db, first, tids)
	}
}

// changed deals with a change.
func (w *chaosWorker) changed(db *durus.DB, c durus.Change) {
	w.expect(c.TID > w.watched.TID, "change %s comes behind %s", c.TID, w.watched.TID)
	w.watched.TID = c.TID
	if c.User == "page" {
		worker, n, _ := strings.Cut(c.Description, "/")
		who, err1 := strconv.Atoi(worker)
		page, err2 := strconv.ParseInt(n, 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			w.fail("%v", err)
		}
		pages := w.watched.Pages
		w.expect(page == pages[who]+1, "change %s is page %d of worker %d, and page %d should be next", c.TID, page, who, pages[who]+1)
		pages[who] = page
	}
	if w.rnd.IntN(10) == 0 {
		err := durus.Diff(w.ctx, db, c, func(durus.Ref[Purse], *Purse, *Purse) error { return nil })
		w.accept(db, err, durus.ErrPacked)
	}
}

// compare asks for the transactions that Watch has told of.
func (w *chaosWorker) compare(db *durus.DB, first durus.TID, tids []durus.TID) {
	i := 0
	for info, err := range db.Transactions(first+1, tids[len(tids)-1]) {
		if !w.accept(db, err, durus.ErrPacked) {
			return
		}
		w.expect(i < len(tids) && tids[i] == info.TID, "Transactions behind %s has %s in the place of what Watch told, %v", first, info.TID, tids)
		i++
	}
	w.expect(i == len(tids), "Transactions behind %s has %d transactions, Watch has told of %v", first, i, tids)
}

func (w *chaosWorker) watchFromNow(db *durus.DB) bool {
	var now watched
	err := db.View(w.ctx, func(tx *durus.Tx) error {
		now = watched{TID: tx.Snapshot()}
		for i := range w.task.Workers {
			p, err := pageOf(i).Load(tx)
			if err != nil {
				return err
			}
			now.Pages = append(now.Pages, p.N)
		}
		return nil
	})
	if !w.accept(db, err) {
		return false
	}
	w.watched = now
	return now.TID > 0
}

// facts asks for what is known: nothing of it goes back.
func (w *chaosWorker) facts() {
	db := w.db.Load()
	before, err := db.LastTID()
	if !w.accept(db, err) {
		return
	}
	if w.rnd.IntN(2) == 0 && !w.accept(db, db.Sync(w.ctx)) {
		return
	}
	if before > 0 {
		ok, err := db.Committed(before)
		if w.accept(db, err, durus.ErrPacked) {
			w.expect(ok, "transaction %s was the last one, and is not committed", before)
		}
	}
	_ = db.Stats()
	after, err := db.LastTID()
	if w.accept(db, err) {
		w.expect(after >= before, "the last transaction was %s, and is %s", before, after)
	}
}
