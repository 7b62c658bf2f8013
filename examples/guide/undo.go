package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/durusdb/durus/durus"
)

type Larder struct {
	Grams durus.BTree[string, int]
	Trips durus.Counter
}

var (
	_      = durus.Register[Larder]("guide.Larder")
	larder = durus.NewRoot[Larder]("larder")
)

// stock sets what the larder has, and returns the transaction.
func stock(ctx context.Context, db *durus.DB, name string, grams int) (tid durus.TID, err error) {
	err = db.Update(ctx, func(tx *durus.Tx) error {
		tx.OnCommit(func(t durus.TID) { tid = t })
		l := durus.Must(larder.Load(tx))
		return errors.Join(l.Grams.Put(tx, name, grams), l.Trips.Add(tx, 1))
	})
	return tid, err
}

func undoing(ctx context.Context, db *durus.DB) error {
	show := func(what string) error {
		return db.View(ctx, func(tx *durus.Tx) error {
			l := durus.Must(larder.Load(tx))
			fmt.Printf("%s:", what)
			for name, grams := range l.Grams.All(tx) {
				fmt.Printf(" %d of %s,", grams, name)
			}
			fmt.Printf(" %d trips\n", durus.Must(l.Trips.Value(tx)))
			return nil
		})
	}
	if _, err := stock(ctx, db, "flour", 500); err != nil {
		return err
	}

	mistake, err := stock(ctx, db, "flour", 9000)
	if err != nil {
		return err
	}
	if _, err := stock(ctx, db, "sugar", 250); err != nil { // in the same node of the tree
		return err
	}
	undone, err := db.Undo(ctx, mistake)
	if err != nil {
		return err
	}
	if err := show("undone"); err != nil {
		return err
	}
	if _, err := db.Undo(ctx, undone); err != nil { // redo
		return err
	}
	if err := show("redone"); err != nil {
		return err
	}

	if _, err := stock(ctx, db, "flour", 400); err != nil {
		return err
	}
	_, err = db.Undo(ctx, mistake)
	var conflict *durus.ConflictError
	if errors.As(err, &conflict) {
		fmt.Println(conflict.Objects[0].Reason)
	}
	return nil
}
