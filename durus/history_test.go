package durus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durusdb/durus/pack"
)

// viewAt is ViewAt that fails the test.
func viewAt(t testing.TB, db *DB, tid TID, fn func(tx *Tx) error) {
	t.Helper()
	if err := db.ViewAt(t.Context(), AtTID(tid), fn); err != nil {
		t.Fatalf("view at %s: %v", tid, err)
	}
}

// put is Update that tells the transaction.
func put(t testing.TB, db *DB, fn func(tx *Tx) error) (tid TID) {
	t.Helper()
	update(t, db, func(tx *Tx) error {
		tx.OnCommit(func(id TID) { tid = id })
		return fn(tx)
	})
	return tid
}

func transactions(t testing.TB, db *DB, from, to TID) (all []TxInfo) {
	t.Helper()
	for tx, err := range db.Transactions(from, to) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, tx)
	}
	return all
}

// Everything that a View reads, ViewAt reads as it was.
func TestViewAtReadsEverything(t *testing.T) {
	onPackBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		// What generation n of the database holds: n of everything.
		write := func(n int) TID {
			return put(t, db, func(tx *Tx) error {
				sh := Must(theShelf.Edit(tx))
				a := Must(Add(tx, &account{Owner: fmt.Sprint("owner ", n), Balance: int64(n)}))
				if err := errors.Join(
					sh.Numbers.Put(tx, n, fmt.Sprint("v", n)),
					sh.Names.Put(tx, fmt.Sprint("name ", n), a),
					sh.Dict.Put(tx, "last", int64(n)),
					sh.Tags.Add(tx, fmt.Sprint("tag ", n)),
					sh.Log.Append(tx, fmt.Sprint("line ", n)),
					sh.Hits.Add(tx, 1),
				); err != nil {
					return err
				}
				if n > 1 {
					Must(sh.Numbers.Delete(tx, n-1))
					first := there(sh.Names.Get(tx, "name 1"))
					Must(first.Edit(tx)).Balance = int64(-n)
				}
				sh.More = map[string]box{"generation": {Label: fmt.Sprint(n)}}
				return nil
			})
		}
		tids := []TID{0}
		for n := 1; n <= 40; n++ {
			tids = append(tids, write(n))
		}
		check := func(n int) func(tx *Tx) error {
			return func(tx *Tx) error {
				if tx.Snapshot() != tids[n] {
					t.Errorf("the state of %s, want %s", tx.Snapshot(), tids[n])
				}
				sh := Must(theShelf.Load(tx))
				if sh.More["generation"].Label != fmt.Sprint(n) {
					t.Errorf("root of generation %s, want %d", sh.More["generation"].Label, n)
				}
				var keys []int
				for k := range sh.Numbers.All(tx) {
					keys = append(keys, k)
				}
				if !slices.Equal(keys, []int{n}) || Must(sh.Numbers.Len(tx)) != 1 {
					t.Errorf("at %d: numbers %v", n, keys)
				}
				if last := there(sh.Dict.Get(tx, "last")); last != int64(n) {
					t.Errorf("at %d: dict %d", n, last)
				}
				if k := len(slices.Collect(sh.Tags.All(tx))); k != n || Must(sh.Log.Len(tx)) != n || Must(sh.Hits.Value(tx)) != int64(n) {
					t.Errorf("at %d: %d tags, %d lines, %d hits", n, k, Must(sh.Log.Len(tx)), Must(sh.Hits.Value(tx)))
				}
				// Objects: by name, ahead, and the extent of their class.
				want := map[string]int64{}
				for i := 1; i <= n; i++ {
					want[fmt.Sprint("owner ", i)] = int64(i)
				}
				if n > 1 {
					want["owner 1"] = int64(-n)
				}
				var refs []AnyRef
				for _, ref := range sh.Names.All(tx) {
					refs = append(refs, ref.Any())
				}
				if err := tx.Prefetch(refs...); err != nil {
					return err
				}
				count := func(what string, seen func(yield func(*account))) {
					k := 0
					seen(func(a *account) {
						if k++; want[a.Owner] != a.Balance {
							t.Errorf("at %d, %s: %s holds %d, want %d", n, what, a.Owner, a.Balance, want[a.Owner])
						}
					})
					if k != n {
						t.Errorf("at %d, %s: %d accounts", n, what, k)
					}
				}
				count("Each", func(yield func(*account)) {
					for _, a := range Each(tx, sh.Names.All(tx)) {
						yield(a)
					}
				})
				count("Instances", func(yield func(*account)) {
					for _, a := range Instances[account](tx) {
						yield(a)
					}
				})
				count("Weak", func(yield func(*account)) {
					for _, r := range sh.Names.All(tx) {
						if a, ok, err := r.Weak().Load(tx); ok && err == nil {
							yield(a)
						}
					}
				})
				if _, err := Add(tx, &account{}); !errors.Is(err, ErrReadOnly) {
					t.Errorf("a write: %v", err)
				}
				return nil
			}
		}
		look := func(from int) {
			t.Helper()
			for n := 40; n >= from; n -= 3 {
				if err := db.ViewAt(t.Context(), AtTID(tids[n]), check(n)); err != nil && !errors.Is(err, ErrReadOnly) {
					t.Fatal(err)
				}
			}
		}
		look(1)
		// Of an object that was made later there is nothing, also through a
		// reference that was kept.
		newest := viewed(t, db, func(tx *Tx) (Ref[account], error) {
			return there(Must(theShelf.Load(tx)).Names.Get(tx, "name 40")), nil
		})
		viewAt(t, db, tids[39], func(tx *Tx) error {
			if _, err := newest.Load(tx); !errors.Is(err, ErrNotFound) {
				t.Errorf("before it was made: %v", err)
			}
			if a, ok, err := newest.Weak().Load(tx); ok || err != nil {
				t.Errorf("before it was made: %v, %v", a, err)
			}
			return nil
		})
		viewAt(t, db, 0, func(tx *Tx) error {
			if sh := Must(theShelf.Load(tx)); sh.More != nil || Must(sh.Numbers.Len(tx)) != 0 {
				t.Errorf("the empty database holds %+v", sh)
			}
			for r := range Instances[account](tx) {
				t.Errorf("the empty database holds account %s", r)
			}
			return nil
		})
		packed(t, db, pack.Options{KeepFrom: tids[21]})
		look(20)
		db = b.db()
		look(20)
	})
}

