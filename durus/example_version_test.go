package durus_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/vfs/mem"
)

// What a program of last year stored, and what is stored today.
type (
	PersonV1 struct {
		Name string // "Ada Lovelace"
		Mail string
	}
	Person struct {
		First, Last string
		Mail        string
	}
	Book struct{ People map[string]durus.AnyRef }
)

// splitName is the step from version 1 to 2. Mail is in new already: the two
// types have it in common.
func splitName(old *PersonV1, new *Person) error {
	var ok bool
	if new.First, new.Last, ok = strings.Cut(old.Name, " "); !ok {
		return fmt.Errorf("%q is not a first and a last name", old.Name)
	}
	return nil
}

var book = durus.NewRoot[Book]("book")

// A type changes while old data and old programs are still around. A program
// has one set of types, in package variables (see Register); this example has
// two, to play the programs of last year and of today.
func ExampleUpgrade() {
	lastYear, today := durus.NewTypes(), durus.NewTypes()
	durus.RegisterIn[Book](lastYear, "crm.Book")
	durus.RegisterIn[PersonV1](lastYear, "crm.Person")
	durus.RegisterIn[Book](today, "crm.Book")
	durus.RegisterIn[Person](today, "crm.Person", durus.Version(2), durus.Upgrade(1, splitName))

	dir, err := os.MkdirTemp("", "durus")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	open := func(types *durus.Types) *durus.DB {
		db, err := durus.Open(filepath.Join(dir, "crm.durus"), &durus.Options{Types: types})
		if err != nil {
			log.Fatal(err)
		}
		return db
	}
	old, db := open(lastYear), open(today) // one file, two programs
	defer old.Close()
	defer db.Close()

	ctx := context.Background()
	must := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	must(old.Update(ctx, func(tx *durus.Tx) error {
		b := durus.Must(book.Edit(tx))
		b.People = map[string]durus.AnyRef{
			"ada": durus.Must(durus.Add(tx, &PersonV1{Name: "Ada Lovelace", Mail: "ada@example.org"})).Any(),
			"bob": durus.Must(durus.Add(tx, &PersonV1{Name: "Bob Kahn"})).Any(),
		}
		return nil
	}))

	// Today's program reads them in its own terms, and stores what it edits.
	must(db.Update(ctx, func(tx *durus.Tx) error {
		ada := durus.As[Person](durus.Must(book.Load(tx)).People["ada"])
		p := durus.Must(ada.Edit(tx))
		fmt.Println(p.Last, p.First, p.Mail)
		p.Last = "King"
		return nil
	}))

	// Last year's cannot misread that, and goes on with the others.
	for _, name := range []string{"ada", "bob"} {
		err := old.View(ctx, func(tx *durus.Tx) error {
			ref := durus.As[PersonV1](durus.Must(book.Load(tx)).People[name])
			fmt.Println(durus.Must(ref.Load(tx)).Name)
			return nil
		})
		if errors.Is(err, durus.ErrTooNew) {
			fmt.Println(name, "is too new for last year's program")
		} else {
			must(err)
		}
	}

	// When the old program is gone, what is left of its data may go as well.
	report, err := db.Migrate(ctx, nil)
	must(err)
	fmt.Println(report.Migrated, "migrated")

	// Output:
	// Lovelace Ada ada@example.org
	// ada is too new for last year's program
	// Bob Kahn
	// 1 migrated
}

// Migrate stores all objects in the newest version of their class. What cannot be
// upgraded is told, and stays as it is.
func ExampleDB_Migrate() {
	lastYear, today := durus.NewTypes(), durus.NewTypes()
	durus.RegisterIn[Book](lastYear, "crm.Book")
	durus.RegisterIn[PersonV1](lastYear, "crm.Person")
	durus.RegisterIn[Book](today, "crm.Book")
	durus.RegisterIn[Person](today, "crm.Person", durus.Version(2), durus.Upgrade(1, splitName))
	disk := mem.NewVolatile().Process("crm")
	open := func(types *durus.Types) *durus.DB {
		db, err := durus.Open("crm.durus", &durus.Options{FS: disk, Types: types})
		if err != nil {
			log.Fatal(err)
		}
		return db
	}
	old, db := open(lastYear), open(today)
	defer old.Close()
	defer db.Close()

	ctx := context.Background()
	err := old.Update(ctx, func(tx *durus.Tx) error {
		durus.Must(book.Edit(tx)).People = map[string]durus.AnyRef{
			"ada":   durus.Must(durus.Add(tx, &PersonV1{Name: "Ada Lovelace"})).Any(),
			"plato": durus.Must(durus.Add(tx, &PersonV1{Name: "Plato"})).Any(),
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	report, err := db.Migrate(ctx, func(p durus.MigrateProgress) { // now and then
		if p.Done == p.Total {
			fmt.Println("done:", p.Migrated)
		}
	})
	fmt.Println(report.Migrated, "migrated,", report.Failed, "failed:", err != nil)
	for _, failure := range report.Failures {
		fmt.Println(failure.OID != 0, strings.Contains(failure.Err.Error(), "Plato"))
	}
	// Output:
	// done: 1
	// 1 migrated, 1 failed: true
	// true true
}
