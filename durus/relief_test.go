package durus

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"
)

// large has everything that may be let go: strings, slices, maps, pointers.
type large struct {
	Name    string
	Numbers []int64
	Index   map[string]int64
	Next    *flat
	Link    Ref[large]
	At      time.Time
	Bytes   []byte
}

type flat struct{ A, B int64 }

// deep cannot be let go: its memory has more than one level.
type deep struct{ Rows [][]int64 }

// hiding has state that is not stored.
type hiding struct {
	Name   string
	hidden int
	Skip   int `msgpack:"-"`
}

type pile struct {
	All   []Ref[large]
	Other []AnyRef
}

var (
	_       = Register[large]("test.Large")
	_       = Register[deep]("test.Deep")
	_       = Register[hiding]("test.Hiding")
	_       = Register[pile]("test.Pile")
	thePile = NewRoot[pile]("pile")
)

func newLarge(i int) *large {
	return &large{
		Name:    fmt.Sprint("number ", i),
		Numbers: []int64{int64(i), int64(i) + 1},
		Index:   map[string]int64{"i": int64(i)},
		Next:    &flat{int64(i), 2},
		At:      time.Unix(int64(i), 0),
		Bytes:   []byte(strings.Repeat("x", i%50)),
	}
}

func checkLarge(t testing.TB, v *large, i int) {
	t.Helper()
	if v.Name != fmt.Sprint("number ", i) || v.Numbers[0] != int64(i) || v.Index["i"] != int64(i) || v.Next.A != int64(i) || v.At.Unix() != int64(i) || len(v.Bytes) != i%50 {
		t.Fatalf("number %d: got %+v", i, v)
	}
}

// small is a cache for about five objects.
var small = Options{CacheBytes: 2000, Check: CheckNothing}

// smallDB opens a database whose transactions have room for as many.
func (b *bed) smallDB() *DB {
	db := b.db(small)
	db.bound = small.CacheBytes
	return db
}

// A transaction that is larger than the cache: few objects are in memory at a
// time, all are there, and are as they were written last.
func TestLargeTransaction(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.smallDB()
		const n = 150
		var refs []Ref[large]
		most := 0
		update(t, db, func(tx *Tx) error {
			refs = nil
			for i := range n {
				v := newLarge(i)
				if i > 0 {
					v.Link = refs[i-1]
				}
				refs = append(refs, Must(Add(tx, v)))
				most = max(most, len(tx.c.dirty))
			}
			for i := range n {
				checkLarge(t, Must(refs[i].Load(tx)), i)
			}
			for i := 0; i < n; i += 3 {
				v := Must(refs[i].Edit(tx))
				v.Next.B = 7
				if Must(refs[i].Edit(tx)) != v || Must(refs[i].Load(tx)) != v {
					t.Error("Edit again gives another pointer")
				}
				if r := Must(Add(tx, v)); r != refs[i] {
					t.Error("Add of the same pointer gives another object")
				}
			}
			Must(thePile.Edit(tx)).All = refs[n-1:] // the others are reached through it
			return nil
		})
		if most > 40 {
			t.Errorf("%d objects were in memory", most)
		}
		check := func(tx *Tx) {
			for i := range n {
				v := Must(refs[i].Load(tx))
				checkLarge(t, v, i)
				if (v.Next.B == 7) != (i%3 == 0) {
					t.Errorf("number %d: %+v", i, v.Next)
				}
			}
		}
		view(t, db, func(tx *Tx) error { check(tx); return nil })
		// Edited ones that are put aside; those that did not change are not written.
		before := db.Stats().LastTID
		update(t, db, func(tx *Tx) error {
			for i := range n {
				v := Must(refs[i].Edit(tx))
				if i%2 == 0 {
					v.Name += "!"
				}
			}
			return nil
		})
		written := 0
		for tx, err := range db.st.Transactions(before+1, ^TID(0)) {
			if err != nil {
				t.Fatal(err)
			}
			written += len(tx.OIDs)
		}
		if b.mem == nil && written != n/2 {
			t.Errorf("%d objects were written", written)
		}
		view(t, db, func(tx *Tx) error {
			for i := range n {
				if v := Must(refs[i].Load(tx)); strings.HasSuffix(v.Name, "!") != (i%2 == 0) {
					t.Errorf("number %d: %+v", i, v)
				}
			}
			return nil
		})
	})
}

