package durus

import (
	"errors"
	"slices"
	"syscall"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

// Scenario 37: Rollback restores values, in place; a savepoint can be used
// again; those after it are gone.
func TestSavepoint(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, rb := openAccounts(t, db, 1, 2)
		var lost Ref[account]
		var forgotten *Savepoint
		update(t, db, func(tx *Tx) error {
			a := Must(ra.Edit(tx))
			a.Balance, a.Tags = 10, []string{"ten"}
			rc := Must(Add(tx, &account{Owner: "c"}))
			c := Must(rc.Edit(tx))
			first := Must(tx.Savepoint())
			for round := range 3 {
				a.Balance, a.Tags[0], c.Owner = 20, "twenty", "C"
				second := Must(tx.Savepoint())
				bb := Must(rb.Edit(tx))
				bb.Balance = 30
				a.Balance, a.Tags = 30, nil
				d := &account{Owner: "d"}
				lost = Must(Add(tx, d))
				third := Must(tx.Savepoint())

				if err := second.Rollback(); err != nil {
					t.Fatal(err)
				}
				if a.Balance != 20 || a.Tags[0] != "twenty" || c.Owner != "C" || Must(ra.Edit(tx)) != a || Must(ra.Load(tx)) != a {
					t.Errorf("round %d: got %+v, %+v", round, a, c)
				}
				if v := Must(rb.Load(tx)); v == bb || v.Balance != 2 {
					t.Errorf("an object that was edited after the savepoint: %+v", v)
				}
				if v := Must(rb.Edit(tx)); v == bb || v.Balance != 2 {
					t.Errorf("a new copy of it: %+v", v)
				}
				_, err := lost.Load(tx)
				wantErr(t, err, ErrNotFound)
				if d.Owner != "d" {
					t.Errorf("an object that was added after the savepoint: %+v", d)
				}
				wantErr(t, third.Rollback(), ErrSavepointGone)
				a.Balance = 99
				if err := second.Rollback(); err != nil || a.Balance != 20 {
					t.Errorf("again: %v, %+v", err, a)
				}
				if err := first.Rollback(); err != nil || a.Balance != 10 || a.Tags[0] != "ten" || c.Owner != "c" {
					t.Errorf("the first one: %v, %+v, %+v", err, a, c)
				}
				wantErr(t, second.Rollback(), ErrSavepointGone)
			}
			forgotten = first
			Must(theBank.Edit(tx)).Accounts["c"] = rc
			return nil
		})
		wantErr(t, forgotten.Rollback(), ErrTxDone)
		for name, want := range map[string]int64{"a": 10, "b": 2, "c": 0} {
			if got := balance(t, db, name); got != want {
				t.Errorf("%s has %d, want %d", name, got, want)
			}
		}
	})
}

// Scenario 38: add after a savepoint, change, roll all back: nothing is left.
// And a savepoint is no reason for a conflict with oneself.
func TestSavepointThenAbort(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, 1, 2)
		tx := begin(t, db, true)
		_ = Must(tx.Savepoint())
		r := Must(Add(tx, &account{Owner: "x"}))
		Must(r.Edit(tx)).Balance = 3
		Must(theBank.Edit(tx)).Accounts["x"] = r
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		_, err := tx.Savepoint()
		wantErr(t, err, ErrTxDone)
		update(t, db, func(tx *Tx) error {
			Must(ra.Edit(tx)).Balance++
			sp := Must(tx.Savepoint())
			Must(ra.Edit(tx)).Balance++
			_ = sp
			return nil
		})
		if n := balance(t, db, "a"); n != 3 {
			t.Errorf("got %d", n)
		}
		read := begin(t, db, false)
		_, err = read.Savepoint()
		wantErr(t, err, ErrReadOnly)
	})
}

