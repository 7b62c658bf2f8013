package child

import (
	"os"
	"time"

	"github.com/durusdb/durus/bench/contender"
	"github.com/durusdb/durus/bench/process"
)

// Pack packs the database while others use it, and watches its own memory.
func (c *Child) Pack(_ process.Job, r *process.Result) error {
	p, ok := c.store.(contender.Packer)
	if !ok {
		return errUnable
	}
	before, stop, peak := anonymous(), make(chan struct{}), make(chan float64)
	go func() {
		top := before
		for {
			select {
			case <-stop:
				peak <- top
				return
			case <-time.After(10 * time.Millisecond):
				top = max(top, anonymous())
			}
		}
	}()
	report, err := p.Pack()
	close(stop)
	top := <-peak
	r.Objects, r.Took = int64(report.Objects), report.Took
	r.Values = map[string]float64{
		"bytes":     float64(report.Bytes),
		"lock_ms":   report.Lock.Seconds() * 1e3,
		"memory_mb": top - before,
	}
	return err
}

// anonymous is the memory of this process that is no file, MB; 0 where the kernel
// does not tell.
func anonymous() float64 {
	f, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	return field(f, "RssAnon:") * 1024 / 1e6
}
