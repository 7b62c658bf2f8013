package durus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/vfs/mem"
)

// Goroutines of one handle commit in groups: members of one group change the
// same nodes, nodes have to be split while the lock is held, and the last
// attempts hold it. Nothing is lost, counted twice, or left open; with a second
// handle that does the same.
func TestContainersInGroups(t *testing.T) {
	const goroutines, rounds = 16, 30
	for _, limits := range []collection.Limits{{Leaf: 4, LeafBytes: 200, Fanout: 4, Counters: 2}, collection.Default} {
		onBeds(t, func(t *testing.T, b *bed) {
			old := collection.Default
			collection.Default = limits
			t.Cleanup(func() { collection.Default = old })
			dbs := []*DB{b.db(Options{Sync: SyncNever}), b.db(Options{Sync: SyncNever, MaxRetries: 6})}
			update(t, dbs[0], func(tx *Tx) error { Must(theWorkplace.Load(tx)); return nil })
			var group sync.WaitGroup
			var failed atomic.Int64 // gave up: the same again
			for g := range goroutines {
				db := dbs[min(g%5, 1)]
				group.Go(func() {
					for i := 0; i < rounds; {
						err := db.Update(t.Context(), func(tx *Tx) error {
							w := Must(theWorkplace.Load(tx))
							k := i*goroutines + g
							name := fmt.Sprint(g, "/", i)
							_ = w.Ordered.Put(tx, k, g)
							_ = w.Spread.Put(tx, name, i)
							_ = w.Log.Append(tx, name)
							_ = w.Done.Add(tx, 1)
							if i > 0 && g%4 == 0 { // a reader of its own keys conflicts with nobody
								if v, ok := Must2(w.Ordered.Get(tx, k-goroutines)); !ok || v != g {
									return fmt.Errorf("key %d has %d, %v", k-goroutines, v, ok)
								}
							}
							if ok := Must(w.Names.Has(tx, name)); ok {
								return fmt.Errorf("%s is there already", name)
							}
							return w.Names.Add(tx, name)
						})
						switch {
						case errors.Is(err, ErrConflict):
							failed.Add(1)
						case err != nil:
							t.Error(err)
							return
						default:
							i++
						}
					}
				})
			}
			group.Wait()
			view(t, dbs[0], func(tx *Tx) error {
				w := Must(theWorkplace.Load(tx))
				n := 0
				for k, g := range w.Ordered.All(tx) {
					if k != n || g != k%goroutines {
						t.Fatalf("key %d of %d, the next one is %d", k, g, n)
					}
					n++
				}
				next := map[int]int{}
				for _, line := range w.Log.All(tx) {
					var g, i int
					if _, err := fmt.Sscanf(line, "%d/%d", &g, &i); err != nil || next[g] != i {
						t.Fatalf("%q in the log, the next one is %d", line, next[g])
					}
					next[g]++
				}
				for _, l := range []int{n, Must(w.Ordered.Len(tx)), Must(w.Spread.Len(tx)), Must(w.Names.Len(tx)), Must(w.Log.Len(tx)), int(Must(w.Done.Value(tx)))} {
					if l != goroutines*rounds {
						t.Errorf("%d of %d", l, goroutines*rounds)
					}
				}
				return nil
			})
			t.Logf("%d conflicts in %d, %d attempts given up", dbs[0].Stats().Conflicts+dbs[1].Stats().Conflicts, goroutines*rounds, failed.Load())
		})
	}
}

// A long range that was read is compared outside of the lock, however hot the
// tree is: those who wait for the lock do not wait for that.
func TestLongRangeIsNotComparedUnderTheLock(t *testing.T) {
	smallNodes(t)
	b := over(t, mem.NewVolatile().Process("test"))
	db := b.db(Options{Sync: SyncNever, MaxRetries: 200})
	const keys = 20_000
	update(t, db, func(tx *Tx) error {
		w := Must(theWorkplace.Load(tx))
		for k := range keys {
			_ = w.Ordered.Put(tx, k, 0)
		}
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var group sync.WaitGroup
	for g := range 3 { // they change what is behind the range
		group.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if err := db.Update(t.Context(), func(tx *Tx) error {
					return Must(theWorkplace.Load(tx)).Ordered.Put(tx, keys+i%1000*3+g, i)
				}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	begun := time.Now()
	for range 3 {
		if err := db.Update(t.Context(), func(tx *Tx) error {
			w := Must(theWorkplace.Load(tx))
			sum := 0
			for _, v := range w.Ordered.Range(tx, 0, keys) {
				sum += v
			}
			return w.Done.Add(tx, int64(sum+1))
		}); err != nil {
			t.Error(err)
		}
	}
	cancel()
	group.Wait()
	t.Logf("three reads of %d keys beside writers took %v", keys, time.Since(begun))
	view(t, db, func(tx *Tx) error {
		if n := Must(Must(theWorkplace.Load(tx)).Done.Value(tx)); n != 3 {
			t.Errorf("%d of 3", n)
		}
		return nil
	})
}
