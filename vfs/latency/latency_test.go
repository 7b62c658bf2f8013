package latency_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/latency"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/posix"
)

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// everywhere runs a test on a simulated disk and on a real one, with a clock
// that stands still while anybody works.
func everywhere(t *testing.T, test func(t *testing.T, lower vfs.FS, dir string)) {
	for kind, storage := range map[string]func(t *testing.T) (vfs.FS, string){
		"mem":   func(*testing.T) (vfs.FS, string) { return mem.NewDisk().Process("p"), "/" },
		"posix": func(t *testing.T) (vfs.FS, string) { return posix.New(), t.TempDir() },
	} {
		t.Run(kind, func(t *testing.T) {
			lower, dir := storage(t)
			synctest.Test(t, func(t *testing.T) { test(t, lower, dir) })
		})
	}
}

func create(tb testing.TB, fsys vfs.FS, name, content string) {
	tb.Helper()
	w := fsys.Create(name, vfs.ReplaceIfExists, 0o600)
	_, err := w.Write([]byte(content))
	check(tb, errors.Join(err, w.Commit()))
}

// takes reports an operation that does not take as long.
func takes(tb testing.TB, what string, want time.Duration, do func() error) {
	tb.Helper()
	begin := time.Now()
	if err := do(); err != nil {
		tb.Errorf("%s: %v", what, err)
	}
	if got := time.Since(begin); got != want {
		tb.Errorf("%s took %v, want %v", what, got, want)
	}
}

// Every class of operations has its own time; what does no I/O takes none.
func TestClasses(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		const open, read, write, sync, name, lock = 1, 10, 100, 1_000, 10_000, 100_000
		path := filepath.Join(dir, "f")
		fsys := latency.New(lower, latency.Profile{Open: open, Read: read, Write: write, Sync: sync, Name: name, Lock: lock})
		takes(t, "create", open+write+sync, func() error {
			w := fsys.Create(path, vfs.FailIfExists, 0o600)
			_, err := w.Write([]byte("hello"))
			return errors.Join(err, w.Commit())
		})
		takes(t, "abort", 0, fsys.Create(path+"2", vfs.FailIfExists, 0o600).Abort)
		f := fsys.Open(path, vfs.Append)
		takes(t, "Size, the first", open+read, func() error { _, err := f.Size(); return err })
		takes(t, "Size", read, func() error { _, err := f.Size(); return err })
		takes(t, "Stat", read, func() error { _, err := f.Stat(); return err })
		takes(t, "ReadAt", read, func() error { _, err := f.ReadAt(make([]byte, 5), 0); return err })
		takes(t, "Append", write, func() error { _, err := f.Append([]byte("x"), 5); return err })
		takes(t, "Rewrite", write, func() error { _, err := f.Rewrite([]byte("x"), 5); return err })
		takes(t, "Truncate", write, func() error { return f.Truncate(5) })
		takes(t, "Sync", sync, f.Sync)
		takes(t, "SyncDir", sync, func() error { return fsys.SyncDir(path) })
		takes(t, "Stat of a name", name, func() error { _, err := fsys.Stat(path); return err })
		takes(t, "List", name, func() error {
			for _, err := range fsys.List(path) {
				check(t, err)
			}
			return nil
		})
		takes(t, "Resolve", name, func() error { _, err := fsys.Resolve(path); return err })
		takes(t, "Props", 0, func() error { fsys.Props(path); return nil })
		l := fsys.Locker(path+".lock", f, vfs.Append, 0o600)
		takes(t, "TryLock", lock, func() error { _, err := l.TryLock(); return err })
		takes(t, "Unlock", lock, l.Unlock)
		takes(t, "Lock", lock, func() error { return l.Lock(context.Background()) })
		takes(t, "ReadMark", lock, func() error { _, err := l.ReadMark(new([vfs.MarkSize]byte)); return err })
		takes(t, "Incarnation", 0, func() error { l.Incarnation(); return nil })
		takes(t, "Close of the lock", 0, l.Close)
		takes(t, "Close", 0, f.Close)
		takes(t, "Remove", name, func() error { return fsys.Remove(path) })
	})
}

// A20: operations at once take as long as one.
func TestOverlap(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		name := filepath.Join(dir, "f")
		create(t, lower, name, "x")
		f := latency.New(lower, latency.Profile{Open: time.Second, Read: time.Minute}).Open(name, vfs.ReadOnly)
		defer f.Close()
		takes(t, "100 reads", time.Minute+time.Second, func() error {
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() {
					if _, err := f.ReadAt(make([]byte, 1), 0); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			return nil
		})
	})
}

