package durus

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

// smallNodes lets trees have many levels while a test runs.
func smallNodes(t testing.TB) {
	t.Helper()
	old := collection.Default
	collection.Default = collection.Limits{Leaf: 4, LeafBytes: 200, Fanout: 4, Counters: 2}
	t.Cleanup(func() { collection.Default = old })
}

// everyNode are the objects of a store that are parts of containers.
func everyNode(m *memStore) (at []storage.Position) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for oid, p := range m.newest {
		if oid != directoryOID && isContainerClass(m.classes[m.records[p-1].Class-1]) {
			at = append(at, p)
		}
	}
	slices.Sort(at)
	return at
}

// isDamage tells whether an error is one that damaged nodes may end in.
func isDamage(err error) bool {
	for _, kind := range []error{ErrCorrupt, ErrTooNew, ErrType, ErrNotFound, ErrTooLarge, ErrConflict, ErrDangling} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return err == nil
}

// useShelf calls every method of every container and walks all iterators, as far
// as steps go.
func useShelf(s Session, sh *shelf, check func(what string, err error)) {
	const steps = 3000
	count := 0
	step := func() bool { count++; return count < steps }
	loop := func(what string, f func()) {
		count = 0
		f()
		check(what, s.Err())
	}
	_, _, err := sh.Numbers.Get(s, 31)
	check("Get", err)
	_, err = sh.Numbers.Len(s)
	check("Len", err)
	_, _, _, err = sh.Numbers.Min(s)
	check("Min", err)
	_, _, _, err = sh.Numbers.Max(s)
	check("Max", err)
	loop("All", func() {
		for range sh.Numbers.All(s) {
			if !step() {
				return
			}
		}
	})
	loop("Backward", func() {
		for range sh.Numbers.Backward(s) {
			if !step() {
				return
			}
		}
	})
	loop("Range", func() {
		for range sh.Numbers.Range(s, 5, 25) {
			if !step() {
				return
			}
		}
	})
	loop("Before", func() {
		for range sh.Numbers.Before(s, 20) {
			if !step() {
				return
			}
		}
	})
	_, err = sh.Dict.Has(s, "k7")
	check("Has", err)
	_, err = sh.Dict.Len(s)
	check("Len", err)
	loop("Dict.All", func() {
		for range sh.Dict.All(s) {
			if !step() {
				return
			}
		}
	})
	_, err = sh.Tags.Has(s, "t7")
	check("Has", err)
	loop("Set.From", func() {
		for range sh.Tags.From(s, "t2") {
			if !step() {
				return
			}
		}
	})
	loop("Union", func() {
		for range Union(s, sh.Tags, sh.Tags) {
			if !step() {
				return
			}
		}
	})
	_, err = sh.Log.Get(s, 33)
	check("List.Get", err)
	_, err = sh.Log.Len(s)
	check("List.Len", err)
	loop("List.All", func() {
		for range sh.Log.All(s) {
			if !step() {
				return
			}
		}
	})
	loop("List.Backward", func() {
		for range sh.Log.Backward(s) {
			if !step() {
				return
			}
		}
	})
	_, err = sh.Hits.Value(s)
	check("Value", err)
}

// changeShelf changes every container all over.
func changeShelf(tx *Tx, sh *shelf) error {
	var all error
	for i := range 12 {
		k := i*7 - 10
		_ = sh.Numbers.Put(tx, k, "changed")
		_, err := sh.Numbers.Delete(tx, k+1)
		all = errors.Join(all, err, sh.Dict.Put(tx, fmt.Sprint("k", k), 1), sh.Tags.Add(tx, fmt.Sprint("t", k)))
	}
	return errors.Join(all, sh.Log.Append(tx, "x"), sh.Hits.Add(tx, 1))
}

func moveLog(tx *Tx, sh *shelf) error {
	return errors.Join(sh.Log.Insert(tx, 3, "x"), sh.Log.Delete(tx, 20), sh.Log.Set(tx, 30, "y"))
}