// New objects that nothing stored refers to are not stored, whether they were
// put aside or not.
func TestLargeTransactionStoresWhatIsReached(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.smallDB()
		var refs []Ref[large]
		update(t, db, func(tx *Tx) error {
			refs = nil
			for i := range 150 {
				v := newLarge(i)
				if i >= 3 {
					v.Link = refs[i-3]
				}
				refs = append(refs, Must(Add(tx, v)))
			}
			Must(thePile.Edit(tx)).All = refs[148:149] // 148, 145, ... 1
			return nil
		})
		view(t, db, func(tx *Tx) error {
			for i, r := range refs {
				v, ok, err := r.Weak().Load(tx)
				if err != nil || ok != (i <= 148 && i%3 == 1) {
					t.Fatalf("number %d: %v, %v", i, ok, err)
				}
				if ok {
					checkLarge(t, v, i)
				}
			}
			return nil
		})
	})
}

// What the program holds is its, whatever is put aside in between: the object,
// or only a slice, a map or a pointer in it, in one place or in several.
func TestWritesAreNotLost(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		for _, how := range []string{"added", "edited"} {
			db := b.smallDB()
			var refs []Ref[large]
			start := func(tx *Tx) {
				refs = nil
				for i := range 6 {
					refs = append(refs, Must(Add(tx, newLarge(i))))
				}
				Must(thePile.Edit(tx)).All = refs
			}
			if how == "edited" {
				update(t, db, func(tx *Tx) error { start(tx); return nil })
			}
			update(t, db, func(tx *Tx) error {
				if how == "added" {
					start(tx)
				}
				whole := Must(refs[0].Edit(tx))
				numbers := Must(refs[1].Edit(tx)).Numbers
				index := Must(refs[2].Edit(tx)).Index
				next := Must(refs[3].Edit(tx)).Next
				all := Must(refs[4].Edit(tx))
				allNumbers, allIndex, field := all.Numbers, all.Index, &all.Name
				five := Must(refs[5].Edit(tx))
				fiveNumbers, fiveIndex := five.Numbers[1:], five.Index
				all, five = nil, nil
				for range 3 {
					for i := range 50 {
						_ = Must(Add(tx, newLarge(i)))
					}
					whole.Name += "+"
					numbers[0]++
					index["i"]++
					next.A++
					allNumbers[0]++
					allIndex["i"]++
					*field += "+"
					fiveNumbers[0]++
					fiveIndex["i"]++
				}
				whole, numbers, index, next, allNumbers, allIndex, field, fiveNumbers, fiveIndex = nil, nil, nil, nil, nil, nil, nil, nil, nil
				for i := range 50 {
					_ = Must(Add(tx, newLarge(i)))
				}
				if n := len(tx.c.dirty); n > 40 {
					t.Errorf("%d objects are in memory", n)
				}
				return nil
			})
			view(t, db, func(tx *Tx) error {
				v := func(i int) *large { return Must(refs[i].Load(tx)) }
				if v(0).Name != "number 0+++" || v(1).Numbers[0] != 4 || v(2).Index["i"] != 5 || v(3).Next.A != 6 ||
					v(4).Numbers[0] != 7 || v(4).Index["i"] != 7 || v(4).Name != "number 4+++" || v(5).Numbers[1] != 9 || v(5).Index["i"] != 8 {
					t.Errorf("%s: got %+v, %+v, %+v, %+v, %+v, %+v", how, v(0), v(1), v(2), v(3), v(4), v(5))
				}
				return nil
			})
		}
	})
}

// Objects that cannot be seen through stay in memory, with all that they hide.
func TestObjectsThatStay(t *testing.T) {
	b := beds["memory"](t)
	db := b.smallDB()
	update(t, db, func(tx *Tx) error {
		d := Must(Add(tx, &deep{Rows: [][]int64{{1}, {2}}}))
		h := Must(Add(tx, &hiding{Name: "h", hidden: 7, Skip: 8}))
		Must(thePile.Edit(tx)).Other = []AnyRef{d.Any(), h.Any()}
		row := Must(d.Edit(tx)).Rows[1]
		for i := range 100 {
			_ = Must(Add(tx, newLarge(i)))
		}
		row[0] = 3
		if v := Must(h.Load(tx)); v.hidden != 7 || v.Skip != 8 {
			t.Errorf("got %+v", v)
		}
		return nil
	})
	view(t, db, func(tx *Tx) error {
		refs := Must(thePile.Load(tx)).Other
		if d := Must(As[deep](refs[0]).Load(tx)); d.Rows[1][0] != 3 {
			t.Errorf("got %+v", d)
		}
		return nil
	})
	for typ, spillable := range map[Type]bool{
		Register[large]("test.Large"): true, Register[deep]("test.Deep"): false, Register[hiding]("test.Hiding"): false,
		Register[account]("test.Account"): true, Register[bank]("test.Bank"): true, Register[page]("test.Page"): true,
	} {
		if s := typ.info.shape(); s.spillable != spillable {
			t.Errorf("%s: %+v", typ, s)
		}
	}
}

