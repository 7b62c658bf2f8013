// Command bookmarks keeps bookmarks with tags.
//
//	go run ./examples/bookmarks add https://go.dev go language
//	go run ./examples/bookmarks list
//	go run ./examples/bookmarks list go language
//	go run ./examples/bookmarks remove https://go.dev
//
// What to look at: shelf.go has a Table, whose objects are found by their URL
// and by each of their tags. The index of the tags follows what is done to the
// objects, and no code here keeps it in step.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/durusdb/durus/durus"
)

func main() {
	file := flag.String("file", "bookmarks.durus", "the database")
	flag.Parse()
	log.SetFlags(0)
	verb, words := flag.Arg(0), flag.NArg()-1
	if known := verb == "add" && words > 0 || verb == "list" || verb == "remove" && words == 1; !known {
		log.Fatal("use: add URL [TAG...], list [TAG...], or remove URL")
	}
	db, err := durus.Open(*file, nil)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	switch verb {
	case "add":
		err = add(ctx, db, flag.Arg(1), flag.Args()[2:])
	case "list":
		err = list(ctx, db, flag.Args()[1:])
	case "remove":
		err = remove(ctx, db, flag.Arg(1))
	}
	if err = errors.Join(err, db.Close()); err != nil {
		log.Fatal(err)
	}
}

// list prints when the View is over, which would keep old states of the
// database for as long as somebody reads in a pager. What it has loaded stays.
func list(ctx context.Context, db *durus.DB, tags []string) error {
	bookmarks, err := find(ctx, db, tags)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, b := range bookmarks {
		fmt.Fprintf(w, "%s\t%s\t%s\n", b.Added.Local().Format(time.DateOnly), b.URL, strings.Join(b.Tags, " "))
	}
	return w.Flush()
}
