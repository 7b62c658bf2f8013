//go:build linux

package torture

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/durusdb/durus/durus"
)

// Tally is a number that tests count with where a history would tell no more.
type Tally struct{ N int64 }

var _ = durus.Register[Tally]("torture.Tally")

func tallyRoot(name string) durus.Root[Tally] { return durus.NewRoot[Tally]("tally-" + name) }

// tallyTask is what a child does that counts: it says "ready", waits for a
// line, adds one to the tally again and again until its standard input ends,
// and says how often it was told that it had.
type tallyTask struct {
	Path, Name string
	Loud       bool // also say each value, after its commit
}

func runTally(task tallyTask) error {
	db, err := durus.Open(task.Path, nil)
	if err != nil {
		return err
	}
	if err := tell("ready"); err != nil {
		return err
	}
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil {
		return err
	}
	ctx, done := untilEOF(in), 0
	for ; ctx.Err() == nil; done++ {
		n, err := increment(db, task.Name)
		if err != nil {
			return err
		}
		if task.Loud {
			if err := tell("%d", n); err != nil {
				return err
			}
		}
	}
	if err := db.Close(); err != nil {
		return err
	}
	return tell("done %d", done)
}

// increment adds one to a tally and returns what it is then.
func increment(db *durus.DB, name string) (int64, error) {
	return durus.Result(context.Background(), db.Update, func(tx *durus.Tx) (int64, error) {
		v, err := tallyRoot(name).Edit(tx)
		if err != nil {
			return 0, err
		}
		v.N++
		return v.N, nil
	})
}

// tally returns what a tally is, in a View.
func tally(t testing.TB, db *durus.DB, name string) int64 {
	t.Helper()
	n, err := durus.Result(context.Background(), db.View, func(tx *durus.Tx) (int64, error) {
		v, err := tallyRoot(name).Load(tx)
		if err != nil {
			return 0, err
		}
		return v.N, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// open opens a database in the test itself. At the end of the test it is
// closed, and the file must be in order.
func open(t testing.TB, path string, opts *durus.Options) *durus.DB {
	t.Helper()
	db, err := durus.Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		verify(t, path)
	})
	return db
}

// verify checks every frame and record of a file.
func verify(t testing.TB, path string) {
	t.Helper()
	st, err := openEngine(path)
	if err != nil {
		t.Fatal(err)
	}
	report, err := st.Verify(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range report.Problems {
		t.Errorf("verify %s: %s", path, p)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}

// tallies starts children that count, on the tallies named, and lets them go
// once all are ready.
func tallies(t testing.TB, path string, loud bool, names ...string) []*child {
	t.Helper()
	children := make([]*child, len(names))
	for i, name := range names {
		children[i] = start(t, "tally", tallyTask{path, name, loud})
	}
	for _, c := range children {
		if line := c.hear(); line != "ready" {
			t.Fatalf("a child said %q", line)
		}
	}
	for _, c := range children {
		c.say("go")
	}
	return children
}

// total ends a child that counts, and returns how often it has.
func total(t testing.TB, c *child) (n int64) {
	t.Helper()
	if err := c.in.Close(); err != nil {
		t.Error(err)
	}
	if _, err := fmt.Sscanf(c.hear(), "done %d", &n); err != nil {
		t.Error(err)
	}
	c.wait()
	return n
}
