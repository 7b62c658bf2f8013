package contender

import (
	"context"
	"errors"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/pack"
)

// catalog is the root: objects by id, and what the workloads with conflicts use.
type catalog struct {
	Items  durus.BTree[int64, durus.Ref[Item]]
	Tree   durus.BTree[int64, int64]
	Visits durus.Counter
}

var (
	_          = durus.Register[Item]("bench.Item")
	_          = durus.Register[catalog]("bench.Catalog")
	theCatalog = durus.NewRoot[catalog]("catalog")
)

type durusStore struct {
	db   *durus.DB
	refs []durus.Ref[Item] // of ids below len(refs)
}

func openDurus(path string, o Options) (Store, error) {
	opts := durus.Options{Check: durus.CheckNothing, MaxRetries: 1000}
	if !o.Durable {
		opts.Sync = durus.SyncNever
	}
	db, err := durus.Open(path, &opts)
	if err != nil {
		return nil, err
	}
	s := &durusStore{db: db}
	if o.Known > 0 {
		if err := s.lookUp(o.Known); err != nil {
			_ = db.Close()
			return nil, err
		}
	}
	return s, nil
}

// lookUp fills refs. It reads no object.
func (s *durusStore) lookUp(n int64) error {
	refs := make([]durus.Ref[Item], 0, n)
	err := s.db.View(context.Background(), func(tx *durus.Tx) error {
		c, err := theCatalog.Load(tx)
		if err != nil {
			return err
		}
		for id, ref := range c.Items.Range(tx, 0, n) {
			if id != int64(len(refs)) {
				return gone(int64(len(refs)))
			}
			refs = append(refs, ref)
		}
		return nil
	})
	if err == nil && int64(len(refs)) < n {
		err = gone(int64(len(refs)))
	}
	s.refs = refs
	return err
}

// ref of an object: known, or looked up in the tree.
func (s *durusStore) ref(tx *durus.Tx, id int64) (durus.Ref[Item], bool, error) {
	if id < int64(len(s.refs)) {
		return s.refs[id], true, nil
	}
	c, err := theCatalog.Load(tx)
	if err != nil {
		return durus.Ref[Item]{}, false, err
	}
	return c.Items.Get(tx, id)
}

func (s *durusStore) Put(items []Item) error {
	return s.db.Update(context.Background(), func(tx *durus.Tx) error {
		for i := range items {
			ref, found, err := s.ref(tx, items[i].ID)
			if err != nil {
				return err
			}
			if found {
				v, err := ref.Edit(tx)
				if err != nil {
					return err
				}
				*v = items[i]
				continue
			}
			v := items[i] // Add takes it over
			if ref, err = durus.Add(tx, &v); err != nil {
				return err
			}
			c, err := theCatalog.Load(tx)
			if err != nil {
				return err
			}
			if err := c.Items.Put(tx, v.ID, ref); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *durusStore) Read(ids []int64, use func(*Item) error) error {
	return s.db.View(context.Background(), func(tx *durus.Tx) error {
		for _, id := range ids {
			ref, found, err := s.ref(tx, id)
			if err != nil {
				return err
			}
			if !found {
				return gone(id)
			}
			v, err := ref.Load(tx)
			if err != nil {
				return err
			}
			if err := use(v); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *durusStore) Refer(ids []int64) (func(use func(*Item) error) error, error) {
	refs := make([]durus.Ref[Item], len(ids))
	err := s.db.View(context.Background(), func(tx *durus.Tx) error {
		c, err := theCatalog.Load(tx)
		if err != nil {
			return err
		}
		for i, id := range ids {
			ref, found, err := c.Items.Get(tx, id)
			if err != nil {
				return err
			}
			if !found {
				return gone(id)
			}
			refs[i] = ref
		}
		return nil
	})
	return func(use func(*Item) error) error {
		return s.db.View(context.Background(), func(tx *durus.Tx) error {
			for _, ref := range refs {
				v, err := ref.Load(tx)
				if err != nil {
					return err
				}
				if err := use(v); err != nil {
					return err
				}
			}
			return nil
		})
	}, err
}

func (s *durusStore) Update(ids []int64, change func(*Item)) error {
	return s.db.Update(context.Background(), func(tx *durus.Tx) error {
		for _, id := range ids {
			ref, found, err := s.ref(tx, id)
			if err != nil {
				return err
			}
			if !found {
				return gone(id)
			}
			v, err := ref.Edit(tx)
			if err != nil {
				return err
			}
			change(v)
		}
		return nil
	})
}

func (s *durusStore) Empty() error {
	return s.db.Update(context.Background(), func(*durus.Tx) error { return nil })
}

// NewIDs adds objects and takes them back: their oids are used up.
func (s *durusStore) NewIDs(n int) error {
	tx, err := s.db.Begin(context.Background(), true)
	if err != nil {
		return err
	}
	for range n {
		if _, err := durus.Add(tx, &Item{}); err != nil {
			_ = tx.Rollback()
			return err
		}
	}
	return tx.Rollback()
}

func (s *durusStore) PutKeys(ids []int64) error {
	return s.db.Update(context.Background(), func(tx *durus.Tx) error {
		c, err := theCatalog.Load(tx)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := c.Tree.Put(tx, id, id); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *durusStore) FindKeys(ids []int64) error {
	return s.db.View(context.Background(), func(tx *durus.Tx) error {
		c, err := theCatalog.Load(tx)
		if err != nil {
			return err
		}
		for _, id := range ids {
			v, found, err := c.Tree.Get(tx, id)
			if err != nil {
				return err
			}
			if !found || v != id {
				return gone(id)
			}
		}
		return nil
	})
}

func (s *durusStore) AddToCounter(delta int64) error {
	return s.db.Update(context.Background(), func(tx *durus.Tx) error {
		c, err := theCatalog.Load(tx)
		if err != nil {
			return err
		}
		return c.Visits.Add(tx, delta)
	})
}

func (s *durusStore) CounterValue() (n int64, err error) {
	err = s.db.View(context.Background(), func(tx *durus.Tx) error {
		c, err := theCatalog.Load(tx)
		if err != nil {
			return err
		}
		n, err = c.Visits.Value(tx)
		return err
	})
	return n, err
}

func (s *durusStore) Pack() (Packed, error) {
	r, err := s.db.Pack(context.Background(), pack.Options{})
	if err == nil && r.Nothing {
		err = errors.New("there was nothing to pack")
	}
	return Packed{Objects: r.Kept.Objects, Bytes: r.After, Took: r.Took, Lock: r.Lock}, err
}

func (s *durusStore) Close() error { return s.db.Close() }
