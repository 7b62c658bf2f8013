package durus_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/durusdb/durus/durus"
)

type Customer struct {
	Name  string
	Email string
	City  string
	Tags  []string
}

type Shop struct {
	Customers durus.Table[int, Customer]
}

// Indexes are declared once, with the type that they are of.
var (
	byEmail = durus.NewIndex("email", func(c *Customer) string { return c.Email }).Unique()
	byCity  = durus.NewIndex("city", func(c *Customer) string { return c.City })
	byTag   = durus.NewMultiIndex("tag", func(c *Customer) []string { return c.Tags })
	_       = durus.Register[Customer]("example.Customer", durus.Indexes(byEmail, byCity, byTag))
	_       = durus.Register[Shop]("example.Shop")
	theShop = durus.NewRoot[Shop]("shop")
)

// A table finds objects by their primary key and by each index, and follows
// whatever is done to them.
func ExampleTable() {
	ctx := context.Background()
	db, err := durus.OpenMemory(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	var ada durus.Ref[Customer]
	err = db.Update(ctx, func(tx *durus.Tx) error {
		s := durus.Must(theShop.Load(tx))
		ada = durus.Must(s.Customers.Insert(tx, 1, &Customer{Name: "Ada", Email: "ada@example.org", City: "London", Tags: []string{"new"}}))
		durus.Must(s.Customers.Insert(tx, 2, &Customer{Name: "Bob", Email: "bob@example.org", City: "Bath"}))
		durus.Must(s.Customers.Insert(tx, 3, &Customer{Name: "Cyd", Email: "cyd@example.org", City: "York", Tags: []string{"new"}}))
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}

	// Who has a reference edits the object, and need not know of the table.
	err = db.Update(ctx, func(tx *durus.Tx) error {
		durus.Must(ada.Edit(tx)).City = "Bath"
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}

	err = db.View(ctx, func(tx *durus.Tx) error {
		s := durus.Must(theShop.Load(tx))
		for _, c := range durus.Each(tx, byCity.Equal(tx, s.Customers, "Bath")) {
			fmt.Println(c.Name, "lives in Bath")
		}
		for city, c := range durus.Each(tx, byCity.From(tx, s.Customers, "C")) {
			fmt.Println(c.Name, "lives in", city)
		}
		for _, c := range durus.Each(tx, byTag.Equal(tx, s.Customers, "new")) {
			fmt.Println(c.Name, "is new")
		}
		ref, found, err := byEmail.Lookup(tx, s.Customers, "bob@example.org")
		if err != nil || !found {
			return err
		}
		fmt.Println(durus.Must(ref.Load(tx)).Name, "has Bob's email")
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// Ada lives in Bath
	// Bob lives in Bath
	// Cyd lives in York
	// Ada is new
	// Cyd is new
	// Bob has Bob's email
}

// A key of a unique index that is taken ends the transaction with an error that
// says by which object.
func ExampleUniqueError() {
	ctx := context.Background()
	db, err := durus.OpenMemory(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	register := func(number int, name, email string) error {
		return db.Update(ctx, func(tx *durus.Tx) error {
			s, err := theShop.Load(tx)
			if err != nil {
				return err
			}
			_, err = s.Customers.Insert(tx, number, &Customer{Name: name, Email: email})
			return err
		})
	}
	fmt.Println(register(1, "Ada", "ada@example.org"))
	err = register(2, "Eve", "ada@example.org")
	var taken *durus.UniqueError
	if errors.As(err, &taken) {
		fmt.Println("taken:", taken.Index, taken.Key)
	}
	// Output:
	// <nil>
	// taken: email "ada@example.org"
}

// A program that declares a new index builds it when it starts, while others
// write.
func ExampleReindex() {
	ctx := context.Background()
	db, err := durus.OpenMemory(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	// Makes the shop where there is none.
	s, err := durus.Result(ctx, db.Update, func(tx *durus.Tx) (*Shop, error) { return theShop.Load(tx) })
	if err != nil {
		log.Fatal(err)
	}
	err = durus.Reindex(ctx, db, s.Customers, &durus.ReindexOptions{Progress: func(p durus.ReindexProgress) {
		fmt.Printf("%v: %d of %d\n", p.Indexes, p.Done, p.Total)
	}})
	fmt.Println(err) // the table is new: it has all indexes
	// Output:
	// <nil>
}

// Unique and Where return another declaration. What is in the package variable is
// what Register gets and what lookups use: here all three are one expression.
func ExampleIndex() {
	type member struct{ Name, Email string }
	byEmail := durus.NewIndex("email", func(m *member) string { return m.Email }).
		Unique().
		Where(func(m *member) bool { return m.Email != "" })

	types := durus.NewTypes()
	durus.RegisterIn[member](types, "club.Member", durus.Indexes(byEmail))
	type club struct{ Members durus.Table[int, member] }
	durus.RegisterIn[club](types, "club.Club")
	root := durus.NewRoot[club]("club")

	ctx := context.Background()
	db, err := durus.OpenMemory(&durus.Options{Types: types})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	err = db.Update(ctx, func(tx *durus.Tx) error {
		members := durus.Must(root.Load(tx)).Members
		durus.Must(members.Insert(tx, 1, &member{"Ada", "ada@example.org"}))
		durus.Must(members.Insert(tx, 2, &member{Name: "Bob"})) // not in the index
		durus.Must(members.Insert(tx, 3, &member{Name: "Cyd"})) // nor is this one
		ref, found, err := byEmail.Lookup(tx, members, "ada@example.org")
		if err != nil || !found {
			return err
		}
		fmt.Println(durus.Must(ref.Load(tx)).Name)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: Ada
}

// CheckTables looks at all tables without knowing their types.
func ExampleCheckTables() {
	ctx := context.Background()
	db, err := durus.OpenMemory(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	err = db.Update(ctx, func(tx *durus.Tx) error {
		s, err := theShop.Load(tx)
		if err != nil {
			return err
		}
		_, err = s.Customers.Insert(tx, 1, &Customer{Name: "Ada", Tags: []string{"new", "kind"}})
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	reports, err := durus.CheckTables(ctx, db)
	for _, table := range reports { // each a TableReport
		fmt.Println(table.Class, table.Objects, table.Problems)
		for _, index := range table.Indexes { // each an IndexReport
			fmt.Println(index.Name, index.Entries)
		}
	}
	fmt.Println(err)
	// Output:
	// example.Customer 1 []
	// city 1
	// email 1
	// tag 2
	// <nil>
}
