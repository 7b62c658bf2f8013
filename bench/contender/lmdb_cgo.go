//go:build cgo && !alone

package contender

import (
	"github.com/PowerDNS/lmdb-go/lmdb"
)

const noLMDB = ""

// lmdbSize is how large a database may become: addresses, not memory.
const lmdbSize = 16 << 30

type lmdbStore struct {
	env   *lmdb.Env
	items lmdb.DBI
}

func openLMDB(path string, o Options) (_ Store, err error) {
	env, err := lmdb.NewEnv()
	if err != nil {
		return nil, err
	}
	s := &lmdbStore{env: env}
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()
	flags := uint(lmdb.NoSubdir)
	if !o.Durable {
		flags |= lmdb.NoSync
	}
	if err := env.SetMapSize(lmdbSize); err != nil {
		return nil, err
	}
	if err := env.Open(path, flags, 0o600); err != nil {
		return nil, err
	}
	if _, err := env.ReaderCheck(); err != nil { // of processes that were killed
		return nil, err
	}
	return s, env.Update(func(tx *lmdb.Txn) (err error) {
		s.items, err = tx.OpenRoot(0)
		return err
	})
}

func (s *lmdbStore) Put(items []Item) error {
	return s.env.Update(func(tx *lmdb.Txn) error {
		for i := range items {
			data, err := items[i].encoded()
			if err != nil {
				return err
			}
			if err := tx.Put(s.items, key(items[i].ID), data, 0); err != nil {
				return err
			}
		}
		return nil
	})
}

// get reads an object. What the file holds is decoded where it lies.
func (s *lmdbStore) get(tx *lmdb.Txn, id int64, v *Item) error {
	data, err := tx.Get(s.items, key(id))
	if lmdb.IsNotFound(err) {
		return gone(id)
	}
	if err != nil {
		return err
	}
	return v.Decode(data)
}

func (s *lmdbStore) Read(ids []int64, use func(*Item) error) error {
	return s.env.View(func(tx *lmdb.Txn) error {
		tx.RawRead = true
		for _, id := range ids {
			var v Item
			if err := s.get(tx, id, &v); err != nil {
				return err
			}
			if err := use(&v); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *lmdbStore) Update(ids []int64, change func(*Item)) error {
	return s.env.Update(func(tx *lmdb.Txn) error {
		tx.RawRead = true
		for _, id := range ids {
			var v Item
			if err := s.get(tx, id, &v); err != nil {
				return err
			}
			change(&v)
			data, err := v.encoded()
			if err != nil {
				return err
			}
			if err := tx.Put(s.items, key(id), data, 0); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *lmdbStore) Empty() error { return s.env.Update(func(*lmdb.Txn) error { return nil }) }

func (s *lmdbStore) Close() error { return s.env.Close() }
