//go:build linux

package torture

import (
	"errors"
	"fmt"
	"slices"

	"github.com/durusdb/durus/durus"
)

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
