package realdisk

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/durusdb/durus/backup"
	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/posix"
)

// restoreTask is a restore over a database, as durusctl restore --overwrite does it.
type restoreTask struct{ From, To string }

func (task restoreTask) run() error {
	_, err := backup.Restore(context.Background(), posix.New(), task.From, task.To, backup.RestoreOptions{Overwrite: true, LockTimeout: sweepTimeout})
	return err
}

func runRestore(task restoreTask) error {
	if err := task.run(); err != nil {
		return err
	}
	return tell("restored")
}

const (
	restoreKept = 5 // commits that are backed up
	restoreAll  = 9 // and those that there are
)

// restoreCalls are those of a restore; strace passes over what the machine lacks.
var restoreCalls = append(everyCalls[:len(everyCalls):len(everyCalls)], "?rename", "?renameat")

// restoring is a database of some commits, with a directory of backups that has
// the first of them.
type restoring struct{ dir, path, vault string }

func newRestoring(t testing.TB) *restoring {
	t.Helper()
	dir := t.TempDir()
	r := &restoring{dir, filepath.Join(dir, "db"), filepath.Join(t.TempDir(), "vault")}
	if err := os.Mkdir(r.vault, 0o700); err != nil {
		t.Fatal(err)
	}
	s := r.open(t)
	defer s.Close()
	for n := 1; n <= restoreAll; n++ {
		r.commit(t, s, n)
		if n == restoreKept {
			if _, err := backup.Full(t.Context(), s, posix.New(), r.vault, backup.Options{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return r
}

func (r *restoring) open(t testing.TB) *filestorage.Storage {
	t.Helper()
	s, err := filestorage.Open(r.path, filestorage.Options{FS: posix.New(), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (r *restoring) commit(t testing.TB, s *filestorage.Storage, n int) {
	t.Helper()
	snap, err := s.Begin(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	if _, err := s.Commit(t.Context(), &storage.Commit{Base: snap, Meta: storage.Meta{Description: strconv.Itoa(n)}}); err != nil {
		t.Fatal(err)
	}
}

// commits are the numbers of those that are there.
func (r *restoring) commits(t testing.TB, s *filestorage.Storage) (seen []int) {
	t.Helper()
	last, err := s.LastTID()
	if err != nil {
		t.Fatal(err)
	}
	for tx, err := range s.Transactions(1, last) {
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(tx.Description)
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, n)
	}
	return seen
}

// TestFaultRestore kills a restore over a database at each of its system calls.
// The database is the old one, or the restored one if it said that it is done;
// it takes commits, and the next restore leaves nothing of the one that was killed.
func TestFaultRestore(t *testing.T) {
	needStrace(t)
	rnd := newRand(t)
	r := newRestoring(t)
	c, tr := trace(t, "restore", restoreTask{r.vault, r.path}, restoreCalls, nil, injection{})
	c.wait()
	counts := tr.counts()
	if counts["renameat2"]+counts["renameat"]+counts["rename"] < 2 || counts["fsync"]+counts["fdatasync"] < 2 {
		t.Fatalf("strace saw %v only; %q %s", counts, c.all(), &c.stderr)
	}
	type point struct {
		call string
		nth  int
	}
	var points []point
	for _, call := range slices.Sorted(maps.Keys(counts)) {
		for n := range counts[call] {
			points = append(points, point{call, n + 1})
		}
	}
	rnd.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
	until := time.Now().Add(lasts(t, 5*time.Second))
	tried, old := 0, 0
	for _, p := range points {
		if !thorough() && time.Now().After(until) && tried >= fewest {
			break
		}
		tried++
		r := newRestoring(t)
		if r.killedAt(t, p.call, p.nth) {
			old++
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("killed at %d of %d system calls: the database was the old one %d times", tried, len(points), old)
}

// killedAt kills a restore at a system call; true if the database is the old one.
func (r *restoring) killedAt(t *testing.T, call string, nth int) (old bool) {
	t.Helper()
	c, _ := trace(t, "restore", restoreTask{r.vault, r.path}, restoreCalls, nil, injection{call, "signal=KILL", fmt.Sprint(nth)})
	c.wait()
	s := r.open(t)
	seen := r.commits(t, s)
	old = len(seen) == restoreAll
	if !old && len(seen) != restoreKept || old && slices.Contains(c.all(), "restored") {
		t.Errorf("killed at %s %d: it holds commits %v, and the restore said %q", call, nth, seen, c.all())
	}
	r.commit(t, s, 100)
	if v, err := s.Verify(t.Context(), nil); err != nil || !v.OK() {
		t.Errorf("killed at %s %d: verify: %+v, %v", call, nth, v, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := (restoreTask{r.vault, r.path}).run(); err != nil {
		t.Errorf("killed at %s %d: the next restore: %v", call, nth, err)
	}
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); name != "db" && name != "db.lock" && name != "db.index" {
			t.Errorf("killed at %s %d: the next restore leaves %s", call, nth, name)
		}
	}
	return old
}
