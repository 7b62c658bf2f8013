// Command guide walks through docs/guide.md: each file beside this one is a
// chapter, which works on a database in a temporary directory and prints what
// it finds.
//
//	go run ./examples/guide
//
// The first program of the guide is examples/guide/first, the three programs of
// different age are in examples/guide/versions.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/durusdb/durus/durus"
)

var chapters = []struct {
	title string
	run   func(context.Context, *durus.DB) error
}{
	{"Objects and references", objects},
	{"Transactions", transactions},
	{"Containers", containers},
	{"Sets, lists and counters", smallContainers},
	{"Merging your own classes", merging},
	{"Tables and indexes", tables},
	{"Weak references and Instances", weak},
	{"Savepoints and large transactions", savepoints},
	{"Looking back", lookingBack},
	{"Undo", undoing},
	{"Watching", watching},
	{"Live connections", live},
	{"Isolation", isolation},
	{"Backups", backups},
	{"Checks", checks},
}

func main() {
	if err := tour(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func tour(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "durus-guide")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	db, err := durus.Open(filepath.Join(dir, "guide.durus"), nil)
	if err != nil {
		return err
	}
	defer db.Close()
	for _, c := range chapters {
		fmt.Printf("== %s\n", c.title)
		if err := c.run(ctx, db); err != nil {
			return fmt.Errorf("%s: %w", c.title, err)
		}
	}
	return nil
}
