//go:build linux

package torture

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/durusdb/durus/durus"
)

// Descriptions of transactions with money tell how they may be undone: not
// "never"; "once" only; or "final": once, and that is not undone again. Else
// money would be made, as docs/decisions/0025 says: a counter and a merge do not
// know what was undone, and an object that is in no table any more is undone all
// the same.

// furnish makes what the vault has none of.
func (w *chaosWorker) furnish() {
	w.update("furnish never", func(tx *durus.Tx, v *Vault) error {
		if len(v.Purses) > 0 {
			return errNothing
		}
		e, err := vault.Edit(tx)
		if err != nil {
			return err
		}
		for range 6 {
			p, err := durus.Add(tx, &Purse{Stamp: w.nextStamp()})
			if err != nil {
				return err
			}
			e.Purses = append(e.Purses, p)
		}
		for range 2 {
			p, err := durus.Add(tx, &Pot{Stamp: w.nextStamp()})
			if err != nil {
				return err
			}
			e.Pots = append(e.Pots, p)
		}
		return nil
	})
}

// place is where money can be.
type place struct {
	name string
	flag string // of its transactions
	give func(w *chaosWorker, s durus.Session, v *Vault, d int64) error
}

var places = []place{
	{"purse", "", (*chaosWorker).givePurse},
	{"tree", "", (*chaosWorker).giveTree},
	{"dict", "", (*chaosWorker).giveDict},
	{"list", "", (*chaosWorker).giveList},
	{"counter", "once", func(_ *chaosWorker, s durus.Session, v *Vault, d int64) error { return v.Counter.Add(s, d) }},
	{"pot", "once", (*chaosWorker).givePot},
	{"row", "final", func(w *chaosWorker, s durus.Session, v *Vault, d int64) error {
		return giveRow(w, s, v.Rows, fmt.Sprintf("r%d", w.rnd.IntN(w.task.Scale*rowKeys)), d)
	}},
	{"drawer", "final", func(w *chaosWorker, s durus.Session, v *Vault, d int64) error {
		return giveRow(w, s, v.Drawer, w.rnd.Int64N(int64(w.task.Scale)*rowKeys), d)
	}},
	{"relic", "final", (*chaosWorker).giveRelic},
}

const (
	rowKeys   = 30
	treeKeys  = 80
	relicKeys = 20
)

func (w *chaosWorker) givePurse(s durus.Session, v *Vault, d int64) error {
	if len(v.Purses) == 0 {
		return errNothing
	}
	p, err := v.Purses[w.rnd.IntN(len(v.Purses))].Edit(s)
	if err == nil {
		p.Amount, p.Stamp = p.Amount+d, w.nextStamp()
	}
	return err
}

func (w *chaosWorker) givePot(s durus.Session, v *Vault, d int64) error {
	if len(v.Pots) == 0 {
		return errNothing
	}
	p, err := v.Pots[w.rnd.IntN(len(v.Pots))].Edit(s)
	if err == nil {
		p.Amount, p.Stamp = p.Amount+d, w.nextStamp()
	}
	return err
}

func (w *chaosWorker) treeKey() string {
	return fmt.Sprintf("key-%05d", w.rnd.IntN(w.task.Scale*treeKeys))
}

func (w *chaosWorker) giveTree(s durus.Session, v *Vault, d int64) error {
	for k, c := range v.Tree.From(s, w.treeKey()) {
		return v.Tree.Put(s, k, Cell{c.Amount + d, w.nextStamp()})
	}
	return errors.Join(s.Err(), errNothing)
}

func (w *chaosWorker) giveDict(s durus.Session, v *Vault, d int64) error {
	k := w.rnd.Int64N(int64(w.task.Scale) * treeKeys)
	c, ok, err := v.Dict.Get(s, k)
	if err != nil {
		return err
	}
	if !ok {
		return errNothing
	}
	return v.Dict.Put(s, k, Cell{c.Amount + d, w.nextStamp()})
}

func (w *chaosWorker) giveList(s durus.Session, v *Vault, d int64) error {
	i := w.rnd.IntN(40 * w.task.Scale)
	c, err := v.List.Get(s, i)
	if errors.Is(err, durus.ErrNotFound) {
		return errNothing
	}
	if err != nil {
		return err
	}
	return v.List.Set(s, i, Cell{c.Amount + d, w.nextStamp()})
}

