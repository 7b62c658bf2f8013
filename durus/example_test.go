package durus_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"slices"

	"github.com/durusdb/durus/durus"
)

type Account struct {
	Owner   string
	Balance int64
	Parent  durus.Ref[Account]
}

type Bank struct {
	Accounts map[string]durus.Ref[Account]
}

var (
	_    = durus.Register[Account]("example.Account")
	_    = durus.Register[Bank]("example.Bank")
	bank = durus.NewRoot[Bank]("bank")
)

// open returns a new database with two accounts.
func open(ctx context.Context) *durus.DB {
	db, err := durus.OpenMemory(nil)
	if err != nil {
		log.Fatal(err)
	}
	err = db.Update(ctx, func(tx *durus.Tx) error {
		b := durus.Must(bank.Edit(tx))
		ada := durus.Must(durus.Add(tx, &Account{Owner: "ada", Balance: 100}))
		bob := durus.Must(durus.Add(tx, &Account{Owner: "bob", Parent: ada}))
		b.Accounts = map[string]durus.Ref[Account]{"ada": ada, "bob": bob}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	return db
}

// A transfer between two accounts: all of it happens, or nothing.
func Example() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()

	transfer := func(from, to string, amount int64) error {
		return db.Update(ctx, func(tx *durus.Tx) error {
			b := durus.Must(bank.Load(tx))
			payer := durus.Must(b.Accounts[from].Edit(tx))
			payee := durus.Must(b.Accounts[to].Edit(tx))
			payer.Balance -= amount
			payee.Balance += amount
			if payer.Balance < 0 {
				return fmt.Errorf("%s has not enough", from)
			}
			return nil
		})
	}
	fmt.Println(transfer("ada", "bob", 30))
	fmt.Println(transfer("bob", "ada", 500))

	err := db.View(ctx, func(tx *durus.Tx) error {
		b := durus.Must(bank.Load(tx))
		for _, name := range slices.Sorted(maps.Keys(b.Accounts)) {
			fmt.Println(name, durus.Must(b.Accounts[name].Load(tx)).Balance)
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// <nil>
	// bob has not enough
	// ada 70
	// bob 30
}

// Result returns a value of the run that counts.
func ExampleResult() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()

	sum, err := durus.Result(ctx, db.View, func(tx *durus.Tx) (sum int64, err error) {
		b, err := bank.Load(tx)
		if err != nil {
			return 0, err
		}
		for _, a := range durus.Each(tx, maps.All(b.Accounts)) {
			sum += a.Balance
		}
		return sum, nil
	})
	fmt.Println(sum, err)
	// Output: 100 <nil>
}

// Two transactions that use one object: the second one to commit is refused.
// Update would run it again.
func ExampleDB_Begin() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()

	spend := func(tx *durus.Tx, amount int64) {
		b := durus.Must(bank.Load(tx))
		durus.Must(b.Accounts["ada"].Edit(tx)).Balance -= amount
	}
	first := durus.Must(db.Begin(ctx, true))
	defer first.Rollback()
	second := durus.Must(db.Begin(ctx, true))
	defer second.Rollback()
	spend(first, 80)
	spend(second, 80)
	fmt.Println(first.Commit())

	err := second.Commit()
	var conflict *durus.ConflictError
	if errors.As(err, &conflict) {
		fmt.Println("conflict:", conflict.Objects[0].Class)
	}
	// Output:
	// <nil>
	// conflict: example.Account
}

// A live connection sees what others commit, at once, unless it is paused.
func ExampleDB_Connect() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()

	live := durus.Must(db.Connect(ctx))
	defer live.Close()
	balance := func() int64 {
		b := durus.Must(bank.Load(live))
		return durus.Must(b.Accounts["ada"].Load(live)).Balance
	}
	earn := func() {
		if err := db.Update(ctx, func(tx *durus.Tx) error {
			b := durus.Must(bank.Load(tx))
			durus.Must(b.Accounts["ada"].Edit(tx)).Balance++
			return nil
		}); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(balance())
	earn()
	fmt.Println(balance())

	if err := live.Pause(); err != nil {
		log.Fatal(err)
	}
	earn()
	fmt.Println(balance())
	if err := live.Continue(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(balance())
	// Output:
	// 100
	// 101
	// 101
	// 102
}

// An object of a type that a program does not know can still be looked at.
func ExampleOpaque() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()

	err := db.View(ctx, func(tx *durus.Tx) error {
		b := durus.Must(bank.Load(tx))
		switch v := durus.Must(b.Accounts["ada"].Any().Load(tx)).(type) {
		case *Account:
			fmt.Println("an account of", v.Owner)
		case *durus.Opaque:
			fmt.Println("something of class", v.Class())
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: an account of ada
}
