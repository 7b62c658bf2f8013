package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/durusdb/durus/durus"
)

func TestMain(m *testing.M) {
	if text, ok := os.LookupEnv(jobEnv); ok {
		os.Exit(work(text, os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// D1, D4, D10, scenario 25: two programs, each with workers that are killed and
// with readers, share one file. All totals are right, no acknowledged commit is
// lost, and nobody stands still.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	path := filepath.Join(t.TempDir(), "bank.durus")
	for _, name := range []string{"one", "another"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			defer cancel()
			r, err := newRun(ctx, config{workers: 2, readers: 1, accounts: 20, file: path, out: &out, pack: name == "one"})
			if err != nil {
				t.Fatal(err)
			}
			r.loop(ctx)
			r.check(t.Context())
			ok, err := r.table()
			if err != nil || !ok || !strings.HasSuffix(out.String(), "OK\n") {
				t.Errorf("%v, %v, %v\n%s", ok, err, r.wrong, &out)
			}
			for _, p := range r.workers {
				if p.transfers == 0 {
					t.Errorf("%s has done nothing", p.name)
				}
			}
			if all := r.sum(); all.kills == 0 || all.audits == 0 {
				t.Errorf("%d kills, %d audits", all.kills, all.audits)
			}
			if r.packer != nil && r.packer.packs == 0 {
				t.Error("nothing was packed") // D5
			}
			t.Log(out.String())
		})
	}
}

// An audit that cannot fail is worth nothing.
func TestAudit(t *testing.T) {
	for name, change := range map[string]func(*Account){
		"right":       func(*Account) {},
		"money made":  func(a *Account) { a.Balance++ },
		"money lost":  func(a *Account) { a.Balance-- },
		"not covered": func(a *Account) { a.Balance = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			db, err := durus.OpenMemory(nil)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := found(t.Context(), db, 3, 1); err != nil {
				t.Fatal(err)
			}
			if err := db.Update(t.Context(), func(tx *durus.Tx) error {
				change(durus.Must(durus.Must(bank.Load(tx)).Accounts[1].Edit(tx)))
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			err = db.View(t.Context(), func(tx *durus.Tx) error { return audit(tx) })
			if (err == nil) != (name == "right") {
				t.Errorf("the audit says %v", err)
			}
		})
	}
}

// A worker's acknowledgements tell of lost commits, and of surplus ones.
func TestAcknowledgements(t *testing.T) {
	for _, c := range []struct {
		name    string
		kills   uint64 // before the last acknowledgement
		numbers []uint64
		hidden  uint64
		wrong   bool
	}{
		{"in order", 0, []uint64{1, 2, 3}, 0, false},
		{"one comes again", 0, []uint64{1, 2, 2}, 0, true},
		{"two come again", 1, []uint64{1, 2, 1}, 0, true},
		{"one is left out", 0, []uint64{1, 2, 4}, 1, true},
		{"one is left out after a kill", 1, []uint64{1, 2, 4}, 1, false},
		{"two are left out after a kill", 1, []uint64{1, 2, 5}, 2, true},
		{"none is left out after two kills", 2, []uint64{1, 2, 3}, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p process
			last := len(c.numbers) - 1
			for _, n := range c.numbers[:last] {
				if err := p.take(report{Transfer: n}); err != nil {
					t.Fatal(err)
				}
			}
			p.dark = c.kills
			err := p.take(report{Transfer: c.numbers[last]})
			if (err != nil) != c.wrong || p.hidden != c.hidden {
				t.Errorf("%v, %d hidden; want %v, %d", err, p.hidden, c.wrong, c.hidden)
			}
		})
	}
}

// What the file does not have is missed at the end, and said loudly.
func TestCheck(t *testing.T) {
	for name, acknowledged := range map[string]uint64{"all there": 3, "one lost": 4, "one too many": 2} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			path := filepath.Join(t.TempDir(), "bank.durus")
			r, err := newRun(t.Context(), config{workers: 1, accounts: 2, file: path, out: &out})
			if err != nil {
				t.Fatal(err)
			}
			db, err := durus.Open(path, nil)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if _, err := transfer(t.Context(), db, durus.RefTo[Teller](r.workers[0].job.Teller)); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			r.workers[0].acknowledged = acknowledged
			r.took = time.Second
			r.check(t.Context())
			ok, err := r.table()
			if err != nil || ok != (name == "all there") || strings.Contains(out.String(), "FAILED") == ok {
				t.Errorf("%v, %v, %v:\n%s", ok, err, r.wrong, &out)
			}
		})
	}
}

func TestParse(t *testing.T) {
	c, err := parse([]string{"--seconds", "0.5", "--workers=3", "--sync", "never", "--file", "x.durus", "--no-kill", "--pack"})
	if err != nil || c.seconds != 0.5 || c.workers != 3 || c.sync != durus.SyncNever || c.file != "x.durus" || !c.noKill || !c.pack {
		t.Errorf("%+v, %v", c, err)
	}
}
