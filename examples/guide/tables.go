package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/durusdb/durus/durus"
)

type Reader struct {
	Name  string
	Email string
	City  string
	Likes []string
}

type Club struct {
	Readers durus.Table[int, Reader] // by the number of the reader
}

var (
	byEmail = durus.NewIndex("email", func(r *Reader) string { return r.Email }).Unique()
	byCity  = durus.NewIndex("city", func(r *Reader) string { return r.City })
	byLike  = durus.NewMultiIndex("like", func(r *Reader) []string { return r.Likes })

	_    = durus.Register[Reader]("guide.Reader", durus.Indexes(byEmail, byCity, byLike))
	_    = durus.Register[Club]("guide.Club")
	club = durus.NewRoot[Club]("club")
)

func tables(ctx context.Context, db *durus.DB) error {
	err := db.Update(ctx, func(tx *durus.Tx) error {
		readers := durus.Must(club.Load(tx)).Readers
		for number, r := range []*Reader{
			{Name: "Ada", Email: "ada@example.org", City: "London", Likes: []string{"math", "poems"}},
			{Name: "Bob", Email: "bob@example.org", City: "Paris", Likes: []string{"poems"}},
			{Name: "Eve", Email: "eve@example.org", City: "London"},
		} {
			if _, err := readers.Insert(tx, number, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}

	err = db.Update(ctx, func(tx *durus.Tx) error {
		readers := durus.Must(club.Load(tx)).Readers
		ref, found, err := byEmail.Lookup(tx, readers, "ada@example.org")
		if err != nil || !found {
			return err
		}
		durus.Must(ref.Edit(tx)).City = "Paris" // the index follows
		return nil
	})
	if err != nil {
		return err
	}

	err = db.View(ctx, func(tx *durus.Tx) error {
		readers := durus.Must(club.Load(tx)).Readers
		for city, r := range durus.Each(tx, byCity.All(tx, readers)) {
			fmt.Println(city, r.Name)
		}
		for _, r := range durus.Each(tx, byLike.Equal(tx, readers, "poems")) {
			fmt.Println("poems:", r.Name)
		}
		return nil
	})
	if err != nil {
		return err
	}

	err = db.Update(ctx, func(tx *durus.Tx) error {
		readers := durus.Must(club.Load(tx)).Readers
		bob, found, err := readers.Edit(tx, 1)
		if err != nil || !found {
			return err
		}
		bob.Email = "eve@example.org"
		return nil
	})
	var taken *durus.UniqueError
	if !errors.As(err, &taken) {
		return fmt.Errorf("two readers with one address: %v", err)
	}
	fmt.Println("index", taken.Index, "has", taken.Key, "already")
	return reindex(ctx, db)
}

func reindex(ctx context.Context, db *durus.DB) error {
	readers, err := durus.Result(ctx, db.View, func(tx *durus.Tx) (durus.Table[int, Reader], error) {
		c, err := club.Load(tx)
		return c.Readers, err
	})
	if err != nil {
		return err
	}
	return durus.Reindex(ctx, db, readers, nil) // does nothing when all indexes are built
}
