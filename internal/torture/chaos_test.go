//go:build linux

package torture

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/durusdb/durus/durus"
)

const (
	chaosProcesses  = 4
	chaosGoroutines = 3 // of a process, at most
)

// Everything at once: processes do whatever package durus can do, on one file
// that none has made before, while some are killed and others are stopped for a
// moment. In every state that anybody sees all adds up, each state is the same
// whoever looks at it and however often, what was acknowledged is there, and
// no call fails but as its documentation says.
//
// DURUS_KILL_SECONDS makes it longer by a quarter of that, in rounds. A run can
// be narrowed with DURUS_CHAOS, which names the only deeds that are done beside
// pages and views.
func TestTortureChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	left := 3 * time.Second
	if s := os.Getenv("DURUS_KILL_SECONDS"); s != "" {
		seconds, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatalf("DURUS_KILL_SECONDS: %v", err)
		}
		left = max(left, time.Duration(seconds/4*float64(time.Second)))
	}
	for n := 0; left > 0 && !t.Failed(); n++ {
		d := min(left, []time.Duration{time.Second, 300 * time.Millisecond, 5 * time.Second}[n%3])
		left -= d
		runChaosRound(t, d)
	}
}

// chaos is one round.
type chaos struct {
	t        testing.TB
	rnd      *rand.Rand
	seed     uint64
	path     string
	began    time.Time
	children [chaosProcesses]*child
	inc      uint64
	kills    int
	stops    int

	mu      sync.Mutex
	did     map[int]int64     // pages that were acknowledged, by worker
	will    map[int]int64     // and that were begun
	seen    map[string]string // digests, by transaction
	watched [chaosProcesses * chaosGoroutines]watched
	counts  map[string]int // deeds
	heard   sync.WaitGroup // the listeners
}

func runChaosRound(t *testing.T, d time.Duration) {
	c := &chaos{
		t: t, seed: newSeed(t), began: time.Now(), path: filepath.Join(keptDir(t), "chaos.durus"),
		did: make(map[int]int64), will: make(map[int]int64), seen: make(map[string]string), counts: make(map[string]int),
	}
	c.rnd = rand.New(rand.NewPCG(c.seed, 3))
	for i := range c.children {
		c.start(i)
	}
	for end := time.Now().Add(d); time.Now().Before(end) && !t.Failed(); {
		time.Sleep(time.Duration(c.rnd.Int64N(int64(120 * time.Millisecond))))
		c.trouble(c.rnd.IntN(chaosProcesses))
	}
	for _, child := range c.children {
		_ = child.in.Close() // that is its end
		select {
		case <-child.exited:
		case <-time.After(patience):
		}
		if !child.dead() {
			child.wait() // says what it died of
		}
	}
	c.heard.Wait()
	if t.Failed() {
		t.Fatalf("seed %d", c.seed)
	}
	c.judge()
}

// start starts the next incarnation of a process. All differ in what should make
// no difference.
func (c *chaos) start(i int) {
	c.inc++
	task := chaosTask{
		Path: c.path, Process: i, Workers: chaosProcesses * chaosGoroutines, First: i * chaosGoroutines,
		Goroutines: 1 + int((c.seed>>i)%chaosGoroutines), Seed: c.seed + c.inc, Mix: c.seed, Only: os.Getenv("DURUS_CHAOS"),
		Stack: []string{"", "cache", "async", "cached async"}[i],
		Options: durus.Options{
			Sync:       []durus.SyncPolicy{durus.SyncAlways, durus.SyncInterval, durus.SyncNever, durus.SyncAlways}[i],
			SyncEvery:  syncEvery,
			CacheBytes: []int64{0, 1 << 20, 64 << 10, 0}[i],
			Check:      []durus.Checks{durus.CheckNothing, durus.CheckShared, durus.CheckNothing, durus.CheckRerun}[i],
		},
	}
	c.mu.Lock()
	task.Watched = slices.Clone(c.watched[task.First : task.First+chaosGoroutines])
	c.mu.Unlock()
	// The last process has none: at any time somebody can do what he wants.
	if i < chaosProcesses-1 {
		task.Weather.Late = []int{0, 20, 200, 0}[c.seed>>10&3]
		task.Weather.Deadly = []int{0, 0, 3000, 300}[c.seed>>12&3]
		task.Weather.Full = []int{0, 0, 0, 200}[c.seed>>14&3]
	}
	task.Scale = []int{1, 1, 1, 30}[c.seed>>8&3]
	if i == 1 && c.seed&8 > 0 {
		task.Options.Isolation = durus.SnapshotIsolation
	}
	if i == 2 && c.seed&16 > 0 {
		task.Options.LockTimeout = 30 * time.Millisecond
	}
	if i == 3 && c.seed&32 > 0 {
		task.Options.MaxRetries = 2
	}
	child := start(c.t, "chaos", task)
	c.children[i] = child
	c.heard.Go(func() { c.listen(child) })
}

