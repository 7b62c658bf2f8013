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
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/durusdb/durus/durus"
)

const usage = `usage: bookmarks [-file bookmarks.durus] COMMAND

  add URL [TAG...]   keep a bookmark; one that is there gets the tags in addition
  list [TAG...]      show those that have all the tags, the newest first
  remove URL         forget a bookmark
`

var errUsage = errors.New("no such command")

func main() {
	file := flag.String("file", "bookmarks.durus", "")
	flag.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	flag.Parse()
	err := run(context.Background(), *file, flag.Args(), os.Stdout)
	switch {
	case errors.Is(err, errUsage):
		flag.Usage()
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bookmarks:", err)
		os.Exit(1)
	}
}

// run does what the words say. A mistyped command makes no file.
func run(ctx context.Context, file string, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	var command func(*durus.DB) error
	switch verb, words := args[0], args[1:]; {
	case verb == "add" && len(words) > 0:
		command = func(db *durus.DB) error { return add(ctx, db, words[0], words[1:]) }
	case verb == "list":
		command = func(db *durus.DB) error { return list(ctx, db, words, out) }
	case verb == "remove" && len(words) == 1:
		command = func(db *durus.DB) error { return remove(ctx, db, words[0]) }
	default:
		return errUsage
	}
	db, err := durus.Open(file, nil)
	if err != nil {
		return err
	}
	return errors.Join(command(db), db.Close())
}

// list prints when the View is over, which would keep old states of the
// database for as long as somebody reads in a pager. What it has loaded stays.
func list(ctx context.Context, db *durus.DB, tags []string, out io.Writer) error {
	bookmarks, err := find(ctx, db, tags)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, b := range bookmarks {
		fmt.Fprintf(w, "%s\t%s\t%s\n", b.Added.Local().Format(time.DateOnly), b.URL, strings.Join(b.Tags, " "))
	}
	return w.Flush()
}
