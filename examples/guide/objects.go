package main

import (
	"context"
	"fmt"

	"github.com/durusdb/durus/durus"
)

type Author struct {
	Name string
}

type Book struct {
	Title  string
	Tags   []string                    // part of the book: stored with it
	Size   struct{ Width, Height int } // so is this
	Author durus.Ref[Author]           // another object: only the reference is stored
	Sequel durus.Ref[Book]
	Notes  string   `msgpack:"remarks,omitempty"` // the file calls it "remarks"
	Cover  chan int `msgpack:"-"`                 // not stored
}

type Library struct {
	Books map[string]durus.Ref[Book]
	Mixed []durus.AnyRef // references to objects of several types
}

var (
	_       = durus.Register[Author]("guide.Author")
	_       = durus.Register[Book]("guide.Book")
	_       = durus.Register[Library]("guide.Library")
	library = durus.NewRoot[Library]("library")
)

func objects(ctx context.Context, db *durus.DB) error {
	err := db.Update(ctx, func(tx *durus.Tx) error {
		verne := durus.Must(durus.Add(tx, &Author{Name: "Jules Verne"}))
		island := durus.Must(durus.Add(tx, &Book{Title: "The Mysterious Island", Author: verne}))
		leagues := durus.Must(durus.Add(tx, &Book{Title: "Twenty Thousand Leagues", Author: verne, Sequel: island}))

		l := durus.Must(library.Edit(tx))
		l.Books = map[string]durus.Ref[Book]{"leagues": leagues, "island": island}
		l.Mixed = []durus.AnyRef{verne.Any(), island.Any()}
		return nil
	})
	if err != nil {
		return err
	}

	err = db.View(ctx, func(tx *durus.Tx) error {
		l := durus.Must(library.Load(tx))
		book := durus.Must(l.Books["leagues"].Load(tx))
		author := durus.Must(book.Author.Load(tx))
		sequel := durus.Must(book.Sequel.Load(tx))
		fmt.Printf("%s wrote %q, then %q\n", author.Name, book.Title, sequel.Title)

		for _, ref := range l.Mixed {
			switch v := durus.Must(ref.Load(tx)).(type) {
			case *Author:
				fmt.Println("an author:", v.Name)
			case *Book:
				fmt.Println("a book:", v.Title)
			case *durus.Opaque:
				fmt.Println("a", v.Class(), "- this program does not know the type")
			}
		}
		return nil
	})
	if err != nil {
		return err
	}

	err = db.Update(ctx, func(tx *durus.Tx) error {
		l := durus.Must(library.Load(tx))               // to read
		book := durus.Must(l.Books["leagues"].Edit(tx)) // to write
		book.Tags = append(book.Tags, "sea", "classic")
		return nil
	})
	if err != nil {
		return err
	}

	return db.Update(ctx, func(tx *durus.Tx) error {
		l := durus.Must(library.Edit(tx))
		durus.Must(l.Books["leagues"].Edit(tx)).Sequel = durus.Ref[Book]{}
		delete(l.Books, "island")
		l.Mixed = nil // now nothing leads to the island
		return nil
	})
}
