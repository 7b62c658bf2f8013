package durus

import (
	"context"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

// crate holds a thousand references, so that a million objects hang on a
// thousand of them.
type crate struct{ Books []Ref[book] }

type book struct{ Text []byte }

type library struct{ Shelves []Ref[crate] }

var (
	_          = Register[book]("bench.book")
	_          = Register[crate]("bench.crate")
	_          = Register[library]("bench.library")
	theLibrary = NewRoot[library]("library")
)

// bulkLoad adds n objects of 100 bytes in one transaction.
func bulkLoad(db *DB, n int) error {
	return db.Update(context.Background(), func(tx *Tx) error {
		lib, err := theLibrary.Edit(tx)
		if err != nil {
			return err
		}
		for added := 0; added < n; {
			s := &crate{}
			for ; len(s.Books) < 1000 && added < n; added++ {
				r, err := Add(tx, &book{Text: make([]byte, 100)})
				if err != nil {
					return err
				}
				s.Books = append(s.Books, r)
			}
			r, err := Add(tx, s)
			if err != nil {
				return err
			}
			lib.Shelves = append(lib.Shelves, r)
		}
		return nil
	})
}

// peak samples how much memory the program has from the system, and returns
// the most beyond what there was at first.
func peak() (stop func() int64) {
	read := func() int64 {
		s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
		metrics.Read(s)
		return int64(s[0].Value.Uint64() - s[1].Value.Uint64() - s[2].Value.Uint64())
	}
	runtime.GC()
	first := read()
	done, result := make(chan bool), make(chan int64)
	go func() {
		most := first
		for {
			most = max(most, read())
			select {
			case <-done:
				result <- most - first
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	return func() int64 { close(done); return <-result }
}

// BenchmarkBulkLoad adds a million objects in one transaction, with memory for
// all of them and with a cache of 8 MiB.
func BenchmarkBulkLoad(b *testing.B) {
	const n = 1_000_000
	for name, cache := range map[string]int64{"in memory": 16 << 30, "8 MiB": 8 << 20} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				db, err := Open(filepath.Join(b.TempDir(), "a.durus"), &Options{CacheBytes: cache, Check: CheckNothing, Sync: SyncNever})
				if err != nil {
					b.Fatal(err)
				}
				stop := peak()
				began := time.Now()
				if err := bulkLoad(db, n); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(n/time.Since(began).Seconds(), "objects/s")
				b.ReportMetric(float64(stop())/(1<<20), "MiB")
				if err := db.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
