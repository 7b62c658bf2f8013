package durus

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// modelTx is what the model knows of a running transaction.
type modelTx struct {
	tx     *Tx
	began  int           // version at its beginning
	state  map[int]int64 // the snapshot with its own writes
	base   map[int]int64
	used   map[int]bool // loaded or edited
	writes map[int]bool
}

// D12, scenarios 1 to 9: random transactions on several handles, interleaved,
// against maps: every read is of the snapshot, a commit conflicts exactly when
// something that the transaction used was changed since, and what is committed
// is what everybody sees.
func TestTransactionsModel(t *testing.T) {
	for _, name := range []string{"model", "memory"} {
		for _, isolation := range []Isolation{Serializable, SnapshotIsolation} {
			t.Run(fmt.Sprint(name, isolation), func(t *testing.T) {
				rapid.Check(t, func(r *rapid.T) { runModel(t, r, beds[name](t), isolation) })
			})
		}
	}
}

func runModel(t *testing.T, r *rapid.T, b *bed, isolation Isolation) {
	const objects, handles = 5, 3
	var dbs []*DB
	for range handles {
		db, err := b.open(Options{Isolation: isolation, CacheBytes: 1500})
		if err != nil {
			r.Fatal(err)
		}
		defer db.Close()
		dbs = append(dbs, db)
	}
	var oids [objects]OID
	committed, changed, version := map[int]int64{}, map[int]int{}, 0
	update(t, dbs[0], func(tx *Tx) error {
		root := Must(theBank.Edit(tx))
		for i := range oids {
			ref := Must(Add(tx, &account{}))
			oids[i], root.Others = ref.OID(), append(root.Others, ref.Any())
			committed[i] = 0
		}
		return nil
	})
	ref := func(i int) Ref[account] { return RefTo[account](oids[i]) }

	var open []*modelTx
	defer func() {
		for _, m := range open {
			_ = m.tx.Rollback()
		}
	}()
	finish := func(i int) *modelTx {
		m := open[i]
		open = append(open[:i], open[i+1:]...)
		return m
	}
	for range rapid.IntRange(1, 60).Draw(r, "steps") {
		action := rapid.SampledFrom([]string{"begin", "load", "load", "edit", "edit", "peek", "commit", "commit", "rollback", "view"}).Draw(r, "action")
		if len(open) == 0 && action != "view" {
			action = "begin"
		}
		if action == "begin" && len(open) == 4 {
			action = "commit"
		}
		obj := rapid.IntRange(0, objects-1).Draw(r, "object")
		db := dbs[rapid.IntRange(0, handles-1).Draw(r, "handle")]
		which := 0
		if len(open) > 0 {
			which = rapid.IntRange(0, len(open)-1).Draw(r, "transaction")
		}
		switch action {
		case "begin":
			tx, err := db.Begin(t.Context(), true)
			if err != nil {
				r.Fatal(err)
			}
			m := &modelTx{tx: tx, began: version, state: map[int]int64{}, base: map[int]int64{}, used: map[int]bool{}, writes: map[int]bool{}}
			for k, v := range committed {
				m.state[k], m.base[k] = v, v
			}
			open = append(open, m)
		case "load", "peek":
			m := open[which]
			load := ref(obj).Load
			if action == "peek" {
				load = ref(obj).Peek
			} else {
				m.used[obj] = true
			}
			if a, err := load(m.tx); err != nil || a.Balance != m.state[obj] {
				r.Fatalf("object %d: got %+v, %v, want %d", obj, a, err, m.state[obj])
			}
		case "edit":
			m := open[which]
			a, err := ref(obj).Edit(m.tx)
			if err != nil || a.Balance != m.state[obj] {
				r.Fatalf("object %d: got %+v, %v, want %d", obj, a, err, m.state[obj])
			}
			a.Balance = rapid.Int64Range(0, 3).Draw(r, "value")
			m.state[obj], m.used[obj] = a.Balance, true
			m.writes[obj] = a.Balance != m.base[obj]
		case "commit":
			m := finish(which)
			writes, conflict := false, false
			for k := range objects {
				writes = writes || m.writes[k]
				depends := m.used[k]
				if isolation == SnapshotIsolation {
					depends = m.writes[k]
				}
				conflict = conflict || depends && changed[k] > m.began
			}
			err := m.tx.Commit()
			if errors.Is(err, ErrConflict) != (writes && conflict) || err != nil && !errors.Is(err, ErrConflict) {
				r.Fatalf("commit: %v; conflict expected: %v", err, writes && conflict)
			}
			if err == nil && writes {
				version++
				for k, w := range m.writes {
					if w {
						committed[k], changed[k] = m.state[k], version
					}
				}
			}
		case "rollback":
			if err := finish(which).tx.Rollback(); err != nil {
				r.Fatal(err)
			}
		case "view":
			if err := db.View(t.Context(), func(tx *Tx) error {
				for k, want := range committed {
					if a, err := ref(k).Load(tx); err != nil || a.Balance != want {
						return fmt.Errorf("object %d: got %+v, %w, want %d", k, a, err, want)
					}
				}
				return nil
			}); err != nil {
				r.Fatal(err)
			}
		}
	}
}
