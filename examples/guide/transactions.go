package main

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/durusdb/durus/durus"
)

type Account struct {
	Owner string
	Cents int64
}

type Bank struct {
	Accounts map[string]durus.Ref[Account]
}

// Stranger is a type that nobody registered.
type Stranger struct{ N int }

var (
	_    = durus.Register[Account]("guide.Account")
	_    = durus.Register[Bank]("guide.Bank")
	bank = durus.NewRoot[Bank]("bank")
)

var errBroke = errors.New("not enough money")

func transfer(ctx context.Context, db *durus.DB, from, to string, cents int64) error {
	return db.Update(ctx, func(tx *durus.Tx) error {
		b := durus.Must(bank.Load(tx))
		payer := durus.Must(b.Accounts[from].Edit(tx))
		payee := durus.Must(b.Accounts[to].Edit(tx))
		payer.Cents -= cents
		payee.Cents += cents
		if payer.Cents < 0 {
			return errBroke // forgets both changes
		}
		tx.OnCommit(func(durus.TID) { fmt.Println("a letter to", to) })
		return nil
	})
}

func transactions(ctx context.Context, db *durus.DB) error {
	err := db.Update(ctx, func(tx *durus.Tx) error {
		ada := durus.Must(durus.Add(tx, &Account{Owner: "Ada", Cents: 100}))
		bob := durus.Must(durus.Add(tx, &Account{Owner: "Bob"}))
		durus.Must(bank.Edit(tx)).Accounts = map[string]durus.Ref[Account]{"ada": ada, "bob": bob}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Println(transfer(ctx, db, "ada", "bob", 30))
	fmt.Println(transfer(ctx, db, "bob", "ada", 500))

	total, err := durus.Result(ctx, db.View, func(tx *durus.Tx) (sum int64, err error) {
		b := durus.Must(bank.Load(tx))
		for _, a := range durus.Each(tx, maps.All(b.Accounts)) {
			sum += a.Cents
		}
		return sum, nil
	})
	if err != nil {
		return err
	}
	fmt.Println("all money:", total)

	if err := conflict(ctx, db); err != nil {
		return err
	}
	sticky(ctx, db)
	nested(ctx, db)
	return nil
}

// conflict is what Update does, by hand and without running anything again.
func conflict(ctx context.Context, db *durus.DB) error {
	spend := func(tx *durus.Tx) error {
		b, err := bank.Load(tx)
		if err != nil {
			return err
		}
		ada, err := b.Accounts["ada"].Edit(tx)
		if err != nil {
			return err
		}
		ada.Cents -= 60
		return nil
	}
	first, err := db.Begin(ctx, true)
	if err != nil {
		return err
	}
	defer first.Rollback() // does nothing after Commit
	second, err := db.Begin(ctx, true)
	if err != nil {
		return err
	}
	defer second.Rollback()
	if err := errors.Join(spend(first), spend(second)); err != nil {
		return err
	}
	fmt.Println("first:", first.Commit())

	var conflict *durus.ConflictError
	if errors.As(second.Commit(), &conflict) {
		fmt.Println("second: somebody changed a", conflict.Objects[0].Class)
	}
	return nil
}

func sticky(ctx context.Context, db *durus.DB) {
	err := db.Update(ctx, func(tx *durus.Tx) error {
		b := durus.Must(bank.Load(tx))
		durus.Must(b.Accounts["ada"].Edit(tx)).Cents = 1_000_000
		_, _ = durus.Add(tx, &Stranger{}) // fails, and nobody looks
		return nil
	})
	fmt.Println(err)
}

func nested(ctx context.Context, db *durus.DB) {
	err := db.Update(ctx, func(tx *durus.Tx) error {
		return transfer(tx.Context(), db, "ada", "bob", 1)
	})
	fmt.Println(errors.Is(err, durus.ErrNestedUpdate))
}
