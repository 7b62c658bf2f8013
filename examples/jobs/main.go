// Command jobs is a queue of commands, shared by any number of processes that
// add to it and work on it.
//
//	go run ./examples/jobs -tries 2 add echo hello
//	go run ./examples/jobs work                in several terminals
//	go run ./examples/jobs status
//
// A worker takes a job for a while, its lease, and reports how it went. If it
// is killed, or the machine is, the lease runs out and another worker takes the
// job. A job that fails is tried again, later each time, and is dead in the end.
//
// So a job is begun once at least, and leaves the queue exactly once. What it
// does elsewhere may happen twice: if its worker is killed before it reports.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"os"
	"os/exec"
	"time"

	"github.com/durusdb/durus/durus"
)

func main() {
	file := flag.String("file", "jobs.durus", "the database")
	tries := flag.Int("tries", 5, "how often an added job may be begun")
	lease := flag.Duration("lease", time.Minute, "longest `time` for a job, once it is begun")
	flag.Parse()
	log.SetFlags(0)
	verb, words := flag.Arg(0), flag.NArg()-1
	if known := verb == "add" && words > 0 || (verb == "work" || verb == "status") && words == 0; !known {
		log.Fatal("use: add PROGRAM [ARG...], work, or status; -h tells the flags that go before it")
	}
	db, err := durus.Open(*file, nil)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	switch verb {
	case "add":
		err = add(ctx, db, flag.Args()[1:], *tries)
	case "work":
		err = work(ctx, db, *lease) // until Ctrl-C kills it, which does no harm
	case "status":
		err = status(ctx, db)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		log.Fatal(err)
	}
}

// work runs jobs, one at a time. For more at a time start more processes.
func work(ctx context.Context, db *durus.DB, lease time.Duration) error {
	for {
		job, err := claim(ctx, db, lease)
		switch {
		case err != nil:
			return err
		case job == nil:
			time.Sleep(50 * time.Millisecond) // to look takes one system call if nothing has changed
		default:
			if err := settle(ctx, db, job, execute(ctx, job)); err != nil {
				return err
			}
		}
	}
}

// execute runs a job outside of any transaction, however long it takes. It ends
// with its lease: another worker may begin it then.
func execute(ctx context.Context, job *Job) error {
	ctx, cancel := context.WithDeadline(ctx, job.Due)
	defer cancel()
	c := exec.CommandContext(ctx, job.Command[0], job.Command[1:]...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	return c.Run()
}
