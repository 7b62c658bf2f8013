package main

import (
	"context"
	"fmt"
	"math"

	"github.com/durusdb/durus/durus"
)

type Recipe struct {
	Name  string
	Sugar int // grams
}

type Kitchen struct {
	Recipes durus.BTree[string, durus.Ref[Recipe]]
}

var (
	_       = durus.Register[Recipe]("guide.Recipe")
	_       = durus.Register[Kitchen]("guide.Kitchen")
	kitchen = durus.NewRoot[Kitchen]("kitchen")
)

func lookingBack(ctx context.Context, db *durus.DB) error {
	var cake durus.Ref[Recipe]
	var first durus.TID
	err := db.Update(ctx, func(tx *durus.Tx) error {
		tx.Describe("ada", "the first cake", nil)
		tx.OnCommit(func(tid durus.TID) { first = tid })
		cake = durus.Must(durus.Add(tx, &Recipe{Name: "cake", Sugar: 200}))
		return durus.Must(kitchen.Load(tx)).Recipes.Put(tx, "cake", cake)
	})
	if err != nil {
		return err
	}
	for _, sugar := range []int{150, 120} {
		err := db.Update(ctx, func(tx *durus.Tx) error {
			tx.Describe("bob", fmt.Sprintf("only %d grams", sugar), map[string]string{"why": "health"})
			durus.Must(cake.Edit(tx)).Sugar = sugar
			return nil
		})
		if err != nil {
			return err
		}
	}

	for info, err := range db.Transactions(first, math.MaxUint64) {
		if err != nil {
			return err
		}
		fmt.Printf("%s: %s, %d objects\n", info.User, info.Description, len(info.OIDs))
	}

	err = db.ViewAt(ctx, durus.AtTID(first), func(tx *durus.Tx) error {
		for name, r := range durus.Each(tx, durus.Must(kitchen.Load(tx)).Recipes.All(tx)) {
			fmt.Printf("%s took %d grams of sugar\n", name, r.Sugar)
		}
		return nil
	})
	if err != nil {
		return err
	}

	for rev, err := range db.History(cake.OID()) {
		if err != nil {
			return err
		}
		err := db.ViewAt(ctx, durus.AtTID(rev.TID), func(tx *durus.Tx) error {
			fmt.Printf("%d grams: %s\n", durus.Must(cake.Load(tx)).Sugar, rev.User)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
