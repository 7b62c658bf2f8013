//go:build linux

package torture

import (
	"errors"
	"fmt"
	"slices"
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

// reshape makes and removes places in containers. Those that go hold nothing.
func (w *chaosWorker) reshape() {
	n := 1 + w.rnd.IntN(3)
	if w.rnd.IntN(20) == 0 {
		n = 60 * w.task.Scale
	}
	w.update("shape", func(tx *durus.Tx, v *Vault) error {
		for range n {
			if err := w.reshapeOne(tx, v); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *chaosWorker) reshapeOne(tx *durus.Tx, v *Vault) error {
	empty := Cell{Stamp: w.nextStamp()}
	switch w.rnd.IntN(4) {
	case 0:
		k := w.treeKey()
		made, err := v.Tree.Insert(tx, k, empty)
		if err != nil || made {
			return err
		}
		c, _, err := v.Tree.Get(tx, k)
		if err != nil || c.Amount != 0 {
			return err
		}
		_, err = v.Tree.Delete(tx, k)
		return err
	case 1:
		k := w.rnd.Int64N(int64(w.task.Scale) * treeKeys)
		made, err := v.Dict.Insert(tx, k, empty)
		if err != nil || made {
			return err
		}
		c, _, err := v.Dict.Get(tx, k)
		if err != nil || c.Amount != 0 {
			return err
		}
		_, err = v.Dict.Delete(tx, k)
		return err
	case 2:
		n, err := v.List.Len(tx)
		if err != nil {
			return err
		}
		i := w.rnd.IntN(n + 1)
		switch {
		case n > 0 && (n > 40*w.task.Scale || w.rnd.IntN(3) == 0):
			i = w.rnd.IntN(n)
			c, err := v.List.Get(tx, i)
			if err != nil || c.Amount != 0 {
				return err
			}
			return v.List.Delete(tx, i)
		case w.rnd.IntN(2) == 0:
			return v.List.Append(tx, empty)
		default:
			return v.List.Insert(tx, i, empty)
		}
	default:
		k := fmt.Sprint(w.rnd.IntN(50 * w.task.Scale))
		if gone, err := v.Set.Delete(tx, k); err != nil || gone {
			return err
		}
		return v.Set.Add(tx, k)
	}
}

// reshapeRows makes, changes and removes rows. Those that go hold nothing, and say
// that they are gone.
func (w *chaosWorker) reshapeRows() {
	n := 1 + w.rnd.IntN(3)
	if w.rnd.IntN(20) == 0 {
		n = 10 * w.task.Scale
	}
	w.update("rows final", func(tx *durus.Tx, v *Vault) error {
		for range n {
			var err error
			if w.rnd.IntN(2) == 0 {
				err = reshapeRow(w, tx, v.Rows, fmt.Sprintf("r%d", w.rnd.IntN(w.task.Scale*rowKeys)))
			} else {
				err = reshapeRow(w, tx, v.Drawer, w.rnd.Int64N(int64(w.task.Scale)*rowKeys))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}, durus.ErrUnique)
}

func reshapeRow[K comparable](w *chaosWorker, tx *durus.Tx, t durus.Table[K, Row], k K) error {
	name := fmt.Sprintf("name %d", w.rnd.IntN(3*w.task.Scale*rowKeys))
	row, ok, err := t.Edit(tx, k)
	switch {
	case err != nil:
		return err
	case !ok:
		_, err := t.Insert(tx, k, &Row{Stamp: w.nextStamp(), Name: name, Tags: w.tags()})
		return err
	case row.Amount == 0 && w.rnd.IntN(2) == 0:
		row.Gone, row.Stamp = true, w.nextStamp()
		_, err := t.Delete(tx, k)
		return err
	}
	row.Name, row.Tags, row.Stamp = name, w.tags(), w.nextStamp()
	return nil
}

// cutAndTie cuts purses loose, which a pack may remove then, and ties them again,
// with or without a look at them.
func (w *chaosWorker) cutAndTie() {
	const most = 5
	var cut, tied durus.OID
	ok := w.update("loose never", func(tx *durus.Tx, v *Vault) error {
		cut, tied = 0, 0
		e, err := vault.Edit(tx)
		if err != nil {
			return err
		}
		switch n := w.rnd.IntN(3); {
		case n == 0 && len(w.loose) > 0 && len(e.Loose) < most:
			tied = w.loose[w.rnd.IntN(len(w.loose))]
			ref := durus.RefTo[Purse](tied)
			if w.rnd.IntN(2) == 0 {
				if _, err := ref.Load(tx); err != nil {
					return err
				}
			}
			e.Loose = append(slices.Clone(e.Loose), ref)
			return nil
		case n == 1 && len(e.Loose) > 0:
			i := w.rnd.IntN(len(e.Loose))
			cut = e.Loose[i].OID()
			e.Loose = slices.Delete(slices.Clone(e.Loose), i, i+1)
			return nil
		case len(e.Loose) < most:
			p, err := durus.Add(tx, &Purse{Stamp: w.nextStamp()})
			if err != nil {
				return err
			}
			e.Loose = append(slices.Clone(e.Loose), p)
			e.Weak = append(slices.Clone(e.Weak), p.Weak())
			if len(e.Weak) > 2*most {
				e.Weak = e.Weak[most:]
			}
			return nil
		}
		return errNothing
	}, durus.ErrNotFound) // ErrDangling is one
	if cut > 0 && ok {
		w.loose = append(w.loose, cut)
	}
	if i := slices.Index(w.loose, tied); i >= 0 {
		w.loose = slices.Delete(w.loose, i, i+1)
	}
}

// moveRelics makes relics and moves money between them.
func (w *chaosWorker) moveRelics() {
	w.update("relics never", func(tx *durus.Tx, v *Vault) error {
		r, err := relics.Load(tx)
		if err != nil {
			return err
		}
		k := w.rnd.Int64N(relicKeys)
		if ok, err := r.All.Has(tx, k); err != nil {
			return err
		} else if !ok {
			ref, err := durus.Add(tx, &Relic{Stamp: w.nextStamp(), Note: "new"})
			if err != nil {
				return err
			}
			return r.All.Put(tx, k, ref)
		}
		if err := w.giveRelic(tx, v, -3); err != nil {
			return err
		}
		return w.giveRelic(tx, v, 3)
	})
}

// oldProgram does what moveRelics does with an older version of the class.
func (w *chaosWorker) oldProgram() {
	o := w.task.Options
	o.Types = oldTypes()
	db, err := w.open(o)
	if err != nil {
		w.fail("%v", err)
	}
	if db == nil {
		return
	}
	for range 3 {
		err := db.Update(w.ctx, func(tx *durus.Tx) error {
			tx.Describe("money", "old relics never", nil)
			r, err := oldRoot.Load(tx)
			if err != nil {
				return err
			}
			k := w.rnd.Int64N(relicKeys)
			ref, ok, err := r.All.Get(tx, k)
			if err != nil {
				return err
			}
			if !ok {
				if ref, err = durus.Add(tx, &oldRelic{Stamp: w.nextStamp()}); err != nil {
					return err
				}
				return r.All.Put(tx, k, ref)
			}
			from, err := ref.Edit(tx)
			if err != nil {
				return err
			}
			for k, ref := range r.All.All(tx) {
				if w.rnd.IntN(3) > 0 {
					continue
				}
				to, err := ref.Edit(tx)
				if errors.Is(err, durus.ErrTooNew) {
					continue
				}
				if err != nil {
					return err
				}
				from.Amount, from.Stamp = from.Amount-k, w.nextStamp()
				to.Amount, to.Stamp = to.Amount+k, w.nextStamp()
				return nil
			}
			return errors.Join(tx.Err(), errNothing)
		})
		w.accept(w.db.Load(), err, errNothing, durus.ErrTooNew)
	}
	if err := w.close(db); err != nil {
		w.fail("%v", err)
	}
}

// extra makes roots, and changes them.
func (w *chaosWorker) extra() {
	w.update("extra", func(tx *durus.Tx, _ *Vault) error {
		p, err := extraRoot(w.rnd.IntN(manyRoots)).Edit(tx)
		if err == nil {
			p.Stamp = w.nextStamp()
		}
		return err
	})
}

// bulk writes more than a small cache holds, in one transaction.
func (w *chaosWorker) bulk() {
	n := []int64{20, 100, 300}[w.rnd.IntN(3)] // the largest is worth a checkpoint of the index
	w.update("bulk never", func(tx *durus.Tx, _ *Vault) error {
		b, err := bulk.Load(tx)
		if err != nil {
			return err
		}
		for i := range n {
			n := w.nextStamp()
			ref, err := durus.Add(tx, &Lump{N: n, Again: n, Fill: make([]byte, 16<<10)})
			if err != nil {
				return err
			}
			if err := b.All.Put(tx, i, ref); err != nil {
				return err
			}
			if i%40 != 39 {
				continue
			}
			sp, err := tx.Savepoint()
			if err != nil {
				return err
			}
			again, err := ref.Edit(tx)
			if err != nil {
				return err
			}
			again.N = 0
			if err := sp.Rollback(); err != nil {
				return err
			}
		}
		return nil
	})
}
