package backup

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
)

// Each operation of a restore over a database fails, or is done and reported as
// failed. After an error the database is the old one, unless that says that it
// is not known; without one it is the restored one. Then it takes commits, and
// the next restore succeeds.
func TestRestoreOperationFails(t *testing.T) {
	im, base, err := scene{}.begin()
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	for name, act := range map[string]mem.Action{"fails": mem.Fail(broken), "is reported as failed": mem.FailAfter(broken)} {
		t.Run(name, func(t *testing.T) {
			refused := 0
			for k := 1; ; k++ {
				a := base.fork(im)
				p := a.disk.Process("R")
				stop := a.disk.Inject(mem.Fault{Process: "R", Nth: k, Action: act})
				err := a.overwrite(p, 0, time.Second)
				if stop() == 0 {
					t.Logf("%d operations, %d refused", k-1, refused)
					return
				}
				p.Kill() // a lock that could not be given back is free then
				seen := a.sees(t)
				switch restored := a.restored(seen); {
				case !slices.Contains(seen, a.brought):
					t.Fatalf("operation %d (%v): it holds commits %v", k, err, seen)
				case err == nil && !restored, err != nil && restored && !errors.Is(err, vfs.ErrUnknownOutcome):
					t.Fatalf("operation %d: the restore said %v, and the database is the restored one: %v", k, err, restored)
				case err != nil && !errors.Is(err, broken):
					t.Fatalf("operation %d: %v", k, err)
				case err != nil:
					refused++
				}
				if err := a.nextRestore(); err != nil {
					t.Fatalf("operation %d (%v): %v", k, err, err)
				}
			}
		})
	}
}

// sees opens the database and returns the commits that are there.
func (a *accident) sees(t *testing.T) []uint64 {
	t.Helper()
	p, err := a.open("look", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer p.fs.Kill()
	seen, err := a.look(p)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}
