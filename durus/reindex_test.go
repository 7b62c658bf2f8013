package durus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/durusdb/durus/internal/codec"
)

// Programs of different age share a database. Each case is what a program with
// these indexes does in a shop that a program with byCity and byEmail has made.
func TestTablePrograms(t *testing.T) {
	citySorted := NewIndex("city", func(c *customer) string { return strings.ToLower(c.City) }).Version(1)
	cityUnique := byCity.Unique()
	cases := []struct {
		name    string
		indexes []AnyIndex
		do      func(tx *Tx, s *shop)
		want    string // part of an ErrIndex; "": it succeeds
	}{
		{"lacks one, edits", []AnyIndex{byCity}, func(tx *Tx, s *shop) {
			ref, _ := Must2(s.Customers.Ref(tx, "ada"))
			Must(ref.Edit(tx)).Age++
		}, `index "email", which this program does not declare`},
		{"lacks all, edits", []AnyIndex{}, func(tx *Tx, s *shop) {
			ref, _ := Must2(s.Customers.Ref(tx, "ada"))
			Must(ref.Edit(tx)).Age++
		}, "which this program does not declare"},
		{"lacks one, edits without a change", []AnyIndex{byCity}, func(tx *Tx, s *shop) {
			ref, _ := Must2(s.Customers.Ref(tx, "ada"))
			Must(ref.Edit(tx)).Age += 0
		}, ""},
		{"lacks one, edits what is in no table", []AnyIndex{}, func(tx *Tx, s *shop) {
			Must(Must(theShop.Edit(tx)).Others[0].Edit(tx)).Age++
		}, ""},
		{"lacks one, inserts", []AnyIndex{byCity}, func(tx *Tx, s *shop) {
			Must(s.Customers.Insert(tx, "eve", &customer{}))
		}, `index "email", which this program does not declare`},
		{"lacks one, deletes", []AnyIndex{byCity}, func(tx *Tx, s *shop) {
			_, _ = s.Customers.Delete(tx, "ada")
		}, `index "email", which this program does not declare`},
		{"lacks one, uses the other", []AnyIndex{byCity}, func(tx *Tx, s *shop) {
			wantNames(t, "Ulm", names(tx, byCity.Equal(tx, s.Customers, "Ulm")), "ada", "cyd")
		}, ""},
		{"drops what it lacks", []AnyIndex{byCity}, func(tx *Tx, s *shop) {
			if ok := Must(DropIndex(tx, s.Customers, "email")); !ok {
				t.Error("there was no index")
			}
			Must(s.Customers.Delete(tx, "ada"))
			Must(s.Customers.Insert(tx, "eve", &customer{}))
		}, ""},
		{"has more, reads it", []AnyIndex{byCity, byEmail, byAge}, func(tx *Tx, s *shop) {
			for range byAge.All(tx, s.Customers) {
			}
		}, `has no index "age" yet: run durus.Reindex`},
		{"has more, edits", []AnyIndex{byCity, byEmail, byAge}, func(tx *Tx, s *shop) {
			c, _ := Must2(s.Customers.Edit(tx, "ada"))
			c.Age++
		}, ""},
		{"has not declared what it reads", []AnyIndex{byCity, byEmail}, func(tx *Tx, s *shop) {
			for range byAge.All(tx, s.Customers) {
			}
		}, `index "age" is not declared`},
		{"another version, reads", []AnyIndex{citySorted, byEmail}, func(tx *Tx, s *shop) {
			for range citySorted.All(tx, s.Customers) {
			}
		}, `index "city" of table`},
		{"another version, edits", []AnyIndex{citySorted, byEmail}, func(tx *Tx, s *shop) {
			c, _ := Must2(s.Customers.Edit(tx, "ada"))
			c.Age++
		}, "was built by version 0 of its function (not unique), this program has version 1"},
		{"unique now, edits", []AnyIndex{cityUnique, byEmail}, func(tx *Tx, s *shop) {
			c, _ := Must2(s.Customers.Edit(tx, "ada"))
			c.Age++
		}, "this program has version 0 (unique)"},
		{"a lookup that is none", []AnyIndex{byCity, byEmail}, func(tx *Tx, s *shop) {
			Must2(byCity.Lookup(tx, s.Customers, "Ulm"))
		}, "use Equal"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := memBed(t)
			first := b.shopDB(byCity, byEmail)
			threeCustomers(t, first)
			update(t, first, func(tx *Tx) error {
				s := Must(theShop.Edit(tx))
				s.Others = []Ref[customer]{Must(Add(tx, &customer{}))}
				return nil
			})
			db := b.db(Options{Types: shopTypes(c.indexes...)})
			err := refused(t, db, c.do)
			if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrIndex) || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// An object whose class has a Merge is not merged once others have put it into a
// table: the indexes would not follow.
func TestTableMerge(t *testing.T) {
	b := memBed(t)
	other := b.shopDB(byCity)
	ts := NewTypes()
	RegisterIn[customer](ts, "test.Customer", Merge(func(_, theirs, mine *customer) (*customer, error) {
		return &customer{Name: theirs.Name, City: mine.City}, nil
	}))
	RegisterIn[shop](ts, "test.Shop")
	db := b.db(Options{Types: ts})
	update(t, other, func(tx *Tx) error {
		Must(theShop.Edit(tx)).Others = []Ref[customer]{Must(Add(tx, &customer{Name: "o", City: "Oslo"}))}
		return nil
	})
	mine := func() *Tx {
		tx := begin(t, db, true)
		if err := tx.run(func(tx *Tx) error { Must(Must(theShop.Load(tx)).Others[0].Edit(tx)).City += "!"; return nil }); err != nil {
			t.Fatal(err)
		}
		return tx
	}
	tx := mine()
	shopping(t, other, func(tx *Tx, s *shop) { Must(s.Others[0].Edit(tx)).Name = "other" })
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	tx = mine()
	shopping(t, other, func(tx *Tx, s *shop) { Must(s.Customers.Insert(tx, "o", Must(s.Others[0].Edit(tx)))) })
	err := tx.Commit()
	if !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "are in tables") {
		t.Errorf("got %v", err)
	}
}

// A table of another class or key is refused.
func TestTableTypes(t *testing.T) {
	b := memBed(t)
	db := b.shopDB()
	threeCustomers(t, db)
	view(t, db, func(tx *Tx) error {
		s := Must(theShop.Load(tx))
		_, err := Table[string, shop]{raw: s.Customers.raw}.Len(tx)
		wantErr(t, err, ErrType)
		_, _, err = Table[int, customer]{raw: s.Customers.raw}.Get(tx, 1)
		wantErr(t, err, ErrType)
		_, err = Table[string, account]{raw: s.Customers.raw}.Len(tx)
		wantErr(t, err, ErrType)
		_, err = Table[string, customer]{raw: codec.Strong(directoryOID)}.Len(tx)
		wantErr(t, err, ErrType)
		return nil
	})
}

// The class is renamed: programs that know it under the old name, and such that
// know it only under the new one, keep the indexes of the same table.
func TestTableRenamed(t *testing.T) {
	b := memBed(t)
	old := b.db(Options{Types: shopTypes(byCity)})
	threeCustomers(t, old)
	types := func(opts ...TypeOption) *Types {
		ts := NewTypes()
		RegisterIn[customer](ts, "test.Client", append(opts, Indexes(byCity))...)
		RegisterIn[shop](ts, "test.Shop")
		return ts
	}
	db := b.db(Options{Types: types(Alias("test.Customer"))})
	shopping(t, db, func(tx *Tx, s *shop) {
		for _, name := range []string{"ada", "bob", "cyd"} {
			c, _ := Must2(s.Customers.Edit(tx, name))
			c.City = "Rom"
		}
	})
	checkShop(t, db)
	bare := b.db(Options{Types: types()})
	shopping(t, bare, func(tx *Tx, s *shop) {
		members, ok := Must2(tx.c.membersOf(bare.opts.Types.byClass("test.Client")))
		if !ok {
			t.Fatal("the new name has no members")
		}
		for oid := range members.All(tx) {
			Must(RefTo[customer](OID(oid)).Edit(tx)).City = "Oslo"
		}
		Must(s.Customers.Insert(tx, "dan", &customer{Name: "dan", City: "Oslo"}))
	})
	checkShop(t, db)
	checkShop(t, bare)
	view(t, db, func(tx *Tx) error {
		wantNames(t, "Oslo", names(tx, byCity.Equal(tx, Must(theShop.Load(tx)).Customers, "Oslo")), "ada", "bob", "cyd", "dan")
		return nil
	})
}

// Indexes are built for a table that is there, in small transactions.
func TestReindex(t *testing.T) {
	b := memBed(t)
	old := b.shopDB(byCity)
	shopping(t, old, func(tx *Tx, s *shop) {
		for i := range 100 {
			name := fmt.Sprintf("%03d", i)
			Must(s.Customers.Insert(tx, name, &customer{Name: name, Email: name, City: fmt.Sprint("c", i%7), Age: i % 10}))
		}
	})
	db := b.shopDB(byCity, byEmail, byAge)
	table := viewed(t, db, func(tx *Tx) (Table[string, customer], error) { return Must(theShop.Load(tx)).Customers, nil })
	ctx := context.Background()

	// Interrupted, and run again.
	stop, cancel := context.WithCancel(ctx)
	steps := 0
	err := Reindex(stop, db, table, &ReindexOptions{Batch: 30, Progress: func(p ReindexProgress) {
		if steps++; steps == 2 {
			cancel()
		}
		if p.Total != 100 || p.Done != 30*steps || !slices.Equal(p.Indexes, []string{"age", "email"}) {
			t.Errorf("step %d: %+v", steps, p)
		}
	}})
	wantErr(t, err, context.Canceled)
	view(t, db, func(tx *Tx) error {
		_, _, err := byEmail.Lookup(tx, table, "050")
		if !errors.Is(err, ErrIndex) || !strings.Contains(err.Error(), "is being built") {
			t.Errorf("got %v", err)
		}
		return nil
	})
	// What is half built is kept in step already.
	shopping(t, db, func(tx *Tx, s *shop) {
		for _, k := range []string{"001", "099"} {
			c, _ := Must2(s.Customers.Edit(tx, k))
			c.Email = "new" + k
		}
		Must(s.Customers.Delete(tx, "002"))
		Must(s.Customers.Insert(tx, "000a", &customer{Name: "000a", Email: "000a"}))
	})
	checkShop(t, db)
	if err := refused(t, old, func(tx *Tx, s *shop) { c, _ := Must2(s.Customers.Edit(tx, "005")); c.Age++ }); !errors.Is(err, ErrIndex) {
		t.Errorf("the old program edits: %v", err)
	}
	before, _ := db.LastTID()
	steps = 0
	if err := Reindex(ctx, db, table, &ReindexOptions{Batch: 30, Progress: func(ReindexProgress) { steps++ }}); err != nil {
		t.Fatal(err)
	}
	after, _ := db.LastTID()
	if steps != 4 || after == before {
		t.Errorf("%d steps", steps)
	}
	view(t, db, func(tx *Tx) error {
		wantNames(t, "new", names(tx, byEmail.From(tx, table, "new")), "001", "099")
		if n := len(names(tx, byAge.Equal(tx, table, 9))); n != 10 {
			t.Errorf("%d are nine", n)
		}
		return nil
	})
	// There is nothing more to do.
	if err := Reindex(ctx, db, table, &ReindexOptions{Progress: func(ReindexProgress) { t.Error("a step") }}); err != nil {
		t.Fatal(err)
	}
	if tid, _ := db.LastTID(); tid != after {
		t.Error("it has written something")
	}
	if err := Reindex(ctx, db, table, &ReindexOptions{Again: true}); err != nil {
		t.Fatal(err)
	}

	// Another version of a function, and then one that is not unique.
	lower := NewIndex("city", func(c *customer) string { return "x" + c.City }).Version(1)
	next := b.db(Options{Types: shopTypes(lower, byEmail, byAge)})
	if err := Reindex(ctx, next, relink(table), nil); err != nil {
		t.Fatal(err)
	}
	shopping(t, next, func(tx *Tx, s *shop) {
		if n := len(names(tx, lower.From(tx, s.Customers, "xc"))); n != 99 {
			t.Errorf("%d cities", n)
		}
		c, _ := Must2(s.Customers.Edit(tx, "007"))
		c.City = "moved"
		wantNames(t, "moved", names(tx, lower.Equal(tx, s.Customers, "xmoved")), "007")
		if err := s.Customers.Check(tx); err != nil {
			t.Error(err)
		}
	})
	ages := byAge.Unique()
	last := b.db(Options{Types: shopTypes(lower, byEmail, ages)})
	err = Reindex(ctx, last, relink(table), nil)
	var u *UniqueError
	if !errors.As(err, &u) || u.Index != "age" || u.OID == u.Object {
		t.Fatalf("got %v", err)
	}
	shopping(t, last, func(tx *Tx, s *shop) { Must(DropIndex(tx, s.Customers, "age")) })
	shopping(t, b.db(Options{Types: shopTypes(lower, byEmail)}), func(tx *Tx, s *shop) {
		c, _ := Must2(s.Customers.Edit(tx, "007"))
		c.City = "again"
	})
	checkShop(t, next)
}

// relink is a table as another handle sees it.
func relink(t Table[string, customer]) Table[string, customer] {
	return Table[string, customer]{raw: t.raw & oidMask}
}

// What is wrong with the trees of a table is found without their types.
func TestCheckTables(t *testing.T) {
	cases := []struct {
		name string
		harm func(c *core, s *shop, rec *tableRecord, index func(string) AnyRef)
		want string
	}{
		{"nothing", func(*core, *shop, *tableRecord, func(string) AnyRef) {}, ""},
		{"an entry is gone", func(c *core, s *shop, rec *tableRecord, index func(string) AnyRef) {
			Must(BTree[string, Ref[customer]]{raw: index("email").raw}.Delete(coreSession{c}, "ada@x"))
		}, `index "email" has no entry of object`},
		{"an entry too many", func(c *core, s *shop, rec *tableRecord, index func(string) AnyRef) {
			ada, _ := Must2(s.Customers.Ref(coreSession{c}, "ada"))
			_ = Set[indexEntry[string, customer]]{raw: index("city").raw}.Add(coreSession{c}, indexEntry[string, customer]{"Rom", ada})
		}, `index "city" has 4 entries, its objects account for 3`},
		{"another object", func(c *core, s *shop, rec *tableRecord, index func(string) AnyRef) {
			ada, _ := Must2(s.Customers.Ref(coreSession{c}, "ada"))
			_ = BTree[string, Ref[customer]]{raw: index("email").raw}.Put(coreSession{c}, "bob@x", ada)
		}, `under "bob@x"`},
		{"a key without a member", func(c *core, s *shop, rec *tableRecord, index func(string) AnyRef) {
			ada, _ := Must2(s.Customers.Ref(coreSession{c}, "ada"))
			_ = BTree[string, Ref[customer]]{raw: rec.Primary.raw}.Put(coreSession{c}, "eve", ada)
		}, "it has 4 keys and 3 members"},
		{"a member without a key", func(c *core, s *shop, rec *tableRecord, index func(string) AnyRef) {
			Must(BTree[string, Ref[customer]]{raw: rec.Primary.raw}.Delete(coreSession{c}, "ada"))
		}, `which leads elsewhere`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := memBed(t)
			db := b.db(Options{Types: shopTypes(byCity, byEmail)})
			threeCustomers(t, db)
			shopping(t, db, func(tx *Tx, s *shop) {
				rec := Must(tx.c.tableRecord(s.Customers.OID()))
				c.harm(&tx.c, s, rec, func(name string) AnyRef { return rec.Indexes[name].Tree })
			})
			reports, err := CheckTables(t.Context(), b.db(Options{Types: NewTypes()}))
			if err != nil || len(reports) != 1 {
				t.Fatal(reports, err)
			}
			r := reports[0]
			if found := strings.Join(r.Problems, "; "); c.want == "" && found != "" || !strings.Contains(found, c.want) {
				t.Errorf("got %q, want %q", found, c.want)
			}
			if r.Objects != 3 && c.name == "nothing" || r.Class != "test.Customer" || len(r.Indexes) != 2 || !r.Indexes[1].Unique {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A function that has become another one without a new version is found out,
// and Reindex mends what it has done.
func TestTableCheck(t *testing.T) {
	b := memBed(t)
	right := b.shopDB(byCity)
	threeCustomers(t, right)
	wrong := NewIndex("city", func(c *customer) string { return "wrong" + c.City })
	db := b.db(Options{Types: shopTypes(wrong)})
	shopping(t, db, func(tx *Tx, s *shop) { c, _ := Must2(s.Customers.Edit(tx, "ada")); c.Age++ })
	var table Table[string, customer]
	view(t, right, func(tx *Tx) error {
		table = Must(theShop.Load(tx)).Customers
		err := table.Check(tx)
		if !errors.Is(err, ErrIndex) || !strings.Contains(err.Error(), `should be in index "city" under "Ulm", and is as "wrongUlm"`) || tx.Err() != nil {
			t.Errorf("got %v", err)
		}
		return nil
	})
	if err := Reindex(t.Context(), right, table, &ReindexOptions{Again: true}); err != nil {
		t.Fatal(err)
	}
}
