package history

import (
	"fmt"
	"testing"
	"time"
)

// Keys of the histories below.
const (
	x int64 = iota + 1
	y
	z
)

// did makes an acknowledged transaction of a session of its own.
func did(session int, call, ret int64, ops []Op, vals ...[]int64) Txn {
	return Txn{ID: ID{session, 0, 1}, Outcome: OK, Call: call, Ret: ret, Ops: ops, Vals: vals}
}

// at gives a transaction its snapshot and id.
func (t Txn) at(snap, tid uint64) Txn {
	t.Snap, t.TID = snap, tid
	return t
}

// was gives a transaction another outcome.
func (t Txn) was(outcome Type) Txn {
	t.Outcome = outcome
	return t
}

func ops(all ...Op) []Op                     { return all }
func state(values ...int64) []int64          { return values }
func wrote(tid uint64, s ...KeyState) Commit { return Commit{TID: tid, Writes: s} }
func is(key int64, values ...int64) KeyState { return KeyState{key, values} }

// TestCyclesNamesAnomalies: hand-written histories, each with one anomaly,
// judged by what was read alone.
func TestCyclesNamesAnomalies(t *testing.T) {
	cases := []struct {
		want   Name
		class  string
		linear bool // Linear finds it, too
		what   string
		txns   []Txn
	}{
		{G0, "G0", true, "two writers, in different order on two keys", []Txn{
			did(1, 0, 9, ops(A(x, 1), A(y, 2))),
			did(2, 0, 9, ops(A(x, 3), A(y, 4))),
			did(3, 10, 11, ops(R(x), R(y)), state(1, 3), state(4, 2)),
		}},
		{G1a, "G1a", false, "read of what was refused", []Txn{
			did(1, 0, 9, ops(A(x, 1))).was(Conflict),
			did(2, 0, 9, ops(R(x)), state(1)),
		}},
		{G1a, "G1a", true, "read of what was refused, register", []Txn{
			did(1, 0, 9, ops(W(x, 1))).was(Fail),
			did(2, 0, 9, ops(R(x)), state(1)),
		}},
		{G1b, "G1b", true, "read of a state between two writes of one transaction", []Txn{
			did(1, 0, 9, ops(A(x, 1), A(x, 2))),
			did(2, 0, 9, ops(R(x)), state(1)),
			did(3, 10, 11, ops(R(x)), state(1, 2)),
		}},
		{G1c, "G1c", true, "two transactions read each other's writes", []Txn{
			did(1, 0, 9, ops(A(x, 1), R(y)), state(2)),
			did(2, 0, 9, ops(A(y, 2), R(x)), state(1)),
		}},
		{GSingle, "G-single", true, "read skew: one key old, one new", []Txn{
			did(1, 0, 9, ops(A(x, 1), A(y, 2))),
			did(2, 0, 9, ops(R(x), R(y)), state(), state(2)),
			did(3, 10, 11, ops(R(x)), state(1)),
		}},
		{WriteSkew, "G2", true, "each reads what the other writes", []Txn{
			did(1, 0, 9, ops(R(x), A(y, 1)), state()),
			did(2, 0, 9, ops(R(y), A(x, 2)), state()),
			did(3, 10, 11, ops(R(x), R(y)), state(2), state(1)),
		}},
		{WriteSkew, "G2", true, "the same on registers", []Txn{
			did(1, 0, 9, ops(R(y), I(x, 1, 1)), state(), state()),
			did(2, 0, 9, ops(R(x), I(y, 1, 2)), state(), state()),
		}},
		{G2, "G2", true, "three transactions in a ring", []Txn{
			did(1, 0, 9, ops(R(x), A(y, 1)), state()),
			did(2, 0, 9, ops(R(y), A(z, 2)), state()),
			did(3, 0, 9, ops(R(z), A(x, 3)), state()),
			did(4, 10, 11, ops(R(x), R(y), R(z)), state(3), state(1), state(2)),
		}},
		{G2, "G2", true, "read-only anomaly", []Txn{
			did(1, 0, 9, ops(I(y, 20, 1)), state()),
			did(2, 0, 9, ops(R(y), I(x, -10, 2)), state(), state()),
			did(3, 0, 9, ops(R(x), R(y)), state(), state(20, 1)),
		}},
		{LongFork, "G-nonadjacent", true, "two readers see two writes in different order", []Txn{
			did(1, 0, 9, ops(A(x, 1))),
			did(2, 0, 9, ops(A(y, 2))),
			did(3, 0, 9, ops(R(x), R(y)), state(1), state()),
			did(4, 0, 9, ops(R(x), R(y)), state(), state(2)),
		}},
		{LostUpdate, "G-single", true, "both read the same state and append", []Txn{
			did(1, 0, 9, ops(R(x), A(x, 1)), state()),
			did(2, 0, 9, ops(R(x), A(x, 2)), state()),
			did(3, 10, 11, ops(R(x)), state(1, 2)),
		}},
		{LostUpdate, "G-single", true, "both read the same state and write", []Txn{
			did(1, 0, 9, ops(I(x, 1, 1)), state()),
			did(2, 0, 9, ops(I(x, 1, 2)), state()),
		}},
		{LostUpdate, "G2", true, "both read the same state and append, and nobody looks", []Txn{
			did(1, 0, 9, ops(R(x), A(x, 1)), state()),
			did(2, 0, 9, ops(R(x), A(x, 2)), state()),
		}},
		{StaleRead, "G-single-realtime", true, "a read misses what had returned", []Txn{
			did(1, 0, 1, ops(A(x, 1))),
			did(2, 2, 3, ops(R(x)), state()),
			did(3, 4, 5, ops(R(x)), state(1)),
		}},
		{StaleRead, "G-single-process", true, "a client misses its own write", []Txn{
			did(1, 0, 1, ops(A(x, 1))),
			{ID: ID{1, 0, 2}, Outcome: OK, Call: 2, Ret: 3, Ops: ops(R(x)), Vals: [][]int64{{}}},
			did(3, 0, 9, ops(R(x)), state(1)),
		}},
		{RealTime, "G1c-realtime", true, "a read of what was written later", []Txn{
			did(1, 0, 1, ops(R(x)), state(1)),
			did(2, 2, 3, ops(A(x, 1))),
		}},
		{LostWrite, "", true, "an acknowledged write is never seen", []Txn{
			did(1, 0, 1, ops(A(x, 1))),
			did(2, 2, 3, ops(R(x)), state()),
		}},
		{StaleRead, "G-single-realtime", true, "seen, gone and back", []Txn{
			did(1, 0, 1, ops(A(x, 1))).was(Info),
			did(2, 2, 3, ops(R(x)), state(1)),
			did(3, 4, 5, ops(R(x)), state()),
			did(4, 6, 7, ops(R(x)), state(1)),
		}},
		{Duplicate, "", false, "a value twice in a list", []Txn{
			did(1, 0, 9, ops(A(x, 1))),
			did(2, 10, 11, ops(R(x)), state(1, 1)),
		}},
		{Garbage, "", true, "a value that nobody wrote", []Txn{
			did(1, 0, 9, ops(A(x, 1))),
			did(2, 10, 11, ops(R(x)), state(1, 77)),
		}},
		{Garbage, "", true, "a value of another key", []Txn{
			did(1, 0, 9, ops(A(y, 1))),
			did(2, 10, 11, ops(R(x)), state(1)),
		}},
		{Garbage, "", false, "a sum that nobody wrote", []Txn{
			did(1, 0, 9, ops(I(x, 5, 1)), state()),
			did(2, 10, 11, ops(R(x)), state(6, 1)),
		}},
		{Incompatible, "", true, "two readers see two orders", []Txn{
			did(1, 0, 9, ops(A(x, 1))),
			did(2, 0, 9, ops(A(x, 2))),
			did(3, 10, 11, ops(R(x)), state(1, 2)),
			did(4, 10, 11, ops(R(x)), state(2, 1)),
		}},
		{Internal, "", true, "a transaction misses its own write", []Txn{
			did(1, 0, 9, ops(A(x, 1), R(x)), state()),
		}},
		{Internal, "", true, "a transaction sees two states", []Txn{
			did(1, 0, 9, ops(A(x, 1))),
			did(2, 0, 9, ops(R(x), R(x)), state(), state(1)),
		}},
		{Malformed, "", false, "two writers of one value", []Txn{
			did(1, 0, 9, ops(A(x, 1))),
			did(2, 0, 9, ops(A(x, 1))),
			did(3, 0, 9, ops(R(x)), state(1)),
		}},
		{Vacuous, "", false, "nothing happened", []Txn{did(1, 0, 9, ops(A(x, 1))).was(Conflict)}},
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%s %s", c.want, c.what), func(t *testing.T) {
			r := Cycles(c.txns, Options{})
			a, ok := r.find(c.want)
			if !ok {
				t.Fatalf("not found; the report is %v", r.Err())
			}
			if a.Class != c.class {
				t.Errorf("class %q, want %q (%s)", a.Class, c.class, a)
			}
			if c.linear && Linear(c.txns, Options{}, time.Minute).Total == 0 {
				t.Error("Linear finds nothing")
			}
		})
	}
}

