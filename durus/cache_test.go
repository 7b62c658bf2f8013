package durus

import (
	"math/rand/v2"
	"sync"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/durusdb/durus/storage"
)

// Scenario 90: the cache against a map, through growth, eviction and removal.
func TestCacheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(1000, 50000).Draw(t, "limit")
		c := newCache(limit)
		known := map[storage.Position]*int{}
		for range rapid.IntRange(1, 600).Draw(t, "steps") {
			pos := storage.Position(rapid.IntRange(1, 300).Draw(t, "pos"))
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				c.drop(pos)
				if c.get(pos) != nil {
					t.Fatal("dropped and still there")
				}
				delete(known, pos)
			case 1, 2:
				v := new(int)
				got := c.put(pos, v, rapid.Int64Range(0, 500).Draw(t, "size"))
				if old := known[pos]; got != any(v) && got != any(old) {
					t.Fatal("put returned a stranger")
				}
				known[pos] = got.(*int)
				if e := c.get(pos); e == nil || e.value != got {
					t.Fatal("put and not there")
				}
			default:
				if e := c.get(pos); e != nil && (e.pos != pos || e.value != any(known[pos])) {
					t.Fatal("got another object")
				}
			}
			dead, size := 0, int64(0)
			slots := c.table.Load().slots
			for i := range slots {
				switch e := slots[i].Load(); {
				case e == tombstone:
					dead++
				case e != nil:
					size += e.size
				}
			}
			n, bytes, _ := c.usage()
			if dead != c.dead || size != bytes || (n+dead)*4 > 3*len(slots) {
				t.Fatalf("%d slots, %d objects, %d dead, %d counted, %d of %d bytes", len(slots), n, dead, c.dead, size, bytes)
			}
			if bytes > limit || bytes < 0 || n < 0 || bytes < int64(n*entryOverhead) {
				t.Fatalf("%d objects with %d bytes, limit %d", n, bytes, limit)
			}
		}
		count := 0
		for pos := range known {
			if c.get(pos) != nil {
				count++
			}
		}
		if n, _, _ := c.usage(); n != count {
			t.Fatalf("usage tells of %d objects, %d are there", n, count)
		}
	})
}

// Readers take no lock: they see the right object or none.
func TestCacheConcurrently(t *testing.T) {
	c := newCache(20000)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20000 {
				pos := storage.Position(1 + rand.N(500))
				if e := c.get(pos); e != nil {
					if *e.value.(*storage.Position) != pos {
						t.Error("got another object")
						return
					}
					continue
				}
				v := pos
				if got := c.put(pos, &v, 32); *got.(*storage.Position) != pos {
					t.Error("put returned another object")
					return
				}
			}
		})
	}
	wg.Wait()
	if _, bytes, evictions := c.usage(); bytes > 20000 || evictions == 0 {
		t.Errorf("%d bytes, %d evictions", bytes, evictions)
	}
}

// What is used survives a scan over many objects that are used once.
func TestCacheSparesWhatIsUsed(t *testing.T) {
	c := newCache(1000 * (entryOverhead + 36))
	hot := new(int)
	c.put(1, hot, 36)
	for pos := storage.Position(2); pos < 5000; pos++ {
		if pos%100 == 0 && c.get(1) == nil {
			t.Fatalf("evicted after %d others", pos)
		}
		c.put(pos, new(int), 36)
	}
}

func TestCacheOverhead(t *testing.T) {
	const slots = 2 // of 8 bytes, a table that was just rebuilt holds two for each entry
	if n := unsafe.Sizeof(entry{}) + slots*8; n > 100 || n > entryOverhead {
		t.Errorf("an entry takes %d bytes", n)
	}
}

// An object bigger than the cache is handed out and not kept.
func TestCacheRefusesTheHuge(t *testing.T) {
	c := newCache(100)
	v := new(int)
	if got := c.put(1, v, 101); got != any(v) {
		t.Error("another object")
	}
	if c.get(1) != nil {
		t.Error("kept")
	}
}

// A database with a small cache gives right answers.
func TestSmallCache(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db(Options{CacheBytes: 2000})
		var refs []Ref[account]
		update(t, db, func(tx *Tx) error {
			refs = nil
			root := Must(theBank.Edit(tx))
			root.Accounts = nil
			root.Others = nil
			for i := range int64(100) {
				r := Must(Add(tx, &account{Balance: i}))
				refs = append(refs, r)
				root.Others = append(root.Others, r.Any())
			}
			return nil
		})
		for range 3 {
			view(t, db, func(tx *Tx) error {
				for i, r := range refs {
					if a := Must(r.Load(tx)); a.Balance != int64(i) {
						t.Errorf("%d: %+v", i, a)
					}
				}
				return nil
			})
		}
		if s := db.Stats(); s.CacheBytes > 2000 || s.CacheEvictions == 0 || s.CacheMisses < 100 || s.CacheObjects == 0 {
			t.Errorf("stats %+v", s)
		}
	})
}
