package pack

import (
	"context"
	"time"

	"github.com/durusdb/durus/filestorage"
)

// pace keeps a pack within its rate, tells how far it is, and ends it when its
// context does. What it costs is paid once in a while.
type pace struct {
	limit    int64 // bytes a second; 0: none
	progress func(Progress)
	tally    *tally
	begun    time.Time
	steps    int
	told     time.Time
}

const (
	stepsBetween = 256
	tellEvery    = 100 * time.Millisecond
)

func (c *pace) step(ctx context.Context, phase Phase, p *filestorage.Packing) error {
	if c.steps++; c.steps%stepsBetween != 0 {
		return nil
	}
	return c.now(ctx, phase, p)
}

// now does what step does once in a while.
func (c *pace) now(ctx context.Context, phase Phase, p *filestorage.Packing) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.progress != nil && time.Since(c.told) >= tellEvery {
		c.tell(phase, p)
	}
	if c.limit <= 0 {
		return nil
	}
	due := time.Duration(float64(p.Written()) / float64(c.limit) * float64(time.Second))
	ahead := due - time.Since(c.begun)
	if ahead < time.Millisecond {
		return nil
	}
	t := time.NewTimer(ahead)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *pace) tell(phase Phase, p *filestorage.Packing) {
	if c.progress == nil {
		return
	}
	c.told = time.Now()
	c.progress(Progress{Phase: phase, Objects: c.tally.report.Kept.Objects, Written: p.Written(), Before: p.Before()})
}