// hostileShelf is a store with a shelf of many nodes.
func hostileShelf(t testing.TB) *memStore {
	m := newMemStore()
	db, err := open(m.handle(), Options{}, "test.durus")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	update(t, db, func(tx *Tx) error {
		s := Must(theShelf.Load(tx))
		for i := range 60 {
			_ = s.Numbers.Put(tx, i, fmt.Sprint(i))
			_ = s.Dict.Put(tx, fmt.Sprint("k", i), int64(i))
			_ = s.Tags.Add(tx, fmt.Sprint("t", i))
			_ = s.Log.Append(tx, fmt.Sprint(i))
		}
		return s.Hits.Add(tx, 5)
	})
	return m
}

// suffer replaces one node and does everything that a program can.
func sufferNode(t testing.TB, m *memStore, at storage.Position, payload []byte) {
	t.Helper()
	replaced := storage.Record{}
	m.mu.Lock()
	replaced, m.records[at-1].Payload = m.records[at-1], payload
	m.mu.Unlock()
	what := ""
	check := func(w string, err error) {
		t.Helper()
		if !isDamage(err) {
			t.Fatalf("%s %s with %x in place of %x: %v", what, w, payload, replaced.Payload, err)
		}
	}
	begun := time.Now()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	run := func(name string, f func(db *DB) error) {
		db, err := open(m.handle(), Options{MaxRetries: 1}, "test.durus")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		what = name
		check("", f(db))
		_, bytes, _ := db.current.Load().cache.usage()
		if bytes < 0 {
			t.Fatalf("%s: the cache has %d bytes", name, bytes)
		}
	}
	ctx := context.Background()
	n, newest, end := len(m.txs), map[OID]storage.Position{}, len(m.records)
	for k, v := range m.newest {
		newest[k] = v
	}
	back := func() { // what was committed is taken back
		m.mu.Lock()
		defer m.mu.Unlock()
		m.txs, m.records, m.newest = m.txs[:n], m.records[:end], map[OID]storage.Position{}
		for k, v := range newest {
			m.newest[k] = v
		}
		m.lineage++ // other positions
	}
	run("View", func(db *DB) error {
		return db.View(ctx, func(tx *Tx) error { useShelf(tx, Must(theShelf.Load(tx)), check); return nil })
	})
	run("Update that reads", func(db *DB) error {
		return db.Update(ctx, func(tx *Tx) error { useShelf(tx, Must(theShelf.Load(tx)), check); return nil })
	})
	run("Connection", func(db *DB) error {
		c, err := db.Connect(ctx)
		if err != nil {
			return err
		}
		useShelf(c, Must(theShelf.Load(c)), check)
		err = c.Commit()
		return errors.Join(err, c.Abort(), c.Close())
	})
	for _, change := range []func(tx *Tx, sh *shelf) error{changeShelf, moveLog} {
		run("Update", func(db *DB) error {
			return db.Update(ctx, func(tx *Tx) error { return change(tx, Must(theShelf.Load(tx))) })
		})
		back()
	}
	// The damage comes while a transaction is under way: it meets it at its commit.
	m.mu.Lock()
	m.records[at-1] = replaced
	m.mu.Unlock()
	run("Rebase", func(db *DB) error {
		tx, err := db.Begin(ctx, true)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if err := changeShelf(tx, Must(theShelf.Load(tx))); err != nil {
			return err
		}
		for range Must(theShelf.Load(tx)).Log.All(tx) {
		}
		m.mu.Lock()
		r := replaced
		r.Payload, r.Prev = payload, at
		m.records = append(m.records, r)
		m.newest[r.OID] = storage.Position(len(m.records))
		m.clock++
		last := memTx{end: storage.Position(len(m.records))}
		last.TID, last.OIDs = m.clock, []OID{r.OID}
		m.txs = append(m.txs, last)
		m.mu.Unlock()
		return tx.Commit()
	})
	back()
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	if d := time.Since(begun); d > 20*time.Second {
		t.Fatalf("%x in place of %x took %v", payload, replaced.Payload, d)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<30 {
		t.Fatalf("%x in place of %x took %d bytes", payload, replaced.Payload, n)
	}
	if n := m.open.Load(); n != 0 {
		t.Fatalf("%s: %d snapshots were not released", what, n)
	}
}

// Nodes with any bytes in them, but right checksums, end in typed errors: no
// panic, no endless loop, no memory without bound, nothing held. RELIABILITY:
// bytes from a file never cause a panic.
func TestDamagedNodes(t *testing.T) {
	smallNodes(t)
	rapid.Check(t, func(r *rapid.T) {
		m := hostileShelf(t)
		nodes := everyNode(m)
		at := nodes[rapid.IntRange(0, len(nodes)-1).Draw(r, "node")]
		p := slices.Clone(m.records[at-1].Payload)
		switch rapid.IntRange(0, 3).Draw(r, "kind") {
		case 0:
			for range rapid.IntRange(1, 3).Draw(r, "flips") {
				p[rapid.IntRange(0, len(p)-1).Draw(r, "at")] = rapid.Byte().Draw(r, "byte")
			}
		case 1: // another node in its place
			p = slices.Clone(m.records[nodes[rapid.IntRange(0, len(nodes)-1).Draw(r, "other")]-1].Payload)
		case 2:
			p = p[:rapid.IntRange(0, len(p)).Draw(r, "length")]
		case 3: // a well-formed one that says something else
			n, err := collection.Parse(p)
			if err != nil {
				p = codec.AppendInt(nil, rapid.Int64().Draw(r, "count"))
				break
			}
			some := func() []byte { return m.records[nodes[rapid.IntRange(0, len(nodes)-1).Draw(r, "piece")]-1].Payload }
			for range rapid.IntRange(1, 2).Draw(r, "changes") {
				switch rapid.IntRange(0, 6).Draw(r, "field") {
				case 0:
					n.Level = rapid.IntRange(0, 5).Draw(r, "level")
				case 1:
					slices.Reverse(n.Keys)
				case 2:
					for i := range n.Children {
						n.Children[i] = uint64(m.records[nodes[rapid.IntRange(0, len(nodes)-1).Draw(r, "child")]-1].OID)
					}
				case 3:
					for i := range n.Counts {
						n.Counts[i] = rapid.SampledFrom([]int{0, 1, 7, 1 << 20, 1<<30 - 1}).Draw(r, "counted")
					}
				case 4:
					n.Values = nil
				case 5:
					n.Keys = nil
				case 6:
					if other, err := collection.Parse(some()); err == nil {
						n.Values = other.Values
					}
				}
			}
			p = n.Append(nil)
		}
		sufferNode(t, m, at, p)
	})
}

// The same for what chance seldom finds.
func TestDamagedNodesByHand(t *testing.T) {
	smallNodes(t)
	m := hostileShelf(t)
	for _, at := range everyNode(m) {
		r := m.records[at-1]
		n, err := collection.Parse(r.Payload)
		if err != nil {
			for _, v := range []int64{-1, 1<<63 - 1, -1 << 63} {
				sufferNode(t, m, at, codec.AppendInt(nil, v)) // counters of lengths, too
			}
			continue
		}
		huge := *n
		huge.Counts = slices.Repeat([]int{1<<30 - 1}, len(n.Counts))
		if len(n.Counts) > 0 {
			sufferNode(t, m, at, huge.Append(nil))
			huge.Counts = slices.Repeat([]int{int(^uint(0)>>1) >> 1}, len(n.Counts))
			sufferNode(t, m, at, huge.Append(nil))
			huge.Counts = make([]int, len(n.Counts))
			sufferNode(t, m, at, huge.Append(nil))
		}
		if n.Level > 0 {
			loop := *n
			loop.Children = slices.Repeat([]uint64{uint64(r.OID)}, len(n.Children))
			sufferNode(t, m, at, loop.Append(nil))
			twins := *n
			twins.Children = slices.Repeat([]uint64{n.Children[0]}, len(n.Children))
			sufferNode(t, m, at, twins.Append(nil))
		}
		bare := *n
		bare.Values = nil
		if n.Values != nil && n.Keys != nil {
			sufferNode(t, m, at, bare.Append(nil))
		}
	}
}
