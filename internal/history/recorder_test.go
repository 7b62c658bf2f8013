package history

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// The lines are those of RELIABILITY.md, "Correctness checkers".
func TestEventFormat(t *testing.T) {
	dir := t.TempDir()
	const call = `{"p":3,"inc":17,"n":812,"t":"call","ns":5,"ops":[["r",7],["a",7,3298534883329],["i",8,-5,9],["w",9,4]]}`
	const ok = `{"p":3,"inc":17,"n":812,"t":"ok","ns":6,"snap":10,"tid":12,"vals":[[1,5,9],[]]}`
	if err := os.WriteFile(filepath.Join(dir, "a.jsonl"), []byte(call+"\n"+ok+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	events, err := ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	txns, err := Pair(events)
	if err != nil {
		t.Fatal(err)
	}
	want := []Txn{{ID: ID{3, 17, 812}, Outcome: OK, Call: 5, Ret: 6, Snap: 10, TID: 12,
		Ops: []Op{R(7), A(7, 3298534883329), I(8, -5, 9), W(9, 4)}, Vals: [][]int64{{1, 5, 9}, {}}}}
	if !reflect.DeepEqual(txns, want) {
		t.Errorf("got %+v, want %+v", txns, want)
	}
	if s := NewStamps(3, 0).Next(); s != 3298534883329 {
		t.Errorf("the first value of process 3 is %d", s)
	}
}

// A killed process leaves calls without an end, and half a line.
func TestKilledRecorder(t *testing.T) { // F10
	dir := t.TempDir()
	rec, err := NewRecorder(dir, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	first, err := rec.Call([]Op{A(1, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if err := rec.Return(Event{Number: first, Type: OK, TID: 5}); err != nil {
		t.Fatal(err)
	}
	if _, err := rec.Call([]Op{A(1, 2)}); err != nil {
		t.Fatal(err)
	}
	if _, err := rec.file.WriteString(`{"p":1,"inc":2,"n":2,"t":"o`); err != nil {
		t.Fatal(err)
	}
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := NewRecorder(dir, 1, 2); !errors.Is(err, os.ErrExist) {
		t.Errorf("a second recorder of one incarnation: %v", err)
	}
	events, err := ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	txns, err := Pair(events)
	if err != nil {
		t.Fatal(err)
	}
	if len(txns) != 2 || txns[0].Outcome != OK || txns[1].Outcome != Info {
		t.Fatalf("got %+v, want an ok and an info", txns)
	}
	if txns[0].Ret < txns[0].Call || txns[1].Call < txns[0].Ret {
		t.Errorf("the clock runs back: %+v", txns)
	}
}

func TestPairRefuses(t *testing.T) {
	call := Event{Process: 1, Number: 1, Type: Call, Time: 5, Ops: []Op{R(1)}}
	ok := Event{Process: 1, Number: 1, Type: OK, Time: 6, Vals: [][]int64{{}}}
	late, short, odd := ok, ok, ok
	late.Time, short.Vals, odd.Type = 4, nil, "maybe"
	for what, events := range map[string][]Event{
		"an outcome without a call": {ok},
		"two calls":                 {call, call},
		"two outcomes":              {call, ok, ok},
		"a call again":              {call, ok, call},
		"a return before its call":  {call, late},
		"a read without a value":    {call, short},
		"an unknown outcome":        {call, odd},
	} {
		if _, err := Pair(events); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if _, err := Pair([]Event{call, ok}); err != nil {
		t.Error(err)
	}
}

func TestDamagedFileIsRefused(t *testing.T) {
	for _, text := range []string{"{\n", `{"ops":[["q",1]]}` + "\n", `{"ops":[["r"]]}` + "\n", `{"ops":[[]]}` + "\n"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.jsonl"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if events, err := ReadDir(dir); err == nil {
			t.Errorf("%q was read as %+v", text, events)
		}
	}
}

func TestStampsAreUnique(t *testing.T) {
	seen := map[int64]bool{}
	for process := range 4 {
		for incarnation := range 4 {
			s := NewStamps(process, incarnation)
			for range 100 {
				v := s.Next()
				if v <= 0 || seen[v] {
					t.Fatalf("process %d, incarnation %d gives %d", process, incarnation, v)
				}
				seen[v] = true
			}
		}
	}
}

// shared is the reference as a Client for goroutines: one step at a time, with
// room for others between any two.
type shared struct {
	mu *sync.Mutex // guards db
	db *reference
}

func (c shared) Txn(ops []Op, readonly bool) (vals [][]int64, snap, tid uint64, err error) {
	s := &session{txn: &Txn{Ops: ops}, readonly: readonly}
	step := func(f func()) {
		c.mu.Lock()
		f()
		c.mu.Unlock()
		runtime.Gosched()
	}
	step(func() { c.db.begin(s, 0) })
	for range ops {
		step(func() { c.db.run(s, nil) })
	}
	step(func() {
		switch {
		case !s.txn.Writes():
		case c.db.conflicts(s):
			err = ErrConflict
		default:
			c.db.apply(s)
		}
	})
	return s.txn.Vals, s.txn.Snap, s.txn.TID, err
}

// TestRunRecordsRealConcurrency drives the whole way that a test of the
// database goes: clients, event files, checkers.
func TestRunRecordsRealConcurrency(t *testing.T) {
	for _, b := range []bug{correct, "no read validation"} {
		dir := t.TempDir()
		c := shared{&sync.Mutex{}, newReference(b, 3)}
		var wg sync.WaitGroup
		for p := range 4 {
			wg.Go(func() {
				rec, err := NewRecorder(dir, p+1, 0)
				if err != nil {
					t.Error(err)
					return
				}
				workload := Mix(ListAppend(0, 3, 1000), SkewPairs(100, 1), Bank(200, 3), Fork(300, 1))
				if err := Run(t.Context(), rec, rec.Stamps(), c, workload, rand.New(rand.NewPCG(1, uint64(p))), 500); err != nil {
					t.Error(err)
				}
				if err := rec.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		events, err := ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		txns, err := Pair(events)
		if err != nil {
			t.Fatal(err)
		}
		if len(txns) != 2000 {
			t.Fatalf("%d transactions were recorded, want 2000", len(txns))
		}
		opts := Options{Require: Require{Committed: 500, Conflicts: 20, ReadOnly: 50}}
		reports := []*Report{Witness(txns, c.db.log, opts), Cycles(txns, opts), Linear(txns, opts, 20*time.Second)}
		for _, r := range reports {
			if b == correct && r.Total != 0 {
				t.Error(r.Err())
			}
			if b != correct && r.Total == 0 {
				t.Errorf("%s does not find %q", r.Checker, b)
			}
		}
	}
}

// failing is a Client whose transactions end in a given way.
type failing struct{ err error }

func (c failing) Txn([]Op, bool) (vals [][]int64, snap, tid uint64, err error) {
	return nil, 0, 0, c.err
}

func TestRunTellsOutcomes(t *testing.T) {
	other := errors.New("disk on fire")
	for _, c := range []struct {
		err  error
		want Type
		runs int
	}{{ErrConflict, Conflict, 3}, {ErrUnknown, Info, 3}, {other, Fail, 1}} {
		dir := t.TempDir()
		rec, err := NewRecorder(dir, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		err = Run(context.Background(), rec, rec.Stamps(), failing{c.err}, Counter(1), rand.New(rand.NewPCG(1, 1)), 3)
		if (c.want == Fail) != errors.Is(err, other) {
			t.Errorf("Run returned %v", err)
		}
		if err := rec.Close(); err != nil {
			t.Fatal(err)
		}
		events, err := ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for _, e := range events {
			if e.Type == c.want {
				got++
			}
		}
		if got != c.runs || len(events) != 2*c.runs {
			t.Errorf("%v: %d events, %d of them %s", c.err, len(events), got, c.want)
		}
	}
}

// TestWorkloads: values are fresh, read-only transactions write nothing, and
// registers are read before they are written.
func TestWorkloads(t *testing.T) {
	all := map[string]Workload{
		"list": ListAppend(0, 5, 20), "register": Register(0, 3), "bank": Bank(0, 4), "skew": SkewPairs(0, 2),
		"read-only anomaly": ReadOnlyAnomaly(0, 2), "fork": Fork(0, 2), "counter": Counter(0),
	}
	for name, next := range all {
		rnd, stamps := rand.New(rand.NewPCG(1, 1)), NewStamps(1, 1)
		seen := map[int64]bool{}
		writers := 0
		for range 500 {
			ops, readonly := next(rnd, stamps)
			if len(ops) == 0 {
				t.Fatalf("%s: nothing to do", name)
			}
			writes := slices.ContainsFunc(ops, Op.Writes)
			if writes == readonly {
				t.Fatalf("%s: %v is said to be read-only: %v", name, ops, readonly)
			}
			if writes {
				writers++
			}
			for i, op := range ops {
				if op.Writes() && seen[op.Value] {
					t.Fatalf("%s: value %d twice", name, op.Value)
				}
				seen[op.Value] = seen[op.Value] || op.Writes()
				if op.Kind == Write && !slices.Contains(ops[:i], R(op.Key)) {
					t.Fatalf("%s: %v writes without reading", name, ops)
				}
			}
		}
		if writers == 0 {
			t.Errorf("%s: never writes", name)
		}
	}
}
