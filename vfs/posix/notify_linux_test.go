package posix

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs"
)

// notices is a channel with room for one: that something was told.
func notices(t *testing.T, names ...string) (chan struct{}, func()) {
	t.Helper()
	told := make(chan struct{}, 1)
	stop, err := New().(vfs.Notifier).Notify(names, func() {
		select {
		case told <- struct{}{}:
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return told, stop
}

func mustTell(t *testing.T, told chan struct{}, what string) {
	t.Helper()
	select {
	case <-told:
	case <-time.After(5 * time.Second):
		t.Fatalf("%s is not told", what)
	}
	quiet(told)
}

// quiet waits until nothing more is told.
func quiet(told chan struct{}) (n int) {
	for {
		select {
		case <-told:
			n++
		case <-time.After(20 * time.Millisecond):
			return n
		}
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Files that are written, replaced, removed and made again stay watched, and
// others in their directory wake nobody.
func TestNotify(t *testing.T) {
	dir := t.TempDir()
	data, lock := filepath.Join(dir, "a.durus"), filepath.Join(dir, "a.durus.lock")
	write(t, data, "x")
	told, stop := notices(t, data, lock)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for round := range 3 {
		write(t, data, "more")
		mustTell(t, told, "an append")
		write(t, lock, "mark")
		mustTell(t, told, "a write to a file that was missing")
		write(t, lock, "mark")
		mustTell(t, told, "a write to a file that was made meanwhile")
		write(t, filepath.Join(dir, "b"), "x")
		must(os.Mkdir(filepath.Join(dir, "d"+strconv.Itoa(round)), 0o700))
		if n := quiet(told); n > 0 {
			t.Fatalf("%d notices of other files", n)
		}
		write(t, filepath.Join(dir, "new"), "y")
		old, err := os.OpenFile(data, os.O_WRONLY|os.O_APPEND, 0)
		must(err)
		must(os.Rename(filepath.Join(dir, "new"), data))
		mustTell(t, told, "a rename over a file")
		_, err = old.WriteString("late")
		must(err)
		must(old.Close())
		if n := quiet(told); n > 0 {
			t.Fatalf("%d notices of a file that was replaced", n)
		}
		must(os.Remove(lock))
		mustTell(t, told, "a removal")
	}
	stop()
	stop()
	quiet(told)
	write(t, data, "more")
	if n := quiet(told); n > 0 {
		t.Fatalf("%d notices after the end", n)
	}
}

// When the system gives nothing, that is an error and not a silence.
func TestNotifyRefused(t *testing.T) {
	dir := t.TempDir()
	if _, err := New().(vfs.Notifier).Notify([]string{filepath.Join(dir, "no", "a")}, func() {}); err == nil {
		t.Error("a directory that is missing is watched")
	}
	var stops []func()
	defer func() {
		for _, stop := range stops {
			stop()
		}
	}()
	text, err := os.ReadFile("/proc/sys/fs/inotify/max_user_instances")
	if err != nil {
		t.Skip(err)
	}
	limit, err := strconv.Atoi(string(text[:len(text)-1]))
	if err != nil || limit > 2000 {
		t.Skipf("%d instances are allowed: too many to use up", limit)
	}
	for range limit + 1 {
		stop, err := New().(vfs.Notifier).Notify([]string{filepath.Join(dir, "a")}, func() {})
		if err != nil {
			return
		}
		stops = append(stops, stop)
	}
	t.Errorf("%d instances were allowed of %d", limit+1, limit)
}
