// Command shop is a small web shop: a server, any number of them if you like,
// and a worker beside it that ships orders, restocks the shelves and forgets old
// carts. They are processes of their own that share one file.
//
//	go run ./examples/shop serve          then open http://localhost:8080
//	go run ./examples/shop work           in another terminal
//
// Two buyers never get the last teapot both, whichever servers they use: the
// order of the second one runs again, and finds none left. shop.go has no locks
// for that, and no queries: the worker finds its work by the indexes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/durusdb/durus/durus"
)

const usage = `usage: shop [-file shop.durus] COMMAND

  serve [-addr localhost:8080]   sell things
  work [-every 1s]               ship orders, restock, forget old carts
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("shop", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main prints errors, once
	file := flags.String("file", "shop.durus", "")
	addr := flags.String("addr", "localhost:8080", "")
	every := flags.Duration("every", time.Second, "")
	err := flags.Parse(args)
	verb := flags.Arg(0)
	if err == nil && verb != "" {
		err = flags.Parse(flags.Args()[1:]) // those behind the command
	}
	switch {
	case errors.Is(err, flag.ErrHelp) || err == nil && verb == "":
		fmt.Fprint(out, usage)
		return nil
	case err != nil:
		return err
	case verb != "serve" && verb != "work":
		return fmt.Errorf("there is no command %q: serve, or work", verb)
	case flags.NArg() > 0 || *every <= 0:
		return fmt.Errorf("%s takes nothing but its flags, and -every a time", verb)
	}

	db, err := durus.Open(*file, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	if verb == "serve" {
		return serve(ctx, db, *addr, out)
	}
	w := worker{db, log.New(out, "", log.LstdFlags)}
	return w.loop(ctx, *every)
}

// serve answers until ctx is done, and then the requests that it has.
func serve(ctx context.Context, db *durus.DB, addr string, out io.Writer) error {
	if err := furnish(ctx, db); err != nil {
		return err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "open http://%s\n", listener.Addr())
	server := http.Server{Handler: newHandler(db), ReadHeaderTimeout: 5 * time.Second}
	stopped := make(chan error)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		stopped <- server.Shutdown(grace)
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
