package fault_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"syscall"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/vfs/fault"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/wrap"
)

type visit struct{ Times int }

var (
	_      = durus.Register[visit]("fault.Visit")
	visits = durus.NewRoot[visit]("visits")
)

// A test of a program with a full disk: the commit fails, the database stays as
// it was, and goes on when there is room again.
func ExampleNew() {
	disk := fault.New(mem.NewVolatile().Process("a"), 1)
	db, err := durus.Open("visits.durus", &durus.Options{FS: disk})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	count := func() error {
		return db.Update(context.Background(), func(tx *durus.Tx) error {
			v, err := visits.Edit(tx)
			if err == nil {
				v.Times++
				fmt.Println("visit", v.Times)
			}
			return err
		})
	}
	fmt.Println(count())
	room := disk.Add(fault.Rule{Ops: wrap.Append, Times: -1, Effect: fault.Short(10, syscall.ENOSPC)})
	fmt.Println(errors.Is(count(), syscall.ENOSPC))
	room()
	fmt.Println(count())
	// Output:
	// visit 1
	// <nil>
	// visit 2
	// true
	// visit 2
	// <nil>
}
