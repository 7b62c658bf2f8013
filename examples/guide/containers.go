package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/durusdb/durus/durus"
)

type Shop struct {
	Prices durus.BTree[string, int64]   // sorted by key
	Tags   durus.Dict[string, []string] // no order
	Books  durus.BTree[string, durus.Ref[Book]]
}

var (
	_    = durus.Register[Shop]("guide.Shop")
	shop = durus.NewRoot[Shop]("shop")
)

func containers(ctx context.Context, db *durus.DB) error {
	err := db.Update(ctx, func(tx *durus.Tx) error {
		s := durus.Must(shop.Load(tx)) // Load is enough: the trees are not part of s
		for name, cents := range map[string]int64{"atlas": 4000, "comic": 500, "novel": 1200, "poems": 900} {
			if err := s.Prices.Put(tx, name, cents); err != nil {
				return err
			}
		}
		return s.Tags.Put(tx, "atlas", []string{"large"})
	})
	if err != nil {
		return err
	}

	err = db.View(ctx, func(tx *durus.Tx) error {
		s := durus.Must(shop.Load(tx))
		cents, found, err := s.Prices.Get(tx, "novel")
		if err != nil {
			return err
		}
		fmt.Println("novel:", cents, found)
		for name, cents := range s.Prices.Range(tx, "b", "o") { // "b" <= name < "o"
			fmt.Println(name, cents)
		}
		return nil
	})
	if err != nil {
		return err
	}

	err = db.Update(ctx, func(tx *durus.Tx) error {
		s := durus.Must(shop.Load(tx))
		for name, cents := range s.Prices.All(tx) {
			if cents > 1000 {
				durus.Must(s.Prices.Delete(tx, name))
			}
		}
		fmt.Println("left:", durus.Must(s.Prices.Len(tx)))

		tags, _, err := s.Tags.Get(tx, "atlas")
		if err != nil {
			return err
		}
		return s.Tags.Put(tx, "atlas", append(slices.Clone(tags), "heavy")) // never append to what Get gave
	})
	if err != nil {
		return err
	}

	zeroHandles(ctx, db)
	return conflicts(ctx, db)
}

func zeroHandles(ctx context.Context, db *durus.DB) {
	err := db.Update(ctx, func(tx *durus.Tx) error {
		s := &Shop{}                                        // nobody has seen this value yet
		fmt.Println("empty:", durus.Must(s.Prices.Len(tx))) // reading is fine
		durus.Must(durus.Add(tx, s))                        // now its fields have containers
		return s.Prices.Put(tx, "map", 300)
	})
	fmt.Println(err)

	err = db.Update(ctx, func(tx *durus.Tx) error {
		s := &Shop{}
		return s.Prices.Put(tx, "map", 300)
	})
	fmt.Println(err)
}

// race runs two transactions on one state. It returns what the second one to
// commit gets.
func race(ctx context.Context, db *durus.DB, first, second func(*durus.Tx, *Shop) error) error {
	var txs [2]*durus.Tx
	for i, fn := range []func(*durus.Tx, *Shop) error{first, second} {
		tx, err := db.Begin(ctx, true)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		s, err := shop.Load(tx)
		if err != nil {
			return err
		}
		if err := fn(tx, s); err != nil {
			return err
		}
		txs[i] = tx
	}
	if err := txs[0].Commit(); err != nil {
		return err
	}
	return txs[1].Commit()
}

func conflicts(ctx context.Context, db *durus.DB) error {
	put := func(name string, cents int64) func(*durus.Tx, *Shop) error {
		return func(tx *durus.Tx, s *Shop) error { return s.Prices.Put(tx, name, cents) }
	}
	count := func(tx *durus.Tx, s *Shop) error {
		n, err := s.Prices.Len(tx)
		if err != nil {
			return err
		}
		return s.Prices.Put(tx, "total", int64(n))
	}
	cheap := func(tx *durus.Tx, s *Shop) error {
		sum := int64(0)
		for _, cents := range s.Prices.Range(tx, "c", "d") {
			sum += cents
		}
		return s.Prices.Put(tx, "sum", sum)
	}
	for _, c := range []struct {
		what          string
		first, second func(*durus.Tx, *Shop) error
	}{
		{"two keys", put("guide", 100), put("diary", 200)},
		{"one key, two values", put("guide", 300), put("guide", 400)},
		{"one key, one value", put("guide", 500), put("guide", 500)},
		{"a new key and Len", put("notes", 100), count},
		{"a new value and Len", put("notes", 200), count},
		{"a key inside of a range that was read", put("cards", 100), cheap},
		{"a key outside of it", put("tunes", 100), cheap},
	} {
		err := race(ctx, db, c.first, c.second)
		var conflict *durus.ConflictError
		switch {
		case errors.As(err, &conflict):
			fmt.Printf("%s: conflict, %s\n", c.what, conflict.Objects[0].Reason)
		case err == nil:
			fmt.Printf("%s: fine\n", c.what)
		default:
			return err
		}
	}
	return nil
}
