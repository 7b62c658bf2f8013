//go:build linux

package torture

import (
	"testing"
	"time"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/internal/history"
)

// D1, D12, F12, acceptance tests 4, 14 and 16: processes with several
// goroutines, one of them with two handles, run all workloads on one file.
// Nobody sees an anomaly of any kind.
func TestTortureHistories(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: TestKill runs the same with -short")
	}
	demand := history.Require{Committed: 500, Conflicts: 50, ReadOnly: 100}
	t.Run("mixed", func(t *testing.T) {
		ring{writers: 3, readers: 1, goroutines: 3, workload: "mixed", duration: 2 * time.Second, require: demand}.run(t)
	})
	// Commits that are reported before they are on the disk are serializable all the same.
	t.Run("policies", func(t *testing.T) {
		ring{
			writers: 3, readers: 1, goroutines: 2, workload: "mixed", duration: 1500 * time.Millisecond, require: demand,
			sync: func(process int) durus.SyncPolicy { return durus.SyncPolicy(process % 3) },
		}.run(t)
	})
	// Few keys and few transactions, for porcupine.
	t.Run("small", func(t *testing.T) {
		ring{writers: 4, goroutines: 2, workload: "small", limit: 500, linear: true, require: demand}.run(t)
	})
}