func (r *Report) find(n Name) (Anomaly, bool) {
	for _, a := range r.Anomalies {
		if a.Name == n {
			return a, true
		}
	}
	return Anomaly{}, false
}

// TestWitnessNamesAnomalies: the same with a log to compare with.
func TestWitnessNamesAnomalies(t *testing.T) {
	first := did(1, 0, 1, ops(A(x, 1))).at(0, 10)
	cases := []struct {
		want Name
		what string
		log  []Commit
		txns []Txn
	}{
		{LostWrite, "acknowledged, not in the log", []Commit{}, []Txn{first}},
		{Duplicate, "a transaction id twice", []Commit{wrote(10, is(x, 1)), wrote(10, is(y, 1))}, []Txn{first}},
		{Duplicate, "one id for two transactions", []Commit{wrote(10, is(x, 1))},
			[]Txn{first, did(2, 0, 1, ops(A(x, 2))).at(0, 10)}},
		{Duplicate, "one transaction under two ids", []Commit{wrote(10, is(x, 1)), wrote(11, is(x, 1))}, []Txn{first}},
		{Incompatible, "ids out of order", []Commit{wrote(11, is(y, 2)), wrote(10, is(x, 1))},
			[]Txn{first, did(2, 0, 1, ops(A(y, 2))).at(0, 11)}},
		{Incompatible, "a snapshot younger than the commit", []Commit{wrote(10, is(x, 1)), wrote(11, is(y, 2))},
			[]Txn{did(1, 0, 1, ops(A(x, 1))).at(11, 10), did(2, 0, 1, ops(A(y, 2))).at(0, 11)}},
		{Resurrection, "refused, and in the log", []Commit{wrote(10, is(x, 1)), wrote(11, is(y, 2))},
			[]Txn{first, did(2, 0, 1, ops(A(y, 2))).was(Conflict)}},
		{Garbage, "nobody asked for it", []Commit{wrote(10, is(x, 1)), wrote(11, is(y, 77))}, []Txn{first}},
		{Partial, "half of it", []Commit{wrote(10, is(x, 1))}, []Txn{did(1, 0, 1, ops(A(x, 1), A(y, 2))).at(0, 10)}},
		{Partial, "more than it", []Commit{wrote(10, is(x, 1), is(y, 2))}, []Txn{first}},
		{Partial, "something else", []Commit{wrote(10, is(x, 1, 1))}, []Txn{first}},
		{Partial, "half of an unknown one", []Commit{wrote(10, is(x, 1)), wrote(11, is(x, 1, 2))},
			[]Txn{first, did(2, 0, 0, ops(A(x, 2), A(y, 3))).was(Info)}},
		{WrongRead, "not the state of the snapshot", []Commit{wrote(10, is(x, 1))},
			[]Txn{first, did(2, 2, 3, ops(R(x)), state()).at(10, 0)}},
		{Internal, "misses its own write", []Commit{wrote(10, is(x, 1))},
			[]Txn{did(1, 0, 1, ops(A(x, 1), R(x)), state()).at(0, 10)}},
		{DirtyRead, "a snapshot that was never committed", []Commit{wrote(10, is(x, 1))},
			[]Txn{first, did(2, 2, 3, ops(R(x)), state(1)).at(12, 0)}},
		{LostUpdate, "what it read and wrote had changed", []Commit{wrote(10, is(x, 1)), wrote(11, is(x, 1, 2))},
			[]Txn{first, did(2, 0, 1, ops(R(x), A(x, 2)), state()).at(0, 11)}},
		{Unvalidated, "write skew: what it read had changed", []Commit{wrote(10, is(x, 1)), wrote(11, is(y, 2))},
			[]Txn{first, did(2, 0, 1, ops(R(x), A(y, 2)), state()).at(0, 11)}},
		{StaleRead, "an old snapshot", []Commit{wrote(10, is(x, 1))},
			[]Txn{first, did(2, 2, 3, ops(R(y)), state()).at(0, 0)}},
		{StaleRead, "older than the snapshot before it", []Commit{wrote(10, is(x, 1))},
			[]Txn{first, did(2, 0, 1, ops(R(x)), state(1)).at(10, 0), did(3, 2, 3, ops(R(x)), state()).at(0, 0)}},
		{RealTime, "an unknown one before its call", []Commit{wrote(10, is(y, 2)), wrote(11, is(x, 1))},
			[]Txn{did(1, 0, 1, ops(A(x, 1))).at(10, 11), did(2, 2, 2, ops(A(y, 2))).was(Info)}},
		{Vacuous, "nothing happened", nil, nil},
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%s %s", c.want, c.what), func(t *testing.T) {
			r := Witness(c.txns, c.log, Options{})
			if _, ok := r.find(c.want); !ok {
				t.Errorf("not found; the report is %v", r.Err())
			}
		})
	}
}

