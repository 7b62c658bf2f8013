package onbolt

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/vmihailenco/msgpack/v5"
	"go.etcd.io/bbolt"

	"github.com/durusdb/durus/bench/oo7"
)

// Contender is bbolt.
var Contender = oo7.Contender{Name: "bbolt", Open: Open}

type store struct{ db *bbolt.DB }

// Open implements oo7.Contender.
func Open(dir string) (oo7.Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	db, err := bbolt.Open(filepath.Join(dir, "oo7.bolt"), 0o600, nil)
	if err != nil {
		return nil, err
	}
	return &store{db}, nil
}

func (s *store) Close() error { return s.db.Close() }

func (s *store) View(fn func(oo7.Tx) error) error {
	return s.db.View(func(btx *bbolt.Tx) error { return fn(newTx(btx)) })
}

func (s *store) Update(fn func(oo7.Tx) error) error {
	return s.db.Update(func(btx *bbolt.Tx) error {
		for _, name := range buckets {
			if _, err := btx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return fn(newTx(btx))
	})
}

type tx struct {
	modules, manuals, complexes, bases, composites, documents, parts, conns *bbolt.Bucket
	moduleNames, titles, dates                                              *bbolt.Bucket
	seen                                                                    oo7.Seen
}

func newTx(t *bbolt.Tx) *tx {
	return &tx{
		modules: t.Bucket(modules), manuals: t.Bucket(manuals), complexes: t.Bucket(complexes), bases: t.Bucket(bases),
		composites: t.Bucket(composites), documents: t.Bucket(documents), parts: t.Bucket(parts), conns: t.Bucket(conns),
		moduleNames: t.Bucket(moduleNames), titles: t.Bucket(titles), dates: t.Bucket(dates),
	}
}

// get decodes the object under a key.
func get[T any](b *bbolt.Bucket, k []byte) (*T, error) {
	data := b.Get(k)
	if data == nil {
		return nil, fmt.Errorf("oo7: there is no %T %x", *new(T), k)
	}
	v := new(T)
	return v, msgpack.Unmarshal(data, v)
}

// put stores an object as an array of its fields, which is shorter than a map
// and faster to decode.
func put(b *bbolt.Bucket, k []byte, v any) error {
	var data bytes.Buffer
	e := msgpack.GetEncoder()
	defer msgpack.PutEncoder(e)
	e.Reset(&data)
	e.UseArrayEncodedStructs(true)
	if err := e.Encode(v); err != nil {
		return err
	}
	return b.Put(k, data.Bytes())
}

// change decodes the object under a key, and stores what f made of it.
func change[T any](b *bbolt.Bucket, k []byte, f func(*T)) error {
	v, err := get[T](b, k)
	if err != nil {
		return err
	}
	f(v)
	return put(b, k, v)
}