// there is Must for what Get of a container returns.
func there[V any](v V, ok bool, err error) V {
	if err == nil && !ok {
		err = ErrNotFound
	}
	return Must(v, err)
}

// An index yields the rows that it had.
func TestViewAtTable(t *testing.T) {
	onPackBeds(t, func(t *testing.T, b *bed) {
		db := b.shopDB()
		threeCustomers(t, db)
		then := must1(db.LastTID())
		shopping(t, db, func(tx *Tx, s *shop) {
			c := there(s.Customers.Edit(tx, "ada"))
			c.City, c.Email = "Bonn", "new@x"
			Must(s.Customers.Delete(tx, "bob"))
		})
		look := func(db *DB) {
			t.Helper()
			viewAt(t, db, then, func(tx *Tx) error {
				s := Must(theShop.Load(tx))
				wantNames(t, "all then", names(tx, s.Customers.All(tx)), "ada", "bob", "cyd")
				wantNames(t, "Ulm then", names(tx, byCity.Equal(tx, s.Customers, "Ulm")), "ada", "cyd")
				wantNames(t, "Bonn then", names(tx, byCity.Equal(tx, s.Customers, "Bonn")), "bob")
				if ref, ok := Must2(byEmail.Lookup(tx, s.Customers, "ada@x")); !ok || Must(ref.Load(tx)).City != "Ulm" {
					t.Errorf("by email: %v, %v", ref, ok)
				}
				return s.Customers.Check(tx)
			})
		}
		look(db)
		packed(t, db, pack.Options{KeepFrom: then + 1})
		look(db)
		look(b.shopDB())
		view(t, db, func(tx *Tx) error {
			wantNames(t, "Bonn now", names(tx, byCity.Equal(tx, Must(theShop.Load(tx)).Customers, "Bonn")), "ada")
			return nil
		})
	})
}