// Bytes pass one after the other, whoever moves them.
func TestBandwidth(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		name := filepath.Join(dir, "f")
		fsys := latency.New(lower, latency.Profile{Read: time.Millisecond, Bandwidth: 1000})
		takes(t, "writing 500 bytes", time.Second/2, func() error {
			create(t, fsys, name, string(make([]byte, 500)))
			return nil
		})
		f := fsys.Open(name, vfs.Append)
		defer f.Close()
		takes(t, "appending 1000 bytes", time.Second, func() error { _, err := f.Append(make([]byte, 1000), 500); return err })
		takes(t, "4 reads of 500 bytes", 2*time.Second+time.Millisecond, func() error {
			var wg sync.WaitGroup
			for i := range 4 {
				wg.Go(func() {
					if _, err := f.ReadAt(make([]byte, 500), int64(i)*300); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			return nil
		})
		time.Sleep(time.Hour) // what was not used is gone
		takes(t, "a read of 500 bytes", time.Second/2+time.Millisecond, func() error { _, err := f.ReadAt(make([]byte, 500), 0); return err })
		takes(t, "Size", time.Millisecond, func() error { _, err := f.Size(); return err })
	})
}

// The same seed varies times in the same way, within bounds.
func TestJitter(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		name := filepath.Join(dir, "f")
		create(t, lower, name, "x")
		run := func(seed uint64, jitter float64) (all [50]time.Duration) {
			fsys := latency.New(lower, latency.Profile{Name: time.Second, Jitter: jitter, Seed: seed})
			for i := range all {
				begin := time.Now()
				_, err := fsys.Stat(name)
				check(t, err)
				all[i] = time.Since(begin)
			}
			return all
		}
		times := run(seed, 0.25)
		var low, high bool
		for _, d := range times {
			if d < 750*time.Millisecond || d > 1250*time.Millisecond {
				t.Errorf("took %v", d)
			}
			low, high = low || d < time.Second, high || d > time.Second
		}
		if !low || !high {
			t.Errorf("all on one side: %v", times)
		}
		if run(seed, 0.25) != times {
			t.Error("the same seed gave other times")
		}
		if run(seed+1, 0.25) == times {
			t.Error("another seed gave the same times")
		}
		for _, d := range run(seed, 7) {
			if d < 0 || d > 2*time.Second {
				t.Errorf("took %v", d)
			}
		}
	})
}

// Nobody waits for what nobody needs any more, and it is not done.
func TestWaitEnds(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		name := filepath.Join(dir, "f")
		create(t, lower, name, "x")
		fsys := latency.New(lower, latency.Profile{Write: time.Hour, Lock: time.Hour})
		f := fsys.Open(name, vfs.Append)
		l := fsys.Locker(name+".lock", f, vfs.Append, 0o600)
		defer l.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		takes(t, "a lock with a deadline", time.Second, func() error {
			if err := l.Lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("answered %w", err)
			}
			return nil
		})
		takes(t, "an append to a file that is closed", time.Second, func() error {
			time.AfterFunc(time.Second, func() { _ = f.Close() })
			if n, err := f.Append([]byte("y"), 1); n != 0 || !errors.Is(err, vfs.ErrClosed) {
				return fmt.Errorf("answered %d, %w", n, err)
			}
			return nil
		})
		info, err := lower.Stat(name)
		check(t, err)
		if info.Size != 1 {
			t.Errorf("size %d", info.Size)
		}
	})
}

// The zero Profile changes nothing.
func TestZeroProfile(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		name := filepath.Join(dir, "f")
		fsys := latency.New(lower, latency.Profile{})
		takes(t, "all", 0, func() error {
			create(t, fsys, name, "x")
			f := fsys.Open(name, vfs.Append)
			_, err := f.Append([]byte("y"), 1)
			return errors.Join(err, f.Sync(), f.Close(), fsys.Remove(name))
		})
	})
}

func Example() {
	far := latency.New(mem.NewDisk().Process("p"), latency.Profile{Sync: 30 * time.Millisecond})
	begin := time.Now()
	if err := far.Create("f", vfs.FailIfExists, 0o600).Commit(); err != nil {
		fmt.Println(err)
	}
	fmt.Println(time.Since(begin) >= 30*time.Millisecond)
	// Output: true
}
