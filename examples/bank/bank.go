package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/durusdb/durus/durus"
)

// Account is an object of its own: two transfers conflict only when they touch
// the same one.
type Account struct{ Balance int64 }

// Teller belongs to one worker. Every transfer leaves its number here, so the
// file can be asked afterwards whether it still has what was acknowledged.
type Teller struct{ Transfers uint64 }

// Bank leads to everything.
type Bank struct {
	Accounts []durus.Ref[Account]
	Tellers  []durus.Ref[Teller] // of this run and earlier ones
	Total    int64               // what all accounts hold together, for ever
}

var (
	_    = durus.Register[Account]("bank.Account")
	_    = durus.Register[Teller]("bank.Teller")
	_    = durus.Register[Bank]("bank.Bank")
	bank = durus.NewRoot[Bank]("bank")
)

const openingBalance = 1000

// found opens the accounts, unless the file has some, and hires new tellers.
// Several programs may do so on one file at the same time.
func found(ctx context.Context, db *durus.DB, accounts, tellers int) ([]durus.Ref[Teller], error) {
	return durus.Result(ctx, db.Update, func(tx *durus.Tx) ([]durus.Ref[Teller], error) {
		b := durus.Must(bank.Edit(tx))
		if len(b.Accounts) == 0 {
			for range accounts {
				b.Accounts = append(b.Accounts, durus.Must(durus.Add(tx, &Account{openingBalance})))
			}
			b.Total = int64(accounts) * openingBalance
		}
		hired := make([]durus.Ref[Teller], tellers)
		for i := range hired {
			hired[i] = durus.Must(durus.Add(tx, &Teller{}))
		}
		b.Tellers = append(b.Tellers, hired...)
		return hired, nil
	})
}

// transfer moves money between two random accounts and returns its number
// among the teller's transfers. Update runs it again when somebody else changed
// one of the accounts in the meantime.
func transfer(ctx context.Context, db *durus.DB, teller durus.Ref[Teller]) (uint64, error) {
	return durus.Result(ctx, db.Update, func(tx *durus.Tx) (uint64, error) {
		accounts := durus.Must(bank.Load(tx)).Accounts
		i := rand.IntN(len(accounts))
		j := (i + 1 + rand.IntN(len(accounts)-1)) % len(accounts)
		payer := durus.Must(accounts[i].Edit(tx))
		payee := durus.Must(accounts[j].Edit(tx))
		amount := rand.Int64N(payer.Balance + 1)
		payer.Balance -= amount
		payee.Balance += amount

		t := durus.Must(teller.Edit(tx))
		t.Transfers++
		return t.Transfers, nil
	})
}

// audit adds up all accounts of one state.
func audit(s durus.Session) error {
	b, err := bank.Load(s)
	if err != nil {
		return err
	}
	var total int64
	for i, a := range durus.Each(s, slices.All(b.Accounts)) {
		if a.Balance < 0 {
			return fmt.Errorf("account %d holds %d at transaction %s", i, a.Balance, s.Snapshot())
		}
		total += a.Balance
	}
	if s.Err() == nil && total != b.Total {
		return fmt.Errorf("the accounts hold %d at transaction %s, not %d", total, s.Snapshot(), b.Total)
	}
	return s.Err()
}
