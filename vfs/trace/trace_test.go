package trace_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/latency"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/posix"
	"github.com/durusdb/durus/vfs/trace"
	"github.com/durusdb/durus/vfs/wrap"
)

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// everywhere runs a test on a simulated disk and on a real one.
func everywhere(t *testing.T, test func(t *testing.T, lower vfs.FS, dir string)) {
	t.Run("mem", func(t *testing.T) { test(t, mem.NewDisk().Process("p"), "/") })
	t.Run("posix", func(t *testing.T) { test(t, posix.New(), t.TempDir()) })
}

func create(tb testing.TB, fsys vfs.FS, name, content string) {
	tb.Helper()
	w := fsys.Create(name, vfs.ReplaceIfExists, 0o600)
	_, err := w.Write([]byte(content))
	check(tb, errors.Join(err, w.Commit()))
}

// work does something of each kind.
func work(tb testing.TB, fsys vfs.FS, dir string) {
	tb.Helper()
	name := filepath.Join(dir, "f")
	create(tb, fsys, name, "hello")
	f := fsys.Open(name, vfs.Append)
	_, err := f.Append([]byte("world!"), 5)
	check(tb, err)
	p := make([]byte, 8)
	for _, off := range []int64{0, 8, 11} { // all, 3 bytes, none
		if _, err = f.ReadAt(p, off); err != nil && !errors.Is(err, io.EOF) {
			tb.Fatal(err)
		}
	}
	_, err = f.Size()
	check(tb, errors.Join(err, f.Truncate(7), f.Sync()))
	l := fsys.Locker(name+".lock", f, vfs.Append, 0o600)
	check(tb, l.Lock(context.Background()))
	check(tb, errors.Join(l.Unlock(), l.Close(), f.Close()))
	if _, err := fsys.Stat(name + "?"); !errors.Is(err, fs.ErrNotExist) {
		tb.Fatal(err)
	}
	for _, err := range fsys.List(name) {
		check(tb, err)
	}
}

func TestCounts(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		disk := trace.New(lower)
		work(t, disk, dir)
		one := trace.Count{Calls: 1}
		want := map[wrap.Op]trace.Count{
			wrap.Create: one, wrap.Write: {Calls: 1, Bytes: 5}, wrap.Commit: one,
			wrap.Open: one, wrap.Append: {Calls: 1, Bytes: 6}, wrap.Read: {Calls: 3, Bytes: 11},
			wrap.Size: one, wrap.Truncate: one, wrap.Sync: one, wrap.Close: one,
			wrap.Lock: one, wrap.Unlock: one, wrap.LockClose: one,
			wrap.Stat: {Calls: 1, Errors: 1}, wrap.List: one,
		}
		if got := disk.Counts(); !maps.Equal(got, want) {
			t.Errorf("counts %v, want %v", got, want)
		}
		if n := disk.Calls(wrap.Read | wrap.Write | wrap.Remove); n != 4 {
			t.Errorf("%d reads and writes", n)
		}
		lines := strings.Split(disk.String(), "\n")
		if len(lines) != 1+len(want)+1 ||
			strings.Join(strings.Fields(lines[0]), " ") != "operation calls again errors bytes" ||
			strings.Join(strings.Fields(lines[1]), " ") != "stat 1 0 1 0" {
			t.Errorf("table:\n%v", disk)
		}
		if disk.Events() != nil && len(disk.Events()) != 0 {
			t.Error("events that nobody asked for")
		}
		disk.Reset()
		if got := disk.Counts(); len(got) != 0 {
			t.Errorf("after Reset %v", got)
		}
	})
}

func TestEvents(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		disk := trace.New(lower)
		disk.Record(100)
		var sunk []trace.Event
		disk.Sink(func(e trace.Event) { sunk = append(sunk, e) })
		work(t, disk, dir)
		var got []string
		events := disk.Events()
		for i, e := range events {
			if e.Seq != uint64(i+1) || e.Duration < 0 {
				t.Errorf("event %d: %v", i, e)
			}
			e.Duration = 0
			_, line, _ := strings.Cut(strings.ReplaceAll(e.String(), dir+string(filepath.Separator), "/"), " ")
			line, _, _ = strings.Cut(line, "0s:")
			got = append(got, strings.ReplaceAll(strings.TrimSuffix(strings.TrimSpace(line), " 0s"), "//", "/"))
		}
		want := []string{
			"create /f", "write /f @0+5", "commit /f",
			"open /f", "append /f @5+6", "read /f @0+8", "read /f @8+3", "read /f @11+0",
			"size /f = 11", "truncate /f to 7", "sync /f",
			"lock /f.lock", "unlock /f.lock", "lockclose /f.lock", "close /f",
			"stat /f? = 0", "list /f = 2",
		}
		if !slices.Equal(got, want) {
			t.Errorf("events\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if !slices.Equal(sunk, events) {
			t.Error("the sink got others")
		}
		if read, stat := events[6], events[15]; !errors.Is(read.Err, io.EOF) || !errors.Is(stat.Err, fs.ErrNotExist) ||
			!strings.HasSuffix(stat.String(), ": "+stat.Err.Error()) {
			t.Errorf("errors of %v and %v", read, stat)
		}
		disk.Reset()
		_, err := disk.Resolve(dir)
		check(t, err)
		if got := disk.Events(); len(got) != 1 || got[0].Seq != 1 || got[0].Op != wrap.Resolve {
			t.Errorf("after Reset %v", got)
		}
	})
}

