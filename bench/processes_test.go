package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/durusdb/durus/durus"
)

// Four processes, each a copy of the test binary, commit to one file for a while.

type owner struct{ N int64 }

type owners struct {
	All  []durus.Ref[owner]
	Tree durus.BTree[string, int64]
}

var (
	_         = durus.Register[owner]("bench.Owner")
	_         = durus.Register[owners]("bench.Owners")
	theOwners = durus.NewRoot[owners]("owners")
)

const workers = 4

func TestMain(m *testing.M) {
	if work := os.Getenv("DURUS_BENCH_WORK"); work != "" {
		if err := worker(work, os.Args[1], os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// worker commits until its time is over and prints how often it has.
func worker(work, path, id string) error {
	n, err := strconv.Atoi(id)
	if err != nil {
		return err
	}
	opts := durus.Options{Check: durus.CheckNothing}
	if os.Getenv("DURUS_BENCH_SYNC") == "never" {
		opts.Sync = durus.SyncNever
	}
	db, err := durus.Open(path, &opts)
	if err != nil {
		return err
	}
	ctx := context.Background()
	var do func(tx *durus.Tx, o *owners, i int) error
	switch work {
	case "objects":
		do = func(tx *durus.Tx, o *owners, _ int) error {
			v, err := o.All[n].Edit(tx)
			if err == nil {
				v.N++
			}
			return err
		}
	case "append":
		do = func(tx *durus.Tx, o *owners, i int) error {
			return o.Tree.Put(tx, fmt.Sprintf("%d:%d:%010d", n, time.Now().UnixNano()%1000, i), int64(i))
		}
	case "sequence":
		do = func(tx *durus.Tx, o *owners, i int) error {
			return o.Tree.Put(tx, fmt.Sprintf("%d:%020d", n, time.Now().UnixNano()), int64(i))
		}
	case "same-end": // all of them at the end of the tree
		do = func(tx *durus.Tx, o *owners, i int) error {
			return o.Tree.Put(tx, fmt.Sprintf("%020d:%d", time.Now().UnixNano(), n), int64(i))
		}
	case "random":
		do = func(tx *durus.Tx, o *owners, i int) error {
			return o.Tree.Put(tx, fmt.Sprintf("%09d:%d", rand.N(1_000_000_000), n), int64(i))
		}
	}
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	if p := os.Getenv("DURUS_BENCH_PROFILE"); p != "" {
		f, err := os.Create(p + id)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	count := 0
	for began := time.Now(); time.Since(began) < 4*round; count++ {
		if err := db.Update(ctx, func(tx *durus.Tx) error {
			o, err := theOwners.Load(tx)
			if err != nil {
				return err
			}
			return do(tx, o, count)
		}); err != nil {
			return err
		}
	}
	s := db.Stats()
	fmt.Println(count, s.Retries)
	return db.Close()
}

// run starts the workers and returns commits per second of all, and retries.
func run(b *testing.B, path, work, sync string) (perSecond float64, retries int) {
	b.Helper()
	type proc struct {
		cmd *exec.Cmd
		in  io.WriteCloser
		out *bufio.Reader
	}
	var procs []proc
	for i := range workers {
		cmd := exec.Command(os.Args[0], path, strconv.Itoa(i))
		cmd.Env = append(os.Environ(), "DURUS_BENCH_WORK="+work, "DURUS_BENCH_SYNC="+sync)
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			b.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		procs = append(procs, proc{cmd, in, bufio.NewReader(out)})
	}
	line := func(p proc) string {
		s, err := p.out.ReadString('\n')
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	for _, p := range procs {
		line(p)
	}
	for _, p := range procs {
		if _, err := io.WriteString(p.in, "go\n"); err != nil {
			b.Fatal(err)
		}
	}
	total := 0
	for _, p := range procs {
		f := strings.Fields(line(p))
		n, _ := strconv.Atoi(f[0])
		r, _ := strconv.Atoi(f[1])
		total += n
		retries += r
	}
	for _, p := range procs {
		if err := p.cmd.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	return float64(total) / (4 * round).Seconds(), retries
}

// BenchmarkProcesses compares four processes that put keys into one tree with
// four that change objects of their own.
func BenchmarkProcesses(b *testing.B) {
	for _, sync := range []string{"always", "never"} {
		b.Run(sync, func(b *testing.B) {
			for range b.N {
				path := filepath.Join(b.TempDir(), "bench.durus")
				db, err := durus.Open(path, nil)
				if err != nil {
					b.Fatal(err)
				}
				if err := db.Update(context.Background(), func(tx *durus.Tx) error {
					o := durus.Must(theOwners.Edit(tx))
					for range workers {
						o.All = append(o.All, durus.Must(durus.Add(tx, &owner{})))
					}
					for i := range 20000 {
						if err := o.Tree.Put(tx, fmt.Sprintf("%09d", i*50_000), 0); err != nil {
							return err
						}
					}
					return nil
				}); err != nil {
					b.Fatal(err)
				}
				if err := db.Close(); err != nil {
					b.Fatal(err)
				}
				works := []string{"objects", "append", "sequence", "random", "same-end"}
				rates, ratios := map[string][]float64{}, map[string][]float64{}
				retries := map[string]int{}
				for range rounds {
					for _, w := range works {
						r, n := run(b, path, w, sync)
						rates[w] = append(rates[w], r)
						retries[w] += n
						ratios[w] = append(ratios[w], r/rates["objects"][len(rates["objects"])-1])
					}
				}
				for _, w := range works {
					b.ReportMetric(median(rates[w]), w+"/s")
					if w != "objects" {
						b.ReportMetric(median(ratios[w]), "x-"+w)
						b.Logf("%s %s: %.0f commits/s, %.2f of disjoint objects, %d retries", sync, w, median(rates[w]), median(ratios[w]), retries[w])
					}
				}
			}
		})
	}
}
