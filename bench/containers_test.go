package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tidwall/btree"
	"github.com/vmihailenco/msgpack/v5"
	"go.etcd.io/bbolt"

	"github.com/durusdb/durus/durus"
)

type shelf struct {
	Tree durus.BTree[string, int64]
	Ints durus.BTree[int64, int64]
	Dict durus.Dict[string, int64]
}

var (
	_        = durus.Register[shelf]("bench.Shelf")
	theShelf = durus.NewRoot[shelf]("shelf")
)

const million = 1_000_000

func key(i int) string { return fmt.Sprintf("user:%012d", i*7919%million) }

// open opens a database whose trees hold n keys.
func open(b *testing.B, n int, opts durus.Options) *durus.DB {
	b.Helper()
	opts.Check = durus.CheckNothing
	db, err := durus.Open(filepath.Join(b.TempDir(), "bench.durus"), &opts)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	if err := db.Update(context.Background(), func(tx *durus.Tx) error {
		s := durus.Must(theShelf.Load(tx))
		for i := range n {
			if err := s.Tree.Put(tx, key(i), int64(i)); err != nil {
				return err
			}
			if err := s.Ints.Put(tx, int64(i), int64(i)); err != nil {
				return err
			}
			if err := s.Dict.Put(tx, key(i), int64(i)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	return db
}

// round is how long a contender runs before the next one does.
const (
	rounds = 5
	round  = 400 * time.Millisecond
)

// rate calls f until the round is over, and returns calls per second.
func rate(f func(i int)) float64 {
	began, n := time.Now(), 0
	for {
		for range 64 {
			f(n)
			n++
		}
		if d := time.Since(began); d >= round {
			return float64(n) / d.Seconds()
		}
	}
}

// median of what was measured.
func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// BenchmarkGet looks up random keys of a million in a cached tree, against a
// tree in memory that is no database.
func BenchmarkGet(b *testing.B) {
	db := open(b, million, durus.Options{CacheBytes: 1 << 30})
	var mem btree.Map[string, int64]
	for i := range million {
		mem.Set(key(i), int64(i))
	}
	keys := make([]string, 1<<16)
	want := make([]int64, len(keys))
	for i := range keys {
		n := rand.N(million)
		keys[i], want[i] = key(n), int64(n)
	}
	at := func(i int) int { return i & (len(keys) - 1) }
	for range b.N {
		var ours, theirs, dict, ratios []float64
		if err := db.View(context.Background(), func(tx *durus.Tx) error {
			s := durus.Must(theShelf.Load(tx))
			for _, v := range s.Tree.All(tx) { // warm
				_ = v
			}
			for range s.Dict.All(tx) {
			}
			for range rounds {
				x := rate(func(i int) {
					if v, ok, err := s.Tree.Get(tx, keys[at(i)]); err != nil || !ok || v != want[at(i)] {
						b.Fatal(v, ok, err)
					}
				})
				y := rate(func(i int) {
					if v, ok := mem.Get(keys[at(i)]); !ok || v != want[at(i)] {
						b.Fatal(v, ok)
					}
				})
				z := rate(func(i int) {
					if v, ok, err := s.Dict.Get(tx, keys[at(i)]); err != nil || !ok || v != want[at(i)] {
						b.Fatal(v, ok, err)
					}
				})
				ours, theirs, dict, ratios = append(ours, x), append(theirs, y), append(dict, z), append(ratios, y/x)
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(1e9/median(ours), "ns/durus")
		b.ReportMetric(1e9/median(dict), "ns/durus.Dict")
		b.ReportMetric(1e9/median(theirs), "ns/tidwall")
		b.ReportMetric(median(ratios), "x-tidwall")
	}
}

// BenchmarkScan walks over a cached tree of a million keys.
func BenchmarkScan(b *testing.B) {
	db := open(b, million, durus.Options{CacheBytes: 1 << 30})
	if err := db.View(context.Background(), func(tx *durus.Tx) error {
		s := durus.Must(theShelf.Load(tx))
		for range b.N {
			var text, ints []float64
			for range rounds + 1 { // the first one warms
				began, n, sum := time.Now(), 0, int64(0)
				for _, v := range s.Tree.All(tx) {
					sum += v
					n++
				}
				text = append(text, float64(n)/time.Since(began).Seconds())
				began = time.Now()
				for _, v := range s.Ints.All(tx) {
					sum -= v
				}
				ints = append(ints, float64(n)/time.Since(began).Seconds())
				if n != million || sum != 0 {
					b.Fatal(n, sum)
				}
			}
			b.ReportMetric(median(text)/1e6, "Mkeys/s-strings")
			b.ReportMetric(median(ints)/1e6, "Mkeys/s-ints")
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkBulkLoad puts a million sorted keys into a new tree, in one
// transaction, and commits it to the disk.
func BenchmarkBulkLoad(b *testing.B) {
	for range b.N {
		var rates []float64
		for range 3 {
			db := open(b, 0, durus.Options{})
			began := time.Now()
			if err := db.Update(context.Background(), func(tx *durus.Tx) error {
				s := durus.Must(theShelf.Load(tx))
				for i := range million {
					if err := s.Tree.Put(tx, fmt.Sprintf("user:%012d", i), int64(i)); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				b.Fatal(err)
			}
			rates = append(rates, million/time.Since(began).Seconds())
			if err := db.View(context.Background(), func(tx *durus.Tx) error {
				if n := durus.Must(durus.Must(theShelf.Load(tx)).Tree.Len(tx)); n != million {
					b.Fatal(n)
				}
				return nil
			}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(median(rates), "keys/s")
	}
}

// BenchmarkPutBatch puts a thousand random keys of a million and commits them to
// the disk, in turn with bbolt.
func BenchmarkPutBatch(b *testing.B) {
	const batch = 1000
	db := open(b, million, durus.Options{CacheBytes: 256 << 20})
	bolt, err := bbolt.Open(filepath.Join(b.TempDir(), "bench.bolt"), 0o600, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = bolt.Close() })
	bucket := []byte("tree")
	for start := 0; start < million; start += 10 * batch {
		if err := bolt.Update(func(tx *bbolt.Tx) error {
			t, err := tx.CreateBucketIfNotExists(bucket)
			for i := start; i < start+10*batch && err == nil; i++ {
				v, _ := msgpack.Marshal(int64(i))
				err = t.Put([]byte(key(i)), v)
			}
			return err
		}); err != nil {
			b.Fatal(err)
		}
	}
	for range b.N {
		var ours, theirs, ratios []float64
		for range rounds {
			keys := make([]string, batch)
			x := perSecond(func() {
				for i := range keys {
					keys[i] = key(rand.N(million))
				}
				if err := db.Update(context.Background(), func(tx *durus.Tx) error {
					s := durus.Must(theShelf.Load(tx))
					for i, k := range keys {
						if err := s.Tree.Put(tx, k, int64(i)); err != nil {
							return err
						}
					}
					return nil
				}); err != nil {
					b.Fatal(err)
				}
			}) * batch
			y := perSecond(func() {
				for i := range keys {
					keys[i] = key(rand.N(million))
				}
				if err := bolt.Update(func(tx *bbolt.Tx) error {
					t := tx.Bucket(bucket)
					for i, k := range keys {
						v, err := msgpack.Marshal(int64(i))
						if err != nil {
							return err
						}
						if err := t.Put([]byte(k), v); err != nil {
							return err
						}
					}
					return nil
				}); err != nil {
					b.Fatal(err)
				}
			}) * batch
			ours, theirs, ratios = append(ours, x), append(theirs, y), append(ratios, x/y)
		}
		b.ReportMetric(median(ours), "puts/s-durus")
		b.ReportMetric(median(theirs), "puts/s-bbolt")
		b.ReportMetric(median(ratios), "x-bbolt")
	}
}

// perSecond is rate for what takes long.
func perSecond(f func()) float64 {
	began := time.Now()
	for n := 1; ; n++ {
		f()
		if d := time.Since(began); d >= round {
			return float64(n) / d.Seconds()
		}
	}
}
