// Command webcache fetches web pages through a cache that all processes on the
// machine share.
//
//	go run ./examples/webcache get -ttl 1m https://example.org/
//	go run ./examples/webcache stat
//	go run ./examples/webcache sweep           until Ctrl-C: removes what has expired, packs the file
//
// However many processes want a page that is not there, one fetches it and the
// others wait for that. If it is killed meanwhile, its claim runs out, and the
// next one fetches.
//
// What is in a cache can be fetched again, so it is opened with SyncInterval: a
// page is stored without waiting for the disk, which is ten times faster and more
// (go test -bench Get ./examples/webcache). The price: a power cut may take the
// pages of the last 100 ms. What is left is in order, and killing processes
// loses nothing. Close waits for the disk, once. SyncNever would save little
// more, since nobody waits for the syncs of SyncInterval, and could lose all since
// the last 64 MiB.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/durusdb/durus/durus"
)

const usage = `usage: webcache [-file webcache.durus] [-limit 64] COMMAND

  get [-ttl 1m] [-lease 10s] URL...   print pages; where each came from goes to standard error
  stat                                how much there is
  sweep [-every 1s]                   remove what has expired, and what is beyond the limit (in MB)
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "webcache:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, notes io.Writer) error {
	flags := flag.NewFlagSet("webcache", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main prints errors, once
	file := flags.String("file", "webcache.durus", "")
	limit := flags.Int64("limit", 64, "")
	every := flags.Duration("every", time.Second, "")
	var c cache
	flags.DurationVar(&c.ttl, "ttl", time.Minute, "")
	flags.DurationVar(&c.lease, "lease", 10*time.Second, "")
	err := flags.Parse(args)
	verb := flags.Arg(0)
	if err == nil && verb != "" {
		err = flags.Parse(flags.Args()[1:]) // those behind the command
	}
	if errors.Is(err, flag.ErrHelp) || err == nil && verb == "" {
		fmt.Fprint(out, usage)
		return nil
	}
	urls := flags.Args()
	switch {
	case err != nil:
		return err
	case verb != "get" && verb != "stat" && verb != "sweep":
		return fmt.Errorf("there is no command %q: get, stat, or sweep", verb)
	case (verb == "get") != (len(urls) > 0):
		return errors.New("get takes URLs, the other commands take none")
	case *limit < 1 || *every <= 0 || c.ttl <= 0 || c.lease <= 0:
		return errors.New("-limit, -every, -ttl and -lease must be more than 0")
	}

	c.limit = *limit << 20
	c.db, err = durus.Open(*file, &durus.Options{Sync: durus.SyncInterval, ReadOnly: verb == "stat"})
	if err != nil {
		return err
	}
	defer c.db.Close()
	switch verb {
	case "get":
		for _, url := range urls {
			body, hit, err := c.Get(ctx, url, func(ctx context.Context) ([]byte, error) { return fetch(ctx, url) })
			if err != nil {
				return err
			}
			fmt.Fprintln(notes, map[bool]string{true: "cached: ", false: "fetched:"}[hit], url)
			if _, err := out.Write(body); err != nil {
				return err
			}
		}
		return nil
	case "stat":
		text, err := c.stat(ctx)
		fmt.Fprint(out, text)
		return err
	default:
		return c.keepClean(ctx, *every)
	}
}

// maxBody is the largest page that is fetched, in bytes.
const maxBody = 8 << 20

func fetch(ctx context.Context, url string) ([]byte, error) {
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
		return nil, fmt.Errorf("%s answers %s", url, response.Status)
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, response.Body, maxBody))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	return body, nil
}
