package latency_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/vfs/async"
	"github.com/durusdb/durus/vfs/latency"
	"github.com/durusdb/durus/vfs/mem"
)

type (
	page struct{ Text string }
	book struct{ Pages []durus.Ref[page] }
)

var (
	_     = durus.Register[page]("latency.Page")
	_     = durus.Register[book]("latency.Book")
	pages = durus.NewRoot[book]("book")
)

// On a disk that is far away many reads at a time cost little more than one:
// Prefetch asks for all of them.
func ExampleNew() {
	disk := mem.NewVolatile()
	near, err := durus.Open("/book.durus", &durus.Options{FS: disk.Process("near")})
	if err != nil {
		log.Fatal(err)
	}
	defer near.Close()
	ctx := context.Background()
	err = near.Update(ctx, func(tx *durus.Tx) error {
		b := durus.Must(pages.Edit(tx))
		for i := range 100 {
			b.Pages = append(b.Pages, durus.Must(durus.Add(tx, &page{fmt.Sprint("page ", i)})))
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}

	slow := latency.New(disk.Process("far"), latency.Profile{Read: 20 * time.Millisecond})
	far, err := durus.Open("/book.durus", &durus.Options{FS: async.New(slow, async.Options{Workers: 100}), ReadOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	defer far.Close()
	err = far.View(ctx, func(tx *durus.Tx) error {
		b := durus.Must(pages.Load(tx))
		refs := make([]durus.AnyRef, len(b.Pages))
		for i, r := range b.Pages {
			refs[i] = r.Any()
		}
		start := time.Now()
		if err := tx.Prefetch(refs...); err != nil {
			return err
		}
		for _, r := range b.Pages {
			durus.Must(r.Load(tx)) // it is there
		}
		fmt.Println("less than one after the other:", time.Since(start) < 100*20*time.Millisecond)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: less than one after the other: true
}
