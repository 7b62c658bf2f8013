// Command bookmarks keeps bookmarks with tags.
//
//	go run ./examples/bookmarks add https://go.dev go language
//	go run ./examples/bookmarks list
//	go run ./examples/bookmarks list language
//	go run ./examples/bookmarks export > backup.json
//	go run ./examples/bookmarks import < backup.json
//
// It shows a Table, whose objects are found by a number, by their URL, which
// is unique, and by each of their tags; and, in bookmark.go, a field that got
// another name and another type when there were files already: objects that the
// first version of this program has stored are upgraded when they are loaded.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/durusdb/durus/durus"
)

const usage = `usage: bookmarks [-file bookmarks.durus] COMMAND

  add URL [TAG...]     keep a bookmark; one that is there gets the tags in addition
  list [TAG...]        those that have all the tags
  tags                 all tags, and how many bookmarks have each
  rm NUMBER            forget a bookmark
  export               write all to standard output, as JSON
  import               add those on standard input: all of them, or none if there is an error
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bookmarks:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("bookmarks", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main prints errors, once
	file := flags.String("file", "bookmarks.durus", "")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) || err == nil && flags.NArg() == 0 {
		fmt.Fprint(out, usage)
		return nil
	}
	if err != nil {
		return err
	}
	verb, words := flags.Arg(0), flags.Args()[1:]

	// What can be wrong with the words is said before there is a file.
	var bookmarks []Bookmark
	var number int
	switch {
	case verb == "add" && len(words) > 0:
		bookmarks = []Bookmark{{URL: words[0], Tags: words[1:]}}
	case verb == "add":
		err = errors.New("add what? Give a URL, and tags")
	case verb == "import":
		bookmarks, err = read(in)
	case verb == "rm":
		if number, err = strconv.Atoi(strings.Join(words, " ")); err != nil {
			err = errors.New("rm takes the number that list shows")
		}
	case verb == "list":
	case verb != "tags" && verb != "export":
		err = fmt.Errorf("there is no command %q: add, list, tags, rm, export, or import", verb)
	case len(words) > 0:
		err = fmt.Errorf("%s takes no arguments", verb)
	}
	for i := range bookmarks {
		err = errors.Join(err, bookmarks[i].complete(time.Now()))
	}
	if err != nil {
		return err
	}

	db, err := open(ctx, *file)
	if err != nil {
		return err
	}
	defer db.Close()
	switch verb {
	case "add", "import":
		return save(ctx, db, bookmarks)
	case "rm":
		return remove(ctx, db, number)
	}
	// It is printed when the View is over, which would keep old states of the
	// database as long as somebody reads in a pager.
	text, err := durus.Result(ctx, db.View, func(tx *durus.Tx) (string, error) {
		t := durus.Must(shelf.Load(tx)).Bookmarks
		switch verb {
		case "tags":
			return count(tx, t), nil
		case "export":
			return write(tx, t)
		default:
			return list(tx, t, words)
		}
	})
	fmt.Fprint(out, text)
	return err
}
