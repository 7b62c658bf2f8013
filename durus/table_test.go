package durus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

type customer struct {
	Name  string
	Email string
	City  string
	Age   int
	Tags  []string
}

type shop struct {
	Customers Table[string, customer]
	Numbers   Table[int, customer]
	Others    []Ref[customer]
}

var (
	byEmail = NewIndex("email", func(c *customer) string { return c.Email }).Unique().Where(func(c *customer) bool { return c.Email != "" })
	byCity  = NewIndex("city", func(c *customer) string { return c.City })
	byAge   = NewIndex("age", func(c *customer) int { return c.Age })
	byTag   = NewMultiIndex("tag", func(c *customer) []string { return c.Tags })
	theShop = NewRoot[shop]("shop")
)

// shopTypes is a program that declares these indexes.
func shopTypes(indexes ...AnyIndex) *Types {
	ts := NewTypes()
	RegisterIn[customer](ts, "test.Customer", Indexes(indexes...))
	RegisterIn[shop](ts, "test.Shop")
	return ts
}

// shopDB opens a database as a program with these indexes; none are all.
func (b *bed) shopDB(indexes ...AnyIndex) *DB {
	b.Helper()
	if len(indexes) == 0 {
		indexes = []AnyIndex{byEmail, byCity, byAge, byTag}
	}
	db := b.db(Options{Types: shopTypes(indexes...)})
	b.Cleanup(func() { checkShop(b, db) })
	return db
}

