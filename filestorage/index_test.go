package filestorage

import (
	"maps"
	"runtime"
	"testing"

	"github.com/durusdb/durus/storage"
	"pgregory.net/rapid"
)

// The index holds what a map would, far and near ids alike.
func TestIndexIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x index
		want := map[storage.OID]storage.Position{}
		for range rapid.IntRange(0, 200).Draw(t, "n") {
			var oid storage.OID
			if rapid.Bool().Draw(t, "near") {
				oid = storage.OID(rapid.Uint64Range(1, 2000).Draw(t, "oid"))
			} else {
				oid = storage.OID(rapid.Uint64Range(1, uint64(storage.MaxOID)).Draw(t, "oid"))
			}
			pos := storage.Position(rapid.Int64Range(1, 1<<60).Draw(t, "pos"))
			x.set(oid, pos)
			want[oid] = pos
			if got := x.get(oid); got != pos {
				t.Fatalf("object %d: got %d, want %d", oid, got, pos)
			}
		}
		got := map[storage.OID]storage.Position{}
		x.each(func(oid storage.OID, pos storage.Position) bool { got[oid] = pos; return true })
		if !maps.Equal(got, want) || x.objects != uint64(len(want)) {
			t.Fatalf("got %v (%d), want %v", got, x.objects, want)
		}
	})
}

// A file whose only record names a far object costs one page, not a directory
// of a terabyte. F28
func TestIndexFarObjectIsCheap(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var x index
	x.set(storage.MaxOID, 1024)
	x.set(1<<40, 2048)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<10 {
		t.Fatalf("two objects took %d bytes", n)
	}
	if x.get(storage.MaxOID) != 1024 || x.get(1<<40) != 2048 || x.get(1<<40+1) != 0 {
		t.Fatal("lost")
	}
}

// A million objects take at most nine bytes each. H11
func TestIndexTakesNineBytesAnObject(t *testing.T) {
	const n = 1 << 20
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	x := new(index)
	for oid := range storage.OID(n) {
		x.set(oid+1, storage.Position(oid+1))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if per := float64(after.HeapAlloc-before.HeapAlloc) / n; per > 9 {
		t.Errorf("%.2f bytes an object", per)
	}
	runtime.KeepAlive(x)
}

// What is remembered of superseded records agrees with a list of all changes.
func TestRecentIsAHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type entry struct {
			oid storage.OID
			at  storage.Position
		}
		var r recent
		r.from = 1
		var all []entry
		latest := map[storage.OID]storage.Position{}
		pos, forgotten := storage.Position(1), int64(1)
		for range rapid.IntRange(1, 300).Draw(t, "n") {
			if rapid.IntRange(0, 9).Draw(t, "what") == 0 {
				forgotten = max(forgotten, rapid.Int64Range(1, int64(pos)).Draw(t, "forget"))
				r.forget(forgotten)
				continue
			}
			oid := storage.OID(rapid.Uint64Range(1, 6).Draw(t, "oid"))
			pos += storage.Position(rapid.Int64Range(1, 9).Draw(t, "step"))
			r.add(oid, pos, latest[oid])
			latest[oid] = pos
			all = append(all, entry{oid, pos})
		}
		end := rapid.Int64Range(forgotten, int64(pos)+10).Draw(t, "end")
		for oid := storage.OID(1); oid <= 6; oid++ {
			if int64(latest[oid]) < end {
				continue // the index answers
			}
			want := storage.Position(0)
			for _, e := range all {
				if e.oid == oid && int64(e.at) < end {
					want = e.at
				}
			}
			if got, known := r.before(oid, end); !known || got != want {
				t.Fatalf("object %d before %d: got %d, %v; want %d", oid, end, got, known, want)
			}
		}
		var since, want []entry
		if !r.since(end, func(o storage.OID, at storage.Position) bool { since = append(since, entry{o, at}); return true }) {
			t.Fatal("not remembered")
		}
		for _, e := range all {
			if int64(e.at) >= end {
				want = append(want, e)
			}
		}
		if len(since) != len(want) {
			t.Fatalf("since %d: got %v, want %v", end, since, want)
		}
		for i := range want {
			if since[i] != want[i] {
				t.Fatalf("since %d: got %v, want %v", end, since, want)
			}
		}
		if forgotten > 1 && r.since(forgotten-1, func(storage.OID, storage.Position) bool { return true }) {
			t.Fatal("what was forgotten is said to be remembered")
		}
	})
}
