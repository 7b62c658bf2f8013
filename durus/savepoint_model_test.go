package durus

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// plain is what the database should hold: what is linked from the root, and
// the number that each object has.
type plain struct {
	linked []OID
	value  map[OID]int64
	edited map[OID]bool // in this transaction, or added
}

func (p *plain) clone() *plain {
	return &plain{slices.Clone(p.linked), maps.Clone(p.value), maps.Clone(p.edited)}
}

// savepointModel is a transaction, and what it should be.
type savepointModel struct {
	r     *rapid.T
	tx    *Tx
	now   *plain
	saved []*plain
	marks []*Savepoint
	gone  []*Savepoint
	held  map[OID]*large // pointers that the program keeps, of edited objects
	inner map[OID][]int64
}

// Scenarios 37 to 42: random transactions with nested savepoints, on a cache
// that is too small for them, against a plain Go model: adds, edits through
// Edit, through pointers that were kept, and through slices that were taken out
// of objects, rollbacks, commits, aborts, reopening.
func TestSavepointModel(t *testing.T) {
	for _, name := range []string{"model", "memory"} {
		for _, cache := range []int64{1200, 1 << 20} {
			t.Run(fmt.Sprint(name, cache), func(t *testing.T) {
				rapid.Check(t, func(r *rapid.T) { runSavepointModel(t, r, beds[name](t), cache) })
			})
		}
	}
}

func runSavepointModel(t *testing.T, r *rapid.T, b *bed, cache int64) {
	check := func(err error) {
		if err != nil {
			r.Fatal(err)
		}
	}
	open := func() *DB {
		db, err := b.open(Options{CacheBytes: cache})
		check(err)
		db.bound = cache
		return db
	}
	db := open()
	defer func() { _ = db.Close() }()
	committed := &plain{value: map[OID]int64{}}
	for range rapid.IntRange(1, 4).Draw(r, "transactions") {
		tx, err := db.Begin(t.Context(), true)
		check(err)
		defer tx.Rollback() // a failure must not leave Close waiting
		m := &savepointModel{r: r, tx: tx, now: committed.clone(), held: map[OID]*large{}, inner: map[OID][]int64{}}
		m.now.edited = map[OID]bool{}
		for range rapid.IntRange(1, 40).Draw(r, "steps") {
			m.step()
		}
		m.check()
		if rapid.Bool().Draw(r, "commit") {
			m.held, m.inner = nil, nil
			check(tx.Commit())
			committed = m.now
			for oid := range committed.value {
				if !slices.Contains(committed.linked, oid) {
					delete(committed.value, oid)
				}
			}
		} else {
			check(tx.Rollback())
		}
		if rapid.IntRange(0, 4).Draw(r, "reopen") == 0 {
			check(db.Close())
			db = open()
		}
		check(db.View(t.Context(), func(tx *Tx) error {
			(&savepointModel{r: r, tx: tx, now: committed}).check()
			return nil
		}))
	}
}

func (m *savepointModel) step() {
	r := m.r
	check := func(err error) {
		if err != nil {
			r.Fatal(err)
		}
	}
	some := func(what string) (OID, bool) {
		oids := slices.Sorted(maps.Keys(m.now.value))
		if len(oids) == 0 {
			return 0, false
		}
		return rapid.SampledFrom(oids).Draw(r, what), true
	}
	value := rapid.Int64Range(0, 9).Draw(r, "value")
	switch rapid.SampledFrom([]string{"add", "add", "edit", "edit", "edit", "held", "inner", "load", "drop", "unlink", "fill", "savepoint", "savepoint", "rollback", "rollback", "gone"}).Draw(r, "action") {
	case "add":
		v := &large{Numbers: []int64{value}}
		ref, err := Add(m.tx, v)
		check(err)
		m.now.value[ref.OID()], m.now.edited[ref.OID()] = value, true
		if value > 2 {
			p, err := thePile.Edit(m.tx)
			check(err)
			p.All = append(p.All, ref)
			m.now.linked = append(m.now.linked, ref.OID())
		}
		if value%2 == 0 {
			m.held[ref.OID()] = v
		}
	case "edit":
		if oid, ok := some("edited"); ok {
			v, err := RefTo[large](oid).Edit(m.tx)
			check(err)
			if h := m.held[oid]; h != nil && h != v {
				r.Fatalf("object %s: Edit gives another pointer", oid)
			}
			v.Numbers[0] = value
			m.now.value[oid], m.now.edited[oid] = value, true
			switch {
			case value%3 == 0:
				m.held[oid] = v
			case value%3 == 1:
				m.inner[oid] = v.Numbers
			}
		}
	case "held":
		for oid, v := range m.held {
			v.Numbers[0]++
			m.now.value[oid]++
		}
	case "inner":
		for oid, s := range m.inner {
			s[0] += 2
			m.now.value[oid] += 2
		}
	case "load":
		if oid, ok := some("loaded"); ok {
			v, err := RefTo[large](oid).Load(m.tx)
			check(err)
			if v.Numbers[0] != m.now.value[oid] {
				r.Fatalf("object %s: %d, want %d", oid, v.Numbers[0], m.now.value[oid])
			}
		}
	case "drop":
		clear(m.held)
		clear(m.inner)
	case "unlink":
		p, err := thePile.Edit(m.tx)
		check(err)
		if len(p.All) > 0 {
			p.All = p.All[1:]
			m.now.linked = m.now.linked[1:]
		}
	case "fill":
		for range 10 {
			_, err := Add(m.tx, &large{Name: "filler"})
			check(err)
		}
	case "savepoint":
		sp, err := m.tx.Savepoint()
		check(err)
		m.marks, m.saved = append(m.marks, sp), append(m.saved, m.now.clone())
	case "rollback":
		if len(m.marks) > 0 {
			m.rollback(rapid.IntRange(0, len(m.marks)-1).Draw(r, "savepoint"))
		}
	case "gone":
		for _, sp := range m.gone {
			if err := sp.Rollback(); err != ErrSavepointGone {
				r.Fatalf("a savepoint that is gone: %v", err)
			}
		}
	}
}

func (m *savepointModel) rollback(n int) {
	if err := m.marks[n].Rollback(); err != nil {
		m.r.Fatal(err)
	}
	m.gone = append(m.gone, m.marks[n+1:]...)
	m.marks, m.saved = m.marks[:n+1], m.saved[:n+1]
	m.now = m.saved[n].clone()
	clear(m.inner) // slices may have been replaced
	for oid, v := range m.held {
		if !m.now.edited[oid] {
			delete(m.held, oid) // it is not the session's any more
			continue
		}
		if v.Numbers[0] != m.now.value[oid] {
			m.r.Fatalf("object %s after Rollback: %d through a pointer, want %d", oid, v.Numbers[0], m.now.value[oid])
		}
	}
	m.check()
}

// check compares everything.
func (m *savepointModel) check() {
	p, err := thePile.Load(m.tx)
	if err != nil {
		m.r.Fatal(err)
	}
	var linked []OID
	for _, ref := range p.All {
		linked = append(linked, ref.OID())
	}
	if !slices.Equal(linked, m.now.linked) {
		m.r.Fatalf("linked are %v, want %v", linked, m.now.linked)
	}
	for oid, want := range m.now.value {
		v, ok, err := RefTo[large](oid).Weak().Load(m.tx)
		if err != nil || !ok || v.Numbers[0] != want {
			m.r.Fatalf("object %s: %+v, %v, %v, want %d", oid, v, ok, err, want)
		}
	}
}