// checkShop checks the tables of a shop, as far as the program can.
func checkShop(t testing.TB, db *DB) {
	t.Helper()
	if db.running.open() != nil {
		return
	}
	if err := db.View(context.Background(), func(tx *Tx) error {
		s := Must(theShop.Load(tx))
		for _, err := range []error{s.Customers.Check(tx), s.Numbers.Check(tx)} {
			if err != nil && !strings.Contains(err.Error(), "does not declare") && !strings.Contains(err.Error(), "was built by version") {
				t.Errorf("check: %v", err)
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	checkTables(t, db)
}

// checkTables checks all tables, as a program does that knows no types.
func checkTables(t testing.TB, db *DB) {
	t.Helper()
	reports, err := CheckTables(context.Background(), db)
	if err != nil {
		t.Errorf("check of all tables: %v", err)
	}
	for _, r := range reports {
		for _, p := range r.Problems {
			t.Errorf("check of table %s: %s", r.OID, p)
		}
	}
}

// refused ends an Update with an error, and returns it.
func refused(t testing.TB, db *DB, fn func(tx *Tx, s *shop)) error {
	t.Helper()
	return db.Update(t.Context(), func(tx *Tx) error { fn(tx, Must(theShop.Load(tx))); return nil })
}

func shopping(t testing.TB, db *DB, fn func(tx *Tx, s *shop)) {
	t.Helper()
	if err := refused(t, db, fn); err != nil {
		t.Fatal(err)
	}
}

// names are the names of what an index yields.
func names[K any](s Session, seq func(func(K, Ref[customer]) bool)) (out []string) {
	for _, ref := range seq {
		out = append(out, Must(ref.Load(s)).Name)
	}
	return out
}

func wantNames(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func threeCustomers(t testing.TB, db *DB) {
	t.Helper()
	shopping(t, db, func(tx *Tx, s *shop) {
		for i, name := range []string{"ada", "bob", "cyd"} {
			Must(s.Customers.Insert(tx, name, &customer{Name: name, Email: name + "@x", City: []string{"Ulm", "Bonn", "Ulm"}[i], Age: 30 + i, Tags: []string{"all", name}}))
		}
	})
}

// What a table does, once, before the commit and after it.
func TestTable(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.shopDB()
		look := func(s Session) {
			t.Helper()
			sh := Must(theShop.Load(s))
			wantNames(t, "all", names(s, sh.Customers.All(s)), "ada", "bob", "cyd")
			wantNames(t, "backward", names(s, sh.Customers.Backward(s)), "cyd", "bob", "ada")
			wantNames(t, "range", names(s, sh.Customers.Range(s, "b", "c")), "bob")
			wantNames(t, "from", names(s, sh.Customers.From(s, "b")), "bob", "cyd")
			wantNames(t, "before", names(s, sh.Customers.Before(s, "c")), "bob", "ada")
			wantNames(t, "city", names(s, byCity.All(s, sh.Customers)), "bob", "ada", "cyd")
			wantNames(t, "Ulm", names(s, byCity.Equal(s, sh.Customers, "Ulm")), "ada", "cyd")
			wantNames(t, "age 31 on", names(s, byAge.From(s, sh.Customers, 31)), "bob", "cyd")
			wantNames(t, "age before 32", names(s, byAge.Before(s, sh.Customers, 32)), "bob", "ada")
			wantNames(t, "age 31 to 32", names(s, byAge.Range(s, sh.Customers, 31, 32)), "bob")
			wantNames(t, "by age, backward", names(s, byAge.Backward(s, sh.Customers)), "cyd", "bob", "ada")
			wantNames(t, "tagged", names(s, byTag.Equal(s, sh.Customers, "all")), "ada", "bob", "cyd")
			wantNames(t, "emails from b", names(s, byEmail.From(s, sh.Customers, "b")), "bob", "cyd")
			wantNames(t, "emails before c", names(s, byEmail.Before(s, sh.Customers, "c")), "bob", "ada")
			if n := Must(sh.Customers.Len(s)); n != 3 {
				t.Errorf("%d customers", n)
			}
			ref, ok := Must2(byEmail.Lookup(s, sh.Customers, "bob@x"))
			if !ok || Must(ref.Load(s)).Name != "bob" {
				t.Errorf("bob: %v, %v", ref, ok)
			}
			if _, ok := Must2(byEmail.Lookup(s, sh.Customers, "nobody")); ok {
				t.Error("somebody has the email of nobody")
			}
			if k, ok := Must2(sh.Customers.Key(s, ref)); !ok || k != "bob" {
				t.Errorf("bob's key is %q, %v", k, ok)
			}
			if c, ok := Must2(sh.Customers.Get(s, "cyd")); !ok || c.Age != 32 {
				t.Errorf("cyd: %+v, %v", c, ok)
			}
			if _, ok := Must2(sh.Customers.Get(s, "eve")); ok {
				t.Error("eve is there")
			}
			if n := Must(sh.Numbers.Len(s)); n != 0 {
				t.Errorf("%d numbers", n)
			}
			if _, ok := Must2(byEmail.Lookup(s, sh.Numbers, "bob@x")); ok {
				t.Error("bob is in both tables")
			}
		}
		threeCustomers(t, db)
		view(t, db, func(tx *Tx) error { look(tx); return nil })
		update(t, db, func(tx *Tx) error { look(tx); return nil })

		// Edited by whoever has a reference, deleted, and inserted under another key.
		shopping(t, db, func(tx *Tx, s *shop) {
			ada, _ := Must2(s.Customers.Ref(tx, "ada"))
			Must(ada.Edit(tx)).City = "Bonn"
			c, _ := Must2(s.Customers.Edit(tx, "bob"))
			c.Email, c.Tags = "", nil
			wantNames(t, "own edits", names(tx, byCity.Equal(tx, s.Customers, "Bonn")), "ada", "bob")
			if ok := Must(s.Customers.Delete(tx, "cyd")); !ok {
				t.Error("no cyd")
			}
			if ok := Must(s.Customers.Delete(tx, "cyd")); ok {
				t.Error("cyd is still there")
			}
			Must(s.Customers.Insert(tx, "eve", &customer{Name: "eve", City: "Bonn", Email: "cyd@x"}))
			Must(s.Numbers.Insert(tx, 7, Must(ada.Edit(tx))))
		})
		view(t, db, func(tx *Tx) error {
			s := Must(theShop.Load(tx))
			wantNames(t, "all", names(tx, s.Customers.All(tx)), "ada", "bob", "eve")
			wantNames(t, "Bonn", names(tx, byCity.Equal(tx, s.Customers, "Bonn")), "ada", "bob", "eve")
			wantNames(t, "Ulm", names(tx, byCity.Equal(tx, s.Customers, "Ulm")))
			wantNames(t, "emails", names(tx, byEmail.All(tx, s.Customers)), "ada", "eve")
			wantNames(t, "tags", names(tx, byTag.All(tx, s.Customers)), "ada", "ada")
			wantNames(t, "numbers", names(tx, byCity.All(tx, s.Numbers)), "ada")
			return nil
		})
		// An object in two tables: both follow.
		shopping(t, db, func(tx *Tx, s *shop) {
			c, _ := Must2(s.Numbers.Edit(tx, 7))
			c.City = "Ulm"
		})
		view(t, db, func(tx *Tx) error {
			s := Must(theShop.Load(tx))
			wantNames(t, "Ulm", names(tx, byCity.Equal(tx, s.Customers, "Ulm")), "ada")
			wantNames(t, "Ulm by number", names(tx, byCity.Equal(tx, s.Numbers, "Ulm")), "ada")
			return nil
		})
	})
}

// A zero handle reads as an empty table and refuses writes.
func TestTableZero(t *testing.T) {
	db := memBed(t).shopDB()
	view(t, db, func(tx *Tx) error {
		var s shop
		if n := Must(s.Customers.Len(tx)); n != 0 {
			t.Errorf("%d customers", n)
		}
		wantNames(t, "all", names(tx, s.Customers.All(tx)))
		wantNames(t, "city", names(tx, byCity.All(tx, s.Customers)))
		if _, ok := Must2(byEmail.Lookup(tx, s.Customers, "x")); ok {
			t.Error("found something")
		}
		if err := s.Customers.Check(tx); err != nil {
			t.Error(err)
		}
		return nil
	})
	err := db.Update(t.Context(), func(tx *Tx) error {
		var s shop
		_, _ = s.Customers.Insert(tx, "a", &customer{})
		return nil
	})
	wantErr(t, err, ErrType)
}

// Put changes the object that is there, and what refers to it sees that; else it
// makes one. A table in which there is none is told apart from one that cannot
// be written.
func TestTablePut(t *testing.T) {
	db := memBed(t).shopDB()
	var ada Ref[customer]
	shopping(t, db, func(tx *Tx, s *shop) {
		ada = Must(s.Customers.Put(tx, "ada", customer{Name: "Ada", City: "London"}))
		Must(theShop.Edit(tx)).Others = []Ref[customer]{ada}
	})
	shopping(t, db, func(tx *Tx, s *shop) {
		if again := Must(s.Customers.Put(tx, "ada", customer{Name: "Ada", Email: "ada@x"})); again != ada {
			t.Errorf("Put gave another object: %s, not %s", again, ada)
		}
		wantNames(t, "in London, before the commit", names(tx, byCity.Equal(tx, s.Customers, "London")))
	})
	view(t, db, func(tx *Tx) error {
		s := Must(theShop.Load(tx))
		if c := Must(s.Others[0].Load(tx)); c.Email != "ada@x" || c.City != "" {
			t.Errorf("%+v", c)
		}
		wantNames(t, "in London", names(tx, byCity.Equal(tx, s.Customers, "London")))
		return nil
	})
	wantErr(t, db.View(t.Context(), func(tx *Tx) error {
		_, err := Must(theShop.Load(tx)).Customers.Put(tx, "ada", customer{})
		return err
	}), ErrReadOnly)
	wantErr(t, db.View(t.Context(), func(tx *Tx) error {
		_, err := Must(theShop.Load(tx)).Customers.DeleteRef(tx, ada)
		return err
	}), ErrReadOnly)
	err := refused(t, db, func(tx *Tx, s *shop) {
		Must(s.Customers.Put(tx, "bob", customer{Name: "Bob", Email: "ada@x"}))
	})
	wantErr(t, err, ErrUnique)
	shopping(t, db, func(tx *Tx, s *shop) {
		if !Must(s.Customers.DeleteRef(tx, ada)) || Must(s.Customers.DeleteRef(tx, ada)) {
			t.Error("deleted twice, or not at all")
		}
		if _, _, found, err := s.Customers.Min(tx); found || err != nil {
			t.Errorf("Min of an empty table: %v, %v", found, err)
		}
	})
}

// What is unique stays so: in one transaction, and when keys are exchanged.
func TestTableUnique(t *testing.T) {
	cases := []struct {
		name  string
		do    func(tx *Tx, s *shop)
		index string // of the violation; "-": none; "key": the primary key
	}{
		{"two new ones", func(tx *Tx, s *shop) {
			Must(s.Customers.Insert(tx, "eve", &customer{Email: "e"}))
			Must(s.Customers.Insert(tx, "fay", &customer{Email: "e"}))
		}, "email"},
		{"one that is there", func(tx *Tx, s *shop) {
			Must(s.Customers.Insert(tx, "eve", &customer{Email: "ada@x"}))
		}, "email"},
		{"an edit", func(tx *Tx, s *shop) {
			c, _ := Must2(s.Customers.Edit(tx, "bob"))
			c.Email = "ada@x"
		}, "email"},
		{"the key", func(tx *Tx, s *shop) {
			_, _ = s.Customers.Insert(tx, "ada", &customer{})
		}, "key"},
		{"one object twice", func(tx *Tx, s *shop) {
			c, _ := Must2(s.Customers.Edit(tx, "bob"))
			_, _ = s.Customers.Insert(tx, "bobby", c)
		}, "key"},
		{"left out", func(tx *Tx, s *shop) {
			Must(s.Customers.Insert(tx, "eve", &customer{}))
			Must(s.Customers.Insert(tx, "fay", &customer{}))
		}, "-"},
		{"another table", func(tx *Tx, s *shop) {
			Must(s.Numbers.Insert(tx, 1, &customer{Email: "ada@x"}))
		}, "-"},
		{"after a delete", func(tx *Tx, s *shop) {
			Must(s.Customers.Delete(tx, "ada"))
			Must(s.Customers.Insert(tx, "ada", &customer{Email: "ada@x"}))
		}, "-"},
		{"a swap", func(tx *Tx, s *shop) {
			a, _ := Must2(s.Customers.Edit(tx, "ada"))
			b, _ := Must2(s.Customers.Edit(tx, "bob"))
			a.Email, b.Email = b.Email, a.Email
		}, "-"},
		{"a ring, with a look in the middle", func(tx *Tx, s *shop) {
			a, _ := Must2(s.Customers.Edit(tx, "ada"))
			b, _ := Must2(s.Customers.Edit(tx, "bob"))
			c, _ := Must2(s.Customers.Edit(tx, "cyd"))
			a.Email = "bob@x"
			if _, _, err := byEmail.Lookup(tx, s.Customers, "bob@x"); !errors.Is(err, ErrUnique) {
				Must(0, fmt.Errorf("a look at two that have one key: %w", err))
			}
			b.Email = "cyd@x"
			_, _, _ = byEmail.Lookup(tx, s.Customers, "bob@x")
			c.Email = "ada@x"
			for k, want := range map[string]string{"ada@x": "cyd", "bob@x": "ada", "cyd@x": "bob"} {
				ref, ok := Must2(byEmail.Lookup(tx, s.Customers, k))
				if !ok || Must(ref.Load(tx)).Name != want {
					Must(0, fmt.Errorf("%s has %v", k, ref))
				}
			}
		}, "-"},
		{"moved out of the way", func(tx *Tx, s *shop) {
			Must(s.Customers.Insert(tx, "eve", &customer{Email: "ada@x"}))
			a, _ := Must2(s.Customers.Edit(tx, "ada"))
			a.Email = "other"
		}, "-"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			db := memBed(t).shopDB()
			threeCustomers(t, db)
			err := refused(t, db, c.do)
			var u *UniqueError
			switch {
			case c.index == "-":
				if err != nil {
					t.Fatal(err)
				}
				return
			case !errors.As(err, &u) || !errors.Is(err, ErrUnique) || errors.Is(err, ErrConflict):
				t.Fatalf("got %v, want a unique error", err)
			}
			if want := strings.TrimPrefix(c.index, "key"); u.Index != want || u.Table == 0 || u.OID == 0 || u.Key == "" {
				t.Errorf("%+v", u)
			}
			view(t, db, func(tx *Tx) error {
				wantNames(t, "all", names(tx, Must(theShop.Load(tx)).Customers.All(tx)), "ada", "bob", "cyd")
				return nil
			})
		})
	}
}

// Two transactions meet: mine was begun before theirs is committed.
func TestTableConflicts(t *testing.T) {
	edit := func(name string, f func(c *customer)) func(tx *Tx, s *shop) {
		return func(tx *Tx, s *shop) {
			ref, _ := Must2(s.Customers.Ref(tx, name))
			f(Must(ref.Edit(tx)))
		}
	}
	insert := func(name, email string) func(tx *Tx, s *shop) {
		return func(tx *Tx, s *shop) {
			Must(s.Customers.Insert(tx, name, &customer{Name: name, Email: email}))
		}
	}
	cases := []struct {
		name         string
		theirs, mine func(tx *Tx, s *shop)
		conflict     bool
		stored       bool // it needs customers that are stored
	}{
		{"other objects", insert("eve", "e"), insert("fay", "f"), false, true}, // first ones conflict: both make the directory
		{"other objects in the same city", edit("ada", func(c *customer) { c.City = "Rom" }), edit("bob", func(c *customer) { c.City = "Rom" }), false, true},
		{"the same email", insert("eve", "e"), insert("fay", "e"), true, false},
		{"the same key", insert("eve", "e"), insert("eve", "f"), true, false},
		{"the same email by edits", edit("ada", func(c *customer) { c.Email = "e" }), edit("bob", func(c *customer) { c.Email = "e" }), true, true},
		{"an email that was given up", edit("ada", func(c *customer) { c.Email = "e" }), insert("eve", "f"), false, true},
		{"deleted and edited", func(tx *Tx, s *shop) { Must(s.Customers.Delete(tx, "ada")) }, edit("ada", func(c *customer) { c.City = "Rom" }), true, true},
		{"edited and deleted", edit("ada", func(c *customer) { c.City = "Rom" }), func(tx *Tx, s *shop) { Must(s.Customers.Delete(tx, "ada")) }, true, true},
		{"joined a table and edited",
			func(tx *Tx, s *shop) { Must(s.Numbers.Insert(tx, 1, Must(s.Others[0].Edit(tx)))) },
			func(tx *Tx, s *shop) { Must(s.Others[0].Edit(tx)).City = "Rom" }, true, false},
		{"edited and joined a table",
			func(tx *Tx, s *shop) { Must(s.Others[0].Edit(tx)).City = "Rom" },
			func(tx *Tx, s *shop) { Must(s.Numbers.Insert(tx, 1, Must(s.Others[0].Edit(tx)))) }, true, false},
	}
	for _, first := range []bool{true, false} {
		for _, isolation := range []Isolation{Serializable, SnapshotIsolation} {
			for _, c := range cases {
				t.Run(fmt.Sprintf("%s/%d/first %v", c.name, isolation, first), func(t *testing.T) {
					b := memBed(t)
					db := b.db(Options{Types: shopTypes(byEmail, byCity), Isolation: isolation})
					other := b.shopDB(byEmail, byCity)
					update(t, db, func(tx *Tx) error {
						s := Must(theShop.Edit(tx))
						s.Others = []Ref[customer]{Must(Add(tx, &customer{Name: "o", City: "Oslo"}))}
						return nil
					})
					if !first {
						threeCustomers(t, db)
					} else if c.stored {
						t.Skip("needs customers")
					}
					tx := begin(t, db, true)
					if err := tx.run(func(tx *Tx) error { c.mine(tx, Must(theShop.Load(tx))); return nil }); err != nil {
						t.Fatal(err)
					}
					shopping(t, other, c.theirs)
					if err := tx.Commit(); errors.Is(err, ErrConflict) != c.conflict || err != nil && !c.conflict {
						t.Errorf("%v, conflict expected: %v", err, c.conflict)
					}
				})
			}
		}
	}
}

// A transaction that meets a unique key of another one runs again and is told.
func TestTableUniqueAcross(t *testing.T) {
	b := memBed(t)
	db, other := b.shopDB(), b.shopDB()
	threeCustomers(t, db)
	err := refused(t, db, func(tx *Tx, s *shop) {
		Must(s.Customers.Insert(tx, "eve", &customer{Email: "e"}))
		if tx.Attempt() == 1 {
			shopping(t, other, func(tx *Tx, s *shop) { Must(s.Customers.Insert(tx, "fay", &customer{Email: "e"})) })
		}
	})
	var u *UniqueError
	if !errors.As(err, &u) || u.Index != "email" || u.Key != `"e"` {
		t.Fatal(err)
	}
}

// Functions of indexes that are not what they should be.
func TestIndexFunctions(t *testing.T) {
	var use func()
	cases := []struct {
		name, want string
		index      AnyIndex
	}{
		{"panics", "failed on object", NewIndex("bad", func(c *customer) int { return 1 / len(c.Tags) })},
		{"writes", "has changed object", NewIndex("bad", func(c *customer) int { c.Age++; return 0 })},
		{"uses the session", "uses the session", NewIndex("bad", func(c *customer) int { use(); return 0 })},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			db := memBed(t).shopDB(c.index)
			err := refused(t, db, func(tx *Tx, s *shop) {
				ref := Must(Add(tx, &customer{}))
				use = func() { _, _ = ref.Edit(tx) }
				Must(s.Customers.Insert(tx, "ada", &customer{Name: "ada"}))
			})
			if !errors.Is(err, ErrIndex) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Declarations that Register refuses.
func TestIndexesRefused(t *testing.T) {
	cases := []struct {
		name, want string
		indexes    []AnyIndex
	}{
		{"twice", `two indexes are called "city"`, []AnyIndex{byCity, byCity}},
		{"no name", "an index has no name", []AnyIndex{NewIndex("", func(c *customer) int { return 0 })}},
		{"another type", "is one of durus.shop", []AnyIndex{NewIndex("x", func(c *shop) int { return 0 })}},
		{"no key", "cannot be a key", []AnyIndex{NewIndex("x", func(c *customer) *int { return nil })}},
		{"no function", "no function", []AnyIndex{NewIndex[customer, int]("x", nil)}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				if err, _ := recover().(error); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v", err)
				}
			}()
			RegisterIn[customer](NewTypes(), "test.Customer", Indexes(c.indexes...))
		})
	}
}

// A live connection keeps indexes in step, too.
func TestTableConnection(t *testing.T) {
	b := memBed(t)
	db, other := b.shopDB(), b.shopDB()
	threeCustomers(t, db)
	k, err := db.Connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	s := Must(theShop.Load(k))
	c, _ := Must2(s.Customers.Edit(k, "ada"))
	c.City = "Rom"
	shopping(t, other, func(tx *Tx, s *shop) { Must(s.Customers.Insert(tx, "eve", &customer{Name: "eve", City: "Rom"})) })
	wantNames(t, "Rom", names(k, byCity.Equal(k, s.Customers, "Rom")), "ada", "eve")
	if err := k.Commit(); err != nil {
		t.Fatal(err)
	}
	c, _ = Must2(s.Customers.Edit(k, "bob"))
	c.Email = "new"
	shopping(t, other, func(tx *Tx, s *shop) { Must(s.Customers.Insert(tx, "fay", &customer{Name: "fay", Email: "new"})) })
	if err := k.Commit(); !errors.Is(err, ErrConflict) && !errors.Is(err, ErrUnique) {
		t.Errorf("got %v", err)
	}
	if err := k.Abort(); err != nil {
		t.Error(err)
	}
	if err := k.Close(); err != nil {
		t.Error(err)
	}
}

// A handle that a commit has stored stays, one that it has not is empty again.
func TestTableHandles(t *testing.T) {
	db := memBed(t).shopDB()
	var kept, lost *shop
	update(t, db, func(tx *Tx) error {
		kept, lost = Must(theShop.Load(tx)), &shop{}
		Must(Add(tx, lost))
		return nil
	})
	if kept.Customers.OID() == 0 || lost.Customers.OID() != 0 {
		t.Errorf("kept %s, lost %s", kept.Customers.OID(), lost.Customers.OID())
	}
	view(t, db, func(tx *Tx) error {
		if now := Must(theShop.Load(tx)); now.Customers != kept.Customers {
			t.Errorf("%s was kept, %s is stored", kept.Customers.OID(), now.Customers.OID())
		}
		return nil
	})
}

// What nothing leads to is not stored, and its members are not, either.
func TestTableUnreached(t *testing.T) {
	db := memBed(t).shopDB()
	threeCustomers(t, db)
	count := func(tx *Tx) int {
		tree, _ := Must2(tx.c.membersOf(tx.c.db.opts.Types.byClass("test.Customer")))
		return Must(tree.Len(tx))
	}
	shopping(t, db, func(tx *Tx, s *shop) {
		lost := Must(NewTable[string, customer](tx))
		Must(lost.Insert(tx, "x", &customer{}))
		c, _ := Must2(s.Customers.Edit(tx, "ada"))
		Must(lost.Insert(tx, "y", c))
		c.City = "Rom"
	})
	view(t, db, func(tx *Tx) error {
		if n := count(tx); n != 3 {
			t.Errorf("%d members", n)
		}
		return nil
	})
}
