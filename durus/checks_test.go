package durus

import (
	"strings"
	"testing"

	"github.com/durusdb/durus/storage"
)

// Scenario 93: a nested slice or map of a shared object that was written is
// found out when the transaction ends, and the next one sees what is stored.
func TestSharedWriteIsFound(t *testing.T) {
	if (Options{}).resolved().Check != CheckShared {
		t.Error("tests do not check by default")
	}
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db(Options{Check: CheckShared})
		var ra Ref[account]
		update(t, db, func(tx *Tx) error {
			ra = Must(Add(tx, &account{Owner: "a", Tags: []string{"x"}}))
			Must(theBank.Edit(tx)).Accounts = map[string]Ref[account]{"a": ra}
			return nil
		})
		for name, write := range map[string]func(tx *Tx) error{
			"field": func(tx *Tx) error { Must(ra.Load(tx)).Balance = 3; return nil },
			"slice": func(tx *Tx) error { Must(ra.Load(tx)).Tags[0] = "y"; return nil },
			"map":   func(tx *Tx) error { delete(Must(theBank.Load(tx)).Accounts, "a"); return nil },
			"peek":  func(tx *Tx) error { Must(ra.Peek(tx)).Owner = "b"; return nil },
		} {
			for kind, err := range map[string]error{
				"view":   db.View(t.Context(), write),
				"update": db.Update(t.Context(), func(tx *Tx) error { _ = Must(ra.Edit(tx)); return nil }),
			} {
				if kind == "view" {
					if wantErr(t, err, ErrSharedWrite); !strings.Contains(err.Error(), "Edit") || !strings.Contains(err.Error(), "test.") {
						t.Errorf("%s: %v does not say what to do, or where", name, err)
					}
				} else if err != nil {
					t.Errorf("%s: the transaction after it: %v", name, err)
				}
			}
			err := db.Update(t.Context(), func(tx *Tx) error {
				Must(theBank.Edit(tx)).Name = "must not be stored"
				return write(tx)
			})
			if name != "map" { // there the root is a private copy
				wantErr(t, err, ErrSharedWrite)
			} else if err != nil {
				t.Error(err)
			}
			update(t, db, func(tx *Tx) error {
				root := Must(theBank.Edit(tx))
				if name != "map" && root.Name != "" {
					t.Errorf("%s: a failed transaction stored %q", name, root.Name)
				}
				root.Name, root.Accounts = "", map[string]Ref[account]{"a": ra}
				return nil
			})
			view(t, db, func(tx *Tx) error {
				a := Must(ra.Load(tx))
				if a.Owner != "a" || a.Balance != 0 || a.Tags[0] != "x" {
					t.Errorf("%s: others see %+v", name, a)
				}
				return nil
			})
		}

		tx := begin(t, db, true)
		Must(ra.Load(tx)).Balance = 3
		wantErr(t, tx.Commit(), ErrSharedWrite)
		tx = begin(t, db, false)
		Must(ra.Load(tx)).Balance = 3
		wantErr(t, tx.Rollback(), ErrSharedWrite)

		c := connect(t, db)
		Must(ra.Load(c)).Balance = 3
		wantErr(t, c.Commit(), ErrSharedWrite)
		if err := c.Abort(); err != nil {
			t.Error(err)
		}
		Must(ra.Load(c)).Balance = 3
		wantErr(t, c.Abort(), ErrSharedWrite)
	})
}

// What Load gave is not added as a new object, which Edit would hand out to be
// written. A copy of it is.
func TestSharedAddIsFound(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db(Options{Check: CheckShared})
		ra, rb := openAccounts(t, db, 1, 0)
		err := db.Update(t.Context(), func(tx *Tx) error {
			_, _ = Add(tx, Must(ra.Load(tx))) // sticks
			return nil
		})
		if wantErr(t, err, ErrSharedWrite); !strings.Contains(err.Error(), "add a copy") {
			t.Errorf("%v does not say what to do", err)
		}
		update(t, db, func(tx *Tx) error {
			like := *Must(ra.Load(tx))
			copied := Must(Add(tx, &like))
			if again := Must(Add(tx, Must(copied.Load(tx)))); again != copied {
				t.Errorf("what Load gave of a new object was added again: %v, %v", copied, again)
			}
			Must(copied.Edit(tx)).Balance = 7
			Must(rb.Edit(tx)).Parent = copied
			return nil
		})
		view(t, db, func(tx *Tx) error {
			a, copied := Must(ra.Load(tx)), Must(Must(rb.Load(tx)).Parent.Load(tx))
			if a.Balance != 1 || copied.Balance != 7 || copied.Owner != a.Owner {
				t.Errorf("%+v, and its copy %+v", a, copied)
			}
			return nil
		})
	})
}

func TestChecksCanBeTurnedOff(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db(Options{Check: CheckNothing})
		ra, _ := openAccounts(t, db, 1, 0)
		view(t, db, func(tx *Tx) error { Must(ra.Load(tx)).Balance = 2; return nil })
	})
}

// What is checked is bounded.
func TestCheckIsBounded(t *testing.T) {
	s := newSharedCheck()
	for i := range 3 * maxChecked {
		s.handedOut(OID(i+2), storage.Position(i+1), nil, new(account))
	}
	if n := len(s.seen); n != maxChecked || len(s.values) != n {
		t.Errorf("%d objects remembered, %d by their pointers", n, len(s.values))
	}
	s.handedOut(1, 1, nil, &Opaque{})
	if _, ok := s.seen[1]; ok && isOpaque(s.seen[1].value) {
		t.Error("an Opaque cannot be written")
	}
}
