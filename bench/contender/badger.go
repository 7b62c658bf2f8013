//go:build !alone

package contender

import (
	"errors"

	"github.com/dgraph-io/badger/v4"
)

type badgerStore struct {
	db  *badger.DB
	seq *badger.Sequence
}

func openBadger(path string, o Options) (Store, error) {
	db, err := badger.Open(badger.DefaultOptions(path).WithLogger(nil).WithSyncWrites(o.Durable).WithMetricsEnabled(false))
	if err != nil {
		return nil, err
	}
	seq, err := db.GetSequence([]byte("sequence"), 1000)
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	return &badgerStore{db, seq}, nil
}

// update runs fn again after a conflict.
func (s *badgerStore) update(fn func(tx *badger.Txn) error) error {
	for {
		err := s.db.Update(fn)
		if !errors.Is(err, badger.ErrConflict) {
			return err
		}
	}
}

func (s *badgerStore) Put(items []Item) error {
	return s.update(func(tx *badger.Txn) error {
		for i := range items {
			data, err := items[i].encoded()
			if err != nil {
				return err
			}
			if err := tx.Set(key(items[i].ID), data); err != nil {
				return err
			}
		}
		return nil
	})
}

// get passes one object to use.
func (s *badgerStore) get(tx *badger.Txn, id int64, use func(*Item) error) error {
	it, err := tx.Get(key(id))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return gone(id)
	}
	if err != nil {
		return err
	}
	return it.Value(func(data []byte) error {
		var v Item
		if err := v.Decode(data); err != nil {
			return err
		}
		return use(&v)
	})
}

func (s *badgerStore) Read(ids []int64, use func(*Item) error) error {
	return s.db.View(func(tx *badger.Txn) error {
		for _, id := range ids {
			if err := s.get(tx, id, use); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *badgerStore) Update(ids []int64, change func(*Item)) error {
	return s.update(func(tx *badger.Txn) error {
		for _, id := range ids {
			if err := s.get(tx, id, func(v *Item) error {
				change(v)
				data, err := v.encoded()
				if err != nil {
					return err
				}
				return tx.Set(key(id), data)
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *badgerStore) Empty() error { return s.db.Update(func(*badger.Txn) error { return nil }) }

func (s *badgerStore) NewIDs(n int) error {
	for range n {
		if _, err := s.seq.Next(); err != nil {
			return err
		}
	}
	return nil
}

func (s *badgerStore) Close() error { return errors.Join(s.seq.Release(), s.db.Close()) }
