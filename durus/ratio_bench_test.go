//go:build linux

package durus

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Ratios against the raw calls, measured in turn in one run: timings of a
// shared machine move, ratios less. Each benchmark runs rounds of a few hundred
// milliseconds and reports the median of the ratios of the rounds.

const (
	rounds    = 7
	roundTime = 300 * time.Millisecond
)

type blob struct{ Data []byte }

var (
	_         = Register[blob]("bench.blob")
	blobsRoot = NewRoot[blobs]("bench")
	_         = Register[blobs]("bench.blobs")
)

type blobs struct{ All []Ref[blob] }

// openBlobs opens a database with n objects of 100 bytes.
func openBlobs(path string, opts *Options, n int) (*DB, []Ref[blob], error) {
	db, err := Open(path, opts)
	if err != nil {
		return nil, nil, err
	}
	var refs []Ref[blob]
	err = db.Update(context.Background(), func(tx *Tx) error {
		root, err := blobsRoot.Edit(tx)
		if err != nil {
			return err
		}
		for len(root.All) < n {
			r, err := Add(tx, &blob{make([]byte, 100)})
			if err != nil {
				return err
			}
			root.All = append(root.All, r)
		}
		refs = root.All
		return nil
	})
	return db, refs, err
}

// change commits a change of one object.
func change(db *DB, r Ref[blob], i int) error {
	return db.Update(context.Background(), func(tx *Tx) error {
		o, err := r.Edit(tx)
		if err != nil {
			return err
		}
		o.Data[i%100]++
		return nil
	})
}

// rate calls f until the round is over and returns calls per second.
func rate(f func(i int)) float64 {
	began := time.Now()
	n := 0
	for time.Since(began) < roundTime {
		for range 8 {
			f(n)
			n++
		}
	}
	return float64(n) / time.Since(began).Seconds()
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// rawLog is a file that is appended to and synced with nothing around it.
func rawLog(tb testing.TB, path string) func(int) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { f.Close() })
	buf, end := make([]byte, 300), int64(0)
	return func(int) {
		if _, err := f.WriteAt(buf, end); err != nil {
			tb.Fatal(err)
		}
		end += int64(len(buf))
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			tb.Fatal(err)
		}
	}
}

