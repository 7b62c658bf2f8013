package durus

import (
	"context"
	"path/filepath"
	"testing"
)

// benchDB has one account, in a file that is synced once.
func benchDB(b *testing.B) (*DB, Ref[account]) {
	db, err := Open(filepath.Join(b.TempDir(), "bench.durus"), &Options{Check: CheckNothing, Sync: SyncNever})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	ra, _ := openAccounts(b, db, 1, 0)
	if err := db.Sync(context.Background()); err != nil {
		b.Fatal(err)
	}
	return db, ra
}

func BenchmarkHotLoad(b *testing.B) {
	db, ra := benchDB(b)
	view(b, db, func(tx *Tx) error {
		_ = Must(ra.Load(tx))
		b.ReportAllocs()
		for b.Loop() {
			if a, err := ra.Load(tx); err != nil || a.Balance != 1 {
				b.Fatal(a, err)
			}
		}
		return nil
	})
}

func BenchmarkHotLoadParallel(b *testing.B) {
	db, ra := benchDB(b)
	view(b, db, func(tx *Tx) error {
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if a, err := ra.Load(tx); err != nil || a.Balance != 1 {
					b.Fatal(a, err)
				}
			}
		})
		return nil
	})
}

func BenchmarkHotLoadWritable(b *testing.B) {
	db, ra := benchDB(b)
	update(b, db, func(tx *Tx) error {
		b.ReportAllocs()
		for b.Loop() {
			if a, err := ra.Load(tx); err != nil || a.Balance != 1 {
				b.Fatal(a, err)
			}
		}
		return nil
	})
}

func BenchmarkRootLoad(b *testing.B) {
	db, _ := benchDB(b)
	view(b, db, func(tx *Tx) error {
		b.ReportAllocs()
		for b.Loop() {
			if r, err := theBank.Load(tx); err != nil || len(r.Accounts) != 2 {
				b.Fatal(r, err)
			}
		}
		return nil
	})
}

func BenchmarkColdLoad(b *testing.B) {
	db, ra := benchDB(b)
	db.opts.CacheBytes = 1
	db.current.Store(newGeneration(0, 1))
	view(b, db, func(tx *Tx) error {
		b.ReportAllocs()
		for b.Loop() {
			if a, err := ra.Load(tx); err != nil || a.Balance != 1 {
				b.Fatal(a, err)
			}
		}
		return nil
	})
}

func BenchmarkEmptyView(b *testing.B) {
	db, _ := benchDB(b)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if err := db.View(ctx, func(*Tx) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUpdateOne(b *testing.B) {
	db, ra := benchDB(b)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if err := db.Update(ctx, func(tx *Tx) error {
			a, err := ra.Edit(tx)
			if err == nil {
				a.Balance++
			}
			return err
		}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUpdate1000(b *testing.B) {
	db, _ := benchDB(b)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if err := db.Update(ctx, func(tx *Tx) error {
			root, err := theBank.Edit(tx)
			if err != nil {
				return err
			}
			root.Others = make([]AnyRef, 1000)
			for i := range root.Others {
				r, err := Add(tx, &account{Owner: "somebody", Balance: int64(i)})
				if err != nil {
					return err
				}
				root.Others[i] = r.Any()
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
}
