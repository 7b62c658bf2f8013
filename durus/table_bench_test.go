package durus

import (
	"fmt"
	"path/filepath"
	"testing"
)

// benchShop has a table of n customers, in a file that is not synced.
func benchShop(b *testing.B, n int) *DB {
	db, err := Open(filepath.Join(b.TempDir(), "bench.durus"), &Options{Check: CheckNothing, Sync: SyncNever, Types: shopTypes(byEmail, byCity), CacheBytes: 1 << 28})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	for i := 0; i < n; i += 1000 {
		shopping(b, db, func(tx *Tx, s *shop) {
			for j := i; j < i+1000; j++ {
				Must(s.Numbers.Insert(tx, j, benchCustomer(j)))
			}
		})
	}
	return db
}

func benchCustomer(i int) *customer {
	return &customer{Name: fmt.Sprint("name ", i), Email: fmt.Sprintf("%08d@example.org", i*7919), City: fmt.Sprint("city ", i%1000)}
}

func BenchmarkTableLookup(b *testing.B) {
	db := benchShop(b, 100_000)
	view(b, db, func(tx *Tx) error {
		t := Must(theShop.Load(tx)).Numbers
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, ok := Must2(byEmail.Lookup(tx, t, fmt.Sprintf("%08d@example.org", i*7%100_000*7919))); !ok {
				b.Fatal(i)
			}
		}
		return nil
	})
}

func BenchmarkTableGet(b *testing.B) {
	db := benchShop(b, 100_000)
	view(b, db, func(tx *Tx) error {
		t := Must(theShop.Load(tx)).Numbers
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, ok := Must2(t.Get(tx, i*7%100_000)); !ok {
				b.Fatal(i)
			}
		}
		return nil
	})
}

// Inserts 1000 customers in one transaction.
func BenchmarkTableInsert1000(b *testing.B) {
	db := benchShop(b, 100_000)
	b.ReportAllocs()
	for n := 100_000; b.Loop(); n += 1000 {
		shopping(b, db, func(tx *Tx, s *shop) {
			for i := range 1000 {
				Must(s.Numbers.Insert(tx, n+i, benchCustomer(n+i)))
			}
		})
	}
}

// Edits one customer, of whom an index sees nothing, or its key.
func BenchmarkTableEdit(b *testing.B) {
	for _, indexed := range []bool{false, true} {
		b.Run(fmt.Sprint("indexed ", indexed), func(b *testing.B) {
			db := benchShop(b, 100_000)
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				shopping(b, db, func(tx *Tx, s *shop) {
					c, _ := Must2(s.Numbers.Edit(tx, n*7%100_000))
					if c.Age++; indexed {
						c.City = fmt.Sprint("new city ", n)
					}
				})
			}
		})
	}
}