// BenchmarkDurableCommit: one object of 100 bytes through Update, against a
// loop of append and fdatasync. It should be at least 0.9 of it.
func BenchmarkDurableCommit(b *testing.B) {
	for b.Loop() {
		dir := b.TempDir()
		db, refs, err := openBlobs(filepath.Join(dir, "a.durus"), &Options{Check: CheckNothing}, 1)
		if err != nil {
			b.Fatal(err)
		}
		raw := rawLog(b, filepath.Join(dir, "raw"))
		var ours, theirs, ratios []float64
		for range rounds {
			r := rate(raw)
			o := rate(func(i int) {
				if err := change(db, refs[0], i); err != nil {
					b.Fatal(err)
				}
			})
			ours, theirs, ratios = append(ours, o), append(theirs, r), append(ratios, o/r)
		}
		b.ReportMetric(median(ours), "commits/s")
		b.ReportMetric(median(theirs), "raw/s")
		b.ReportMetric(median(ratios), "ratio")
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGroupCommit: 16 goroutines against one, each on its own object. It
// should be at least 5 times as much.
func BenchmarkGroupCommit(b *testing.B) {
	for b.Loop() {
		db, refs, err := openBlobs(filepath.Join(b.TempDir(), "a.durus"), &Options{Check: CheckNothing}, 16)
		if err != nil {
			b.Fatal(err)
		}
		var many, ratios []float64
		for range rounds {
			one := rate(func(i int) {
				if err := change(db, refs[0], i); err != nil {
					b.Fatal(err)
				}
			})
			var total atomic.Int64
			var group sync.WaitGroup
			began := time.Now()
			for _, r := range refs {
				group.Go(func() {
					for i := 0; time.Since(began) < roundTime; i++ {
						if err := change(db, r, i); err != nil {
							b.Error(err)
							return
						}
						total.Add(1)
					}
				})
			}
			group.Wait()
			m := float64(total.Load()) / time.Since(began).Seconds()
			many, ratios = append(many, m), append(ratios, m/one)
		}
		b.ReportMetric(median(many), "commits/s")
		b.ReportMetric(median(ratios), "ratio")
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// benchChildEnv makes the test binary a process of BenchmarkProcesses.
const benchChildEnv = "DURUS_BENCH_CHILD"

// benchChild commits on object number n for one round, or, as "raw", appends
// to one file and syncs it under its lock, which is what a commit that syncs
// under the lock cannot beat.
func benchChild(spec string) int {
	kind, rest, _ := strings.Cut(spec, ":")
	number, path, _ := strings.Cut(rest, ":")
	var n int
	fmt.Sscan(number, &n)
	work := func(int) {}
	switch kind {
	case "durus":
		db, refs, err := openBlobs(path, &Options{Check: CheckNothing}, 4)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer db.Close()
		work = func(i int) {
			if err := change(db, refs[n], i); err != nil {
				panic(err)
			}
		}
	case "raw":
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer f.Close()
		fd, buf := int(f.Fd()), make([]byte, 300)
		work = func(int) {
			if err := syscall.Flock(fd, syscall.LOCK_EX); err != nil {
				panic(err)
			}
			end, _ := f.Seek(0, 2)
			if _, err := f.WriteAt(buf, end); err != nil {
				panic(err)
			}
			if err := syscall.Fdatasync(fd); err != nil {
				panic(err)
			}
			if err := syscall.Flock(fd, syscall.LOCK_UN); err != nil {
				panic(err)
			}
		}
	}
	fmt.Println("ready")
	fmt.Scanln() // all begin together
	_ = json.NewEncoder(os.Stdout).Encode(rate(work))
	return 0
}

// runChildren returns the rates of four processes that work at once.
func runChildren(b *testing.B, kind, path string) []float64 {
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	type child struct {
		cmd *exec.Cmd
		in  *os.File
		out *json.Decoder
	}
	var children []child
	for i := range 4 {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s:%d:%s", benchChildEnv, kind, i, path))
		cmd.Stderr = os.Stderr
		inR, inW, err := os.Pipe()
		if err != nil {
			b.Fatal(err)
		}
		outR, outW, err := os.Pipe()
		if err != nil {
			b.Fatal(err)
		}
		cmd.Stdin, cmd.Stdout = inR, outW
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		inR.Close()
		outW.Close()
		b.Cleanup(func() { outR.Close() })
		var ready [6]byte
		if _, err := outR.Read(ready[:]); err != nil {
			b.Fatal(err)
		}
		children = append(children, child{cmd, inW, json.NewDecoder(outR)})
	}
	for _, c := range children {
		fmt.Fprintln(c.in)
		c.in.Close()
	}
	var rates []float64
	for _, c := range children {
		var r float64
		if err := c.out.Decode(&r); err != nil {
			b.Fatal(err)
		}
		if err := c.cmd.Wait(); err != nil {
			b.Fatal(err)
		}
		rates = append(rates, r)
	}
	return rates
}

// BenchmarkProcesses: four processes commit durably to one file, each on its
// own object, against four that append to a file and sync it under a lock. It
// should be at least 1.8 times as much; slowest is the slowest process against
// the mean.
func BenchmarkProcesses(b *testing.B) {
	for b.Loop() {
		dir := b.TempDir()
		path := filepath.Join(dir, "a.durus")
		db, _, err := openBlobs(path, nil, 4)
		if err != nil {
			b.Fatal(err)
		}
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
		var ours, ratios, slowest []float64
		for range rounds {
			sum := func(v []float64) (s float64) {
				for _, x := range v {
					s += x
				}
				return s
			}
			raw := sum(runChildren(b, "raw", filepath.Join(dir, "raw")))
			rates := runChildren(b, "durus", path)
			o := sum(rates)
			ours, ratios = append(ours, o), append(ratios, o/raw)
			slowest = append(slowest, slices.Min(rates)/(o/4))
		}
		b.ReportMetric(median(ours), "commits/s")
		b.ReportMetric(median(ratios), "ratio")
		b.ReportMetric(median(slowest), "slowest")
	}
}
