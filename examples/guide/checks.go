package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/durusdb/durus/durus"
)

func checks(ctx context.Context, _ *durus.DB) error {
	db, err := durus.OpenMemory(&durus.Options{Check: durus.CheckRerun})
	if err != nil {
		return err
	}
	defer db.Close()
	err = db.Update(ctx, func(tx *durus.Tx) error {
		ada := durus.Must(durus.Add(tx, &Account{Owner: "Ada"}))
		durus.Must(bank.Edit(tx)).Accounts = map[string]durus.Ref[Account]{"ada": ada}
		return nil
	})
	if err != nil {
		return err
	}

	var names []string
	err = db.View(ctx, func(tx *durus.Tx) error {
		for name := range durus.Must(bank.Load(tx)).Accounts {
			names = append(names, name) // outlives the run
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Println(names)

	names, err = durus.Result(ctx, db.View, func(tx *durus.Tx) (names []string, err error) {
		for name := range durus.Must(bank.Load(tx)).Accounts {
			names = append(names, name)
		}
		slices.Sort(names)
		return names, nil
	})
	if err != nil {
		return err
	}
	fmt.Println(names)

	bonus := map[string]func(*Account){"ada": func(a *Account) { a.Cents += 5 }}
	err = db.View(ctx, func(tx *durus.Tx) error {
		b := durus.Must(bank.Load(tx))
		for name, ref := range b.Accounts {
			bonus[name](durus.Must(ref.Load(tx))) // writes to what belongs to everybody
		}
		return nil
	})
	fmt.Println(errors.Is(err, durus.ErrSharedWrite))
	return nil
}
