//go:build !alone

package contender

import (
	"time"

	"go.etcd.io/bbolt"
)

var boltItems = []byte("items")

type boltStore struct{ db *bbolt.DB }

func openBolt(path string, o Options) (Store, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 10 * time.Second, NoSync: !o.Durable, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(boltItems)
		return err
	})
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	return &boltStore{db}, nil
}

func (s *boltStore) Put(items []Item) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(boltItems)
		for i := range items {
			data, err := items[i].encoded()
			if err != nil {
				return err
			}
			if err := b.Put(key(items[i].ID), data); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *boltStore) Read(ids []int64, use func(*Item) error) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(boltItems)
		for _, id := range ids {
			data := b.Get(key(id))
			if data == nil {
				return gone(id)
			}
			var v Item
			if err := v.Decode(data); err != nil {
				return err
			}
			if err := use(&v); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *boltStore) Update(ids []int64, change func(*Item)) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(boltItems)
		for _, id := range ids {
			data := b.Get(key(id))
			if data == nil {
				return gone(id)
			}
			var v Item
			if err := v.Decode(data); err != nil {
				return err
			}
			change(&v)
			data, err := v.encoded()
			if err != nil {
				return err
			}
			if err := b.Put(key(id), data); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *boltStore) Empty() error { return s.db.Update(func(*bbolt.Tx) error { return nil }) }

func (s *boltStore) NewIDs(n int) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(boltItems)
		for range n {
			if _, err := b.NextSequence(); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *boltStore) Close() error { return s.db.Close() }
