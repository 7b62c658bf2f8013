package durus_test

import (
	"context"
	"fmt"
	"log"

	"github.com/durusdb/durus/durus"
)

// PlanUndo tells what Undo would bring back, and writes nothing.
func ExampleUndone() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()
	mistake := deposit(ctx, db, "eve", 1000)

	plan, err := db.PlanUndo(ctx, mistake)
	if err != nil {
		log.Fatal(err)
	}
	for _, u := range plan {
		fmt.Println("comes back:", u.Class)
	}
	_, err = db.Undo(ctx, mistake)
	fmt.Println(err)
	err = db.View(ctx, func(tx *durus.Tx) error {
		fmt.Println(durus.Must(durus.Must(bank.Load(tx)).Accounts["ada"].Load(tx)).Balance)
		return nil
	})
	fmt.Println(err)
	// Output:
	// comes back: example.Account
	// <nil>
	// 100
	// <nil>
}