func must1[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

// SCENARIO 83: the past does not change while others commit and pack; the future
// and what is no time are refused, and so is what was packed away, which says how
// far back one can go.
func TestViewAtRefusals(t *testing.T) {
	onPackBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, 0, 0)
		var infos []TxInfo
		for n := range 10 {
			put(t, db, func(tx *Tx) error { Must(ra.Edit(tx)).Balance = int64(n); return nil })
			time.Sleep(2 * time.Microsecond)
		}
		infos = transactions(t, db, 0, math.MaxUint64)
		last := infos[len(infos)-1]
		nothing := func(*Tx) error { t.Error("it runs"); return nil }
		if err := db.ViewAt(t.Context(), At{}, nothing); err == nil || !strings.Contains(err.Error(), "AtTID") {
			t.Errorf("no time: %v", err)
		}
		if err := db.ViewAt(t.Context(), AtTID(last.TID+1), nothing); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), last.TID.String()) {
			t.Errorf("a transaction of the future: %v", err)
		}
		if err := db.ViewAt(t.Context(), AtTime(time.Now().Add(time.Hour)), nothing); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "future") {
			t.Errorf("a time of the future: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := db.ViewAt(ctx, AtTID(last.TID), nothing); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		if err := db.ViewAt(t.Context(), AtTID(infos[3].TID), func(tx *Tx) error {
			was := Must(ra.Load(tx)).Balance
			put(t, db, func(tx *Tx) error { Must(ra.Edit(tx)).Balance = 1000; return nil })
			packed(t, db, pack.Options{})
			if is := Must(ra.Load(tx)).Balance; is != was || Must(Must(theBank.Load(tx)).Accounts["a"].Load(tx)).Balance != was {
				t.Errorf("the past has changed from %d to %d", was, is)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		horizon := must1(db.LastTID())
		for what, at := range map[string]At{
			"transaction": AtTID(infos[3].TID),
			"time":        AtTime(infos[3].Time),
			"begin":       AtTID(0),
			"before all":  AtTime(time.Time{}),
		} {
			err := db.ViewAt(t.Context(), at, nothing)
			if !errors.Is(err, ErrPacked) || !strings.Contains(err.Error(), "transaction "+horizon.String()+", committed 2") {
				t.Errorf("%s: %v", what, err)
			}
		}
		for _, at := range []At{AtTID(horizon), AtTime(time.Now())} {
			if err := db.ViewAt(t.Context(), at, func(tx *Tx) error {
				if Must(ra.Load(tx)).Balance != 1000 {
					t.Error("another state")
				}
				return nil
			}); err != nil {
				t.Errorf("what the pack has kept: %v", err)
			}
		}
	})
}

// A storage that knows no past says so.
func TestNoHistorian(t *testing.T) {
	db := memBed(t).db()
	_, _ = openAccounts(t, db, 1, 2)
	for _, at := range []At{AtTID(1), AtTime(time.Now())} {
		if err := db.ViewAt(t.Context(), at, func(*Tx) error { return nil }); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("ViewAt: %v", err)
		}
	}
	for _, err := range db.History(1) {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("History: %v", err)
		}
	}
}