// The newest events are kept, no more than were asked for; nothing is kept
// before Record and after Record(0).
func TestRecordIsBounded(t *testing.T) {
	disk := trace.New(mem.NewDisk().Process("p"))
	stat := func(n int) {
		for range n {
			_, _ = disk.Stat("f") // it is not there
		}
	}
	seqs := func(want ...uint64) {
		t.Helper()
		var got []uint64
		for _, e := range disk.Events() {
			got = append(got, e.Seq)
		}
		if !slices.Equal(got, want) {
			t.Errorf("events %v, want %v", got, want)
		}
	}
	stat(2)
	seqs()
	disk.Record(3)
	stat(2)
	seqs(1, 2)
	stat(5)
	seqs(5, 6, 7)
	disk.Record(2)
	seqs()
	stat(3)
	seqs(9, 10)
	disk.Record(0)
	stat(1)
	seqs()
	n := 0
	disk.Sink(func(trace.Event) { n++ })
	stat(1)
	disk.Sink(nil)
	stat(1)
	if n != 1 {
		t.Errorf("the sink got %d events", n)
	}
	disk.Record(-1)
	stat(1)
	seqs()
}

// Events tell when they began by Seq, and when they ended by their place.
func TestDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := trace.New(latency.New(mem.NewDisk().Process("p"), latency.Profile{Sync: time.Hour, Name: time.Minute}))
		disk.Record(10)
		var wg sync.WaitGroup
		wg.Go(func() { _ = disk.SyncDir("f") })
		synctest.Wait()
		_, _ = disk.Stat("f")
		wg.Wait()
		e := disk.Events()
		if len(e) != 2 || e[0].Seq != 2 || e[0].Duration != time.Minute || e[1].Seq != 1 || e[1].Duration != time.Hour {
			t.Errorf("events %v", e)
		}
	})
}

// An answer that asks to come again is no error.
func TestAgain(t *testing.T) {
	busy := true
	disk := trace.New(wrap.New(mem.NewDisk().Process("p"), func(c *wrap.Call) {
		if busy = !busy; !busy {
			c.Err = c.Failure("test", vfs.ErrAgain)
			return
		}
		c.Next()
	}))
	for range 2 {
		_, _ = disk.Stat("f")
	}
	if got, want := disk.Counts()[wrap.Stat], (trace.Count{Calls: 2, Again: 1, Errors: 1}); got != want {
		t.Errorf("count %+v, want %+v", got, want)
	}
}

// Everything may be used while others work.
func TestConcurrently(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		disk := trace.New(lower)
		name := filepath.Join(dir, "f")
		create(t, disk, name, "x")
		f := disk.Open(name, vfs.ReadOnly)
		defer f.Close()
		disk.Reset()
		var sunk atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 200 {
					if _, err := f.ReadAt(make([]byte, 1), 0); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for i := range 50 {
			disk.Record(i % 7)
			disk.Sink(func(trace.Event) { sunk.Add(1) })
			if n := len(disk.Events()); n > i%7 {
				t.Errorf("%d events", n)
			}
			disk.Counts()
			_ = disk.String()
		}
		wg.Wait()
		if n := disk.Counts()[wrap.Read]; n != (trace.Count{Calls: 1600, Bytes: 1600}) || sunk.Load() > 1601 {
			t.Errorf("%+v, %d events", n, sunk.Load())
		}
	})
}

func BenchmarkReadAt(b *testing.B) {
	lower := mem.NewVolatile().Process("p")
	create(b, lower, "f", "sixteen bytes...")
	for _, n := range []int{0, 1000} {
		b.Run(fmt.Sprintf("record=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			disk := trace.New(lower)
			disk.Record(n)
			f := disk.Open("f", vfs.ReadOnly)
			defer f.Close()
			p := make([]byte, 16)
			for b.Loop() {
				if _, err := f.ReadAt(p, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func Example() {
	disk := trace.New(mem.NewDisk().Process("p"))
	disk.Record(1)
	w := disk.Create("greeting", vfs.FailIfExists, 0o600)
	w.Write([]byte("hello"))
	if err := w.Commit(); err != nil {
		fmt.Println(err)
	}
	fmt.Println(disk.Counts()[wrap.Write].Bytes, "bytes")
	fmt.Println("last was", disk.Events()[0].Op)
	fmt.Print(disk)
	// Output:
	// 5 bytes
	// last was commit
	//   operation  calls  again  errors  bytes
	//      create      1      0       0      0
	//       write      1      0       0      5
	//      commit      1      0       0      0
}
