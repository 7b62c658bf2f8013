package durus

import (
	"context"
	"fmt"
	"reflect"
)

// ReindexOptions are how Reindex works. Zero is sensible.
type ReindexOptions struct {
	// Batch is how many objects one transaction looks at; 0 is 256. Smaller
	// transactions are in the way of other writers for a shorter time.
	Batch int

	// Again builds all declared indexes anew, also those that are complete.
	Again bool

	// Progress is called after each transaction, on the caller's goroutine.
	Progress func(ReindexProgress)
}

// ReindexProgress is how far Reindex has come.
type ReindexProgress struct {
	Indexes []string // what is being built, in order
	Done    int      // objects that were looked at
	Total   int      // objects that there were at the beginning
}

const reindexBatch = 256

// Reindex builds the indexes that this program declares for a table and that
// the table does not have, or has from another version of their functions. It
// does nothing if there are none.
//
// It works in many small transactions while others read and write: from the
// first one on every commit keeps the new indexes in step too, and programs that
// do not declare them cannot change the table's objects any more (ErrIndex).
// The indexes answer when Reindex has succeeded. After a failure, or the end of
// the process, run it again: what was done is passed over. Two that run at the
// same time do no harm.
//
// Where objects have the same key in an index that is to be unique, the error is
// a *UniqueError that names two of them. The index stays unfinished: change one
// of the objects and run Reindex again, or give the index up with DropIndex.
// Other errors: ErrIndex, ErrReadOnly, ErrNotFound (the table is not stored), and
// those of Update.
func Reindex[K comparable, T any](ctx context.Context, db *DB, t Table[K, T], opts *ReindexOptions) error {
	var r reindexer[K, T]
	if opts != nil {
		r.ReindexOptions = *opts
	}
	if r.Batch <= 0 {
		r.Batch = reindexBatch
	}
	r.ctx, r.db, r.table = ctx, db, t
	if err := r.begin(); err != nil || len(r.numbers) == 0 {
		return err
	}
	for more := true; more; {
		var err error
		if more, err = r.batch(); err != nil {
			return err
		}
		if r.Progress != nil {
			r.Progress(r.progress)
		}
	}
	return r.end()
}

// reindexer is one Reindex.
type reindexer[K comparable, T any] struct {
	ReindexOptions
	ctx      context.Context
	db       *DB
	table    Table[K, T]
	numbers  []uint32 // of what is being built
	progress ReindexProgress
	last     *K // the last key that was looked at
}

// begin announces the new indexes. Whoever commits later knows of them.
func (r *reindexer[K, T]) begin() error {
	err := r.db.Update(r.ctx, func(tx *Tx) error {
		r.numbers, r.progress.Indexes = nil, nil
		c := tx.core()
		oid, err := c.openToWrite(r.table.raw, "Table")
		if err != nil {
			return err
		}
		info, err := tableType[T](c)
		if err != nil {
			return err
		}
		rec, err := c.tableAt(oid, info)
		if err != nil {
			return err
		}
		edited := false
		for _, name := range sortedNames(info.indexes) {
			def := info.indexes[name]
			at, ok := rec.Indexes[name]
			if r.Again || !ok || at.Version != def.version() || at.Unique != def.unique() {
				if !edited {
					if rec, err = c.editTable(oid); err != nil {
						return err
					}
					edited = true
				}
				if err := rec.add(c, def, true); err != nil {
					return c.stick(err)
				}
				at = rec.Indexes[name]
			}
			if at.Building {
				r.numbers = append(r.numbers, at.Number)
				r.progress.Indexes = append(r.progress.Indexes, name)
			}
		}
		return nil
	})
	if err != nil || len(r.numbers) == 0 {
		return err
	}
	return r.db.View(r.ctx, func(tx *Tx) (err error) {
		r.progress.Total, err = r.table.Len(tx)
		return err
	})
}

// editTable returns a table's record for changing.
func (c *core) editTable(oid OID) (*tableRecord, error) {
	v, err := c.edit(uint64(oid), reflect.TypeFor[tableRecord]())
	if err != nil {
		return nil, c.stick(err)
	}
	rec := v.(*tableRecord)
	if rec.Indexes == nil {
		rec.Indexes = make(map[string]indexRecord)
	}
	return rec, nil
}

