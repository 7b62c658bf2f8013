package child

import (
	"time"

	"github.com/durusdb/durus/bench/contender"
	"github.com/durusdb/durus/bench/process"
)

// Publish commits N times to object 0, with a pause between, and says when each
// commit began and returned. The numbers go on from that of the object.
func (c *Child) Publish(job process.Job, r *process.Result) error {
	for range job.N {
		s := process.Stamp{Start: time.Now().UnixNano()}
		if err := c.store.Update([]int64{0}, func(v *contender.Item) {
			v.Count++
			s.N = v.Count
		}); err != nil {
			return err
		}
		s.Done = time.Now().UnixNano()
		r.Times = append(r.Times, s)
		time.Sleep(500 * time.Microsecond)
	}
	return nil
}

// Follow looks at object 0 until its number is Size, and says when it saw each
// state first. With Size 0 it only tells the number.
func (c *Child) Follow(job process.Job, r *process.Result) error {
	for first := true; ; first = false {
		var now int64
		if err := c.store.Read([]int64{0}, func(v *contender.Item) error {
			now = v.Count
			return v.Check(0)
		}); err != nil {
			return err
		}
		r.Commits++
		if now > r.Objects && !first {
			r.Times = append(r.Times, process.Stamp{N: now, Done: time.Now().UnixNano()})
		}
		r.Objects = now
		if now >= int64(job.Size) {
			return nil
		}
	}
}
