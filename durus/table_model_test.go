package durus

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// tableModel is a table as a map: primary key to email, city.
type tableModel map[string][2]string

// valid tells whether no two have the same email.
func (m tableModel) valid() bool {
	seen := map[string]bool{}
	for _, c := range m {
		if c[0] != "" && seen[c[0]] {
			return false
		}
		seen[c[0]] = true
	}
	return true
}

// lines is all that the table and its indexes should yield.
func (m tableModel) lines() (out []string) {
	keys := slices.Sorted(maps.Keys(m))
	for _, k := range keys {
		out = append(out, fmt.Sprint("row ", k, m[k]))
	}
	for _, k := range slices.SortedFunc(slices.Values(keys), func(a, b string) int { return cmp.Compare(m[a][0], m[b][0]) }) {
		if m[k][0] != "" {
			out = append(out, fmt.Sprint("email ", m[k][0], " ", k))
		}
	}
	var cities []string
	for _, k := range keys {
		cities = append(cities, fmt.Sprint("city ", m[k][1], " ", k))
	}
	slices.Sort(cities)
	return append(out, cities...)
}

// tableLines is what a table and its indexes yield.
func tableLines(s Session, t Table[string, customer]) (out []string) {
	n := 0
	for k, ref := range t.All(s) {
		c := Must(ref.Load(s))
		out = append(out, fmt.Sprint("row ", k, [2]string{c.Email, c.City}))
		n++
	}
	for email, ref := range byEmail.All(s, t) {
		k, _ := Must2(t.Key(s, ref))
		out = append(out, fmt.Sprint("email ", email, " ", k))
		if found, ok := Must2(byEmail.Lookup(s, t, email)); !ok || found != ref {
			out = append(out, "which a lookup does not find")
		}
	}
	var cities []string
	for city, ref := range byCity.All(s, t) {
		k, _ := Must2(t.Key(s, ref))
		cities = append(cities, fmt.Sprint("city ", city, " ", k))
	}
	if !slices.IsSortedFunc(cities, func(a, b string) int { return cmp.Compare(a[:6], b[:6]) }) {
		out = append(out, "cities out of order")
	}
	slices.Sort(cities)
	if got := Must(t.Len(s)); got != n {
		out = append(out, fmt.Sprint("length ", got))
	}
	if n > 0 {
		first, firstRef, _, err := t.Min(s)
		last, lastRef, _, err2 := t.Max(s)
		if err := errors.Join(err, err2); err != nil {
			out = append(out, err.Error())
		}
		if k, _ := Must2(t.Key(s, firstRef)); k != first || !strings.HasPrefix(out[0], "row "+first+"[") {
			out = append(out, "the first is "+first)
		}
		if k, _ := Must2(t.Key(s, lastRef)); k != last || !strings.HasPrefix(out[n-1], "row "+last+"[") {
			out = append(out, "the last is "+last)
		}
	}
	return append(out, cities...)
}

// tableRows are the objects of the table.
func tableRows(t *testing.T, db *DB) tableModel {
	m := tableModel{}
	view(t, db, func(tx *Tx) error {
		for k, c := range Each(tx, Must(theShop.Load(tx)).Customers.All(tx)) {
			m[k] = [2]string{c.Email, c.City}
		}
		return nil
	})
	return m
}

// tableOp is one step of a transaction, on the table and on the model. taken
// tells that the table refused it because of the primary key.
type tableOp struct {
	what, key, to string
}

func (o tableOp) model(m tableModel) (taken bool) {
	c, found := m[o.key]
	switch {
	case o.what == "insert":
		if found {
			return true
		}
		m[o.key] = [2]string{o.to, o.to}
	case o.what == "put":
		m[o.key] = [2]string{o.to, o.to}
	case !found:
	case o.what == "delete" || o.what == "delete ref":
		delete(m, o.key)
	case o.what == "email":
		m[o.key] = [2]string{o.to, c[1]}
	case o.what == "city":
		m[o.key] = [2]string{c[0], "c" + o.to}
	case o.what == "swap":
		if d, ok := m[o.to]; ok {
			m[o.key], m[o.to] = [2]string{d[0], c[1]}, [2]string{c[0], d[1]}
		}
	case o.what == "move":
		if _, ok := m[o.to]; !ok {
			delete(m, o.key)
			m[o.to] = c
		}
	}
	return false
}

func (o tableOp) table(tx *Tx, t Table[string, customer]) {
	if o.what == "insert" {
		_, _ = t.Insert(tx, o.key, &customer{Email: o.to, City: o.to})
		return
	}
	if o.what == "put" {
		_, _ = t.Put(tx, o.key, customer{Email: o.to, City: o.to})
		return
	}
	if o.what == "delete" {
		Must(t.Delete(tx, o.key))
		return
	}
	ref, found := Must2(t.Ref(tx, o.key))
	if !found {
		return
	}
	switch o.what {
	case "delete ref":
		Must(t.DeleteRef(tx, ref))
	case "email":
		Must(ref.Edit(tx)).Email = o.to
	case "city":
		Must(ref.Edit(tx)).City = "c" + o.to
	case "swap":
		if other, ok := Must2(t.Edit(tx, o.to)); ok {
			c := Must(ref.Edit(tx))
			c.Email, other.Email = other.Email, c.Email
		}
	case "move":
		if ok := Must(t.Has(tx, o.to)); !ok {
			Must(t.Delete(tx, o.key))
			Must(t.Insert(tx, o.to, Must(ref.Edit(tx))))
		}
	}
}

