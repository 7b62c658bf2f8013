//go:build linux

package torture

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/internal/history"
)

// killRound bounds the memory of the checkers: longer runs are many rounds.
const killRound = 15 * time.Second

// D1, D10, F10, acceptance test 2: writers and readers are killed at any
// moment, one after the other. No acknowledged commit is lost, no transaction
// is there in part, and all that anybody saw fits into one serial order.
func TestKill(t *testing.T) {
	left := lasts(3 * time.Second)
	if s := os.Getenv("DURUS_KILL_SECONDS"); s != "" {
		seconds, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatalf("DURUS_KILL_SECONDS: %v", err)
		}
		left = time.Duration(seconds * float64(time.Second))
	}
	kills := 0
	for n := 0; left > 0 && !t.Failed(); n++ {
		duration := min(left, killRound)
		left -= duration
		r := ring{
			writers: 4, readers: 2, goroutines: 1 + n%3, workload: "mixed", duration: duration,
			killEvery: [2]time.Duration{20 * time.Millisecond, 100 * time.Millisecond},
			require:   history.Require{Committed: atLeast(50, duration), Conflicts: 1, Infos: 1, ReadOnly: 10},
		}
		if n%2 == 1 { // a kill takes nothing from the page cache, so the policy makes no difference
			r.sync = func(process int) durus.SyncPolicy {
				return []durus.SyncPolicy{durus.SyncAlways, durus.SyncInterval, durus.SyncNever}[process%3]
			}
		}
		run := r.run(t)
		if want := atLeast(3, duration); run.kills < want {
			t.Errorf("only %d kills, at least %d are needed", run.kills, want)
		}
		kills += run.kills
	}
	t.Logf("%d kills in all", kills)
}

// atLeast is what a run must show that goes on for d, at so many a second.
func atLeast(perSecond int, d time.Duration) int {
	return int(float64(perSecond) * d.Seconds())
}
