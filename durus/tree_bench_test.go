package durus

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

type orchard struct {
	Ints BTree[int64, int64]
	Text BTree[string, account]
}

var (
	_          = Register[orchard]("bench.orchard")
	theOrchard = NewRoot[orchard]("orchard")
)

const treeSize = 100_000

func textKey(i int64) string { return fmt.Sprintf("user:%012d", i) }

// benchTree has trees of treeSize random keys, in a file that is not synced.
func benchTree(b *testing.B) (*DB, []int64) {
	db, err := Open(filepath.Join(b.TempDir(), "bench.durus"), &Options{Check: CheckNothing, Sync: SyncNever, CacheBytes: 1 << 28})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	keys := make([]int64, treeSize)
	for i := 0; i < treeSize; i += 1000 {
		update(b, db, func(tx *Tx) error {
			o := Must(theOrchard.Load(tx))
			for j := i; j < i+1000; j++ {
				keys[j] = rand.Int64N(1 << 50)
				if err := o.Ints.Put(tx, keys[j], keys[j]); err != nil {
					return err
				}
				if err := o.Text.Put(tx, textKey(keys[j]), account{Owner: "somebody", Balance: keys[j]}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return db, keys
}

// Looks random keys up, each leaf once before the cache is emptied: it is as if
// the program had just begun.
func BenchmarkTreeGetCold(b *testing.B) {
	db, keys := benchTree(b)
	for _, uses := range []int{1, 2, 5, 10, 20, 50} {
		b.Run(fmt.Sprint("ints, ", uses, " a leaf"), func(b *testing.B) {
			b.ReportAllocs()
			benchGet(b, db, func(tx *Tx, o *orchard, i int) bool {
				k := keys[i]
				v, ok, err := o.Ints.Get(tx, k)
				return err == nil && ok && v == k
			}, uses)
		})
		b.Run(fmt.Sprint("text, ", uses, " a leaf"), func(b *testing.B) {
			b.ReportAllocs()
			benchGet(b, db, func(tx *Tx, o *orchard, i int) bool {
				k := keys[i]
				v, ok, err := o.Text.Get(tx, textKey(k))
				return err == nil && ok && v.Balance == k
			}, uses)
		})
	}
}

func benchGet(b *testing.B, db *DB, get func(tx *Tx, o *orchard, i int) bool, uses int) {
	// About 2500 leaves: this many gets are so many uses of a leaf.
	round := 2500 * uses
	n := 0
	for n < b.N {
		db.current.Store(newGeneration(db.current.Load().lineage, 1<<28))
		view(b, db, func(tx *Tx) error {
			o := Must(theOrchard.Load(tx))
			for i := 0; i < round && n < b.N; i++ {
				if !get(tx, o, n*7919%treeSize) {
					b.Fatal(n)
				}
				n++
			}
			return nil
		})
	}
}

func BenchmarkTreeGetHot(b *testing.B) {
	db, keys := benchTree(b)
	view(b, db, func(tx *Tx) error {
		o := Must(theOrchard.Load(tx))
		for range o.Ints.All(tx) {
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			k := keys[i*7919%treeSize]
			if v, ok, err := o.Ints.Get(tx, k); err != nil || !ok || v != k {
				b.Fatal(v, ok, err)
			}
		}
		return nil
	})
}

// Puts random keys into a tree that has them between others.
func BenchmarkTreePut(b *testing.B) {
	ctx := context.Background()
	for _, n := range []int{1, 10, 100, 1000} {
		for _, kind := range []string{"ints", "text"} {
			b.Run(fmt.Sprint(kind, ", ", n, " a transaction"), func(b *testing.B) {
				db, _ := benchTree(b)
				b.ReportAllocs()
				for b.Loop() {
					if err := db.Update(ctx, func(tx *Tx) error {
						o, err := theOrchard.Load(tx)
						for i := 0; i < n && err == nil; i++ {
							k := rand.Int64N(1 << 50)
							if kind == "ints" {
								err = o.Ints.Put(tx, k, k)
							} else {
								err = o.Text.Put(tx, textKey(k), account{Owner: "somebody", Balance: k})
							}
						}
						return err
					}); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
			})
		}
	}
}

// Walks over both trees, decoded or not.
func BenchmarkTreeScan(b *testing.B) {
	db, _ := benchTree(b)
	for _, cold := range []bool{false, true} {
		b.Run(fmt.Sprint("cold ", cold), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if cold {
					db.current.Store(newGeneration(db.current.Load().lineage, 1<<28))
				}
				view(b, db, func(tx *Tx) error {
					o := Must(theOrchard.Load(tx))
					n := 0
					for range o.Ints.All(tx) {
						n++
					}
					for range o.Text.All(tx) {
						n++
					}
					if n != 2*treeSize {
						b.Fatal(n)
					}
					return nil
				})
			}
			b.ReportMetric(2*treeSize*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
		})
	}
}

func BenchmarkTreeLen(b *testing.B) {
	db, _ := benchTree(b)
	view(b, db, func(tx *Tx) error {
		o := Must(theOrchard.Load(tx))
		b.ReportAllocs()
		for b.Loop() {
			if n := Must(o.Ints.Len(tx)); n != treeSize {
				b.Fatal(n)
			}
		}
		return nil
	})
}

// Four handles, as of four processes, put random keys into one tree, 100 in each
// transaction: nodes are changed by others in between.
func BenchmarkTreePutByFour(b *testing.B) {
	db, _ := benchTree(b)
	b.ReportAllocs()
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(b.N))
	opts := db.opts
	b.ResetTimer()
	for range 4 {
		wg.Go(func() {
			other, err := Open(db.path, &opts)
			if err != nil {
				b.Error(err)
				return
			}
			for left.Add(-1) >= 0 && err == nil {
				err = other.Update(context.Background(), func(tx *Tx) error {
					o, err := theOrchard.Load(tx)
					for i := 0; i < 100 && err == nil; i++ {
						k := rand.Int64N(1 << 50)
						err = o.Ints.Put(tx, k, k)
					}
					return err
				})
			}
			if err := errors.Join(err, other.Close()); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	b.ReportMetric(100*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
}
