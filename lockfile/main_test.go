//go:build unix

package lockfile

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs"
)

// children are the roles that the test binary plays when it runs itself again
// with DURUS_CHILD set.
var children = map[string]func(args []string) error{}

func TestMain(m *testing.M) {
	if role := os.Getenv("DURUS_CHILD"); role != "" {
		if err := children[role](os.Args[1:]); err != nil {
			_, _ = os.Stderr.WriteString(role + ": " + err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// newData creates a data file of eight zero bytes and returns its path.
func newData(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.durus")
	if err := os.WriteFile(path, make([]byte, 8), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// openLocker opens a data file and its lock file, and closes both at the end
// of the test.
func openLocker(t testing.TB, data, lock string) *Locker {
	t.Helper()
	f, err := os.OpenFile(data, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	l := New(lock, f, vfs.Append, 0)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func mustLock(t testing.TB, l *Locker) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := l.Lock(ctx); err != nil {
		t.Fatal(err)
	}
}

func mustUnlock(t testing.TB, l *Locker) {
	t.Helper()
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
}

func mustBeBusy(t testing.TB, l *Locker) {
	t.Helper()
	if ok, err := l.TryLock(); ok || err != nil {
		t.Fatalf("TryLock = %v, %v; want busy", ok, err)
	}
}

// noLeak fails the test if at its end there are more goroutines than now, or
// if a guard is left. Call it before what is to be checked.
func noLeak(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		eventually(t, "helpers and guards are gone", func() bool {
			registry.mu.Lock()
			defer registry.mu.Unlock()
			return len(registry.guards) == 0 && runtime.NumGoroutine() <= before
		})
	})
}

// eventually waits for a condition that other goroutines or processes bring about.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after 5 s still not so: %s", what)
		}
	}
}
