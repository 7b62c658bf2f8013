package ondurus

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/durusdb/durus/bench/oo7"
	"github.com/durusdb/durus/durus"
)

// Contender is durus.
var Contender = oo7.Contender{Name: "durus", Open: Open}

type store struct{ db *durus.DB }

// Open implements oo7.Contender.
func Open(dir string) (oo7.Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	// The cache holds small databases and medium ones: the page cache of the others does.
	db, err := durus.Open(filepath.Join(dir, "oo7.durus"), &durus.Options{Check: durus.CheckNothing, CacheBytes: 1 << 30})
	if err != nil {
		return nil, err
	}
	return &store{db}, nil
}

func (s *store) Close() error { return s.db.Close() }

func (s *store) View(fn func(oo7.Tx) error) error { return s.run(s.db.View, fn) }

func (s *store) Update(fn func(oo7.Tx) error) error { return s.run(s.db.Update, fn) }

func (s *store) run(run func(context.Context, func(*durus.Tx) error) error, fn func(oo7.Tx) error) error {
	return run(context.Background(), func(dtx *durus.Tx) error {
		lib, err := root.Load(dtx)
		if err != nil {
			return err
		}
		return fn(&tx{Tx: dtx, lib: lib})
	})
}

// tx is a transaction. Its methods end with durus.Must, so they run on the
// goroutine of the View or Update around them.
type tx struct {
	*durus.Tx
	lib  *library
	seen oo7.Seen
}

func find[K comparable, T any](t *tx, tree durus.BTree[K, durus.Ref[T]], k K) durus.Ref[T] {
	ref, found, err := tree.Get(t, k)
	if err == nil && !found {
		err = fmt.Errorf("oo7: there is no %T %v", *new(T), k)
	}
	return durus.Must(ref, err)
}

func (t *tx) module(id int) *Module {
	return durus.Must(find(t, t.lib.Modules, fmt.Sprintf("Module %08d", id)).Load(t))
}
