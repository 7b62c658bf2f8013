package main

import (
	"context"
	"fmt"

	"github.com/durusdb/durus/durus"
)

type Festival struct {
	Booked  durus.Set[string]
	Present durus.Set[string]
	Program durus.List[string]
	Visits  durus.Counter
}

var (
	_        = durus.Register[Festival]("guide.Festival")
	festival = durus.NewRoot[Festival]("festival")
)

func smallContainers(ctx context.Context, db *durus.DB) error {
	err := db.Update(ctx, func(tx *durus.Tx) error {
		f := durus.Must(festival.Load(tx))
		for _, name := range []string{"ada", "bob", "eve"} {
			if err := f.Booked.Add(tx, name); err != nil {
				return err
			}
		}
		for _, name := range []string{"bob", "tim"} {
			if err := f.Present.Add(tx, name); err != nil {
				return err
			}
			if err := f.Visits.Add(tx, 1); err != nil {
				return err
			}
		}
		for _, act := range []string{"music", "dance", "speech"} {
			if err := f.Program.Append(tx, act); err != nil {
				return err
			}
		}
		return f.Program.Delete(tx, 2) // nobody likes speeches
	})
	if err != nil {
		return err
	}
	return db.View(ctx, func(tx *durus.Tx) error {
		f := durus.Must(festival.Load(tx))
		for name := range durus.Difference(tx, f.Booked, f.Present) {
			fmt.Println(name, "has not come yet")
		}
		for name := range durus.Intersection(tx, f.Booked, f.Present) {
			fmt.Println(name, "is here")
		}
		for i, act := range f.Program.All(tx) {
			fmt.Println(i, act)
		}
		fmt.Println(durus.Must(f.Visits.Value(tx)), "visits")
		return nil
	})
}
