package durus_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/durusdb/durus/durus"
)

// A Ref leads from one object to another. Load is for reading, Edit for writing.
func ExampleRef() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()

	err := db.Update(ctx, func(tx *durus.Tx) error {
		b := durus.Must(bank.Load(tx))
		bob := durus.Must(b.Accounts["bob"].Load(tx))
		parent := durus.Must(bob.Parent.Edit(tx)) // a copy; bob is not written
		parent.Balance += 5
		fmt.Println(bob.Owner, "has a parent,", parent.Owner, "with", parent.Balance)
		fmt.Println("ada has one:", !parent.Parent.IsNil())
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// bob has a parent, ada with 105
	// ada has one: false
}

// An AnyRef leads to an object of any type.
func ExampleAnyRef() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()

	err := db.View(ctx, func(tx *durus.Tx) error {
		var mixed []durus.AnyRef
		for _, name := range []string{"ada", "bob"} {
			mixed = append(mixed, durus.Must(bank.Load(tx)).Accounts[name].Any())
		}
		for _, ref := range mixed {
			fmt.Print(durus.Must(ref.Class(tx)), " ")
			if a, ok := durus.Must(ref.Load(tx)).(*Account); ok {
				fmt.Println(a.Owner)
			}
		}
		bob := durus.As[Account](mixed[1]) // back to a typed one
		fmt.Println(durus.Must(bob.Load(tx)).Owner)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// example.Account ada
	// example.Account bob
	// bob
}

// A root needs no set-up: it reads as zero until somebody edits it.
func ExampleRoot() {
	ctx := context.Background()
	db, err := durus.OpenMemory(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	count := func(tx *durus.Tx) error {
		f, err := forum.Load(tx)
		if err == nil {
			fmt.Println(len(f.Articles), "articles")
		}
		return err
	}
	add := func(tx *durus.Tx) error {
		f := durus.Must(forum.Edit(tx))
		f.Articles = append(f.Articles, durus.Must(durus.Add(tx, &Article{Title: "first"})))
		return nil
	}
	if err := errors.Join(db.View(ctx, count), db.Update(ctx, add), db.View(ctx, count)); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 0 articles
	// 1 articles
}

// An OID names an object outside of programs, in logs and on command lines.
func ExampleOID() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()

	ada, err := durus.Result(ctx, db.View, func(tx *durus.Tx) (durus.OID, error) {
		b, err := bank.Load(tx)
		return b.Accounts["ada"].OID(), err
	})
	if err != nil {
		log.Fatal(err)
	}
	again, err := durus.ParseOID(ada.String())
	fmt.Println(again == ada, err)

	err = db.View(ctx, func(tx *durus.Tx) error {
		a, err := durus.RefTo[Account](again).Load(tx) // unchecked until it is loaded
		if err == nil {
			fmt.Println(a.Owner)
		}
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// true <nil>
	// ada
}

// A Session is what helpers take that serve transactions and connections alike.
func ExampleSession() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()

	owner := func(s durus.Session, name string) string {
		b, err := bank.Load(s)
		if err != nil {
			return err.Error()
		}
		a, err := b.Accounts[name].Load(s)
		if err != nil {
			return err.Error()
		}
		return a.Owner
	}

	conn, err := db.Connect(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Println(owner(conn, "ada"))
	err = db.View(ctx, func(tx *durus.Tx) error {
		fmt.Println(owner(tx, "bob"))
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// ada
	// bob
}