func giveRow[K comparable](w *chaosWorker, s durus.Session, t durus.Table[K, Row], k K, d int64) error {
	row, ok, err := t.Edit(s, k)
	if err != nil {
		return err
	}
	if !ok {
		return errNothing
	}
	row.Amount, row.Stamp = row.Amount+d, w.nextStamp()
	if w.rnd.IntN(3) == 0 {
		row.Tags = w.tags()
	}
	return nil
}

// doubles: the unique index of the drawer may be dropped. When it is built again,
// a row may have the name of another one, and cannot be written then.
func (w *chaosWorker) doubles(what string) []error {
	if strings.Contains(what, "drawer") {
		return []error{durus.ErrUnique}
	}
	return nil
}

func (w *chaosWorker) giveRelic(s durus.Session, _ *Vault, d int64) error {
	r, err := relics.Load(s)
	if err != nil {
		return err
	}
	ref, ok, err := r.All.Get(s, w.rnd.Int64N(relicKeys))
	if err != nil {
		return err
	}
	if !ok {
		return errNothing
	}
	relic, err := ref.Edit(s)
	if err == nil {
		relic.Amount, relic.Stamp = relic.Amount+d, w.nextStamp()
	}
	return err
}

func (w *chaosWorker) tags() []string {
	tags := make([]string, w.rnd.IntN(4))
	for i := range tags {
		tags[i] = fmt.Sprintf("t%d", w.rnd.IntN(5))
	}
	return tags
}

// twoPlaces are different ones, and the description of a transfer between them.
func (w *chaosWorker) twoPlaces() (from, to place, what string) {
	i := w.rnd.IntN(len(places))
	j := (i + 1 + w.rnd.IntN(len(places)-1)) % len(places)
	from, to = places[i], places[j]
	return from, to, strings.Join([]string{"from", from.name, "to", to.name, from.flag, to.flag}, " ")
}

func (w *chaosWorker) move(s durus.Session, v *Vault, from, to place) error {
	d := 1 + w.rnd.Int64N(9)
	if err := from.give(w, s, v, -d); err != nil {
		return err
	}
	return to.give(w, s, v, d)
}

// transfer moves money. It may take back something in between.
func (w *chaosWorker) transfer() {
	from, to, what := w.twoPlaces()
	w.update(what, func(tx *durus.Tx, v *Vault) error {
		if w.rnd.IntN(3) > 0 {
			return w.move(tx, v, from, to)
		}
		d := 1 + w.rnd.Int64N(9)
		if err := from.give(w, tx, v, -d); err != nil {
			return err
		}
		sp, err := tx.Savepoint()
		if err != nil {
			return err
		}
		for range 1 + w.rnd.IntN(2) {
			for range w.rnd.IntN(3) {
				if err := places[w.rnd.IntN(len(places))].give(w, tx, v, 1000); err != nil && !errors.Is(err, errNothing) {
					return err
				}
			}
			if err := sp.Rollback(); err != nil {
				return err
			}
		}
		return to.give(w, tx, v, d)
	}, append(w.doubles(what), errNothing)...)
}

// slowTransfer takes its time before the commit, and does not try again.
func (w *chaosWorker) slowTransfer() {
	from, to, what := w.twoPlaces()
	db := w.db.Load()
	tx, err := db.Begin(w.ctx, true)
	if !w.accept(db, err) {
		return
	}
	defer func() { _ = tx.Rollback() }() // returns the error that is looked at below
	v, err := vault.Load(tx)
	if err == nil {
		tx.Describe("money", what, nil)
		err = w.move(tx, v, from, to)
	}
	if !w.accept(db, err, errNothing) {
		return
	}
	time.Sleep(time.Duration(w.rnd.Int64N(int64(40 * time.Millisecond))))
	w.accept(db, tx.Commit(), append(w.doubles(what), durus.ErrConflict)...)
}

// connection moves money through a live session.
func (w *chaosWorker) connection() {
	from, to, _ := w.twoPlaces()
	if from.flag != "" || to.flag != "" { // it cannot describe what it does
		return
	}
	db := w.db.Load()
	c, err := db.Connect(w.ctx)
	if !w.accept(db, err) {
		return
	}
	defer func() {
		_ = c.Abort()
		w.accept(db, c.Close())
	}()
	for range 1 + w.rnd.IntN(4) {
		if w.rnd.IntN(2) == 0 && !w.accept(db, c.Pause()) {
			return
		}
		v, err := vault.Load(c)
		if err == nil {
			err = w.move(c, v, from, to)
		}
		if err == nil {
			err = c.Commit()
		}
		if w.accept(db, err, errNothing, durus.ErrConflict) {
			continue
		}
		if err := c.Abort(); !w.accept(db, err) {
			return
		}
	}
}
