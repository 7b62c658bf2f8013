package main

import (
	"fmt"
	"log"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/vfs/async"
)

// Wrappers compose: here one makes calls of a storage of one's own overlap.
func Example() {
	mine := NewStorage()
	db, err := durus.Open("my.durus", &durus.Options{FS: async.New(mine, async.Options{})})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	tid, err := db.LastTID()
	fmt.Println("the newest transaction:", tid, err)
	// Output: the newest transaction: 0 <nil>
}