// Random transactions of two handles against maps: what is committed is what
// they would have done one after the other, no two emails are the same, and a
// transaction sees in the indexes what it has changed.
func TestTableModel(t *testing.T) {
	for _, name := range []string{"model", "memory"} {
		for _, isolation := range []Isolation{Serializable, SnapshotIsolation} {
			t.Run(fmt.Sprint(name, isolation), func(t *testing.T) {
				rapid.Check(t, func(r *rapid.T) { runTableModel(t, r, beds[name](t), isolation) })
			})
		}
	}
}

func runTableModel(t *testing.T, r *rapid.T, b *bed, isolation Isolation) {
	var dbs [2]*DB
	for i := range dbs {
		db, err := b.open(Options{Types: shopTypes(byEmail, byCity), Isolation: isolation, CacheBytes: 4000})
		if err != nil {
			r.Fatal(err)
		}
		defer db.Close()
		dbs[i] = db
	}
	var open []*Tx
	defer func() { // rapid ends a run wherever it likes
		for _, tx := range open {
			_ = tx.Rollback()
		}
	}()
	committed := tableModel{}
	letter := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"})
	email := rapid.SampledFrom([]string{"", "a", "b", "c", "d", "e"})
	ops := func() (ops []tableOp) {
		for range rapid.IntRange(1, 6).Draw(r, "ops") {
			op := tableOp{what: rapid.SampledFrom([]string{"insert", "insert", "put", "delete", "delete ref", "email", "city", "swap", "move"}).Draw(r, "what"), key: letter.Draw(r, "key")}
			if op.to = letter.Draw(r, "to"); op.what == "email" || op.what == "insert" || op.what == "put" {
				op.to = email.Draw(r, "email")
			}
			ops = append(ops, op)
		}
		return ops
	}
	check := func(db *DB) {
		if err := db.View(t.Context(), func(tx *Tx) error {
			s := Must(theShop.Load(tx))
			if got, want := tableLines(tx, s.Customers), committed.lines(); !slices.Equal(got, want) {
				return fmt.Errorf("got %q\nwant %q", got, want)
			}
			return s.Customers.Check(tx)
		}); err != nil {
			r.Fatal(err)
		}
		checkTables(t, db)
	}
	// run does ops in a transaction. It returns those that count, what the table
	// is afterwards, and whether that is refused.
	run := func(db *DB, ops []tableOp) (*Tx, []tableOp, tableModel, bool) {
		tx, err := db.Begin(t.Context(), true)
		if err != nil {
			r.Fatal(err)
		}
		open = append(open, tx)
		state, taken := maps.Clone(committed), false
		if err := tx.run(func(tx *Tx) error {
			s := Must(theShop.Load(tx))
			// Some transactions take a few steps more, and go back.
			back := rapid.IntRange(0, 2*len(ops)).Draw(r, "go back to")
			var sp *Savepoint
			var saved tableModel
			for i, op := range ops {
				if i == back {
					sp, saved = Must(tx.Savepoint()), maps.Clone(state)
				}
				if taken = op.model(state); taken {
					op.table(tx, s.Customers)
					return nil
				}
				op.table(tx, s.Customers)
				if i%2 == 1 && state.valid() {
					if got, want := tableLines(tx, s.Customers), state.lines(); !slices.Equal(got, want) {
						return fmt.Errorf("in the transaction: got %q\nwant %q", got, want)
					}
				} else if i%2 == 1 {
					if _, _, err := byEmail.Lookup(tx, s.Customers, "a"); !errors.Is(err, ErrUnique) {
						return fmt.Errorf("a look at two with one email: %w", err)
					}
				}
			}
			if sp == nil {
				return nil
			}
			state, ops = saved, ops[:back]
			return sp.Rollback()
		}); err != nil && !errors.Is(err, ErrUnique) {
			r.Fatal(err)
		}
		return tx, ops, state, taken || !state.valid()
	}
	for range rapid.IntRange(1, 12).Draw(r, "transactions") {
		h := rapid.IntRange(0, 1).Draw(r, "handle")
		base := committed
		tx, mine, state, refused := run(dbs[h], ops())
		switch rapid.SampledFrom([]string{"commit", "commit", "abort", "meet", "meet"}).Draw(r, "end") {
		case "abort":
			_ = tx.Rollback()
		case "commit":
			err := tx.Commit()
			if errors.Is(err, ErrUnique) != refused || err != nil && !refused {
				r.Fatalf("commit of %v on %v: %v", mine, committed, err)
			}
			if err == nil {
				committed = state
			}
		case "meet":
			theirs, _, theirState, theirRefused := run(dbs[1-h], ops())
			if err := theirs.Commit(); (err != nil) != theirRefused {
				r.Fatal(err)
			} else if err == nil {
				committed = theirState
			}
			err := tx.Commit()
			if err == nil {
				// What mine would have done after theirs; or before, if it wrote nothing.
				// Under SnapshotIsolation it may have read what theirs has changed.
				after, taken := maps.Clone(committed), false
				for _, op := range mine {
					taken = taken || op.model(after)
				}
				got := tableRows(t, dbs[h])
				serial := !taken && maps.Equal(got, after) || maps.Equal(base, state) && maps.Equal(got, committed)
				if refused || isolation == Serializable && !serial || !got.valid() {
					r.Fatalf("%v after %v gave %v", mine, committed, got)
				}
				committed = got
			} else if !errors.Is(err, ErrConflict) && !(errors.Is(err, ErrUnique) && refused) {
				r.Fatal(err)
			}
		}
		check(dbs[rapid.IntRange(0, 1).Draw(r, "look")])
	}
}
