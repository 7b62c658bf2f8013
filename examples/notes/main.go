// Command notes keeps notes in notes.durus in the current directory. Run it in
// two terminals: what is added in one shows up in the other.
//
//	go run ./examples/notes watch
//	go run ./examples/notes add "buy milk"
//	go run ./examples/notes list
//	go run ./examples/notes history
//	go run ./examples/notes undo 1767323049000000
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/durusdb/durus/durus"
)

// Note is an object.
type Note struct {
	Written time.Time
	Text    string
}

// Notebook leads to all notes.
type Notebook struct{ Notes []durus.Ref[Note] }

var (
	_        = durus.Register[Note]("notes.Note")
	_        = durus.Register[Notebook]("notes.Notebook")
	notebook = durus.NewRoot[Notebook]("notebook")
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "notes:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		args = []string{"help"}
	}
	verb, text := args[0], strings.Join(args[1:], " ")
	takesText := verb == "add" || verb == "undo"
	if !slices.Contains([]string{"add", "list", "watch", "history", "undo"}, verb) || takesText != (text != "") {
		return errors.New(`use: add "TEXT", list, watch, history, or undo TRANSACTION`)
	}
	var tid durus.TID
	if verb == "undo" {
		var err error
		if tid, err = durus.ParseTID(text); err != nil {
			return err
		}
	}
	db, err := durus.Open("notes.durus", nil)
	if err != nil {
		return err
	}
	defer db.Close()
	switch verb {
	case "add":
		err = add(ctx, db, text)
	case "list":
		_, err = list(ctx, db, 0, out)
	case "history":
		err = history(db, out)
	case "undo":
		_, err = db.Undo(ctx, tid)
	default:
		err = watch(ctx, db, out)
	}
	return err
}

func add(ctx context.Context, db *durus.DB, text string) error {
	return db.Update(ctx, func(tx *durus.Tx) error {
		tx.Describe(os.Getenv("USER"), "add "+text, nil)
		book := durus.Must(notebook.Edit(tx))
		note := durus.Must(durus.Add(tx, &Note{time.Now(), text}))
		book.Notes = append(book.Notes, note)
		return nil
	})
}

// list prints the notes behind the first seen ones and returns how many there are.
func list(ctx context.Context, db *durus.DB, seen int, out io.Writer) (int, error) {
	return durus.Result(ctx, db.View, func(tx *durus.Tx) (int, error) {
		book := durus.Must(notebook.Load(tx))
		for _, n := range durus.Each(tx, slices.All(book.Notes[min(seen, len(book.Notes)):])) {
			fmt.Fprintln(out, n.Written.Format(time.DateTime), "", n.Text)
		}
		return len(book.Notes), nil
	})
}

// history prints what was done, the undone and the undo included.
func history(db *durus.DB, out io.Writer) error {
	for info, err := range db.Transactions(0, math.MaxUint64) {
		if err != nil {
			return err
		}
		fmt.Fprintln(out, info.TID, "", info.Time.Format(time.DateTime), "", info.Description)
	}
	return nil
}

// watch looks for new notes until it is interrupted. A look that finds nothing
// is one system call.
func watch(ctx context.Context, db *durus.DB, out io.Writer) error {
	for seen := 0; ; time.Sleep(100 * time.Millisecond) {
		var err error
		if seen, err = list(ctx, db, seen, out); ctx.Err() != nil {
			return nil
		} else if err != nil {
			return err
		}
	}
}
