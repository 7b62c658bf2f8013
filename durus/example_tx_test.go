package durus_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"maps"

	"github.com/durusdb/durus/durus"
)

// What cannot be undone waits for the commit.
func ExampleTx_OnCommit() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()

	pay := func(amount int64) error {
		return db.Update(ctx, func(tx *durus.Tx) error {
			tx.Describe("till 3", "a payment", nil) // kept in the file's history
			tx.OnCommit(func(durus.TID) { fmt.Println("paid", amount) })
			ada := durus.Must(durus.Must(bank.Load(tx)).Accounts["ada"].Edit(tx))
			if ada.Balance -= amount; ada.Balance < 0 {
				return errors.New("not enough")
			}
			return nil
		})
	}
	fmt.Println(pay(70))
	fmt.Println(pay(70))
	// Output:
	// paid 70
	// <nil>
	// not enough
}

// Which errors stick: those of writes and of loops do, and nothing is committed
// then, whoever has looked at them. The answer of a Load, an Edit or a Get does
// not: a program may go on with something else.
func ExampleTx_Err() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()

	nobody := durus.RefTo[Account](12345)
	err := db.Update(ctx, func(tx *durus.Tx) error {
		_, err := nobody.Load(tx)
		fmt.Println("Load:", errors.Is(err, durus.ErrNotFound), "sticks:", tx.Err() != nil)
		return nil
	})
	fmt.Println("committed:", err == nil)

	err = db.Update(ctx, func(tx *durus.Tx) error {
		type stranger struct{ Name string }
		_, err := durus.Add(tx, &stranger{"Eve"}) // nobody registered it
		fmt.Println("Add:", errors.Is(err, durus.ErrType), "sticks:", tx.Err() != nil)
		return nil // as if nothing had happened
	})
	fmt.Println("committed:", err == nil)

	err = db.View(ctx, func(tx *durus.Tx) error {
		refs := map[string]durus.Ref[Account]{"nobody": nobody}
		for name := range durus.Each(tx, maps.All(refs)) {
			fmt.Println(name) // never: the loop ends
		}
		return nil
	})
	fmt.Println("a loop tells at the end:", errors.Is(err, durus.ErrNotFound))
	// Output:
	// Load: true sticks: false
	// committed: true
	// Add: true sticks: true
	// committed: false
	// a loop tells at the end: true
}

// A TID names a commit; later ones are greater.
func ExampleTID() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()

	before, err := db.LastTID()
	if err != nil {
		log.Fatal(err)
	}
	var mine durus.TID
	err = db.Update(ctx, func(tx *durus.Tx) error {
		tx.OnCommit(func(tid durus.TID) { mine = tid })
		durus.Must(durus.Must(bank.Load(tx)).Accounts["ada"].Edit(tx)).Balance++
		return nil
	})
	fmt.Println(err, mine > before)
	committed, err := db.Committed(mine)
	fmt.Println(committed, err)
	again, err := durus.ParseTID(mine.String())
	fmt.Println(again == mine, err)
	// Output:
	// <nil> true
	// true <nil>
	// true <nil>
}

// Two doctors are on call, and each goes home if the other one stays. Under the
// default isolation one of them is told; under snapshot isolation both go.
func ExampleIsolation() {
	ctx := context.Background()
	for _, isolation := range []durus.Isolation{durus.Serializable, durus.SnapshotIsolation} {
		db, err := durus.OpenMemory(&durus.Options{Isolation: isolation})
		if err != nil {
			log.Fatal(err)
		}
		var doctors []durus.Ref[Account]
		err = db.Update(ctx, func(tx *durus.Tx) error {
			doctors = []durus.Ref[Account]{
				durus.Must(durus.Add(tx, &Account{Owner: "Ada", Balance: 1})),
				durus.Must(durus.Add(tx, &Account{Owner: "Bob", Balance: 1})),
			}
			durus.Must(bank.Edit(tx)).Accounts = map[string]durus.Ref[Account]{"ada": doctors[0], "bob": doctors[1]}
			return nil
		})
		if err != nil {
			log.Fatal(err)
		}
		leave := func(tx *durus.Tx, me, other int) {
			if durus.Must(doctors[other].Load(tx)).Balance == 1 {
				durus.Must(doctors[me].Edit(tx)).Balance = 0
			}
		}
		first, second := durus.Must(db.Begin(ctx, true)), durus.Must(db.Begin(ctx, true))
		leave(first, 0, 1)
		leave(second, 1, 0)
		fmt.Println(first.Commit(), errors.Is(second.Commit(), durus.ErrConflict))
		if err := db.Close(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// <nil> true
	// <nil> false
}

// A savepoint is a moment to go back to.
func ExampleSavepoint() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()

	err := db.Update(ctx, func(tx *durus.Tx) error {
		ada := durus.Must(durus.Must(bank.Load(tx)).Accounts["ada"].Edit(tx))
		ada.Balance += 10
		before := durus.Must(tx.Savepoint())
		ada.Balance += 1000
		if err := before.Rollback(); err != nil {
			return err
		}
		fmt.Println(ada.Balance) // in place: the same pointer has its old contents
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: 110
}
