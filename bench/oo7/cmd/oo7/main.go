// Command oo7 runs the OO7 benchmark: durus, bbolt and SQLite in turn.
//
//	cd bench && go run ./oo7/cmd/oo7 --quick
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/durusdb/durus/bench/oo7"
	"github.com/durusdb/durus/bench/oo7/onbolt"
	"github.com/durusdb/durus/bench/oo7/ondurus"
	"github.com/durusdb/durus/bench/oo7/onsqlite"
)

// report is what --json writes.
type report struct {
	Time         time.Time          `json:"time"`
	Go           string             `json:"go"`
	System       string             `json:"system"`
	Processors   int                `json:"processors"`
	Measurements []*oo7.Measurement `json:"measurements"`
}

func main() {
	if err := run(); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "oo7:", err)
		os.Exit(1)
	}
}

func run() error {
	configs := flag.String("config", "small3", "databases, with commas between them: small3, small6, small9, medium3, ...")
	ops := flag.String("ops", "", "operations, with commas between them (T1,T2,Q4,Insert); all if empty")
	rounds := flag.Int("rounds", 5, "how often each contender measures each operation")
	path := flag.String("json", "", "write all figures to this file")
	quick := flag.Bool("quick", false, "the main operations only, three rounds")
	names := flag.String("contenders", "", "who takes part, with commas between them; all if empty; ratios are to the first")
	dir := flag.String("dir", "", "where the databases are made; a temporary directory if empty")
	flag.Parse()

	operations, contenders, err := chosen(*ops, *names, *quick)
	if err != nil {
		return err
	}
	if *quick && !given("rounds") {
		*rounds = 3
	}
	if *rounds < 1 {
		return fmt.Errorf("--rounds %d: at least one", *rounds)
	}
	work, err := os.MkdirTemp(*dir, "oo7-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()

	rep := report{Time: time.Now(), Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, Processors: runtime.NumCPU()}
	for name := range strings.SplitSeq(*configs, ",") {
		config, err := oo7.ConfigNamed(name)
		if err != nil {
			return err
		}
		r := oo7.Run{Config: config, Contenders: contenders, Operations: operations, Rounds: *rounds, Dir: work,
			Progress: func(doing string) { fmt.Fprintf(os.Stderr, "\r\x1b[K%s", doing) }}
		m, err := r.Measure()
		fmt.Fprint(os.Stderr, "\r\x1b[K")
		if err != nil {
			return err
		}
		rep.Measurements = append(rep.Measurements, m)
		if err := m.Print(os.Stdout); err != nil {
			return err
		}
	}
	if *path == "" {
		return nil
	}
	data, err := json.MarshalIndent(rep, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(*path, append(data, '\n'), 0o666)
}

func given(name string) (yes bool) {
	flag.Visit(func(f *flag.Flag) { yes = yes || f.Name == name })
	return yes
}

// chosen are the operations and the contenders that the flags name.
func chosen(ops, names string, quick bool) ([]*oo7.Operation, []oo7.Contender, error) {
	operations := oo7.Operations()
	if quick {
		operations = slices.DeleteFunc(operations, func(o *oo7.Operation) bool { return !o.Main })
	}
	if ops != "" {
		var err error
		if operations, err = oo7.OperationsNamed(strings.Split(ops, ",")); err != nil {
			return nil, nil, err
		}
	}
	contenders := append([]oo7.Contender{ondurus.Contender, onbolt.Contender}, onsqlite.Contenders...)
	if names == "" {
		return operations, contenders, nil
	}
	var picked []oo7.Contender
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(contenders, func(c oo7.Contender) bool { return c.Name == name })
		if i < 0 {
			return nil, nil, fmt.Errorf("no contender is called %q", name)
		}
		picked = append(picked, contenders[i])
	}
	return operations, picked, nil
}
