package durus

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/durusdb/durus/pack"
	"pgregory.net/rapid"
)

// pastState is what the database of the model holds at one moment.
type pastState struct {
	tid      TID
	numbers  map[int]string
	balances map[string]int64
	log      []string
	hits     int64
	made     int // accounts that were ever made
}

func (s pastState) clone() pastState {
	s.numbers, s.balances, s.log = maps.Clone(s.numbers), maps.Clone(s.balances), slices.Clone(s.log)
	return s
}

// lines is all that a session reads in it.
func (s pastState) lines() (out []string) {
	for _, k := range slices.Sorted(maps.Keys(s.numbers)) {
		out = append(out, fmt.Sprint("number ", k, s.numbers[k]))
	}
	for _, k := range slices.Sorted(maps.Keys(s.balances)) {
		out = append(out, fmt.Sprint("account ", k, s.balances[k]))
	}
	for i, v := range s.log {
		out = append(out, fmt.Sprint("log ", i, v))
	}
	return append(out, fmt.Sprint("hits ", s.hits, " numbers ", len(s.numbers)))
}

func shelfLines(s Session) (out []string) {
	sh := Must(theShelf.Load(s))
	for k, v := range sh.Numbers.All(s) {
		out = append(out, fmt.Sprint("number ", k, v))
	}
	for k, a := range Each(s, sh.Names.All(s)) {
		out = append(out, fmt.Sprint("account ", k, a.Balance))
	}
	for i, v := range sh.Log.All(s) {
		out = append(out, fmt.Sprint("log ", i, v))
	}
	return append(out, fmt.Sprint("hits ", Must(sh.Hits.Value(s)), " numbers ", Must(sh.Numbers.Len(s))))
}

// pastModel keeps every state that there ever was.
type pastModel struct {
	r      *rapid.T
	b      *bed
	db     *DB
	states []pastState // the first is that of the empty database
	oldest int         // that packs have kept
}

// Every state that packs have kept is what it was: objects, a tree, a list and
// a counter, at random transactions after random commits, packs and reopenings.
func TestPastModel(t *testing.T) {
	smallNodes(t)
	rapid.Check(t, func(r *rapid.T) {
		m := &pastModel{r: r, b: beds["unchecked"](t), states: []pastState{{numbers: map[int]string{}, balances: map[string]int64{}}}}
		db, err := m.b.open(Options{})
		if err != nil {
			r.Fatal(err)
		}
		m.db = db
		defer func() { m.db.Close() }()
		for range rapid.IntRange(1, 40).Draw(r, "steps") {
			switch rapid.IntRange(0, 9).Draw(r, "step") {
			case 0:
				m.pack()
			case 1:
				m.reopen()
			case 2, 3:
				m.look()
			default:
				m.commit()
			}
		}
		for range 5 {
			m.look()
		}
		m.walk()
	})
}

// commit changes a few things.
func (m *pastModel) commit() {
	next := m.states[len(m.states)-1].clone()
	type op struct{ what, key int }
	ops := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) op {
		return op{rapid.IntRange(0, 7).Draw(r, "what"), rapid.IntRange(0, 30).Draw(r, "key")}
	}), 1, 6).Draw(m.r, "ops")
	if err := m.db.Update(m.b.Context(), func(tx *Tx) error {
		tx.OnCommit(func(tid TID) { next.tid = tid })
		tx.Describe("model", fmt.Sprint("state ", len(m.states)), nil)
		sh := Must(theShelf.Load(tx))
		for _, o := range ops {
			name := fmt.Sprint("a", o.key%7)
			_, there := next.balances[name]
			switch {
			case o.what == 0:
				Must(sh.Numbers.Delete(tx, o.key))
				delete(next.numbers, o.key)
			case o.what < 3:
				next.numbers[o.key] = fmt.Sprint("v", len(m.states))
				Must(0, sh.Numbers.Put(tx, o.key, next.numbers[o.key]))
			case o.what == 3 && there:
				Must(sh.Names.Delete(tx, name))
				delete(next.balances, name)
			case o.what < 6 && there:
				next.balances[name] = int64(len(m.states))
				ref, _, err := sh.Names.Get(tx, name)
				Must(Must(ref, err).Edit(tx)).Balance = int64(len(m.states))
			case o.what < 6:
				next.made++
				next.balances[name] = 0
				Must(0, sh.Names.Put(tx, name, Must(Add(tx, &account{Owner: name}))))
			case o.what == 6:
				next.hits += int64(o.key)
				Must(0, sh.Hits.Add(tx, int64(o.key)))
			default:
				next.log = append(next.log, fmt.Sprint("line", len(m.states)))
				Must(0, sh.Log.Append(tx, fmt.Sprint("line", len(m.states))))
			}
		}
		return nil
	}); err != nil {
		m.r.Fatal(err)
	}
	m.states = append(m.states, next)
}