// Scenario 39: a savepoint does not bring in what others have committed, nor
// does Rollback; what was read before Rollback is still what counts.
func TestSavepointKeepsTheSnapshot(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, rb := openAccounts(t, db, 1, 2)
		tx := begin(t, db, true)
		if Must(ra.Load(tx)).Balance != 1 {
			t.Error("not 1")
		}
		update(t, db, func(tx *Tx) error {
			Must(ra.Edit(tx)).Balance = 100
			Must(rb.Edit(tx)).Balance = 200
			return nil
		})
		sp := Must(tx.Savepoint())
		if a, b := Must(ra.Peek(tx)), Must(rb.Peek(tx)); a.Balance != 1 || b.Balance != 2 {
			t.Errorf("after the savepoint: %+v, %+v", a, b)
		}
		Must(rb.Edit(tx)).Balance++
		if err := sp.Rollback(); err != nil {
			t.Fatal(err)
		}
		if v := Must(rb.Load(tx)); v.Balance != 2 {
			t.Errorf("after Rollback: %+v", v)
		}
		_, _ = theBank.Edit(tx)
		Must(theBank.Edit(tx)).Name = "changed"
		wantErr(t, tx.Commit(), ErrConflict)
	})
	// What was read after the savepoint counts, too.
	db := beds["memory"](t).db()
	ra, _ := openAccounts(t, db, 1, 2)
	tx := begin(t, db, true)
	sp := Must(tx.Savepoint())
	_ = Must(ra.Edit(tx))
	if err := sp.Rollback(); err != nil {
		t.Fatal(err)
	}
	update(t, db, func(tx *Tx) error { Must(ra.Edit(tx)).Balance = 100; return nil })
	Must(theBank.Edit(tx)).Name = "changed"
	wantErr(t, tx.Commit(), ErrConflict)
}

// Scenario 40: after Rollback one may still hold references to what was added,
// look at them, and commit.
func TestSavepointForgottenReference(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, 1, 2)
		tx := begin(t, db, true)
		Must(ra.Edit(tx)).Balance = 5
		sp := Must(tx.Savepoint())
		r := Must(Add(tx, &account{Owner: "x"}))
		if err := sp.Rollback(); err != nil {
			t.Fatal(err)
		}
		_, err := r.Load(tx)
		wantErr(t, err, ErrNotFound)
		_, err = r.Edit(tx)
		wantErr(t, err, ErrNotFound)
		if _, ok, err := r.Weak().Load(tx); ok || err != nil {
			t.Error(ok, err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if n := balance(t, db, "a"); n != 5 {
			t.Errorf("got %d", n)
		}
		// But to store one is an error, as ever.
		tx = begin(t, db, true)
		sp = Must(tx.Savepoint())
		r = Must(Add(tx, &account{Owner: "x"}))
		if err := sp.Rollback(); err != nil {
			t.Fatal(err)
		}
		Must(ra.Edit(tx)).Parent = r
		wantErr(t, tx.Commit(), ErrDangling)
	})
}

// Scenario 42: an added object that was rolled back can be added again, gets a
// new id, and has kept its fields.
func TestSavepointAddAgain(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		openAccounts(t, db, 1, 2)
		v := &account{Owner: "v", Balance: 1}
		update(t, db, func(tx *Tx) error {
			sp := Must(tx.Savepoint())
			old := Must(Add(tx, v))
			v.Balance = 7
			if err := sp.Rollback(); err != nil {
				t.Fatal(err)
			}
			if v.Owner != "v" || v.Balance != 7 {
				t.Errorf("got %+v", v)
			}
			r := Must(Add(tx, v))
			if r == old || Must(r.Load(tx)) != v {
				t.Errorf("got %v again", r)
			}
			Must(theBank.Edit(tx)).Accounts["v"] = r
			return nil
		})
		if n := balance(t, db, "v"); n != 7 {
			t.Errorf("got %d", n)
		}
		// The same with the roots: one that was made after the savepoint is not there.
		update(t, db, func(tx *Tx) error {
			sp := Must(tx.Savepoint())
			p := Must(thePages.Edit(tx))
			p.Title = "gone"
			if err := sp.Rollback(); err != nil {
				t.Fatal(err)
			}
			if q := Must(thePages.Load(tx)); q.Title != "" {
				t.Errorf("got %+v", q)
			}
			return nil
		})
	})
}

