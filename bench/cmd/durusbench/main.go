// Command durusbench measures durus, other databases, and the limits of the
// machine, in turn in one run.
//
//	cd bench && go run ./cmd/durusbench [--quick] [--only NAME,...] [--out DIR]
//	cd bench && go run ./cmd/durusbench --gate results
//	cd bench && go run ./cmd/durusbench --render results/FILE.json
//
// It prints a table and writes the raw figures (JSON) and a page with charts
// (HTML) to the output directory. Databases are made in a directory of their own
// below it, because the disk there is what is measured, and are removed again.
//
// With --gate it measures durus and the limits alone, for less than a minute, and
// fails if durus has come to less than half of the share of a limit that the
// newest report of a directory says. With --render it measures nothing: it judges the
// figures of an old report anew and draws its page.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/durusdb/durus/bench/child"
	"github.com/durusdb/durus/bench/measure"
	"github.com/durusdb/durus/bench/process"
	"github.com/durusdb/durus/bench/report"
	"github.com/durusdb/durus/bench/workload"
)

func main() {
	if process.Child() {
		var c child.Child
		if err := errors.Join(process.Serve(c.Do), c.Close()); err != nil {
			fmt.Fprintln(os.Stderr, "durusbench, child:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "durusbench:", err)
		os.Exit(1)
	}
}

// notes is a flag that may be given again and again.
type notes []string

func (n *notes) String() string { return strings.Join(*n, "; ") }

func (n *notes) Set(s string) error {
	*n = append(*n, s)
	return nil
}

func run() error {
	var (
		quick  = flag.Bool("quick", false, "about two minutes: fewer rounds, smaller databases, fewer sizes")
		only   = flag.String("only", "", "run these workloads alone, separated by commas: "+names())
		out    = flag.String("out", "out", "directory for the report and, below it, for the databases")
		rounds = flag.Int("rounds", 0, "how often each contender runs; 0 is 5, or 3 with -quick")
		gate   = flag.String("gate", "", "compare with the newest report of this directory, and fail if durus has collapsed")
		render = flag.String("render", "", "judge the figures of this report anew, print the aims, and draw its page")
		remark notes
	)
	flag.Var(&remark, "note", "a remark that is kept in the report; may be given again")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; see -help", flag.Arg(0))
	}
	if *gate != "" {
		return collapsed(*gate)
	}
	if *render != "" {
		return again(*render)
	}
	if *rounds == 0 {
		*rounds = 5
		if *quick {
			*rounds = 3
		}
	}
	selected, err := choose(*only)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(*out, "durusbench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	go func() {
		<-interrupted
		_ = os.RemoveAll(dir)
		os.Exit(130)
	}()

	var failed error
	began := time.Now()
	r := &report.Report{Machine: report.NewMachine(dir), Date: began, Quick: *quick, Rounds: *rounds, Notes: remark}
	w := &workload.Run{Dir: dir, Quick: *quick, Rounds: *rounds}
	w.Done = func(row measure.Row) { _ = report.WriteRow(os.Stdout, row) }
	for i, s := range selected {
		fmt.Fprintf(os.Stderr, "[%d/%d, %s] %s: %s\n", i+1, len(selected), time.Since(began).Round(time.Second), s.Name, s.What)
		if err := s.Run(w); err != nil { // the others are worth having all the same
			err = fmt.Errorf("%s: %w", s.Name, err)
			fmt.Fprintln(os.Stderr, "FAILED:", err)
			r.Notes = append(r.Notes, "FAILED: "+err.Error())
			failed = errors.Join(failed, err)
		}
	}
	r.Rows = w.Rows
	r.Took = time.Since(began).Round(time.Second).String()
	r.Machine.LoadAfter = report.Load()
	r.Judge()
	if err := r.WriteStanding(os.Stdout); err != nil {
		return err
	}
	base := filepath.Join(*out, began.Format("2006-01-02")+"-"+report.Host())
	if err := errors.Join(r.WriteJSON(base+".json"), r.WriteHTML(base+".html")); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s: %s.json, %s.html\n", r.Took, base, base)
	return failed
}

// again judges and draws an old report.
func again(path string) error {
	r, err := report.Read(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	r.Judge()
	return errors.Join(r.WriteStanding(os.Stdout), r.WriteJSON(path), r.WriteHTML(strings.TrimSuffix(path, ".json")+".html"))
}

func names() string {
	var all []string
	for _, w := range workload.All() {
		all = append(all, w.Name)
	}
	return strings.Join(all, ", ")
}

// choose the workloads of a list of names; all of them if it is empty.
func choose(list string) ([]workload.Workload, error) {
	if list == "" {
		return workload.All(), nil
	}
	var selected []workload.Workload
	for name := range strings.SplitSeq(list, ",") {
		found := false
		for _, w := range workload.All() {
			if w.Name == name {
				selected, found = append(selected, w), true
			}
		}
		if !found {
			return nil, fmt.Errorf("no workload is called %q; there are: %s", name, names())
		}
	}
	return selected, nil
}
