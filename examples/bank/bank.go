package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/durusdb/durus/durus"
)

// Account is an object of its own: transfers conflict only over the same one.
type Account struct{ Balance int64 }

// Bank leads to all accounts.
type Bank struct{ Accounts []durus.Ref[Account] }

// Teller belongs to one worker. Every transfer leaves its number here, so the
// file can be asked whether it still has what was acknowledged.
type Teller struct{ Transfers int }

var (
	_    = durus.Register[Account]("bank.Account")
	_    = durus.Register[Teller]("bank.Teller")
	_    = durus.Register[Bank]("bank.Bank")
	bank = durus.NewRoot[Bank]("bank")
)

// found opens accounts, unless the file has as many.
func found(tx *durus.Tx) error {
	b := durus.Must(bank.Edit(tx))
	for len(b.Accounts) < max(*accounts, 2) {
		b.Accounts = append(b.Accounts, durus.Must(durus.Add(tx, &Account{1000})))
	}
	return nil
}

// transfer moves money between two random accounts and returns its number among
// the teller's transfers. Update runs the function again if somebody else has
// changed one of the accounts in the meantime.
func transfer(ctx context.Context, db *durus.DB, teller durus.Root[Teller]) (int, error) {
	return durus.Result(ctx, db.Update, func(tx *durus.Tx) (int, error) {
		all := durus.Must(bank.Load(tx)).Accounts
		i := rand.IntN(len(all))
		j := (i + 1 + rand.IntN(len(all)-1)) % len(all)
		payer, payee := durus.Must(all[i].Edit(tx)), durus.Must(all[j].Edit(tx))
		amount := rand.Int64N(payer.Balance + 1)
		payer.Balance -= amount
		payee.Balance += amount
		t := durus.Must(teller.Edit(tx))
		t.Transfers++
		return t.Transfers, nil
	})
}

// audit adds up all accounts of one state.
func audit(tx *durus.Tx) error {
	b := durus.Must(bank.Load(tx))
	surplus := -1000 * int64(len(b.Accounts))
	for _, a := range durus.Each(tx, slices.All(b.Accounts)) {
		surplus += a.Balance
	}
	if tx.Err() == nil && surplus != 0 {
		return fmt.Errorf("at transaction %s the accounts hold %d too much", tx.Snapshot(), surplus)
	}
	return tx.Err()
}