// batch enters some objects. They are looked for in a View, so that what is
// inserted meanwhile is no conflict: those who insert keep the new indexes in
// step themselves.
func (r *reindexer[K, T]) batch() (more bool, err error) {
	var todo []Ref[T]
	seen, last := 0, r.last
	if err := r.db.View(r.ctx, func(tx *Tx) error {
		b := bounds[K]{}
		if r.last != nil {
			b.start, b.startOpen = r.last, true
		}
		for k, ref := range r.table.seq(tx, b) {
			if seen == r.Batch {
				more = true
				break
			}
			seen++
			last = &k
			known, err := r.known(tx, ref)
			if err != nil {
				return err
			}
			if !known {
				todo = append(todo, ref)
			}
		}
		return nil
	}); err != nil {
		return false, err
	}
	if len(todo) > 0 {
		if err := r.db.Update(r.ctx, func(tx *Tx) error { return r.enter(tx, todo) }); err != nil {
			return false, err
		}
	}
	r.last = last
	r.progress.Done += seen
	return more, nil
}

// known tells whether all indexes that are being built know an object.
func (r *reindexer[K, T]) known(tx *Tx, ref Ref[T]) (bool, error) {
	c := tx.core()
	info, err := tableType[T](c)
	if err != nil {
		return false, err
	}
	tree, ok, err := c.membersOf(info)
	if err != nil || !ok {
		return false, err
	}
	b, _, err := tree.Get(tx, uint64(ref.OID()))
	if err != nil {
		return false, err
	}
	list, err := c.memberships(ref.OID(), b)
	if err != nil {
		return false, err
	}
	i := within(list, r.table.OID())
	if i < 0 {
		return false, nil
	}
	for _, n := range r.numbers {
		if _, ok := list[i].In[n]; !ok {
			return false, nil
		}
	}
	return true, nil
}

// enter brings the indexes in step with objects, as a commit that had changed
// them would.
func (r *reindexer[K, T]) enter(tx *Tx, refs []Ref[T]) error {
	c := tx.core()
	info, err := tableType[T](c)
	if err != nil {
		return err
	}
	tree, ok, err := c.membersOf(info)
	if err != nil || !ok {
		return err
	}
	k := indexKeeper{c: c}
	for _, ref := range refs {
		m, err := k.member(ref.OID(), tree)
		if err != nil {
			return err
		}
		if m == nil || within(m.list, r.table.OID()) < 0 {
			continue // it was deleted from the table
		}
		v, err := ref.Load(tx)
		if err != nil {
			return err
		}
		if err := k.compare(m, info, v, func() (bool, error) { return false, nil }); err != nil {
			return err
		}
	}
	return k.apply()
}

// end declares the indexes complete.
func (r *reindexer[K, T]) end() error {
	return r.db.Update(r.ctx, func(tx *Tx) error {
		c := tx.core()
		oid := r.table.OID()
		rec, err := c.editTable(oid)
		if err != nil {
			return err
		}
		for i, name := range r.progress.Indexes {
			at := rec.Indexes[name]
			if at.Number != r.numbers[i] {
				return fmt.Errorf("%w: index %q of table %s was dropped, or begun anew by another program, while it was built: run durus.Reindex again", ErrIndex, name, oid)
			}
			at.Building = false
			rec.Indexes[name] = at
		}
		return nil
	})
}

// DropIndex takes an index away from one table, also one that the program does
// not declare, and tells whether the table had it. Transactions that have changed
// an object of the table meanwhile conflict. Programs that declare the index can
// build it again with Reindex. Errors: ErrReadOnly, ErrType, and those of Load;
// they stick.
func DropIndex[K comparable, T any](s Session, t Table[K, T], name string) (bool, error) {
	w, err := t.write(s)
	if err != nil {
		return false, err
	}
	if _, ok := w.rec.Indexes[name]; !ok {
		return false, nil
	}
	rec, err := w.c.editTable(w.oid)
	if err != nil {
		return false, err
	}
	delete(rec.Indexes, name)
	return true, nil
}
