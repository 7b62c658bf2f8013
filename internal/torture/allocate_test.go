//go:build linux

package torture

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/durusdb/durus/durus"
)

// Node is a link of a chain of objects, all of one process.
type Node struct {
	Stamp int64
	Next  durus.Ref[Node]
}

// Chain leads to the newest node.
type Chain struct{ Head durus.Ref[Node] }

var (
	_ = durus.Register[Node]("torture.Node")
	_ = durus.Register[Chain]("torture.Chain")
)

func chainRoot(process int) durus.Root[Chain] {
	return durus.NewRoot[Chain](fmt.Sprintf("chain-%d", process))
}

type allocateTask struct {
	Dir, Path            string
	Process, Incarnation int
	Seed                 uint64
}

// runAllocate takes object ids, in bulk and by Add, and writes each of them
// down before anything is committed.
func runAllocate(task allocateTask) error {
	ctx := untilEOF(os.Stdin)
	rnd := rand.New(rand.NewPCG(task.Seed, uint64(task.Process)<<32|uint64(task.Incarnation)))
	db, err := durus.Open(task.Path, nil)
	if err != nil {
		return err
	}
	st, err := openEngine(task.Path)
	if err != nil {
		return err
	}
	name := filepath.Join(task.Dir, fmt.Sprintf("oids-%d-%d", task.Process, task.Incarnation))
	out, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	stamp := int64(task.Process)<<48 | int64(task.Incarnation)<<32
	for ctx.Err() == nil {
		var lines []byte
		for range rnd.IntN(100) {
			oid, err := st.NewOID(context.Background())
			if err != nil {
				return err
			}
			lines = fmt.Appendf(lines, "%d 0\n", oid)
		}
		if _, err := out.Write(lines); err != nil {
			return err
		}
		if err := addNodes(db, task.Process, 1+rnd.IntN(20), &stamp, out); err != nil && !errors.Is(err, durus.ErrConflict) {
			return err
		}
	}
	return errors.Join(out.Close(), db.Close(), st.Close())
}

// addNodes adds n nodes to the chain of a process in one transaction.
func addNodes(db *durus.DB, process, n int, stamp *int64, out *os.File) error {
	tx, err := db.Begin(context.Background(), true)
	if err != nil {
		return err
	}
	var lines []byte
	chain, err := chainRoot(process).Edit(tx)
	for i := 0; err == nil && i < n; i++ {
		*stamp++
		if chain.Head, err = durus.Add(tx, &Node{Stamp: *stamp, Next: chain.Head}); err == nil {
			lines = fmt.Appendf(lines, "%d %d\n", chain.Head.OID(), *stamp)
		}
	}
	if _, werr := out.Write(lines); err != nil || werr != nil {
		return errors.Join(err, werr, tx.Rollback())
	}
	return tx.Commit()
}

// F21, H10, acceptance test 24: processes take object ids and are killed at any
// moment. No id is given out twice, in no process, committed or not, and no
// object has another one's state.
func TestKillAllocators(t *testing.T) {
	const processes = 8
	seed := newSeed(t)
	rnd := rand.New(rand.NewPCG(seed, 1))
	dir := keptDir(t)
	path := filepath.Join(dir, "oids.durus")
	db := open(t, path, nil)
	children := make([]*child, processes)
	incarnations := make([]int, processes)
	next := func(i int) {
		incarnations[i]++
		children[i] = start(t, "allocate", allocateTask{dir, path, i, incarnations[i], seed})
	}
	for i := range children {
		next(i)
	}
	kills := 0
	for end := time.Now().Add(lasts(1500 * time.Millisecond)); time.Now().Before(end); kills++ {
		time.Sleep(time.Duration(rnd.Int64N(int64(60 * time.Millisecond))))
		i := rnd.IntN(processes)
		if !children[i].alive() {
			break // finish says why
		}
		children[i].kill()
		next(i)
	}
	for _, c := range children {
		c.finish()
	}

	stamps := readAllocations(t, dir)
	found := 0
	if err := db.View(context.Background(), func(tx *durus.Tx) error {
		for process := range processes {
			for ref := durus.Must(chainRoot(process).Load(tx)).Head; !ref.IsNil(); found++ {
				node := durus.Must(ref.Load(tx))
				if want := stamps[uint64(ref.OID())]; node.Stamp != want {
					t.Errorf("object %s has the stamp %d, %d was stored", ref, node.Stamp, want)
				}
				ref = node.Next
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if kills < 3 || found < 100 || len(stamps) < 2*found {
		t.Errorf("that shows too little: %d kills, %d ids, %d objects", kills, len(stamps), found)
	}
	t.Logf("%d kills, %d ids, %d objects; seed %d", kills, len(stamps), found, seed)
}

// readAllocations returns the stamps of all ids that anybody was given, and
// fails for those given twice.
func readAllocations(t *testing.T, dir string) map[uint64]int64 {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "oids-*"))
	if err != nil {
		t.Fatal(err)
	}
	stamps := make(map[uint64]int64)
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			var oid uint64
			var stamp int64
			if _, err := fmt.Sscanf(lines.Text(), "%d %d", &oid, &stamp); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if _, twice := stamps[oid]; twice {
				t.Errorf("object id %d was given out twice, the second time in %s", oid, name)
			}
			stamps[oid] = stamp
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return stamps
}
