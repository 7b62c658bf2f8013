package main

import (
	"errors"
	"time"

	"github.com/durusdb/durus/durus"
)

// Entry is a body, or, until it is filled, the claim of somebody who computes
// one. Both are good until they expire.
type Entry struct {
	Body    []byte
	Filled  bool
	Expires time.Time
}

// Expiry is the key of an entry in the order of time. The key of the entry
// comes behind it, so that two may expire at the same moment.
type Expiry struct {
	At  time.Time
	Key string
}

// Pages leads to all entries. Bodies are objects of their own: the nodes of the
// trees stay small.
type Pages struct {
	Entries durus.BTree[string, durus.Ref[Entry]]
	Expiry  durus.BTree[Expiry, int64] // the size of the body
	Size    durus.Counter              // of all bodies
}

var (
	_     = durus.Register[Entry]("webcache.Entry")
	_     = durus.Register[Pages]("webcache.Pages")
	pages = durus.NewRoot[Pages]("pages")
)

// good returns the entry of a key, or nil if there is none or it has expired.
func (p *Pages) good(tx *durus.Tx, key string) (*Entry, error) {
	ref, found, err := p.Entries.Get(tx, key)
	if err != nil || !found {
		return nil, err
	}
	e, err := ref.Load(tx)
	if err != nil || !e.Expires.After(time.Now()) {
		return nil, err
	}
	return e, nil
}

// put gives a key another entry.
func (p *Pages) put(tx *durus.Tx, key string, e *Entry) (durus.Ref[Entry], error) {
	if err := p.drop(tx, key); err != nil {
		return durus.Ref[Entry]{}, err
	}
	ref := durus.Must(durus.Add(tx, e))
	size := int64(len(e.Body))
	return ref, errors.Join(
		p.Entries.Put(tx, key, ref),
		p.Expiry.Put(tx, Expiry{e.Expires, key}, size),
		p.Size.Add(tx, size))
}

// drop takes the entry of a key out of everything, if there is one.
func (p *Pages) drop(tx *durus.Tx, key string) error {
	ref, found, err := p.Entries.Get(tx, key)
	if err != nil || !found {
		return err
	}
	e := durus.Must(ref.Load(tx))
	durus.Must(p.Entries.Delete(tx, key))
	durus.Must(p.Expiry.Delete(tx, Expiry{e.Expires, key}))
	return p.Size.Add(tx, -int64(len(e.Body)))
}
