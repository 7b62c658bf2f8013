// Command webcache fetches web pages through a cache that all processes on the
// machine share.
//
//	go run ./examples/webcache -ttl 1h get https://example.org/
//	go run ./examples/webcache sweep           for cron: removes what has expired
//
// However many processes want a page that is not there, one fetches it and the
// others wait. If it is killed meanwhile, its claim expires, and the next one fetches.
//
// What is lost can be fetched again, so the file is opened with SyncInterval: to
// store a page does not wait for the disk (go test -bench Get ./examples/webcache).
// A power cut may take the last 100 ms. Killing processes loses nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/durusdb/durus/durus"
)

func main() {
	file := flag.String("file", "webcache.durus", "the database")
	ttl := flag.Duration("ttl", time.Minute, "how long a page is good")
	lease := flag.Duration("lease", 10*time.Second, "longest `time` to fetch one")
	flag.Parse()
	log.SetFlags(0)
	verb, words := flag.Arg(0), flag.NArg()-1
	if known := verb == "get" && words == 1 || verb == "sweep" && words == 0; !known {
		log.Fatal("use: get URL, or sweep; -h tells the flags that go before it")
	}
	db, err := durus.Open(*file, &durus.Options{Sync: durus.SyncInterval})
	if err != nil {
		log.Fatal(err)
	}
	c := &cache{db, *ttl, *lease, fetch}
	ctx := context.Background()
	switch verb {
	case "get":
		var body []byte
		if body, err = c.get(ctx, flag.Arg(1)); err == nil {
			_, err = os.Stdout.Write(body)
		}
	case "sweep":
		err = c.sweep(ctx)
	}
	if err = errors.Join(err, db.Close()); err != nil { // Close waits for the disk, once
		log.Fatal(err)
	}
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	log.Print("fetching ", url)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(url + " answers " + response.Status)
	}
	return io.ReadAll(http.MaxBytesReader(nil, response.Body, 8<<20)) // no larger ones
}