// Scenario 41: fifty objects, a cache for five.
func TestSavepointFreesMemory(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db(Options{CacheBytes: 1 << 20, Check: CheckNothing})
		var refs []Ref[large]
		update(t, db, func(tx *Tx) error {
			var alive []weak.Pointer[large]
			refs = nil
			for i := range 50 {
				v := newLarge(i)
				alive = append(alive, weak.Make(v))
				refs = append(refs, Must(Add(tx, v)))
			}
			Must(thePile.Edit(tx)).All = refs
			if n := len(tx.c.dirty); n != 52 { // the directory and its root, too
				t.Errorf("%d objects are in memory", n)
			}
			db.opts.CacheBytes = small.CacheBytes
			_ = Must(tx.Savepoint())
			db.opts.CacheBytes = 1 << 20
			if n := len(tx.c.dirty); n > 6 {
				t.Errorf("%d objects are in memory after the savepoint", n)
			}
			runtime.GC()
			n := 0
			for _, p := range alive {
				if p.Value() != nil {
					n++
				}
			}
			if n > 6 {
				t.Errorf("%d values are in memory after the savepoint", n)
			}
			for i, r := range refs {
				checkLarge(t, Must(r.Load(tx)), i)
			}
			return nil
		})
		view(t, db, func(tx *Tx) error {
			for i, r := range refs {
				checkLarge(t, Must(r.Load(tx)), i)
			}
			return nil
		})
	})
}

// The ordinary transaction does not know of any of this.
func TestSmallTransactionsDoNotSpill(t *testing.T) {
	db := beds["memory"](t).db()
	update(t, db, func(tx *Tx) error {
		for i := range 1000 {
			_ = Must(Add(tx, newLarge(i)))
		}
		if tx.c.spilled != nil {
			t.Error("something was put aside")
		}
		return nil
	})
}

// What stays in memory of a large transaction is about a tenth of a kilobyte
// for each object, whatever the objects take.
func TestLargeTransactionTakesLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds under the race detector")
	}
	b := beds["file"](t)
	const n = 100_000
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	taken := func(cache int64) (took int64) {
		db := b.db(Options{CacheBytes: cache, Check: CheckNothing})
		update(t, db, func(tx *Tx) error {
			before := heap()
			p := Must(thePile.Edit(tx))
			p.All = p.All[:0]
			for i := range n {
				p.All = append(p.All, Must(Add(tx, newLarge(i))))
			}
			took = heap() - before
			return nil
		})
		view(t, db, func(tx *Tx) error {
			all := Must(thePile.Load(tx)).All
			if len(all) != n {
				t.Errorf("%d objects", len(all))
			}
			for i := 0; i < n; i += 997 {
				checkLarge(t, Must(all[i].Load(tx)), i)
			}
			return nil
		})
		return took
	}
	all, some := taken(1<<30), taken(1<<20)
	t.Logf("%d objects take %d MiB in memory, and %d MiB with a cache of 1 MiB", n, all>>20, some>>20)
	if some > 20<<20 || some*3 > all {
		t.Errorf("%d of %d bytes are still in memory", some, all)
	}
}

// When what was put aside cannot be read again the transaction fails, and
// nothing of it is stored.
func TestReadingBackFails(t *testing.T) {
	b := beds["memory"](t)
	db := b.smallDB()
	for _, when := range []string{"load", "commit", "rollback"} {
		err := db.Update(t.Context(), func(tx *Tx) error {
			var refs []Ref[large]
			for i := range 100 {
				refs = append(refs, Must(Add(tx, newLarge(i))))
			}
			Must(thePile.Edit(tx)).All = refs
			held := Must(refs[3].Edit(tx))
			sp := Must(tx.Savepoint())
			if tx.c.spilled.file.file == nil {
				t.Fatal("there is no file")
			}
			held.Name = "changed"
			if err := tx.c.spilled.file.file.Truncate(spillToken); err != nil {
				t.Fatal(err)
			}
			switch when {
			case "load":
				_, _ = refs[0].Load(tx)
				if tx.Err() == nil {
					t.Error("no error")
				}
			case "rollback":
				if err := sp.Rollback(); err == nil {
					t.Error("no error")
				}
			}
			return nil
		})
		wantErr(t, err, io.ErrUnexpectedEOF)
	}
	view(t, db, func(tx *Tx) error {
		for range Instances[large](tx) {
			t.Error("something was stored")
		}
		return nil
	})
}
