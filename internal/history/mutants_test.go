package history

import (
	"fmt"
	"testing"
	"time"
)

// demand is what every run of the reference must hold to prove anything.
var demand = Require{Committed: 1000, Conflicts: 100, ReadOnly: 100}

func TestReferencePasses(t *testing.T) {
	for seed := range uint64(5) {
		txns, log := simulate(correct, seed, 5000, 6, 100, mixed)
		opts := Options{Require: demand}
		opts.Require.Infos = 10
		for _, r := range []*Report{Witness(txns, log, opts), Cycles(txns, opts), Sum(txns, bankKeys(), 0),
			Count(txns, 6_000_000, counterAt(txns))} {
			if err := r.Err(); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
		}
		small := func() Workload { return Mix(ListAppend(0, 4, 1<<30), SkewPairs(100, 2), Bank(200, 4)) }
		txns, _ = simulate(correct, seed, 4000, 6, 100, small)
		if err := Linear(txns, opts, time.Minute).Err(); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

// counterAt is where the last transaction, which reads everything, saw the counter.
func counterAt(txns []Txn) int64 {
	last := txns[len(txns)-1]
	for i, op := range last.Ops {
		if op.Key == 6_000_000 && len(last.Vals[i]) > 0 {
			return last.Vals[i][0]
		}
	}
	return 0
}

// mutants are the bugs, and which checkers find them: w Witness, c Cycles, l
// Linear. A dash means that the checker cannot or need not see this one.
var mutants = []struct {
	bug  bug
	want string
}{
	{"no validation", "wcl"},
	{"no read validation", "wcl"},
	{"no write validation", "wcl"},
	{"validates before the lock", "wcl"},
	{"validation is one short", "wcl"},
	{"validates another key", "wcl"},
	{"stale snapshot", "wcl"},
	{"views lag", "wcl"},
	{"no poll at begin", "wcl"},
	{"reads the newest", "wcl"},
	{"ignores own writes", "wcl"},
	{"reads uncommitted", "wcl"},
	{"bit flip", "wcl"},
	{"reads another key", "wcl"},
	{"reads without the first", "wc-"},
	{"short read", "wcl"},
	{"loses acknowledged commits", "wcl"},
	{"acknowledges before it applies", "wcl"},
	{"loses the last frame", "wcl"},
	{"a lost frame comes back", "wcl"},
	{"applies half", "wcl"},
	{"half of a killed commit", "wc-"},
	{"commits twice", "w--"},
	{"commits what it refused", "wcl"},
	{"invents a commit", "wcl"},
	{"transaction ids run back", "w--"},
	{"a transaction id twice", "w--"},
	{"appends twice", "wc-"},
	{"drops the list", "wc-"},
	{"reorders a list", "wcl"},
}

// TestMutantsAreFound tests the checkers: each rule of the reference that is
// broken is seen, and by exactly those checkers that are said to see it.
func TestMutantsAreFound(t *testing.T) { // acceptance test 40
	found := 0
	for _, m := range mutants {
		t.Run(string(m.bug), func(t *testing.T) {
			txns, log := simulate(m.bug, 7, 4000, 6, 20, mixed)
			small := func() Workload { return Mix(ListAppend(0, 4, 1<<30), SkewPairs(100, 2), Bank(200, 4)) }
			few, _ := simulate(m.bug, 7, 1500, 6, 200, small)
			reports := []*Report{Witness(txns, log, Options{}), Cycles(txns, Options{}), Linear(few, Options{}, 5*time.Second)}
			got := ""
			for i, r := range reports {
				if r.Total == 0 {
					got += "-"
					continue
				}
				got += "wcl"[i : i+1]
				t.Logf("%s: %d, such as %s", r.Checker, r.Total, r.Anomalies[0])
			}
			if got != "---" {
				found++
			}
			if got != m.want {
				t.Errorf("found by %q, want %q", got, m.want)
			}
		})
	}
	t.Logf("%d of %d mutants found", found, len(mutants))
}

// TestLongHistoryPasses also shows how long a history takes (BenchmarkCheckers:
// a million transactions).
func TestLongHistoryPasses(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 20_000
	}
	txns, log := simulate(correct, 11, n, 8, 1000, mixed)
	begin := time.Now()
	opts := Options{Require: demand}
	if err := Witness(txns, log, opts).Err(); err != nil {
		t.Error(err)
	}
	witness := time.Since(begin)
	if err := Cycles(txns, opts).Err(); err != nil {
		t.Error(err)
	}
	t.Logf("%d transactions: witness %v, cycles %v", n, witness, time.Since(begin)-witness)
}

// TestHopelessDatabase: when every write is lost, or every update, the checkers
// still end soon.
func TestHopelessDatabase(t *testing.T) {
	const n = 20_000
	for what, op := range map[string]func(value int64) []Op{
		"appends":    func(v int64) []Op { return []Op{R(1), A(1, v)} },
		"increments": func(v int64) []Op { return []Op{I(1, 1, v)} },
	} {
		txns := make([]Txn, n)
		for i := range txns {
			at := int64(i)
			txns[i] = Txn{ID: ID{1, 0, i + 1}, Outcome: OK, Call: 2 * at, Ret: 2*at + 1, TID: uint64(i + 1),
				Ops: op(at + 1), Vals: [][]int64{nil}}
		}
		begin := time.Now()
		r := Cycles(txns, Options{})
		if r.Total == 0 || Witness(txns, nil, Options{}).Total < n {
			t.Errorf("%s: nobody objects", what)
		}
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("%s: the answer took %v", what, took)
		}
		if what == "increments" && !r.Has(LostUpdate) || what == "appends" && !r.Has(LostWrite) {
			t.Errorf("%s: %v", what, r.Err())
		}
	}
}

func BenchmarkCheckers(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		if n > 100_000 && testing.Short() {
			continue
		}
		txns, log := simulate(correct, 11, n, 8, 1000, mixed)
		b.Run(fmt.Sprintf("witness/%d", n), func(b *testing.B) {
			for b.Loop() {
				if err := Witness(txns, log, Options{}).Err(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("cycles/%d", n), func(b *testing.B) {
			for b.Loop() {
				if err := Cycles(txns, Options{}).Err(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
