package oo7_test

import (
	"testing"

	"github.com/durusdb/durus/bench/oo7"
	"github.com/durusdb/durus/bench/oo7/onbolt"
	"github.com/durusdb/durus/bench/oo7/ondurus"
	"github.com/durusdb/durus/bench/oo7/onsqlite"
)

var contenders = append([]oo7.Contender{ondurus.Contender, onbolt.Contender}, onsqlite.Contenders...)

func named(t *testing.T, config string) *oo7.Plan {
	t.Helper()
	c, err := oo7.ConfigNamed(config)
	if err != nil {
		t.Fatal(err)
	}
	return oo7.NewPlan(c)
}

// each generates a database with each contender.
func each(t *testing.T, p *oo7.Plan, f func(t *testing.T, s oo7.Store, reopen func() oo7.Store)) {
	for _, c := range contenders {
		t.Run(c.Name, func(t *testing.T) {
			dir := t.TempDir()
			var s oo7.Store
			t.Cleanup(func() {
				if s != nil {
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				}
			})
			reopen := func() oo7.Store {
				t.Helper()
				if s != nil {
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
				}
				var err error
				if s, err = c.Open(dir); err != nil {
					t.Fatal(err)
				}
				return s
			}
			if err := oo7.Generate(reopen(), p); err != nil {
				t.Fatal(err)
			}
			f(t, reopen(), reopen)
		})
	}
}

func census(t *testing.T, s oo7.Store) (c oo7.Census) {
	t.Helper()
	if err := s.View(func(tx oo7.Tx) (err error) {
		c, err = tx.Census()
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if !c.Consistent() {
		t.Errorf("the two ends of something do not agree: %+v", c)
	}
	return c
}

// run runs an operation, and checks its count.
func run(t *testing.T, s oo7.Store, p *oo7.Plan, o *oo7.Operation) {
	t.Helper()
	do := s.View
	if o.Writes {
		do = s.Update
	}
	if err := do(func(tx oo7.Tx) error {
		n, err := o.Run(tx, p, oo7.Dice())
		if want := o.Want(p, oo7.Dice()); err == nil && n != want {
			t.Errorf("%s: %d, not %d", o.Name, n, want)
		}
		return err
	}); err != nil {
		t.Fatalf("%s: %v", o.Name, err)
	}
}

// Every operation of every contender gives the count of the plan. What it
// changed is there after it has reopened the database; what undoes it leaves
// the database as it was generated.
func TestOperations(t *testing.T) {
	p := named(t, "tiny")
	want := p.Census()
	each(t, p, func(t *testing.T, s oo7.Store, reopen func() oo7.Store) {
		if c := census(t, s); c != want {
			t.Fatalf("generated %+v, not %+v", c, want)
		}
		for _, o := range oo7.Operations() {
			if o.Before != nil {
				run(t, s, p, o.Before)
			}
			run(t, s, p, o)
			s = reopen()
			c := census(t, s)
			if changed := o.Toggle || o.After != nil; changed == (c == want) {
				t.Errorf("%s: the database has changed: %v", o.Name, !changed)
			}
			if o.Toggle {
				run(t, s, p, o)
			}
			if o.After != nil {
				run(t, s, p, o.After)
			}
			if c := census(t, s); c != want {
				t.Fatalf("%s left %+v, not %+v", o.Name, c, want)
			}
		}
	})
}

// The counts of a small database are those of the published table.
func TestSmall(t *testing.T) {
	p := named(t, "small3")
	table := map[string]int{"T1": 43_740, "T2a": 2_187, "T2b": 43_740, "T2c": 174_960, "T3a": 2_187, "T3b": 43_740, "T3c": 174_960,
		"T6": 2_187, "Q1": 10, "Q7": 10_000, "Q8": 10_000}
	for _, o := range oo7.Operations() {
		n := o.Want(p, oo7.Dice())
		if want, ok := table[o.Name]; ok && n != want {
			t.Errorf("%s is to count %d, the table says %d", o.Name, n, want)
		}
		if o.Name == "Q2" && (n < 80 || n > 120) || o.Name == "Q3" && (n < 900 || n > 1_100) {
			t.Errorf("%s is to count %d of 10000", o.Name, n)
		}
	}
	want := p.Census()
	if want.Complex != 364 || want.Bases != 729 || want.Comps != 500 || want.Parts != 10_000 || want.Conns.N != 30_000 {
		t.Errorf("the plan is %+v", want)
	}
	each(t, p, func(t *testing.T, s oo7.Store, _ func() oo7.Store) {
		for _, o := range oo7.Operations() {
			if o.Before != nil {
				run(t, s, p, o.Before)
			}
			run(t, s, p, o)
			if o.Toggle {
				run(t, s, p, o)
			}
			if o.After != nil {
				run(t, s, p, o.After)
			}
		}
		if c := census(t, s); c != want {
			t.Errorf("it became %+v, not %+v", c, want)
		}
	})
}
