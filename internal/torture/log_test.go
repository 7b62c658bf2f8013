//go:build linux

package torture

import (
	"cmp"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/internal/history"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/posix"
)

// inspection is what a fresh process finds in a database after a ring.
type inspection struct {
	Problems []string // of Verify
	Log      []history.Commit
	Whole    bool  // the log could be read to its end
	Counter  int64 // where counterKey stands
}

type inspectTask struct {
	Dir, Path, Out string
}

// inspector is its process number in the history.
const inspector = 1 << 20

// runInspect opens a database as the first thing that anybody does after the
// ring, reads everything as one more transaction of the history, and then
// looks at the file.
func runInspect(task inspectTask) error {
	var found inspection
	if err := found.readEverything(task); err != nil {
		return err
	}
	st, err := openEngine(task.Path)
	if err != nil {
		return err
	}
	report, err := st.Verify(context.Background(), nil)
	if err != nil {
		return err
	}
	for _, p := range report.Problems {
		found.Problems = append(found.Problems, p.String())
	}
	if found.Log, err = readLog(st); err != nil {
		found.Problems = append(found.Problems, err.Error())
	}
	found.Whole = err == nil
	if err := st.Close(); err != nil {
		return err
	}
	out, err := os.Create(task.Out)
	if err != nil {
		return err
	}
	return errors.Join(gob.NewEncoder(out).Encode(&found), out.Close())
}

// inspect has a fresh process look at the database. On failure the event files
// of the history may lack the last one.
func inspect(t testing.TB, dir, path string) inspection {
	t.Helper()
	out := filepath.Join(dir, "inspection")
	start(t, "inspect", inspectTask{dir, path, out}).finish()
	var found inspection
	f, err := os.Open(out)
	if err != nil {
		t.Errorf("nothing can be said about the final state: %v", err)
		return found
	}
	if err := errors.Join(gob.NewDecoder(f).Decode(&found), f.Close()); err != nil {
		t.Error(err)
	}
	for _, p := range found.Problems {
		t.Errorf("verify: %s", p)
	}
	return found
}

// readEverything fixes the order of the last writes for the checker that does
// not look at the log.
func (found *inspection) readEverything(task inspectTask) error {
	db, err := durus.Open(task.Path, nil)
	if err != nil {
		return err
	}
	rec, err := history.NewRecorder(task.Dir, inspector, 0)
	if err != nil {
		return err
	}
	var keys []int64
	if err := db.View(context.Background(), func(tx *durus.Tx) error {
		for _, root := range shelves {
			keys = slices.AppendSeq(keys, maps.Keys(durus.Must(root.Load(tx)).Items))
		}
		return nil
	}); err != nil {
		return err
	}
	slices.Sort(keys)
	ops := make([]history.Op, len(keys))
	for i, key := range keys {
		ops[i] = history.R(key)
	}
	number, err := rec.Call(ops)
	if err != nil {
		return err
	}
	e := history.Event{Number: number, Type: history.OK}
	c := client{db: db, reader: true}
	if e.Vals, e.Snap, _, err = c.Txn(ops, true); err != nil {
		return err
	}
	if i, ok := slices.BinarySearch(keys, counterKey); ok {
		found.Counter = e.Vals[i][0]
	}
	return errors.Join(rec.Return(e), rec.Close(), db.Close())
}

func openEngine(path string) (*filestorage.Storage, error) {
	return filestorage.Open(path, filestorage.Options{FS: posix.New(), MustExist: true})
}

// readLog returns the final log, in terms of keys. It takes the transactions
// from their frames and the states from the chains of previous records, which
// must agree, and decodes with msgpack itself.
func readLog(st *filestorage.Storage) ([]history.Commit, error) {
	snap, err := st.Begin(context.Background(), false)
	if err != nil {
		return nil, err
	}
	defer snap.Release()
	var log []history.Commit
	writers := make(map[storage.OID][]int) // places in the log, ascending
	for tx, err := range st.Transactions(0, math.MaxUint64) {
		if err != nil {
			return log, err
		}
		for _, oid := range tx.OIDs {
			writers[oid] = append(writers[oid], len(log))
		}
		log = append(log, history.Commit{TID: uint64(tx.TID)})
	}
	for _, oid := range slices.Sorted(maps.Keys(writers)) {
		if err := addRevisions(log, snap, oid, writers[oid]); err != nil {
			return log, err
		}
	}
	for i := range log {
		slices.SortFunc(log[i].Writes, func(a, b history.KeyState) int { return cmp.Compare(a.Key, b.Key) })
	}
	return log, nil
}

// addRevisions walks the revisions of an object, newest first, along with the
// transactions that say that they wrote it.
func addRevisions(log []history.Commit, snap storage.Snapshot, oid storage.OID, writers []int) error {
	pos, err := snap.Find(oid)
	if err != nil {
		return fmt.Errorf("object %s: %w", oid, err)
	}
	for i := len(writers) - 1; i >= 0; i-- {
		if pos == 0 {
			return fmt.Errorf("object %s has %d revisions fewer than transactions that wrote it", oid, i+1)
		}
		rec, err := snap.Read(oid, pos)
		if err != nil {
			return err
		}
		pos = rec.Prev
		if class, _ := snap.ClassName(rec.Class); class != itemClass {
			continue
		}
		var item Item
		if err := msgpack.Unmarshal(rec.Payload, &item); err != nil {
			return fmt.Errorf("object %s: %w", oid, err)
		}
		at := &log[writers[i]]
		at.Writes = append(at.Writes, history.KeyState{Key: item.Key, State: item.List})
	}
	if pos != 0 {
		return fmt.Errorf("object %s has more revisions than the %d transactions that wrote it", oid, len(writers))
	}
	return nil
}
