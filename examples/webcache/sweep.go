package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/pack"
)

// sweep removes what has expired, and of the rest what expires first as long as
// all together are beyond the limit. (To remove what was not used for the
// longest time, each hit would have to write.)
func (c *cache) sweep(ctx context.Context) error {
	// The sum is read in a View: in an Update it would conflict with every process
	// that stores something.
	excess, err := durus.Result(ctx, c.db.View, func(tx *durus.Tx) (int64, error) {
		size, err := durus.Must(pages.Load(tx)).Size.Value(tx)
		return size - c.limit, err
	})
	if err != nil {
		return err
	}
	return c.db.Update(ctx, func(tx *durus.Tx) error {
		p := durus.Must(pages.Load(tx))
		var freed int64
		for x, size := range p.Expiry.All(tx) {
			expired := !x.At.After(time.Now())
			if !expired && freed >= excess {
				break
			}
			if !expired && size == 0 {
				continue // a claim: to remove it frees nothing
			}
			if err := p.drop(tx, x.Key); err != nil { // a loop may delete where it is
				return err
			}
			freed += size
		}
		return nil
	})
}

// keepClean sweeps until ctx is done. What nothing leads to any more stays in
// the file until a pack, so it packs when the file has become too large. Other
// processes go on meanwhile.
func (c *cache) keepClean(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for large := 2 * c.limit; ; {
		err := c.sweep(ctx)
		if err == nil && c.db.Stats().End > large {
			var report pack.Report
			report, err = c.db.Pack(ctx, pack.Options{})
			large = 2 * max(c.limit, report.After)
		}
		if errors.Is(err, durus.ErrPacking) {
			err = nil // another process does it
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (c *cache) stat(ctx context.Context) (string, error) {
	return durus.Result(ctx, c.db.View, func(tx *durus.Tx) (string, error) {
		p := durus.Must(pages.Load(tx))
		return fmt.Sprintf("%d entries with %d bytes, in a file of %d bytes\n",
			durus.Must(p.Entries.Len(tx)), durus.Must(p.Size.Value(tx)), c.db.Stats().End), nil
	})
}
