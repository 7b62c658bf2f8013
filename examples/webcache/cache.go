package main

import (
	"context"
	"errors"
	"time"

	"github.com/durusdb/durus/durus"
)

// cache remembers what was expensive to get, for all processes that have the
// file open. Any number of goroutines may use it.
type cache struct {
	db    *durus.DB
	ttl   time.Duration // how long a body is good
	lease time.Duration // longest time to compute one
	limit int64         // of all bodies together, in bytes
}

// Get returns the body of a key, and whether it was there. If it was not, one
// caller of all processes computes it, and the others wait. The body is shared:
// it must not be written. An error of compute is not remembered: whoever is
// next tries again.
func (c *cache) Get(ctx context.Context, key string, compute func(context.Context) ([]byte, error)) (body []byte, hit bool, err error) {
	for {
		e, err := c.look(ctx, key)
		switch {
		case err != nil:
			return nil, false, err
		case e != nil && e.Filled:
			return e.Body, true, nil
		case e == nil:
			claim, err := c.claim(ctx, key)
			if err != nil {
				return nil, false, err
			}
			if !claim.IsNil() {
				body, err := c.fill(ctx, key, claim, compute)
				return body, false, err
			}
		}
		select { // somebody is at it
		case <-ctx.Done():
			return nil, false, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// look returns the entry of a key, or nil if there is none that is good. Hits
// are a View: no lock, no conflict, and after the first time no read either.
func (c *cache) look(ctx context.Context, key string) (*Entry, error) {
	return durus.Result(ctx, c.db.View, func(tx *durus.Tx) (*Entry, error) {
		return durus.Must(pages.Load(tx)).good(tx, key)
	})
}

// claim makes it this caller's task to compute the body of a key. The reference
// is nil if somebody else was faster.
func (c *cache) claim(ctx context.Context, key string) (durus.Ref[Entry], error) {
	return durus.Result(ctx, c.db.Update, func(tx *durus.Tx) (durus.Ref[Entry], error) {
		p := durus.Must(pages.Load(tx))
		if durus.Must(p.good(tx, key)) != nil {
			return durus.Ref[Entry]{}, nil
		}
		return p.put(tx, key, &Entry{Expires: time.Now().Add(c.lease)})
	})
}

// fill computes what was claimed and puts it in the claim's place.
func (c *cache) fill(ctx context.Context, key string, claim durus.Ref[Entry], compute func(context.Context) ([]byte, error)) ([]byte, error) {
	leased, cancel := context.WithTimeout(ctx, c.lease)
	defer cancel()
	body, failure := compute(leased) // outside of transactions: it may take its time
	err := c.db.Update(context.WithoutCancel(ctx), func(tx *durus.Tx) error {
		p := durus.Must(pages.Load(tx))
		now, _, err := p.Entries.Get(tx, key)
		switch {
		case err != nil || now != claim:
			return err // the lease was over, and somebody else is at it
		case failure != nil:
			return p.drop(tx, key)
		default:
			_, err := p.put(tx, key, &Entry{Body: body, Filled: true, Expires: time.Now().Add(c.ttl)})
			return err
		}
	})
	if err = errors.Join(failure, err); err != nil {
		return nil, err
	}
	return body, c.sweep(ctx)
}
