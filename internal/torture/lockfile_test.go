//go:build linux

package torture

import (
	"errors"
	"io/fs"
	"os"
	"testing"
	"time"

	"github.com/durusdb/durus/internal/history"
)

// D3, H4, F11, acceptance test 15: somebody deletes the lock file all the time
// while processes commit. No update is lost. The durable mark goes with the
// file, and no View waits for it to come back: meanwhile one may show an older
// state (DESIGN section 6), and must be a state all the same.
func TestTortureLockFileDeleted(t *testing.T) {
	deleted := 0
	duration := lasts(1500 * time.Millisecond)
	ring{
		writers: 4, readers: 2, goroutines: 2, workload: "counter", duration: duration, staleViews: true,
		require: history.Require{Committed: 100, Conflicts: 10},
		trouble: func(r *ringRun) {
			for r.pause(time.Duration(r.rnd.Int64N(int64(2 * time.Millisecond)))) {
				switch err := os.Remove(r.path + ".lock"); {
				case err == nil:
					deleted++
				case !errors.Is(err, fs.ErrNotExist):
					t.Error(err)
				}
			}
		},
	}.run(t)
	if want := atLeast(50, duration); deleted < want {
		t.Errorf("the lock file was deleted %d times, at least %d are needed", deleted, want)
	}
	t.Logf("the lock file was deleted %d times", deleted)
}
