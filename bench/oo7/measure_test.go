package oo7_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/durusdb/durus/bench/oo7"
)

// A run measures every operation of every contender, in every round, and leaves
// the databases as they were (Measure looks itself). The table has a row for
// each operation.
func TestMeasure(t *testing.T) {
	config, err := oo7.ConfigNamed("tiny")
	if err != nil {
		t.Fatal(err)
	}
	run := oo7.Run{Config: config, Contenders: contenders, Operations: oo7.Operations(), Rounds: 2, Dir: t.TempDir()}
	m, err := run.Measure()
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Results) != len(run.Operations) || len(m.Generations) != len(contenders) {
		t.Fatalf("%d results and %d generations", len(m.Results), len(m.Generations))
	}
	for i, r := range m.Results {
		if len(r.Timings) != len(contenders) {
			t.Fatalf("%s: %d timings", r.Operation, len(r.Timings))
		}
		for k, v := range r.Timings {
			if v.Contender != contenders[k].Name || len(v.Rounds) != 2 || v.Median.Cold <= 0 || v.Median.Hot <= 0 ||
				(v.Median.One > 0) != run.Operations[i].One {
				t.Errorf("%s: %+v", r.Operation, v)
			}
		}
		if one := r.Timings[0].Ratio; one.Cold != 1 || one.Hot != 1 {
			t.Errorf("%s: durus is %+v times itself", r.Operation, one)
		}
	}
	var table bytes.Buffer
	if err := m.Print(&table); err != nil {
		t.Fatal(err)
	}
	for _, o := range run.Operations {
		if !strings.Contains(table.String(), " "+o.Name+" ") {
			t.Errorf("no row for %s in\n%s", o.Name, &table)
		}
	}
}

// A contender that counts wrongly is found out.
func TestMeasureChecksCounts(t *testing.T) {
	config, err := oo7.ConfigNamed("tiny")
	if err != nil {
		t.Fatal(err)
	}
	ops, err := oo7.OperationsNamed([]string{"Q7"})
	if err != nil {
		t.Fatal(err)
	}
	liar := oo7.Contender{Name: "liar", Open: func(dir string) (oo7.Store, error) {
		s, err := contenders[0].Open(dir)
		return forgetful{s}, err
	}}
	run := oo7.Run{Config: config, Contenders: []oo7.Contender{liar}, Operations: ops, Rounds: 1, Dir: t.TempDir()}
	if _, err := run.Measure(); err == nil || !strings.Contains(err.Error(), "counted 199, not 200") {
		t.Errorf("%v", err)
	}
}

// forgetful is a store whose scans miss a part.
type forgetful struct{ oo7.Store }

func (f forgetful) View(fn func(oo7.Tx) error) error {
	return f.Store.View(func(tx oo7.Tx) error { return fn(forgetfulTx{tx}) })
}

type forgetfulTx struct{ oo7.Tx }

func (t forgetfulTx) ScanParts() (int, error) {
	n, err := t.Tx.ScanParts()
	return n - 1, err
}
