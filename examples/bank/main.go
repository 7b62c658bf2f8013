// Command bank shows what durus is for: processes move money between accounts of
// one file while others add it all up, and all are killed again and again. It
// says OK if each total was right, and no acknowledged transfer is lost.
//
//	go run ./examples/bank
package main

import (
	"bufio"
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/durusdb/durus/durus"
)

var (
	length   = flag.Duration("time", 10*time.Second, "how long")
	workers  = flag.Uint("workers", 4, "`processes` that move money")
	readers  = flag.Uint("readers", 2, "`processes` that add it up")
	accounts = flag.Int("accounts", 100, "of the bank; the fewer, the more conflicts")
	file     = flag.String("file", "bank.durus", "the database, new or of an earlier run")
)

// job is done by one process after the other, until it is killed.
type job struct {
	name                            string          // of a teller, or "audit"
	kills, last, conflicts, retries int             // last: number of the last transfer or audit
	took                            []time.Duration // for each of them
}

func main() {
	flag.Parse()
	db, err := durus.Open(*file, &durus.Options{ReadOnly: flag.Arg(0) == "audit"})
	check(err)
	if flag.NArg() > 0 {
		perform(db, flag.Arg(0)) // another process has started this one
	}
	check(db.Update(context.Background(), found))
	fmt.Printf("%d workers and %d readers share %s for %v\n", *workers, *readers, *file, *length)
	jobs := make([]job, *workers+*readers)
	var running sync.WaitGroup
	for i := range jobs {
		jobs[i].name = "audit"
		if i < int(*workers) {
			jobs[i].name = fmt.Sprintf("worker %d-%d", os.Getpid(), i+1)
		}
		running.Go(jobs[i].run)
	}
	running.Wait()

	table := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tdone\tper second\tconflicts\tretries\tkills\tp50\tp99\t")
	check(db.View(context.Background(), func(tx *durus.Tx) error {
		for i, j := range jobs {
			done := len(j.took) // a kill may come between a commit and its acknowledgement
			if i < int(*workers) {
				if n := durus.Must(durus.NewRoot[Teller](j.name).Load(tx)).Transfers; n < j.last || n > done+j.kills {
					return fmt.Errorf("%s has made %d transfers, acknowledged %d and was killed %d times", j.name, n, done, j.kills)
				}
			}
			took := slices.Sorted(slices.Values(append(j.took, 0)))
			fmt.Fprintf(table, "%s\t%d\t%.0f\t%d\t%d\t%d\t%v\t%v\t\n", j.name, done, float64(done)/length.Seconds(),
				j.conflicts, j.retries, j.kills, took[done/2].Round(100), took[done*99/100].Round(100))
		}
		return audit(tx)
	}))
	check(cmp.Or(table.Flush(), db.Close()))
	fmt.Println("OK: every total was right, and no acknowledged transfer is lost")
}

func check(err error) {
	if err != nil {
		log.Fatal("FAILED: ", err)
	}
}

// perform does a job and acknowledges each transfer or audit, until it is killed.
func perform(db *durus.DB, job string) {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the program that has started this one
		os.Exit(1)
	}()
	for n, err := 0, error(nil); ; n++ {
		if job == "audit" {
			time.Sleep(time.Millisecond) // the processors are for the workers
		}
		begin := time.Now()
		if job == "audit" {
			err = db.View(context.Background(), audit)
		} else {
			n, err = transfer(context.Background(), db, durus.NewRoot[Teller](job))
		}
		check(err)
		fmt.Println(n, time.Since(begin).Nanoseconds(), db.Stats().Conflicts, db.Stats().Retries)
	}
}

// run has the job done, and kills each process that does it after a while.
func (j *job) run() {
	for begin := time.Now(); time.Since(begin) < *length; j.kills++ {
		cmd := exec.Command(os.Args[0], "-file", *file, j.name)
		cmd.Stderr = os.Stderr
		_, inErr := cmd.StdinPipe()
		out, outErr := cmd.StdoutPipe()
		check(cmp.Or(inErr, outErr, cmd.Start()))
		life := min(*length-time.Since(begin), time.Second+rand.N(4*time.Second))
		kill := time.AfterFunc(life, func() { _ = cmd.Process.Kill() })
		var n, ns, conflicts, retries int
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if _, err := fmt.Sscan(lines.Text(), &n, &ns, &conflicts, &retries); err != nil || n <= j.last && j.name != "audit" {
				log.Fatalf("FAILED: %s has said %d before, and now says: %s", j.name, j.last, lines.Text())
			}
			j.last, j.took = n, append(j.took, time.Duration(ns))
		}
		j.conflicts, j.retries = j.conflicts+conflicts, j.retries+retries
		if err := cmd.Wait(); kill.Stop() {
			log.Fatalf("FAILED: %s has ended by itself: %v", j.name, err)
		}
		fmt.Printf("%4.1f s: %s killed, %d done\n", time.Since(begin).Seconds(), j.name, len(j.took))
	}
}