// What else a transaction is told is undone as well.
func TestSavepointUndoesTheRest(t *testing.T) {
	db := beds["memory"](t).db()
	ra, _ := openAccounts(t, db, 1, 2)
	var called []string
	note := func(s string) func(TID) { return func(TID) { called = append(called, s) } }
	update(t, db, func(tx *Tx) error {
		tx.Describe("u", "before", nil)
		tx.OnCommit(note("before"))
		Must(ra.Edit(tx)).Balance = 5
		sp := Must(tx.Savepoint())
		tx.Describe("u", "after", nil)
		tx.OnCommit(note("after"))
		if err := sp.Rollback(); err != nil {
			t.Fatal(err)
		}
		tx.OnCommit(note("last"))
		return nil
	})
	if !slices.Equal(called, []string{"before", "last"}) {
		t.Errorf("called: %q", called)
	}
	last := ""
	for tx := range db.st.Transactions(0, ^TID(0)) {
		last = tx.Description
	}
	if last != "before" {
		t.Errorf("described as %q", last)
	}
}

// A failed write is forgiven by going back, a failed disk is not.
func TestSavepointAndErr(t *testing.T) {
	b := memBed(t)
	db := b.db()
	ra, rb := openAccounts(t, db, 1, 2)
	type unregistered struct{ A int }
	update(t, db, func(tx *Tx) error {
		Must(ra.Edit(tx)).Balance = 5
		sp := Must(tx.Savepoint())
		_, err := Add(tx, &unregistered{})
		wantErr(t, err, ErrType)
		wantErr(t, tx.Err(), ErrType)
		_, err = tx.Savepoint()
		wantErr(t, err, ErrType)
		if err := sp.Rollback(); err != nil || tx.Err() != nil {
			t.Errorf("%v, %v", err, tx.Err())
		}
		return nil
	})
	if n := balance(t, db, "a"); n != 5 {
		t.Errorf("got %d", n)
	}
	failing := false
	b.mem.fail = func(op string) error {
		if failing && op == "read" {
			return syscall.EIO
		}
		return nil
	}
	err := db.Update(t.Context(), func(tx *Tx) error {
		Must(ra.Edit(tx)).Balance = 6
		sp := Must(tx.Savepoint())
		_, err := Add(tx, &unregistered{}) // the first error is forgiven, the second is not
		wantErr(t, err, ErrType)
		failing = true
		_, _ = rb.Edit(tx)
		failing = false
		if err := sp.Rollback(); err != nil {
			t.Error(err)
		}
		return nil
	})
	wantErr(t, err, syscall.EIO)
}

// reluctant cannot always be stored.
type reluctant struct {
	Name  string
	Value reluctantValue
}

type reluctantValue int

var errReluctant = errors.New("reluctant")

func (v reluctantValue) EncodeMsgpack(e *msgpack.Encoder) error {
	if v < 0 {
		return errReluctant
	}
	return e.EncodeInt(int64(v))
}

func (v *reluctantValue) DecodeMsgpack(d *msgpack.Decoder) error {
	n, err := d.DecodeInt64()
	*v = reluctantValue(n)
	return err
}

var _ = Register[reluctant]("test.Reluctant")

// What cannot be stored cannot be saved either; nothing has changed then.
func TestSavepointOfWhatCannotBeStored(t *testing.T) {
	db := beds["memory"](t).smallDB()
	update(t, db, func(tx *Tx) error {
		r := Must(Add(tx, &reluctant{Name: "s"}))
		first := Must(tx.Savepoint())
		v := Must(r.Edit(tx))
		v.Name, v.Value = "S", -1
		_, err := tx.Savepoint()
		wantErr(t, err, errReluctant)
		if tx.Err() != nil || v.Name != "S" {
			t.Errorf("%v, %+v", tx.Err(), v)
		}
		for i := range 50 { // what cannot be stored now stays
			_ = Must(Add(tx, newLarge(i)))
		}
		if v.Value = 3; Must(r.Edit(tx)).Value != 3 {
			t.Error("not the same pointer")
		}
		v.Value = -1
		if err := first.Rollback(); err != nil || v.Name != "s" || v.Value != 0 {
			t.Errorf("%v, %+v", err, v)
		}
		return nil
	})
}

