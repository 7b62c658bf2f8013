package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/durusdb/durus/durus"
)

// The library is a database with all that commands about references meet:
// containers of one node and of many, a table, a cycle, weak references, an
// object that nothing leads to, and names that mean harm to a page or a terminal.

type author struct {
	Name  string
	Books durus.List[durus.Ref[book]]
	Rival durus.Ref[author]
}

type book struct {
	Title  string
	Author durus.Ref[author]
	Sequel durus.WeakRef[book]
	Tags   map[string][]string
	Text   string
}

type library struct {
	Name    string
	Authors durus.BTree[string, durus.Ref[author]]
	Shelf   durus.Set[durus.Ref[book]]
	Loans   durus.Counter
	Readers durus.Table[string, reader]
	Guest   durus.Ref[reader]
}

type reader struct {
	Name string
	Now  durus.Ref[book]
}

var (
	_          = durus.Register[author]("library.Author")
	_          = durus.Register[book]("library.Book")
	_          = durus.Register[library]("library.Library")
	_          = durus.Register[reader]("library.Reader")
	theLibrary = durus.NewRoot[library]("library")
	hostile    = durus.NewRoot[reader](hostileName)
)

const hostileName = "</script><script>alert(1)</script>&\"'\x1b[31m\u202e]]>"

// makeLibrary makes it with so many books.
func makeLibrary(path, arg string) error {
	books, err := strconv.Atoi(arg)
	if err != nil {
		return err
	}
	ctx := context.Background()
	db, err := durus.Open(path, nil)
	if err != nil {
		return err
	}
	err = db.Update(ctx, func(tx *durus.Tx) error {
		lib, err := theLibrary.Edit(tx)
		if err != nil {
			return err
		}
		lib.Name = "City library"
		names := []string{"Ada", "Grace"}
		authors := make([]durus.Ref[author], len(names))
		for i, name := range names {
			if authors[i], err = durus.Add(tx, &author{Name: name}); err != nil {
				return err
			}
			if err := lib.Authors.Put(tx, name, authors[i]); err != nil {
				return err
			}
		}
		var last durus.Ref[book]
		for i := range books {
			by := i % len(names)
			b := &book{Title: fmt.Sprintf("Volume %d", i+1), Author: authors[by], Text: fmt.Sprintf("%0*d", 500, i)}
			if i > 0 {
				b.Sequel = last.Weak()
			} else {
				b.Tags = map[string][]string{"en": {"first", "the best"}}
			}
			if last, err = durus.Add(tx, b); err != nil {
				return err
			}
			a, err := authors[by].Edit(tx)
			if err != nil {
				return err
			}
			a.Rival = authors[(by+1)%len(names)]
			if err := a.Books.Append(tx, last); err != nil {
				return err
			}
			if err := lib.Shelf.Add(tx, last); err != nil {
				return err
			}
		}
		if err := lib.Loans.Add(tx, 42); err != nil {
			return err
		}
		if _, err := lib.Readers.Insert(tx, "bob", &reader{"Bob", last}); err != nil {
			return err
		}
		h, err := hostile.Edit(tx)
		if err != nil {
			return err
		}
		h.Name = hostileName
		lib.Guest, err = durus.Add(tx, &reader{Name: "soon forgotten"})
		return err
	})
	if err == nil {
		err = db.Update(ctx, func(tx *durus.Tx) error {
			lib, err := theLibrary.Edit(tx)
			if err == nil {
				lib.Guest = durus.Ref[reader]{}
			}
			return err
		})
	}
	return errors.Join(err, db.Close())
}
