// Command bank shows what durus is for: processes move money between accounts of
// one file while others add it all up, and all are killed again and again. It
// says OK if each total was right, and no acknowledged transfer is lost.
//
//	go run ./examples/bank
//	go run ./examples/bank -pack
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
	"github.com/durusdb/durus/pack"
)

// Account is an object of its own: transfers conflict only over the same one.
type Account struct{ Balance int64 }

// Bank leads to all accounts.
type Bank struct{ Accounts []durus.Ref[Account] }

// Teller belongs to one worker. Every transfer leaves its number here, so the
// file can be asked whether it still has what was acknowledged.
type Teller struct{ Transfers int }

var (
	_    = durus.Register[Account]("bank.Account")
	_    = durus.Register[Teller]("bank.Teller")
	_    = durus.Register[Bank]("bank.Bank")
	bank = durus.NewRoot[Bank]("bank")
)

var (
	length   = flag.Duration("time", 10*time.Second, "how long")
	workers  = flag.Uint("workers", 4, "`processes` that move money")
	readers  = flag.Uint("readers", 2, "`processes` that add it up")
	accounts = flag.Int("accounts", 100, "of the bank; the fewer, the more conflicts")
	packing  = flag.Bool("pack", false, "one more process packs the file all the time")
	file     = flag.String("file", "bank.durus", "the database, new or of an earlier run")
)

// job is done by one process after the other, until it is killed.
type job struct {
	name                            string          // of a teller; or "audit", "pack"
	kills, last, conflicts, retries int             // last: number of the last transfer
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
	jobs := slices.Repeat([]job{{name: "audit"}}, int(*workers+*readers))
	for i := range *workers {
		jobs[i].name = fmt.Sprintf("worker %d-%d", os.Getpid(), i+1)
	}
	if *packing {
		jobs = append(jobs, job{name: "pack"})
	}
	var running sync.WaitGroup
	for i := range jobs {
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

// found opens accounts, unless the file has as many.
func found(tx *durus.Tx) error {
	b := durus.Must(bank.Edit(tx))
	for len(b.Accounts) < max(*accounts, 2) {
		b.Accounts = append(b.Accounts, durus.Must(durus.Add(tx, &Account{1000})))
	}
	return nil
}

// transfer moves money between two random accounts and returns its number among
// the teller's transfers. Update runs the function again if somebody else has
// changed one of the accounts in the meantime.
func transfer(ctx context.Context, db *durus.DB, teller durus.Root[Teller]) (int, error) {
	return durus.Result(ctx, db.Update, func(tx *durus.Tx) (int, error) {
		all := durus.Must(bank.Load(tx)).Accounts
		i := rand.IntN(len(all))
		j := (i + 1 + rand.IntN(len(all)-1)) % len(all)
		payer, payee := durus.Must(all[i].Edit(tx)), durus.Must(all[j].Edit(tx))
		amount := rand.Int64N(payer.Balance + 1)
		payer.Balance -= amount
		payee.Balance += amount
		t := durus.Must(teller.Edit(tx))
		t.Transfers++
		return t.Transfers, nil
	})
}

// audit adds up all accounts of one state.
func audit(tx *durus.Tx) error {
	b := durus.Must(bank.Load(tx))
	surplus := -1000 * int64(len(b.Accounts))
	for _, a := range durus.Each(tx, slices.All(b.Accounts)) {
		surplus += a.Balance
	}
	if tx.Err() == nil && surplus != 0 {
		return fmt.Errorf("at transaction %s the accounts hold %d too much", tx.Snapshot(), surplus)
	}
	return tx.Err()
}

func check(err error) {
	if err != nil {
		log.Fatal("FAILED: ", err)
	}
}

// perform does a job and acknowledges each transfer, audit or pack, until it is killed.
func perform(db *durus.DB, job string) {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the program that has started this one
		os.Exit(1)
	}()
	rest := map[string]time.Duration{"audit": time.Millisecond, "pack": 20 * time.Millisecond}[job]
	for n, err := 0, error(nil); ; {
		time.Sleep(rest) // the processors are for the workers
		begin := time.Now()
		switch job {
		case "audit":
			err = db.View(context.Background(), audit)
		case "pack":
			_, err = db.Pack(context.Background(), pack.Options{})
		default:
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
			if _, err := fmt.Sscan(lines.Text(), &n, &ns, &conflicts, &retries); err != nil || n > 0 && n <= j.last {
				log.Fatalf("FAILED: %s has said %d before, and now says: %s", j.name, j.last, lines.Text())
			}
			j.last, j.took = n, append(j.took, time.Duration(ns))
		}
		j.conflicts, j.retries = j.conflicts+conflicts, j.retries+retries
		if err := cmd.Wait(); kill.Stop() && cmd.ProcessState.ExitCode() >= 0 { // somebody else may kill it
			log.Fatalf("FAILED: %s has ended by itself: %v", j.name, err)
		}
		fmt.Printf("%4.1f s: %s killed, %d done\n", time.Since(begin).Seconds(), j.name, len(j.took))
	}
}
