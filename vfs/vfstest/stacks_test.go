package vfstest_test

import (
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/async"
	"github.com/durusdb/durus/vfs/cache"
	"github.com/durusdb/durus/vfs/fault"
	"github.com/durusdb/durus/vfs/latency"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/posix"
	"github.com/durusdb/durus/vfs/trace"
	"github.com/durusdb/durus/vfs/vfstest"
)

// layer puts a wrapper over a storage.
type layer func(lower vfs.FS) vfs.FS

func overAsync(lower vfs.FS) vfs.FS { return async.New(lower, async.Options{}) }
func overCache(lower vfs.FS) vfs.FS { return cache.New(lower, cache.Options{}) }
func overTrace(lower vfs.FS) vfs.FS { return trace.New(lower) }
func overFault(lower vfs.FS) vfs.FS { return fault.New(lower, 1) }

// narrowAsync has one worker and room for next to nothing.
func narrowAsync(lower vfs.FS) vfs.FS {
	return async.New(lower, async.Options{Workers: 1, Buffer: 1000, ReadBytes: 4096, ReadAhead: 1000})
}

// narrowCache forgets nearly everything.
func narrowCache(lower vfs.FS) vfs.FS { return cache.New(lower, cache.Options{Page: 16, Bytes: 5000}) }

func overLatency(lower vfs.FS) vfs.FS {
	const d = 50 * time.Microsecond
	return latency.New(lower, latency.Profile{Open: d, Read: d, Sync: d, Lock: d, Jitter: 1, Seed: 1})
}

// onMem is a stack over a simulated disk. Each process has wrappers of its own.
func onMem(over layer) func(testing.TB) vfstest.Env {
	return func(testing.TB) vfstest.Env {
		d := mem.NewDisk()
		return vfstest.Env{
			FS:    over(d.Process("a")),
			Other: func() vfs.FS { return over(d.Process("b")) },
			Dir:   "/dir",
			Crash: func() iter.Seq[vfs.FS] { return crashes(d) },
		}
	}
}

// crashes yields the disk after a power cut.
func crashes(d *mem.Disk) iter.Seq[vfs.FS] {
	return func(yield func(vfs.FS) bool) {
		for image := range d.Images(mem.Options{Models: mem.M1 | mem.M2 | mem.M3 | mem.M6, Samples: 100}) {
			if !yield(image.Disk().Process("after")) {
				return
			}
		}
	}
}

// onPosix is a stack over real files.
func onPosix(over layer) func(testing.TB) vfstest.Env {
	return func(t testing.TB) vfstest.Env {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
			t.Fatal(err)
		}
		return vfstest.Env{
			FS:    over(posix.New()),
			Other: func() vfs.FS { return over(posix.New()) },
			Dir:   dir,
		}
	}
}

// B3, B7, A13: a stack of wrappers keeps the contract that each of them keeps,
// whatever lies above or below it.
func TestStacks(t *testing.T) {
	for _, stack := range []struct {
		name string
		long bool // left out of a short run
		env  func(testing.TB) vfstest.Env
	}{
		{"fault(mem)", false, onMem(overFault)},
		{"trace(mem)", false, onMem(overTrace)},
		{"latency(mem)", false, onMem(overLatency)},
		{"cache(mem)", false, onMem(overCache)},
		{"narrow cache(mem)", false, onMem(narrowCache)},
		{"async(mem)", false, onMem(overAsync)},
		{"narrow async(mem)", false, onMem(narrowAsync)},
		{"cache(async(mem))", false, onMem(func(l vfs.FS) vfs.FS { return overCache(overAsync(l)) })},
		{"narrow cache(narrow async(mem))", true, onMem(func(l vfs.FS) vfs.FS { return narrowCache(narrowAsync(l)) })},
		{"async(cache(mem))", true, onMem(func(l vfs.FS) vfs.FS { return overAsync(overCache(l)) })},
		{"async(latency(posix))", false, onPosix(func(l vfs.FS) vfs.FS { return overAsync(overLatency(l)) })},
		{"trace(cache(posix))", false, onPosix(func(l vfs.FS) vfs.FS { return overTrace(overCache(l)) })},
		{"trace(fault(cache(async(latency(mem)))))", true, onMem(func(l vfs.FS) vfs.FS {
			return overTrace(overFault(overCache(overAsync(overLatency(l)))))
		})},
		{"mem without locks", false, onMem(func(l vfs.FS) vfs.FS {
			return fault.Mask(l, func(p vfs.Props) vfs.Props { p.Locks = false; return p })
		})},
	} {
		t.Run(stack.name, func(t *testing.T) {
			if stack.long && testing.Short() {
				t.Skip("a long stack")
			}
			if runtime.GOOS == "windows" {
				t.Skip("on Windows files that are open cannot be replaced, so no back end there keeps rule 3")
			}
			t.Parallel() // slow ones wait, most of the time
			vfstest.Run(t, stack.env)
		})
	}
}