// TestLegalHistoriesPass: what looks strange and is allowed.
func TestLegalHistoriesPass(t *testing.T) {
	cases := []struct {
		what string
		opts Options
		log  []Commit
		txns []Txn
	}{
		{"concurrent transactions in either order", Options{}, []Commit{wrote(10, is(x, 1)), wrote(12, is(x, 1, 2))}, []Txn{
			did(2, 0, 9, ops(A(x, 2))).at(0, 12),
			did(1, 0, 9, ops(A(x, 1))).at(0, 10),
			did(3, 0, 9, ops(R(x)), state(1)).at(10, 0),
			did(4, 0, 9, ops(R(x)), state()).at(0, 0),
		}},
		{"unknown, and it happened", Options{}, []Commit{wrote(10, is(x, 1)), wrote(11, is(y, 2))}, []Txn{
			did(1, 0, 0, ops(A(x, 1))).was(Info),
			did(2, 2, 3, ops(R(x), A(y, 2)), state(1)).at(10, 11),
		}},
		{"unknown, and it did not happen", Options{}, []Commit{wrote(11, is(y, 2))}, []Txn{
			did(1, 0, 0, ops(A(x, 1))).was(Info),
			did(2, 2, 3, ops(R(x), A(y, 2)), state()).at(0, 11),
		}},
		{"refused", Options{Require: Require{Conflicts: 1}}, []Commit{wrote(11, is(y, 2))}, []Txn{
			did(1, 0, 1, ops(A(x, 1))).was(Conflict),
			did(2, 2, 3, ops(R(x), A(y, 2)), state()).at(0, 11),
		}},
		{"the last append is not read by anybody", Options{}, []Commit{wrote(10, is(x, 1)), wrote(11, is(x, 1, 2))}, []Txn{
			did(1, 0, 1, ops(A(x, 1))).at(0, 10),
			did(2, 2, 3, ops(R(x), A(x, 2)), state(1)).at(10, 11),
		}},
		{"its own writes", Options{}, []Commit{wrote(10, is(x, 1, 2), is(y, 4, 3))}, []Txn{
			did(1, 0, 1, ops(A(x, 1), R(x), A(x, 2), R(x), R(y), I(y, 4, 3), R(y)),
				state(1), state(1, 2), state(), state(), state(4, 3)).at(0, 10),
		}},
		{"a database that was not empty", Options{Setup: 5, Initial: map[int64][]int64{x: {8, 9}}},
			[]Commit{wrote(5, is(x, 8, 9)), wrote(10, is(x, 8, 9, 1))}, []Txn{
				did(1, 0, 1, ops(R(x), A(x, 1)), state(8, 9)).at(5, 10),
				did(2, 2, 3, ops(R(x)), state(8, 9, 1)).at(10, 0),
			}},
		{"a reader behind another one, when that is allowed", Options{RelaxReaders: true}, []Commit{wrote(10, is(x, 1))}, []Txn{
			did(1, 0, 9, ops(A(x, 1))).at(0, 10),
			did(2, 1, 2, ops(R(x)), state(1)).at(10, 0),
			did(3, 3, 4, ops(R(x)), state()).at(0, 0),
		}},
	}
	for _, c := range cases {
		t.Run(c.what, func(t *testing.T) {
			for _, r := range []*Report{Witness(c.txns, c.log, c.opts), Cycles(c.txns, c.opts)} {
				if err := r.Err(); err != nil {
					t.Error(err)
				}
			}
			if c.opts.RelaxReaders {
				return // Linear knows no other real time than the strict one
			}
			if err := Linear(c.txns, c.opts, time.Minute).Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSumAndCount: the invariants of bank and counter.
func TestSumAndCount(t *testing.T) {
	keys := []int64{x, y}
	whole := did(1, 0, 1, ops(R(x), R(y)), state(-5, 1), state(5, 2))
	if err := Sum([]Txn{whole}, keys, 0).Err(); err != nil {
		t.Error(err)
	}
	fractured := did(1, 0, 1, ops(R(x), R(y)), state(-5, 1), state())
	if !Sum([]Txn{fractured}, keys, 0).Has(WrongRead) {
		t.Error("a fractured sum passes")
	}
	if !Sum([]Txn{did(1, 0, 1, ops(R(x)), state(-5, 1))}, keys, 0).Has(Vacuous) {
		t.Error("a run in which nobody read all accounts passes")
	}
	counts := []Txn{did(1, 0, 1, ops(I(x, 1, 1)), state()), did(2, 0, 1, ops(I(x, 1, 2))).was(Info), did(3, 0, 1, ops(I(x, 1, 3))).was(Conflict)}
	for final, want := range map[int64]Name{0: LostWrite, 1: "", 2: "", 3: Duplicate} {
		r := Count(counts, x, final)
		if want == "" && r.Total != 0 || want != "" && !r.Has(want) {
			t.Errorf("a counter at %d: %v, want %q", final, r.Err(), want)
		}
	}
}