// SCENARIO 76 and 84: what transactions say of themselves, in ranges of any kind,
// before and after packs, and while one runs.
func TestTransactions(t *testing.T) {
	onPackBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, -1, -1)
		if err := db.Update(t.Context(), func(tx *Tx) error {
			tx.Describe("me", "nothing but words", nil)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for n := range 12 {
			put(t, db, func(tx *Tx) error {
				tx.Describe("ada", fmt.Sprint("change ", n), map[string]string{"n": fmt.Sprint(n)})
				Must(ra.Edit(tx)).Balance = int64(n)
				return nil
			})
		}
		all := transactions(t, db, 0, math.MaxUint64)
		changes := all[len(all)-12:]
		for n, tx := range changes {
			if tx.User != "ada" || tx.Description != fmt.Sprint("change ", n) || len(tx.Ext) != 1 || tx.Ext["n"] != fmt.Sprint(n) || !slices.Equal(tx.OIDs, []OID{ra.OID()}) {
				t.Errorf("change %d: %+v", n, tx)
			}
			if d := time.Since(tx.Time); d < 0 || d > time.Hour {
				t.Errorf("change %d: %s ago", n, d)
			}
		}
		ranges := func(oldest int) {
			t.Helper()
			for i := oldest; i < len(changes); i++ {
				for j := i - 1; j < len(changes); j++ {
					if j < 0 {
						continue
					}
					got := transactions(t, db, changes[i].TID, changes[j].TID) // empty when j < i
					if !slices.EqualFunc(got, changes[i:j+1], func(a, b TxInfo) bool {
						return a.TID == b.TID && a.Description == b.Description && a.Time.Equal(b.Time)
					}) {
						t.Fatalf("%d to %d: %v", i, j, got)
					}
				}
			}
			if got := transactions(t, db, changes[len(changes)-1].TID+1, math.MaxUint64); got != nil {
				t.Errorf("behind the last: %v", got)
			}
		}
		ranges(0)
		for range db.Transactions(0, math.MaxUint64) {
			break // an early end leaves nothing open
		}
		// A loop goes on through a pack, and does not see what is committed
		// meanwhile.
		n := 0
		for tx, err := range db.Transactions(changes[0].TID, math.MaxUint64) {
			if err != nil || tx.TID != changes[n].TID {
				t.Fatalf("%+v, %v", tx, err)
			}
			if n++; n == 4 {
				packed(t, db, pack.Options{KeepFrom: changes[6].TID})
				put(t, db, func(tx *Tx) error { Must(ra.Edit(tx)).Balance = 77; return nil })
			}
		}
		if n != len(changes) {
			t.Errorf("%d of %d transactions", n, len(changes))
		}
		ranges2 := transactions(t, db, 0, math.MaxUint64)
		if len(ranges2) != 7 || ranges2[0].TID != changes[6].TID || ranges2[0].Description != "change 6" || ranges2[0].Ext["n"] != "6" {
			t.Errorf("after the pack: %+v", ranges2)
		}
		for _, from := range []TID{1, changes[0].TID, changes[5].TID} {
			k := 0
			for tx, err := range db.Transactions(from, math.MaxUint64) {
				if k++; !errors.Is(err, ErrPacked) || tx.TID != 0 || tx.OIDs != nil {
					t.Errorf("from %s: %+v, %v", from, tx, err)
				}
			}
			if k != 1 {
				t.Errorf("from %s: %d pairs", from, k)
			}
		}
		// The one that the horizon names was committed, that much is known.
		if ok, err := db.Committed(changes[5].TID); !ok || err != nil {
			t.Errorf("the horizon: %v, %v", ok, err)
		}
		if ok, err := db.Committed(changes[4].TID); ok || !errors.Is(err, ErrPacked) {
			t.Errorf("before the horizon: %v, %v", ok, err)
		}
	})
}

