package durus

import (
	"context"
	"sync"

	"github.com/durusdb/durus/storage"
)

// generation is what a handle remembers of a file under one lineage of
// positions: decoded objects and class numbers. When the file was rewound or
// replaced nothing of it holds any more, and the handle starts another one;
// transactions that still read the old file keep theirs.
type generation struct {
	lineage uint64
	cache   *cache
	classes sync.Map // storage.ClassID -> *class
	ids     sync.Map // class name -> storage.ClassID
}

// class is a class of the file, and the Go type that it has in this program.
type class struct {
	name  string
	types *Types
}

// info returns the type of the class, or nil as long as nobody registered it.
func (c *class) info() *typeInfo { return c.types.byClass(c.name) }

// generation returns the memory for a snapshot.
func (db *DB) generation(snap storage.Snapshot) *generation {
	lineage := snap.Lineage()
	g := db.current.Load()
	if g.lineage == lineage {
		return g
	}
	db.renew.Lock()
	defer db.renew.Unlock()
	if g = db.current.Load(); g.lineage != lineage {
		g = newGeneration(lineage, db.opts.CacheBytes)
		db.current.Store(g)
	}
	return g
}

func newGeneration(lineage uint64, cacheBytes int64) *generation {
	return &generation{lineage: lineage, cache: newCache(cacheBytes)}
}

// class returns the class with this number; ok is false when the file does not
// know the number either.
func (db *DB) class(g *generation, snap storage.Snapshot, id storage.ClassID) (c *class, ok bool) {
	if v, ok := g.classes.Load(id); ok {
		return v.(*class), true
	}
	name, ok := snap.ClassName(id)
	if !ok {
		return nil, false
	}
	v, _ := g.classes.LoadOrStore(id, &class{name: name, types: db.opts.Types})
	return v.(*class), true
}

// classID returns the number of a class, which the storage gives out on first use.
func (db *DB) classID(ctx context.Context, g *generation, name string) (storage.ClassID, error) {
	if v, ok := g.ids.Load(name); ok {
		return v.(storage.ClassID), nil
	}
	id, err := db.st.ClassID(ctx, name)
	if err != nil {
		return 0, err
	}
	g.ids.Store(name, id)
	return id, nil
}
