// Command first is the first program of docs/guide.md: a shelf that gets one
// book more each time.
//
//	go run ./examples/guide/first
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/durusdb/durus/durus"
)

type Book struct {
	Title string
}

type Shelf struct {
	Books []durus.Ref[Book]
}

var (
	_     = durus.Register[Book]("shelf.Book")
	_     = durus.Register[Shelf]("shelf.Shelf")
	shelf = durus.NewRoot[Shelf]("shelf")
)

func main() {
	ctx := context.Background()
	db, err := durus.Open("shelf.durus", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	err = db.Update(ctx, func(tx *durus.Tx) error {
		s, err := shelf.Edit(tx)
		if err != nil {
			return err
		}
		book, err := durus.Add(tx, &Book{Title: fmt.Sprintf("volume %d", len(s.Books)+1)})
		if err != nil {
			return err
		}
		s.Books = append(s.Books, book)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}

	err = db.View(ctx, func(tx *durus.Tx) error {
		s, err := shelf.Load(tx)
		if err != nil {
			return err
		}
		for _, ref := range s.Books {
			book, err := ref.Load(tx)
			if err != nil {
				return err
			}
			fmt.Println(book.Title)
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
}