// listen writes down what a child tells.
func (c *chaos) listen(child *child) {
	for {
		line, err := child.out.ReadString('\n')
		if err != nil {
			return
		}
		c.mu.Lock()
		words := strings.Fields(line)
		switch {
		case len(words) == 3 && words[0] == "saw":
			if was, ok := c.seen[words[1]]; ok && was != words[2] {
				c.t.Errorf("transaction %s was %s and is %s", words[1], was, words[2])
			}
			c.seen[words[1]] = words[2]
		case len(words) == 3 && (words[0] == "did" || words[0] == "will"):
			worker, n := c.number(words[1]), int64(c.number(words[2]))
			if words[0] == "did" {
				c.did[worker] = n
			} else {
				c.will[worker] = n
			}
		case len(words) == 3 && words[0] == "watched":
			if err := json.Unmarshal([]byte(words[2]), &c.watched[c.number(words[1])]); err != nil {
				c.t.Error(err)
			}
		case len(words) > 0 && words[0] == "done":
			for _, word := range words[1:] {
				if deed, n, ok := strings.Cut(word, "="); ok {
					c.counts[deed] += c.number(n)
				}
			}
		}
		c.mu.Unlock()
	}
}

func (c *chaos) number(word string) int {
	n, err := strconv.Atoi(word)
	if err != nil {
		c.t.Errorf("a child tells %q", word)
	}
	return n
}

// trouble kills a process, or stops it for a moment.
func (c *chaos) trouble(i int) {
	child := c.children[i]
	switch {
	case child.dead(): // of the weather
		c.kills++
		c.start(i)
	case !child.alive():
		child.wait() // says what it died of
		c.t.Errorf("seed %d: process %d has ended", c.seed, i)
	case c.rnd.IntN([]int{2, 5, 10, 20}[c.seed&3]) == 0:
		child.kill()
		c.kills++
		c.start(i)
	case c.rnd.IntN(3) == 0:
		child.signal(syscall.SIGSTOP)
		time.Sleep(time.Duration(c.rnd.Int64N(int64(150 * time.Millisecond))))
		child.signal(syscall.SIGCONT)
		c.stops++
	case c.seed&(3<<6) == 0: // only the flock on the file itself keeps writers apart then
		if err := os.Remove(c.path + ".lock"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			c.t.Error(err)
		}
	}
}

// judge has a fresh process read everything.
func (c *chaos) judge() {
	fresh := start(c.t, "chaos inspect", chaosTask{Path: c.path, Workers: chaosProcesses * chaosGoroutines})
	for {
		line := fresh.hear()
		if line == "sound" {
			break
		}
		var worker int
		var n int64
		if _, err := fmt.Sscanf(line, "page %d %d", &worker, &n); err != nil {
			c.t.Fatalf("%q: %v", line, err)
		}
		if n < c.did[worker] || n > c.will[worker] {
			c.t.Errorf("seed %d: worker %d has written %d times, %d were acknowledged, %d begun", c.seed, worker, n, c.did[worker], c.will[worker])
		}
	}
	fresh.wait()
	deeds := make([]string, 0, len(c.counts))
	for deed, n := range c.counts {
		deeds = append(deeds, fmt.Sprintf("%s %d", deed, n))
	}
	slices.Sort(deeds)
	c.t.Logf("seed %d, %v: %d kills, %d stops, %d states seen; %s", c.seed, time.Since(c.began).Round(time.Millisecond), c.kills, c.stops, len(c.seen), strings.Join(deeds, ", "))
	if time.Since(c.began) > 3*time.Second && len(c.seen) == 0 {
		c.t.Errorf("seed %d: it shows too little", c.seed)
	}
}

// dead tells whether a process was killed.
func (c *child) dead() bool {
	if c.alive() {
		return false
	}
	status, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}
