package durus_test

import (
	"context"
	"fmt"
	"log"
	"math"

	"github.com/durusdb/durus/durus"
)

// deposit puts money on ada's account, and says who did it.
func deposit(ctx context.Context, db *durus.DB, user string, amount int64) (tid durus.TID) {
	err := db.Update(ctx, func(tx *durus.Tx) error {
		tx.Describe(user, "a deposit", nil)
		tx.OnCommit(func(id durus.TID) { tid = id })
		durus.Must(durus.Must(bank.Load(tx)).Accounts["ada"].Edit(tx)).Balance += amount
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	return tid
}

// ViewAt is a View of a state of the past.
func ExampleAt() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()
	before := deposit(ctx, db, "bob", 10)
	deposit(ctx, db, "eve", 1000)

	err := db.ViewAt(ctx, durus.AtTID(before), func(tx *durus.Tx) error {
		fmt.Println(durus.Must(durus.Must(bank.Load(tx)).Accounts["ada"].Load(tx)).Balance)
		return nil
	})
	fmt.Println(err)
	// Output:
	// 110
	// <nil>
}

// What was committed, by whom: the oldest first.
func ExampleTxInfo() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()
	first := deposit(ctx, db, "bob", 10)
	deposit(ctx, db, "eve", 1000)

	for info, err := range db.Transactions(first, math.MaxUint64) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(info.User, info.Description, len(info.OIDs))
	}
	// Output:
	// bob a deposit 1
	// eve a deposit 1
}

// The states that one object has had, the newest first.
func ExampleRevision() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()
	deposit(ctx, db, "bob", 10)

	ada, err := durus.Result(ctx, db.View, func(tx *durus.Tx) (durus.Ref[Account], error) {
		b, err := bank.Load(tx)
		return b.Accounts["ada"], err
	})
	if err != nil {
		log.Fatal(err)
	}
	for revision, err := range db.History(ada.OID()) {
		if err != nil {
			log.Fatal(err)
		}
		err = db.ViewAt(ctx, durus.AtTID(revision.TID), func(tx *durus.Tx) error {
			fmt.Printf("%q: %d\n", revision.User, durus.Must(ada.Load(tx)).Balance)
			return nil
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// "bob": 110
	// "": 100
}

// Watch yields the commits of all processes, in order, each once.
func ExampleChange() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	db := open(ctx)
	defer db.Close()
	seen, err := db.LastTID() // a program keeps this, and goes on there when it starts again
	if err != nil {
		log.Fatal(err)
	}
	last := deposit(ctx, db, "bob", 10)

	for change, err := range db.Watch(ctx, seen) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(change.User, change.Classes)
		err := durus.Diff(ctx, db, change, func(_ durus.Ref[Account], was, is *Account) error {
			fmt.Println(is.Owner, was.Balance, "->", is.Balance)
			return nil
		})
		if err != nil {
			log.Fatal(err)
		}
		if change.TID == last {
			break // it would wait for more
		}
	}
	// Output:
	// bob [example.Account]
	// ada 100 -> 110
}

// Verify reads all of a database and tells what is wrong with it.
func ExampleVerifyReport() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()

	report, err := db.Verify(ctx)
	fmt.Println(report.OK(), err)
	// Output: true <nil>
}
