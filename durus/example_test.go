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

// A part of a transaction that may fail goes back to where it began, and the
// rest is committed.
func ExampleTx_Savepoint() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()

	err := db.Update(ctx, func(tx *durus.Tx) error {
		b := durus.Must(bank.Load(tx))
		for _, name := range []string{"ada", "bob"} {
			sp := durus.Must(tx.Savepoint())
			a := durus.Must(b.Accounts[name].Edit(tx))
			a.Balance -= 50
			if a.Balance < 0 {
				if err := sp.Rollback(); err != nil {
					return err
				}
				a := durus.Must(b.Accounts[name].Load(tx)) // as if it had not been edited
				fmt.Println(name, "cannot pay and still has", a.Balance)
			}
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	err = db.View(ctx, func(tx *durus.Tx) error {
		fmt.Println("ada has", durus.Must(durus.Must(bank.Load(tx)).Accounts["ada"].Load(tx)).Balance)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// bob cannot pay and still has 0
	// ada has 50
}

// Article leads back to what it answers without keeping it alive.
type Article struct {
	Title   string
	Answers durus.WeakRef[Article]
}

type Forum struct{ Articles []durus.Ref[Article] }

var (
	_     = durus.Register[Article]("example.Article")
	_     = durus.Register[Forum]("example.Forum")
	forum = durus.NewRoot[Forum]("forum")
)

// A weak reference leads to its object as long as something else keeps it.
func ExampleWeakRef() {
	ctx := context.Background()
	db, err := durus.OpenMemory(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	err = db.Update(ctx, func(tx *durus.Tx) error {
		f := durus.Must(forum.Edit(tx))
		question := durus.Must(durus.Add(tx, &Article{Title: "question"}))
		draft := durus.Must(durus.Add(tx, &Article{Title: "draft"}))
		f.Articles = []durus.Ref[Article]{
			question,
			durus.Must(durus.Add(tx, &Article{Title: "answer", Answers: question.Weak()})),
			durus.Must(durus.Add(tx, &Article{Title: "other", Answers: draft.Weak()})),
		}
		return nil // nothing keeps the draft: it is not stored
	})
	if err != nil {
		log.Fatal(err)
	}
	err = db.View(ctx, func(tx *durus.Tx) error {
		for _, r := range durus.Must(forum.Load(tx)).Articles[1:] {
			a := durus.Must(r.Load(tx))
			to, ok, err := a.Answers.Load(tx)
			switch {
			case err != nil:
				return err
			case ok:
				fmt.Println(a.Title, "answers", to.Title)
			default:
				fmt.Println(a.Title, "answers something that is gone")
			}
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// answer answers question
	// other answers something that is gone
}

// Instances finds all objects of a type, whatever leads to them.
func ExampleInstances() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()

	err := db.View(ctx, func(tx *durus.Tx) error {
		total := int64(0)
		for ref, a := range durus.Instances[Account](tx) {
			fmt.Println(a.Owner, !ref.IsNil())
			total += a.Balance
		}
		fmt.Println("total", total)
		return nil // an error of the loop would be the one of View
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// ada true
	// bob true
	// total 100
}
