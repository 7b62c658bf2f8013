// Command jobs is a queue of commands, shared by any number of processes that
// add to it and work on it.
//
//	go run ./examples/jobs add echo hello
//	go run ./examples/jobs add -in 10s date
//	go run ./examples/jobs work                in several terminals
//	go run ./examples/jobs status
//
// A worker takes a job for a while, its lease, and reports how it went. If it
// is killed, or the machine is, the lease runs out and another worker takes the
// job. A job that fails is tried again, later each time, and is put aside after
// its last attempt; status tells why.
//
// So a job is begun once at least, and finished in the queue exactly once. What
// it does outside of the database may happen twice, as with every queue: when
// its worker was killed between doing and reporting.
//
// What to look at: queue.go needs no sweeper, no heartbeat and no locks. One
// sorted set says when each job is to be looked at next.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/durusdb/durus/durus"
)

const usage = `usage: jobs [-file jobs.durus] COMMAND

  add [-in 10s] [-tries 5] PROGRAM [ARG...]     put a job into the queue
  work [-lease 1m] [-backoff 1s] [-drain]       run jobs until Ctrl-C, or until there are none
  status                                        count them
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "jobs:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var w worker
	flags := flag.NewFlagSet("jobs", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main prints errors, once
	file := flags.String("file", "jobs.durus", "")
	in := flags.Duration("in", 0, "")
	tries := flags.Int("tries", 5, "")
	flags.DurationVar(&w.lease, "lease", time.Minute, "")
	flags.DurationVar(&w.backoff, "backoff", time.Second, "")
	flags.BoolVar(&w.drain, "drain", false, "")
	err := flags.Parse(args)
	verb := flags.Arg(0)
	if err == nil && verb != "" {
		err = flags.Parse(flags.Args()[1:]) // those behind the command
	}
	if errors.Is(err, flag.ErrHelp) || err == nil && verb == "" {
		fmt.Fprint(out, usage)
		return nil
	}
	if err != nil {
		return err
	}
	command := flags.Args()
	switch {
	case verb != "add" && verb != "work" && verb != "status":
		return fmt.Errorf("there is no command %q: add, work, or status", verb)
	case verb == "add" && len(command) == 0:
		return errors.New("add what? Give a program, and its arguments")
	case verb != "add" && len(command) > 0:
		return fmt.Errorf("%s takes no arguments", verb)
	case *tries < 1 || w.lease <= 0 || w.backoff <= 0:
		return errors.New("-tries, -lease and -backoff must be more than 0")
	}

	// Who only looks should not make a database of a mistyped name.
	db, err := durus.Open(*file, &durus.Options{ReadOnly: verb == "status"})
	if err != nil {
		return err
	}
	defer db.Close()
	switch verb {
	case "add":
		return add(ctx, db, command, *tries, time.Now().Add(*in))
	case "work":
		w.db, w.name, w.out = db, fmt.Sprintf("process %d", os.Getpid()), out
		return w.loop(ctx)
	default:
		text, err := status(ctx, db)
		fmt.Fprint(out, text)
		return err
	}
}
