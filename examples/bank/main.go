// Command bank shows what durus is for: several processes move money between
// the accounts of one file while others add it all up, and now and then one of
// them is killed in the middle of its work.
//
//	go run ./examples/bank
//	go run ./examples/bank --pack
//
// What is checked: every state that a reader sees holds the same total; every
// commit that a worker has acknowledged is in the file at the end. The exit
// code is 0 only then. The table's p50 and p99 are the times from the call of
// Update to its return, retries and the disk included.
//
// The program starts itself again for each worker and reader. They are told
// what to do by an environment variable, report by lines of JSON on standard
// output, and end when their standard input does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/durusdb/durus/durus"
)

// config is what the flags say.
type config struct {
	seconds  float64
	workers  int
	readers  int
	accounts int
	sync     durus.SyncPolicy
	file     string
	noKill   bool
	pack     bool
	out      io.Writer
}

func main() {
	if text, ok := os.LookupEnv(jobEnv); ok {
		os.Exit(work(text, os.Stdin, os.Stdout))
	}
	c, err := parse(os.Args[1:])
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			os.Exit(0)
		}
		os.Exit(2)
	}
	c.out = os.Stdout
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // the first Ctrl-C ends early, with the table; the second kills
	ok, err := demonstrate(ctx, c)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bank:", err)
	}
	if !ok || err != nil {
		os.Exit(1)
	}
}

// parse reads the flags; it has told the user about an error that it returns.
func parse(args []string) (config, error) {
	var c config
	flags := flag.NewFlagSet("bank", flag.ContinueOnError)
	flags.Float64Var(&c.seconds, "seconds", 10, "how long")
	flags.IntVar(&c.workers, "workers", 4, "`processes` that move money")
	flags.IntVar(&c.readers, "readers", 2, "`processes` that check the total")
	flags.IntVar(&c.accounts, "accounts", 100, "in a new file; fewer of them, more conflicts")
	flags.StringVar(&c.file, "file", "", "database, new or of an earlier run (default a temporary one, removed at the end)")
	flags.BoolVar(&c.pack, "pack", false, "another process packs the file all the time, and is killed, too")
	flags.BoolVar(&c.noKill, "no-kill", false, "kill no worker")
	flags.Func("sync", "when a commit is reported: always (on the disk), interval or never (default always)", func(s string) error {
		policies := map[string]durus.SyncPolicy{"always": durus.SyncAlways, "interval": durus.SyncInterval, "never": durus.SyncNever}
		policy, ok := policies[s]
		if !ok {
			return errors.New("give always, interval or never")
		}
		c.sync = policy
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if flags.NArg() > 0 || c.seconds <= 0 || c.workers < 1 || c.readers < 0 || c.accounts < 2 {
		err := errors.New("needs time, a worker and two accounts, and takes no other arguments")
		fmt.Fprintln(flags.Output(), "bank:", err)
		flags.Usage()
		return c, err
	}
	return c, nil
}

// demonstrate runs the example and tells whether all checks held.
func demonstrate(ctx context.Context, c config) (ok bool, err error) {
	if c.file == "" {
		dir, err := os.MkdirTemp("", "durus-bank-")
		if err != nil {
			return false, err
		}
		c.file = filepath.Join(dir, "bank.durus")
		defer func() {
			if !ok {
				fmt.Fprintln(c.out, "the files are kept in", dir)
			} else if err := os.RemoveAll(dir); err != nil {
				fmt.Fprintln(c.out, err)
			}
		}()
	}
	fmt.Fprintf(c.out, "%d workers, %d readers, one file: %s\n", c.workers, c.readers, c.file)
	timed, cancel := context.WithTimeout(ctx, time.Duration(c.seconds*float64(time.Second)))
	defer cancel()
	r, err := newRun(timed, c)
	if err != nil {
		return false, err
	}
	r.loop(timed)
	r.check(context.WithoutCancel(ctx))
	return r.table()
}
