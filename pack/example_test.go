package pack_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/pack"
)

type counter struct{ Times int }

var (
	_      = durus.Register[counter]("pack.Counter")
	visits = durus.NewRoot[counter]("visits")
)

// A week of history is kept. What would go is told before.
func ExampleOptions() {
	ctx := context.Background()
	db, err := durus.OpenMemory(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	for range 100 {
		err := db.Update(ctx, func(tx *durus.Tx) error {
			v, err := visits.Edit(tx)
			if err == nil {
				v.Times++
			}
			return err
		})
		if err != nil {
			log.Fatal(err)
		}
	}

	report, err := db.Pack(ctx, pack.Options{DryRun: true})
	fmt.Println("everything:", report.After < report.Before, err)
	report, err = db.Pack(ctx, pack.Options{Keep: 7 * 24 * time.Hour})
	fmt.Println("what is older than a week:", report.Transactions, "transactions stay,", err)
	report, err = db.Pack(ctx, pack.Options{})
	fmt.Println("everything:", report.After < report.Before, err)
	// Output:
	// everything: true <nil>
	// what is older than a week: 100 transactions stay, <nil>
	// everything: true <nil>
}
