package durus

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/pack"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/posix"
)

func openEngine(path string) (*filestorage.Storage, error) {
	return filestorage.Open(path, filestorage.Options{FS: posix.New(), ReadOnly: true})
}

// Acceptance test 37: plain copies of a file that several handles write and
// pack are backups: each opens to exactly the transactions up to some moment
// after the copying began. DURUS_COPIES makes them more or fewer.
func TestPlainCopies(t *testing.T) {
	copies := 1000
	if testing.Short() {
		copies = 50
	}
	if n, err := strconv.Atoi(os.Getenv("DURUS_COPIES")); err == nil {
		copies = n
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "bank.durus")
	db, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	openAccounts(t, db, 500, 500)
	first, err := db.LastTID()
	if err != nil {
		t.Fatal(err)
	}

	var (
		stop    atomic.Bool
		mu      sync.Mutex // guards all
		all     = []TID{first}
		writers sync.WaitGroup
	)
	for range 3 {
		w, err := Open(path, &Options{MaxRetries: 1000})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		writers.Go(func() {
			for i := int64(0); !stop.Load(); i++ {
				if err := w.Update(t.Context(), func(tx *Tx) error {
					Must(Must(named(tx, "a")).Edit(tx)).Balance -= i%7 - 3
					Must(Must(named(tx, "b")).Edit(tx)).Balance += i%7 - 3
					tx.OnCommit(func(tid TID) {
						mu.Lock()
						defer mu.Unlock()
						all = append(all, tid)
					})
					return nil
				}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	type taken struct {
		horizon TID
		tids    []TID
	}
	var logs []taken
	name := filepath.Join(dir, "copy")
	for i := range copies {
		if i%20 == 10 {
			packed(t, db, pack.Options{})
		}
		acked, err := db.LastTID()
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path) // as cp does
		if err == nil {
			err = os.WriteFile(name, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		c, err := Open(name, &Options{MustExist: true, Sync: SyncNever})
		if err != nil {
			t.Fatal(err)
		}
		tx := begin(t, c, true) // looks at all of it, and makes it durable
		if tx.Snapshot() < acked {
			t.Errorf("copy %d ends at %s, %s was acknowledged before", i, tx.Snapshot(), acked)
		}
		if sum := Must(Must(named(tx, "a")).Load(tx)).Balance + Must(Must(named(tx, "b")).Load(tx)).Balance; sum != 1000 {
			t.Errorf("copy %d: the sum is %d", i, sum)
		}
		end := tx.Snapshot()
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		log := taken{horizon: c.st.(*filestorage.Storage).Header().Horizon}
		for x, err := range c.st.(*filestorage.Storage).Transactions(0, storage.TID(end)) {
			if err != nil {
				t.Fatal(err)
			}
			log.tids = append(log.tids, x.TID)
		}
		logs = append(logs, log)
		if i%50 == 0 {
			verify(t, c)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(name + ".lock") // each copy is a file of its own
		cut, err := filepath.Glob(name + ".*")
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range cut {
			_ = os.Remove(x)
		}
	}
	stop.Store(true)
	writers.Wait()
	slices.Sort(all)
	all = slices.Compact(all) // an Update that changes nothing reports the transaction that it saw
	for i, log := range logs {
		var want []TID
		for _, tid := range all {
			if n := len(log.tids); n > 0 && tid > log.horizon && tid <= log.tids[n-1] {
				want = append(want, tid)
			}
		}
		if !slices.Equal(log.tids, want) {
			t.Fatalf("copy %d behind %s: %v, want %v", i, log.horizon, log.tids, want)
		}
	}
	t.Logf("%d copies while %d transactions were committed", len(logs), len(all))
}
