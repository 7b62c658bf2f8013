// Command backend shows what it takes to keep a durus database on a storage of
// one's own. storage.go is a complete back end, a map in memory; the test beside
// it runs the conformance suite of package vfs/vfstest on it. The command opens
// a database there, writes, and follows it through a second, reading handle.
//
//	go run ./examples/backend
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/durusdb/durus/durus"
)

// Visit is an object.
type Visit struct {
	Who   string
	Times int
}

var (
	_     = durus.Register[Visit]("backend.Visit")
	visit = durus.NewRoot[Visit]("visit")
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "backend:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	storage := NewStorage()
	db, err := durus.Open("visits.durus", &durus.Options{FS: storage})
	if err != nil {
		return err
	}
	defer db.Close()
	// A map has no locks, so a second writer is refused ...
	if _, err := durus.Open("visits.durus", &durus.Options{FS: storage}); !errors.Is(err, durus.ErrLocked) {
		return fmt.Errorf("a second writer: %w", err)
	}
	fmt.Fprintln(out, "a second writer is refused")
	// ... and readers are welcome.
	reader, err := durus.Open("visits.durus", &durus.Options{FS: storage, ReadOnly: true})
	if err != nil {
		return err
	}
	defer reader.Close()
	for _, who := range []string{"Ann", "Ben", "Cleo"} {
		err := db.Update(ctx, func(tx *durus.Tx) error {
			v, err := visit.Edit(tx)
			if err != nil {
				return err
			}
			v.Who = who
			v.Times++
			return nil
		})
		if err != nil {
			return err
		}
		err = reader.View(ctx, func(tx *durus.Tx) error {
			v, err := visit.Load(tx)
			if err == nil {
				fmt.Fprintf(out, "visit %d: %s\n", v.Times, v.Who)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	for name := range storage.List("/") {
		fmt.Fprintln(out, "the storage holds", name)
	}
	return db.Close()
}
