//go:build linux

package torture

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/durusdb/durus/durus"
)

type createTask struct{ Name string }

// runCreate opens the database of each line of its standard input, creates it
// if need be, adds one to a tally of its own, and says so.
func runCreate(task createTask) error {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		db, err := durus.Open(lines.Text(), nil)
		if err != nil {
			return err
		}
		n, err := increment(db, task.Name)
		if err := errors.Join(err, db.Close()); err != nil {
			return err
		}
		if err := tell("%d", n); err != nil {
			return err
		}
	}
	return lines.Err()
}

// C3 of RELIABILITY, A6: processes that create the file at the same moment
// all work on the one that came first.
func TestCreateTogether(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	dir := t.TempDir()
	names := []string{"a", "b", "c"}
	children := make([]*child, len(names))
	for i, name := range names {
		children[i] = start(t, "create", createTask{name})
	}
	for round := range rounds {
		path := filepath.Join(dir, fmt.Sprintf("%d.durus", round))
		for _, c := range children {
			c.say(path)
		}
		for i, c := range children {
			if n := c.hear(); n != "1" {
				t.Fatalf("round %d: tally %s stands at %s after its first increment", round, names[i], n)
			}
		}
		db, err := durus.Open(path, &durus.Options{MustExist: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if n := tally(t, db, name); n != 1 {
				t.Errorf("round %d: tally %s stands at %d", round, name, n)
			}
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		verify(t, path)
	}
	for _, c := range children {
		c.finish()
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 2*rounds { // databases and lock files
		t.Errorf("%d files are left of %d databases: %q", len(left), rounds, left)
	}
}

// D2, D10: the last process that had the file open is killed while it commits.
// The next one needs no tool: it opens, finds what was acknowledged, and
// commits.
func TestKillLastProcess(t *testing.T) {
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	path := filepath.Join(t.TempDir(), "last.durus")
	known := int64(0)
	for round := range rounds {
		c := tallies(t, path, true, "x")[0]
		for range 1 + 3*round {
			n, err := strconv.ParseInt(c.hear(), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			known = n
		}
		c.kill()
		for { // what it has said before it died counts
			line, err := c.next()
			if err != nil {
				break
			}
			if known, err = strconv.ParseInt(line, 10, 64); err != nil {
				t.Fatal(err)
			}
		}
		db, err := durus.Open(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if n := tally(t, db, "x"); n != known && n != known+1 {
			t.Errorf("round %d: the tally stands at %d, %d was acknowledged", round, n, known)
		}
		if known, err = increment(db, "x"); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		verify(t, path)
	}
}
