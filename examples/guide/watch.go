package main

import (
	"context"
	"fmt"

	"github.com/durusdb/durus/durus"
)

// bake commits two changes, as another process would.
func bake(ctx context.Context, db *durus.DB) error {
	err := db.Update(ctx, func(tx *durus.Tx) error {
		tx.Describe("eve", "sweeter again", nil)
		recipes := durus.Must(kitchen.Load(tx)).Recipes
		cake, _, err := recipes.Get(tx, "cake")
		if err != nil {
			return err
		}
		durus.Must(cake.Edit(tx)).Sugar = 180
		return nil
	})
	if err != nil {
		return err
	}
	return db.Update(ctx, func(tx *durus.Tx) error {
		tx.Describe("eve", "and a pie", nil)
		pie := durus.Must(durus.Add(tx, &Recipe{Name: "pie", Sugar: 90}))
		return durus.Must(kitchen.Load(tx)).Recipes.Put(tx, "pie", pie)
	})
}

func watching(ctx context.Context, db *durus.DB) error {
	after, err := db.LastTID()
	if err != nil {
		return err
	}
	go func() { _ = bake(ctx, db) }()
	for c, err := range db.Watch(ctx, after) {
		if err != nil {
			return err // why it ended
		}
		fmt.Printf("%s: %s %v\n", c.User, c.Description, c.Classes)
		if err := sugar(ctx, db, c); err != nil {
			return err
		}
		after = c.TID // keep it, and go on from there after a restart
		if c.Description == "and a pie" {
			break // seen enough
		}
	}
	return nil
}

func sugar(ctx context.Context, db *durus.DB, c durus.Change) error {
	return durus.Diff(ctx, db, c, func(ref durus.Ref[Recipe], was, is *Recipe) error {
		if was == nil {
			fmt.Printf("%s is new, with %d grams\n", is.Name, is.Sugar)
			return nil
		}
		fmt.Printf("%s had %d grams and has %d\n", is.Name, was.Sugar, is.Sugar)
		return nil
	})
}