// pack keeps the history from some transaction on, or none.
func (m *pastModel) pack() {
	last := len(m.states) - 1
	keep := rapid.IntRange(0, last).Draw(m.r, "keep from")
	o := pack.Options{KeepFrom: m.states[keep].tid}
	horizon := keep - 1 // the state before it is kept
	if o.KeepFrom == 0 {
		horizon = last
	}
	if _, err := m.db.Pack(m.b.Context(), o); err != nil {
		m.r.Fatal(err)
	}
	m.oldest = max(m.oldest, horizon)
}

func (m *pastModel) reopen() {
	if err := m.db.Close(); err != nil {
		m.r.Fatal(err)
	}
	db, err := m.b.open(Options{})
	if err != nil {
		m.r.Fatal(err)
	}
	m.db = db
}

// look compares a state, asked for by its id, by one that lies before the next
// one, or by its time.
func (m *pastModel) look() {
	n := rapid.IntRange(0, len(m.states)-1).Draw(m.r, "state")
	want := m.states[n]
	at := AtTID(want.tid)
	if n+1 < len(m.states) && rapid.Bool().Draw(m.r, "between") {
		at = AtTID(m.states[n+1].tid - 1)
	}
	if n >= m.oldest && n > 0 && rapid.IntRange(0, 3).Draw(m.r, "by time") == 0 {
		for tx, err := range m.db.Transactions(0, math.MaxUint64) {
			if err != nil {
				m.r.Fatal(err)
			}
			if tx.TID == want.tid && (n+1 == len(m.states) || !m.sameTime(tx, n+1)) {
				at = AtTime(tx.Time)
			}
		}
	}
	err := m.db.ViewAt(m.b.Context(), at, func(tx *Tx) error {
		if tx.Snapshot() != want.tid {
			m.r.Errorf("the state of %s, want %s", tx.Snapshot(), want.tid)
		}
		if got := shelfLines(tx); !slices.Equal(got, want.lines()) {
			m.r.Errorf("state %d: %v, want %v", n, got, want.lines())
		}
		k := 0
		for range Instances[account](tx) {
			k++
		}
		if k < len(want.balances) || k > want.made {
			m.r.Errorf("state %d: %d accounts, want %d to %d", n, k, len(want.balances), want.made)
		}
		return nil
	})
	if n < m.oldest {
		if !errors.Is(err, ErrPacked) {
			m.r.Errorf("state %d of those from %d on: %v", n, m.oldest, err)
		}
	} else if err != nil {
		m.r.Error(err)
	}
}

// sameTime tells whether state n was committed in the same microsecond as tx.
func (m *pastModel) sameTime(tx TxInfo, n int) bool {
	for next, err := range m.db.Transactions(m.states[n].tid, m.states[n].tid) {
		return err != nil || next.Time.Equal(tx.Time)
	}
	return true
}

// walk compares the list of transactions.
func (m *pastModel) walk() {
	want := m.states[m.oldest:]
	if len(want) > 0 {
		want = want[1:] // of the oldest state only the state is left, or it is the empty one
	}
	n := 0
	for tx, err := range m.db.Transactions(0, math.MaxUint64) {
		if err != nil || n >= len(want) || tx.TID != want[n].tid || tx.Description != fmt.Sprint("state ", m.oldest+1+n) {
			m.r.Fatalf("transaction %d: %+v, %v", n, tx, err)
		}
		n++
	}
	if n != len(want) {
		m.r.Errorf("%d transactions, want %d", n, len(want))
	}
}
