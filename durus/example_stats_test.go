package durus_test

import (
	"context"
	"expvar"
	"fmt"
	"log"
	"time"
)

// Stats is a plain struct: package expvar publishes it, at /debug/vars, and
// whatever collects figures reads its fields.
func ExampleStats() {
	db := open(context.Background())
	defer db.Close()

	expvar.Publish("bank", expvar.Func(func() any { return db.Stats() }))

	s := db.Stats()
	fmt.Println("commits:", s.Commits, "conflicts:", s.Conflicts, "retries:", s.Retries)
	fmt.Println("behind the disk:", s.End-s.Visible, "bytes")
	if s.LockWaits > 0 {
		log.Println("mean wait for the commit lock:", s.LockWaited/time.Duration(s.LockWaits))
	}
	// Output:
	// commits: 1 conflicts: 0 retries: 0
	// behind the disk: 0 bytes
}
