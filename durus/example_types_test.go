package durus_test

import (
	"context"
	"fmt"
	"log"

	"github.com/durusdb/durus/durus"
)

// A Type is what Register returns; programs seldom need it.
func ExampleType() {
	type song struct{ Title string }
	t := durus.RegisterIn[song](durus.NewTypes(), "music.Song")
	fmt.Println(t.Name(), t.Version(), t.GoType().Name())
	// Output: music.Song 0 song
}

// A program may have several sets of types, each for databases of one family.
func ExampleTypes() {
	type song struct{ Title string }
	type album struct{ First durus.Ref[song] }
	music := durus.NewTypes()
	durus.RegisterIn[song](music, "music.Song")
	durus.RegisterIn[album](music, "music.Album")

	ctx := context.Background()
	db, err := durus.OpenMemory(&durus.Options{Types: music})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	newest := durus.NewRoot[album]("newest")
	title, err := durus.Result(ctx, db.Update, func(tx *durus.Tx) (string, error) {
		a := durus.Must(newest.Edit(tx))
		a.First = durus.Must(durus.Add(tx, &song{"So What"}))
		return durus.Must(a.First.Load(tx)).Title, nil
	})
	fmt.Println(title, err)
	// Output: So What <nil>
}

// Options of Register say how a class has changed. Here it has got another name.
func ExampleTypeOption() {
	type human struct{ Name string }
	t := durus.RegisterIn[human](durus.NewTypes(), "crm.Human", durus.Alias("crm.Person"))
	fmt.Println(t.Name())
	// Output: crm.Human
}

// A function that finds one state for two changes of an object makes conflicts
// of its class go away, and gives up serializability for it.
func ExampleMerge() {
	type score struct{ Played int }
	types := durus.NewTypes()
	durus.RegisterIn[score](types, "game.Score", durus.Merge(func(base, theirs, mine *score) (*score, error) {
		mine.Played += theirs.Played - base.Played
		return mine, nil
	}))
	ctx := context.Background()
	db, err := durus.OpenMemory(&durus.Options{Types: types})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	board := durus.NewRoot[score]("score")
	play := func(tx *durus.Tx) error {
		s, err := board.Edit(tx)
		if err == nil {
			s.Played++
		}
		return err
	}
	if err := db.Update(ctx, play); err != nil {
		log.Fatal(err)
	}
	first, second := durus.Must(db.Begin(ctx, true)), durus.Must(db.Begin(ctx, true))
	fmt.Println(play(first), play(second), first.Commit(), second.Commit())
	played, err := durus.Result(ctx, db.View, func(tx *durus.Tx) (int, error) {
		s, err := board.Load(tx)
		return s.Played, err
	})
	fmt.Println(played, err)
	// Output:
	// <nil> <nil> <nil> <nil>
	// 3 <nil>
}