// SCENARIO 81 and 76: the states of an object, newest first; who wrote the oldest
// one is known although a pack has removed that transaction.
func TestHistory(t *testing.T) {
	onPackBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, rb := openAccounts(t, db, -1, -1)
		var tids []TID
		for n := range 50 {
			tids = append(tids, put(t, db, func(tx *Tx) error {
				tx.Describe("ada", fmt.Sprint("change ", n), nil)
				Must(ra.Edit(tx)).Balance = int64(n)
				if n == 10 {
					Must(rb.Edit(tx)).Balance = 10
				}
				return nil
			}))
		}
		history := func(oid OID) (revs []Revision) {
			t.Helper()
			for r, err := range db.History(oid) {
				if err != nil {
					t.Fatal(err)
				}
				if r.Class != "test.Account" || r.Size < 50 || r.OIDs != nil {
					t.Errorf("%+v", r)
				}
				if n := len(revs); n > 0 && (r.TID >= revs[n-1].TID || r.Time.After(revs[n-1].Time)) {
					t.Errorf("%s is not older than %s", r.TID, revs[n-1].TID)
				}
				revs = append(revs, r)
			}
			return revs
		}
		revs := history(ra.OID())
		if len(revs) != 51 {
			t.Fatalf("%d revisions", len(revs))
		}
		for i, r := range revs[:50] {
			n := 49 - i
			if r.TID != tids[n] || r.Description != fmt.Sprint("change ", n) {
				t.Errorf("%d: %+v", n, r)
			}
			viewAt(t, db, r.TID, func(tx *Tx) error {
				if Must(ra.Load(tx)).Balance != int64(n) {
					t.Errorf("%d: another state", n)
				}
				return nil
			})
		}
		packed(t, db, pack.Options{KeepFrom: tids[30]})
		if revs = history(ra.OID()); len(revs) != 21 || revs[20].TID != tids[29] || revs[20].User != "" || revs[19].Description != "change 30" {
			t.Errorf("after the pack: %d revisions, the last %+v", len(revs), revs[len(revs)-1])
		}
		if revs = history(rb.OID()); len(revs) != 1 || revs[0].TID != tids[10] {
			t.Errorf("of what was changed long ago: %+v", revs)
		}
		for range db.History(ra.OID()) {
			break
		}
		// Of an object that nobody has made, and of one that a pack has removed.
		update(t, db, func(tx *Tx) error { delete(Must(theBank.Edit(tx)).Accounts, "b"); return nil })
		if len(history(rb.OID())) != 1 {
			t.Error("unlinked, and gone")
		}
		packed(t, db, pack.Options{})
		for _, oid := range []OID{0, 1 << 40, rb.OID()} {
			k := 0
			for r, err := range db.History(oid) {
				if k++; !errors.Is(err, ErrNotFound) || r.TID != 0 {
					t.Errorf("object %s: %+v, %v", oid, r, err)
				}
			}
			if k != 1 {
				t.Errorf("object %s: %d pairs", oid, k)
			}
		}
		other, err := b.open(Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		for _, err := range other.History(ra.OID()) {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("closed: %v", err)
			}
		}
		for _, err := range other.Transactions(0, 1) {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("closed: %v", err)
			}
		}
		if err := other.ViewAt(t.Context(), AtTime(time.Now()), func(*Tx) error { return nil }); !errors.Is(err, ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}

// SCENARIO 82: before creation, at the exact transaction, at those after each
// other, deep down, and after the object was unlinked and packed.
func TestViewAtEdges(t *testing.T) {
	onPackBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		update(t, db, func(tx *Tx) error { _, err := theBank.Edit(tx); return err })
		before := must1(db.LastTID())
		ra, _ := openAccounts(t, db, -1, 0)
		made := must1(db.LastTID())
		var tids []TID
		for n := range 60 {
			tids = append(tids, put(t, db, func(tx *Tx) error { Must(ra.Edit(tx)).Balance = int64(n); return nil }))
		}
		unlinked := put(t, db, func(tx *Tx) error { delete(Must(theBank.Edit(tx)).Accounts, "a"); return nil })
		balanceAt := func(tid TID) (n int64, err error) {
			err = db.ViewAt(t.Context(), AtTID(tid), func(tx *Tx) error { n = Must(ra.Load(tx)).Balance; return nil })
			return n, err
		}
		check := func(from int) {
			t.Helper()
			for n := from; n < 60; n++ {
				if got, err := balanceAt(tids[n]); got != int64(n) || err != nil {
					t.Errorf("at change %d: %d, %v", n, got, err)
				}
				if got, err := balanceAt(tids[n] - 1); n > from && (got != int64(n)-1 || err != nil) {
					t.Errorf("just before change %d: %d, %v", n, got, err)
				}
			}
			if got, err := balanceAt(unlinked); got != 59 || err != nil {
				t.Errorf("unlinked: %d, %v; the pack removes it", got, err)
			}
		}
		check(0)
		if got, err := balanceAt(made); got != -1 || err != nil {
			t.Errorf("when it was made: %d, %v", got, err)
		}
		for _, tid := range []TID{0, before, made - 1} {
			if _, err := balanceAt(tid); !errors.Is(err, ErrNotFound) {
				t.Errorf("before it was made: %v", err)
			}
		}
		packed(t, db, pack.Options{KeepFrom: tids[31]})
		check(30)
		if _, err := balanceAt(tids[29]); !errors.Is(err, ErrPacked) {
			t.Errorf("before the horizon: %v", err)
		}
		packed(t, db, pack.Options{})
		if _, err := balanceAt(unlinked); !errors.Is(err, ErrNotFound) {
			t.Errorf("after the pack: %v", err)
		}
		if _, err := balanceAt(unlinked - 1); !errors.Is(err, ErrPacked) {
			t.Errorf("before the horizon: %v", err)
		}
	})
}
