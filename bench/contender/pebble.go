//go:build !alone

package contender

import (
	"errors"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// pebbleStore has batches, but no transactions: whoever reads, changes and
// writes holds a lock of the program's.
type pebbleStore struct {
	db   *pebble.DB
	sync *pebble.WriteOptions
	mu   sync.Mutex // held by Update until its batch is in the log, not until it is on the disk
}

// quiet keeps pebble's notes on its own work off the terminal.
type quiet struct{ pebble.Logger }

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}

func openPebble(path string, o Options) (Store, error) {
	db, err := pebble.Open(path, &pebble.Options{Logger: quiet{pebble.DefaultLogger}})
	if err != nil {
		return nil, err
	}
	s := &pebbleStore{db: db, sync: pebble.NoSync}
	if o.Durable {
		s.sync = pebble.Sync
	}
	return s, nil
}

func (s *pebbleStore) Put(items []Item) error {
	b := s.db.NewBatch()
	for i := range items {
		if err := set(b, &items[i]); err != nil {
			return errors.Join(err, b.Close())
		}
	}
	return errors.Join(b.Commit(s.sync), b.Close())
}

func set(b *pebble.Batch, v *Item) error {
	data, err := v.encoded()
	if err != nil {
		return err
	}
	return b.Set(key(v.ID), data, nil)
}

func (s *pebbleStore) Read(ids []int64, use func(*Item) error) (err error) {
	var from pebble.Reader = s.db
	if len(ids) > 1 {
		snap := s.db.NewSnapshot()
		defer func() { err = errors.Join(err, snap.Close()) }()
		from = snap
	}
	for _, id := range ids {
		if err := pebbleGet(from, id, use); err != nil {
			return err
		}
	}
	return nil
}

func pebbleGet(from pebble.Reader, id int64, use func(*Item) error) error {
	data, done, err := from.Get(key(id))
	if errors.Is(err, pebble.ErrNotFound) {
		return gone(id)
	}
	if err != nil {
		return err
	}
	defer func(c io.Closer) { _ = c.Close() }(done)
	var v Item
	if err := v.Decode(data); err != nil {
		return err
	}
	return use(&v)
}

func (s *pebbleStore) Update(ids []int64, change func(*Item)) error {
	b, err := s.change(ids, change)
	if err == nil && s.sync.Sync {
		err = b.SyncWait()
	}
	if b != nil {
		err = errors.Join(err, b.Close())
	}
	return err
}

func (s *pebbleStore) change(ids []int64, change func(*Item)) (*pebble.Batch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.db.NewBatch()
	for _, id := range ids {
		if err := pebbleGet(s.db, id, func(v *Item) error {
			change(v)
			return set(b, v)
		}); err != nil {
			return b, err
		}
	}
	if s.sync.Sync {
		return b, s.db.ApplyNoSyncWait(b, s.sync)
	}
	return b, b.Commit(s.sync)
}

func (s *pebbleStore) Empty() error {
	b := s.db.NewBatch()
	return errors.Join(b.Commit(s.sync), b.Close())
}

func (s *pebbleStore) Close() error { return s.db.Close() }
