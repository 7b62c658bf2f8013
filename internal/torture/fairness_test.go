//go:build linux

package torture

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/durusdb/durus/durus"
)

// H13, H15: a transaction that takes long, on what three fast writers change
// all the time, is committed all the same.
func TestLongUpdateFinishes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "starve.durus")
	db := open(t, path, nil)
	writers := tallies(t, path, false, "x", "x", "x")
	const think = 20 * time.Millisecond
	attempts := 0
	begin := time.Now()
	if err := db.Update(context.Background(), func(tx *durus.Tx) error {
		attempts = tx.Attempt()
		v, err := tallyRoot("x").Edit(tx)
		if err != nil {
			return err
		}
		time.Sleep(think)
		v.N++
		return nil
	}); err != nil {
		t.Errorf("after %d attempts and %v: %v", attempts, time.Since(begin), err)
	}
	took := time.Since(begin)
	sum := int64(1)
	for _, c := range writers {
		sum += total(t, c)
	}
	if n := tally(t, db, "x"); n != sum {
		t.Errorf("the tally stands at %d after %d acknowledged increments", n, sum)
	}
	if limit := 30 * time.Second; took > limit {
		t.Errorf("it took %v, more than %v", took, limit)
	}
	t.Logf("done after %d attempts and %v, beside %d others", attempts, took, sum-1)
}

// F35, acceptance test 34: of many writers on objects of their own none is left
// behind: the slowest has at least a quarter of the mean.
func TestWritersAreFair(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fair.durus")
	db := open(t, path, nil)
	names := make([]string, 8)
	for i := range names {
		names[i] = fmt.Sprint(i)
		if _, err := increment(db, names[i]); err != nil { // they do not meet in the directory of roots
			t.Fatal(err)
		}
	}
	writers := tallies(t, path, false, names...)
	// For a while, and longer on a disk that is busy with something else: a
	// handful of commits shows nothing.
	counts, sum := make([]int64, len(names)), int64(0)
	for begin := time.Now(); time.Since(begin) < lasts(2*time.Second) || sum < 50*int64(len(names)) && time.Since(begin) < patience; {
		time.Sleep(100 * time.Millisecond)
		sum = 0
		for i, name := range names {
			counts[i] = tally(t, db, name) - 1
			sum += counts[i]
		}
	}
	for i, c := range writers {
		if n := total(t, c); n < counts[i] {
			t.Errorf("writer %d has counted %d, the file had %d before", i, n, counts[i])
		}
	}
	slices.Sort(counts)
	mean := sum / int64(len(counts))
	if mean < 50 || counts[0] < mean/4 {
		t.Errorf("the slowest writer has %d commits, the mean is %d: %v", counts[0], mean, counts)
	}
	t.Logf("commits of each writer: %v", counts)
}
