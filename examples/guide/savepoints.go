package main

import (
	"context"
	"fmt"

	"github.com/durusdb/durus/durus"
)

type Line struct {
	Number int
	Text   string
}

type Ledger struct {
	Sum   int
	Lines durus.BTree[int, durus.Ref[Line]]
}

var (
	_      = durus.Register[Line]("guide.Line")
	_      = durus.Register[Ledger]("guide.Ledger")
	ledger = durus.NewRoot[Ledger]("ledger")
)

func savepoints(ctx context.Context, db *durus.DB) error {
	err := db.Update(ctx, func(tx *durus.Tx) error {
		l := durus.Must(ledger.Edit(tx))
		for _, amount := range []int{10, -50, 5} {
			before := durus.Must(tx.Savepoint())
			l.Sum += amount
			if l.Sum < 0 {
				if err := before.Rollback(); err != nil {
					return err
				}
				fmt.Println("without", amount)
			}
		}
		fmt.Println("sum:", l.Sum)
		return nil
	})
	if err != nil {
		return err
	}
	return large(ctx)
}

// large adds more in one transaction than it keeps in memory.
func large(ctx context.Context) error {
	db, err := durus.OpenMemory(&durus.Options{CacheBytes: 1 << 20})
	if err != nil {
		return err
	}
	defer db.Close()

	err = db.Update(ctx, func(tx *durus.Tx) error {
		l := durus.Must(ledger.Load(tx))
		for i := range 20_000 {
			line := durus.Must(durus.Add(tx, &Line{Number: i, Text: fmt.Sprintf("line %d", i)}))
			if err := l.Lines.Put(tx, i, line); err != nil {
				return err
			}
		} // nothing here keeps a line longer than needed
		return nil
	})
	if err != nil {
		return err
	}
	return db.View(ctx, func(tx *durus.Tx) error {
		l := durus.Must(ledger.Load(tx))
		for _, line := range durus.Each(tx, l.Lines.Backward(tx)) {
			fmt.Println("last:", line.Text)
			break
		}
		return nil
	})
}
