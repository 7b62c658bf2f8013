//go:build !alone

package contender

import (
	"errors"

	"github.com/tidwall/buntdb"
)

type buntStore struct{ db *buntdb.DB }

func openBunt(path string, o Options) (Store, error) {
	db, err := buntdb.Open(path)
	if err != nil {
		return nil, err
	}
	var c buntdb.Config
	if err := db.ReadConfig(&c); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	c.SyncPolicy = buntdb.Never
	if o.Durable {
		c.SyncPolicy = buntdb.Always
	}
	if err := db.SetConfig(c); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &buntStore{db}, nil
}

func (s *buntStore) Put(items []Item) error {
	return s.db.Update(func(tx *buntdb.Tx) error {
		for i := range items {
			if err := buntSet(tx, &items[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func buntSet(tx *buntdb.Tx, v *Item) error {
	data, err := v.encoded()
	if err != nil {
		return err
	}
	_, _, err = tx.Set(string(key(v.ID)), string(data), nil)
	return err
}

func buntGet(tx *buntdb.Tx, id int64, v *Item) error {
	data, err := tx.Get(string(key(id)))
	if errors.Is(err, buntdb.ErrNotFound) {
		return gone(id)
	}
	if err != nil {
		return err
	}
	return v.Decode([]byte(data))
}

func (s *buntStore) Read(ids []int64, use func(*Item) error) error {
	return s.db.View(func(tx *buntdb.Tx) error {
		for _, id := range ids {
			var v Item
			if err := buntGet(tx, id, &v); err != nil {
				return err
			}
			if err := use(&v); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *buntStore) Update(ids []int64, change func(*Item)) error {
	return s.db.Update(func(tx *buntdb.Tx) error {
		for _, id := range ids {
			var v Item
			if err := buntGet(tx, id, &v); err != nil {
				return err
			}
			change(&v)
			if err := buntSet(tx, &v); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *buntStore) Empty() error { return s.db.Update(func(*buntdb.Tx) error { return nil }) }

func (s *buntStore) Close() error { return s.db.Close() }
