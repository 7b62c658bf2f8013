package filestorage

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/durusdb/durus/storage"
)

// pastBench is a file of n small transactions.
func pastBench(b *testing.B, n int, oids func(g *long, i int) storage.OID) *long {
	b.Helper()
	g := newLong(b, filepath.Join(b.TempDir(), "a.durus"), Options{})
	b.Cleanup(func() { g.s.Close() })
	for i := range n {
		g.commit(b, []byte{0xc0}, oids(g, i))
	}
	return g
}

// Finding a transaction and its state, in files of different length.
func BenchmarkBeginAt(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		g := pastBench(b, n, func(g *long, i int) storage.OID { return g.oids[i%len(g.oids)] })
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for i := range b.N {
				snap, err := g.s.BeginAt(background, g.txs[i*7919%n].TID)
				if err != nil {
					b.Fatal(err)
				}
				snap.Release()
			}
		})
	}
}

// An object ten thousand revisions deep: one that is changed all the time, and
// one that was not at the time that is looked at.
func BenchmarkFindDeep(b *testing.B) {
	const n = 20_000
	g := pastBench(b, n, func(g *long, i int) storage.OID {
		if i < n/2 && i > 0 {
			return g.oids[1]
		}
		return g.oids[0]
	})
	h := pastBench(b, n, func(g *long, i int) storage.OID { return g.oids[0] })
	for name, g := range map[string]*long{"busy then": h, "quiet then": g} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				snap, err := g.s.BeginAt(background, g.txs[n/2-1].TID)
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				if _, err := snap.Find(g.oids[0]); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				snap.Release()
			}
		})
	}
}

// All transactions, one after the other.
func BenchmarkTransactions(b *testing.B) {
	const n = 100_000
	g := pastBench(b, n, func(g *long, i int) storage.OID { return g.oids[i%len(g.oids)] })
	b.ResetTimer()
	for range b.N {
		k := 0
		for _, err := range g.s.Transactions(0, 1<<62) {
			if err != nil {
				b.Fatal(err)
			}
			k++
		}
		if k != n {
			b.Fatal(k)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "transactions/s")
}
