package durus_test

import (
	"context"
	"fmt"
	"log"
	"slices"

	"github.com/durusdb/durus/durus"
)

// Fair has one container of each kind.
type Fair struct {
	Prices  durus.BTree[string, int64]
	Stands  durus.Dict[int, string]
	Guests  durus.Set[string]
	Program durus.List[string]
	Visits  durus.Counter
}

var (
	_    = durus.Register[Fair]("example.Fair")
	fair = durus.NewRoot[Fair]("fair")
)

// atFair runs a function on an empty fair, and commits.
func atFair(fn func(tx *durus.Tx, f *Fair) error) {
	ctx := context.Background()
	db, err := durus.OpenMemory(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	err = db.Update(ctx, func(tx *durus.Tx) error { return fn(tx, durus.Must(fair.Load(tx))) })
	if err != nil {
		log.Fatal(err)
	}
}

// A BTree is a sorted map. Loading its owner is enough to change it.
func ExampleBTree() {
	atFair(func(tx *durus.Tx, f *Fair) error {
		for name, cents := range map[string]int64{"atlas": 4000, "novel": 1200, "poems": 900} {
			if err := f.Prices.Put(tx, name, cents); err != nil {
				return err
			}
		}
		cents, found, err := f.Prices.Get(tx, "novel")
		fmt.Println(cents, found, err)
		for name, cents := range f.Prices.From(tx, "b") {
			fmt.Println(name, cents)
		}
		had, err := f.Prices.Delete(tx, "comic")
		fmt.Println(had, err)
		return nil
	})
	// Output:
	// 1200 true <nil>
	// novel 1200
	// poems 900
	// false <nil>
}

// A Dict is a map without order: good for keys that many processes count up.
func ExampleDict() {
	atFair(func(tx *durus.Tx, f *Fair) error {
		if err := f.Stands.Put(tx, 17, "books"); err != nil {
			return err
		}
		fresh, err := f.Stands.Insert(tx, 17, "maps") // only if the key is free
		fmt.Println(fresh, err)
		name, found, err := f.Stands.Get(tx, 17)
		fmt.Println(name, found, err)
		return nil
	})
	// Output:
	// false <nil>
	// books true <nil>
}

// A Set is sorted, like a BTree without values.
func ExampleSet() {
	atFair(func(tx *durus.Tx, f *Fair) error {
		for _, name := range []string{"cyd", "ada", "bob", "ada"} {
			if err := f.Guests.Add(tx, name); err != nil {
				return err
			}
		}
		fmt.Println(slices.Collect(f.Guests.All(tx)))
		fmt.Println(slices.Collect(f.Guests.Before(tx, "cyd"))) // down
		return nil
	})
	// Output:
	// [ada bob cyd]
	// [bob ada]
}

// A List is a sequence. Appends of different transactions do not conflict.
func ExampleList() {
	atFair(func(tx *durus.Tx, f *Fair) error {
		for _, act := range []string{"opening", "reading", "music"} {
			if err := f.Program.Append(tx, act); err != nil {
				return err
			}
		}
		if err := f.Program.Insert(tx, 1, "speech"); err != nil {
			return err
		}
		for i, act := range f.Program.All(tx) {
			fmt.Println(i, act)
		}
		return nil
	})
	// Output:
	// 0 opening
	// 1 speech
	// 2 reading
	// 3 music
}

// Adds to a Counter never conflict with each other.
func ExampleCounter() {
	atFair(func(tx *durus.Tx, f *Fair) error {
		if err := f.Visits.Add(tx, 2); err != nil {
			return err
		}
		if err := f.Visits.Add(tx, -1); err != nil {
			return err
		}
		n, err := f.Visits.Value(tx)
		fmt.Println(n, err)
		return nil
	})
	// Output: 1 <nil>
}
