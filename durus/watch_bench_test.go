package durus

import (
	"path/filepath"
	"testing"
)

// BenchmarkWatchBacklog reads what was committed before the loop began.
func BenchmarkWatchBacklog(b *testing.B) {
	db, err := Open(filepath.Join(b.TempDir(), "a.durus"), &Options{Sync: SyncNever, Check: CheckNothing})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	openAccounts(b, db, 500, 500)
	const n = 20_000
	for range n {
		update(b, db, func(tx *Tx) error {
			Must(Must(theBank.Load(tx)).Accounts["a"].Edit(tx)).Balance++
			return nil
		})
	}
	b.ReportAllocs()
	for b.Loop() {
		seen := 0
		for _, err := range db.Watch(b.Context(), 0) {
			if err != nil {
				b.Fatal(err)
			}
			if seen++; seen == n {
				break
			}
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "changes/s")
}