// Fields that are not stored keep what they have; all others go back.
func TestSavepointAndFieldsThatAreNotStored(t *testing.T) {
	db := beds["memory"](t).db()
	update(t, db, func(tx *Tx) error {
		v := &hiding{Name: "before", hidden: 1, Skip: 1}
		_ = Must(Add(tx, v))
		sp := Must(tx.Savepoint())
		*v = hiding{Name: "after", hidden: 2, Skip: 2}
		if err := sp.Rollback(); err != nil || *v != (hiding{Name: "before", hidden: 2, Skip: 2}) {
			t.Errorf("%v, %+v", err, v)
		}
		return nil
	})
}

// Savepoints of a transaction that is larger than the cache: what was aside
// then is what it was, whatever came after.
func TestSavepointOfALargeTransaction(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.smallDB()
		var refs []Ref[large]
		update(t, db, func(tx *Tx) error {
			refs = nil
			for i := range 100 {
				refs = append(refs, Must(Add(tx, newLarge(i))))
			}
			Must(thePile.Edit(tx)).All = refs
			held := Must(refs[50].Edit(tx))
			sp := Must(tx.Savepoint())
			end := tx.c.spilled.file.end()
			for round := range 4 {
				for i := round; i < 100; i += 2 {
					v := Must(refs[i].Edit(tx))
					v.Name, v.Numbers, v.Index["i"] = "lost", nil, -1
				}
				if round == 2 {
					_ = Must(tx.Savepoint())
				}
				for i := range 30 {
					_ = Must(Add(tx, newLarge(i)))
				}
				fresh := Must(refs[10].Edit(tx)) // put aside at the savepoint
				fresh.Name = "lost, too"
				if err := sp.Rollback(); err != nil {
					t.Fatal(err)
				}
				checkLarge(t, held, 50)
				if checkLarge(t, fresh, 10); Must(refs[10].Edit(tx)) != fresh {
					t.Error("it is not the edited object any more")
				}
				for i := range 100 {
					checkLarge(t, Must(refs[i].Load(tx)), i)
				}
				if round > 0 && tx.c.spilled.file.end() > 2*end {
					t.Errorf("round %d: %d bytes are aside, and were %d", round, tx.c.spilled.file.end(), end)
				}
			}
			return nil
		})
		view(t, db, func(tx *Tx) error {
			for i, r := range refs {
				checkLarge(t, Must(r.Load(tx)), i)
			}
			if n := len(slices.Collect(func(yield func(int) bool) {
				for range Instances[large](tx) {
					yield(0)
				}
			})); n != 100 {
				t.Errorf("%d objects are stored", n)
			}
			return nil
		})
	})
}

// A transaction that commits nothing, or panics, leaves no file.
func TestSavepointLeavesNothing(t *testing.T) {
	b := beds["file"](t)
	db := b.smallDB()
	for i := range 3 {
		func() {
			defer func() { _ = recover() }()
			_ = db.Update(t.Context(), func(tx *Tx) error {
				for i := range 200 {
					_ = Must(Add(tx, newLarge(i)))
				}
				if tx.c.spilled.file.file == nil {
					t.Error("there is no temporary file")
				}
				switch i {
				case 1:
					return errors.New("no")
				case 2:
					panic("no")
				}
				return nil
			})
		}()
	}
	for name, err := range db.opts.FS.List(db.path) {
		if err != nil || name != db.path && name != db.path+".lock" {
			t.Error(name, err)
		}
	}
}
