package main

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/pack"
)

// Entry is a body, or the claim of who fetches one. Either is good until it expires.
type Entry struct {
	Key     string
	Claim   string // of whom; empty: the body is there
	Body    []byte
	Expires time.Time
}

// Cache leads to all entries. It is never edited: what changes is its table.
type Cache struct {
	Entries durus.Table[string, Entry] // by key
}

var (
	byExpiry = durus.NewIndex("expiry", func(e *Entry) time.Time { return e.Expires })
	_        = durus.Register[Entry]("webcache.Entry", durus.Indexes(byExpiry))
	_        = durus.Register[Cache]("webcache.Cache")
	root     = durus.NewRoot[Cache]("cache")
)

// cache is for all processes that have the file open, and all their goroutines.
type cache struct {
	db    *durus.DB
	ttl   time.Duration // how long a body is good
	lease time.Duration // longest time to get one
	fetch func(ctx context.Context, key string) ([]byte, error)
}

// get returns the body of a key. If it is not there, one caller of all processes
// fetches it and the others wait. The body is shared: it must not be written. An
// error of fetch is not remembered: whoever is next tries again.
func (c *cache) get(ctx context.Context, key string) ([]byte, error) {
	me := rand.Text()
	for {
		e, err := c.look(ctx, key)
		if err == nil && e == nil {
			e, err = c.claim(ctx, key, me)
		}
		switch {
		case err != nil:
			return nil, err
		case e.Claim == "":
			return e.Body, nil
		case e.Claim == me:
			return c.fill(ctx, key, me)
		}
		time.Sleep(5 * time.Millisecond) // somebody is at it
	}
}

// look returns the entry of a key, or nil if there is none that is good. Hits
// are a View: no lock, no conflict, and after the first time no read either.
func (c *cache) look(ctx context.Context, key string) (*Entry, error) {
	return durus.Result(ctx, c.db.View, func(tx *durus.Tx) (*Entry, error) {
		e, found := durus.Must2(durus.Must(root.Load(tx)).Entries.Get(tx, key))
		if !found || e.Expires.Before(time.Now()) {
			return nil, nil
		}
		return e, nil
	})
}

// claim makes an entry that says who fetches the body of a key, or returns the
// one that is there if somebody was faster.
func (c *cache) claim(ctx context.Context, key, me string) (*Entry, error) {
	return durus.Result(ctx, c.db.Update, func(tx *durus.Tx) (*Entry, error) {
		entries := durus.Must(root.Load(tx)).Entries
		e, found := durus.Must2(entries.Edit(tx, key))
		if !found {
			e = &Entry{Key: key}
			durus.Must(entries.Insert(tx, key, e))
		}
		if e.Expires.Before(time.Now()) {
			e.Claim, e.Body, e.Expires = me, nil, time.Now().Add(c.lease)
		}
		return e, nil
	})
}

// fill fetches what was claimed, outside of transactions since that takes its
// time, and puts it in the claim's place.
func (c *cache) fill(ctx context.Context, key, me string) ([]byte, error) {
	leased, cancel := context.WithTimeout(ctx, c.lease)
	defer cancel()
	body, failure := c.fetch(leased, key)
	err := c.db.Update(context.WithoutCancel(ctx), func(tx *durus.Tx) error {
		entries := durus.Must(root.Load(tx)).Entries
		e, found := durus.Must2(entries.Edit(tx, key))
		switch {
		case !found || e.Claim != me: // the lease was over, and somebody else is at it
		case failure != nil:
			durus.Must(entries.Delete(tx, key))
		default:
			e.Claim, e.Body, e.Expires = "", body, time.Now().Add(c.ttl)
		}
		return nil
	})
	return body, errors.Join(failure, err)
}

// sweep removes what has expired, and packs the file. Other processes go on meanwhile.
func (c *cache) sweep(ctx context.Context) error {
	err := c.db.Update(ctx, func(tx *durus.Tx) error {
		entries := durus.Must(root.Load(tx)).Entries
		for _, e := range durus.Each(tx, byExpiry.Before(tx, entries, time.Now())) {
			durus.Must(entries.Delete(tx, e.Key)) // a loop may delete where it is
		}
		return nil
	})
	if err == nil {
		_, err = c.db.Pack(ctx, pack.Options{})
	}
	return err
}
