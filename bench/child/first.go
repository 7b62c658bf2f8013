package child

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/durusdb/durus/bench/contender"
	"github.com/durusdb/durus/bench/process"
)

// First opens the database and reads one object of Size: how long it takes, and
// how much memory it needs that no other process can share.
func (c *Child) First(job process.Job, r *process.Result) error {
	k, err := contender.ByName(job.Contender)
	if err != nil {
		return err
	}
	before, err := private()
	if err != nil {
		return err
	}
	began := time.Now()
	s, err := k.Open(job.Path, contender.Options{Durable: job.Durable})
	if err != nil {
		return err
	}
	opened := time.Now()
	id := int64(job.Size) / 2
	err = s.Read([]int64{id}, func(v *contender.Item) error { return v.Check(id) })
	read := time.Now()
	if err != nil {
		_ = s.Close()
		return err
	}
	after, err := private()
	if err != nil {
		_ = s.Close()
		return err
	}
	r.Took = read.Sub(began)
	r.Values = map[string]float64{
		"open_ms":    opened.Sub(began).Seconds() * 1e3,
		"read_ms":    read.Sub(opened).Seconds() * 1e3,
		"total_ms":   read.Sub(began).Seconds() * 1e3,
		"private_mb": max(after-before, 0),
	}
	return s.Close()
}

// private is the memory of this process that is its own, MB, after a garbage
// collection. Where the kernel does not tell, it is what the Go runtime has.
func private() (float64, error) {
	debug.FreeOSMemory()
	f, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.Sys-m.HeapReleased) / 1e6, nil
	}
	clean, dirty := field(f, "Private_Clean:"), field(f, "Private_Dirty:")
	if dirty == 0 {
		return 0, fmt.Errorf("/proc/self/smaps_rollup names no private memory")
	}
	return (clean + dirty) * 1024 / 1e6, nil
}
