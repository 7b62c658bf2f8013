package migrating

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
	"go.etcd.io/bbolt"

	"github.com/durusdb/durus/durus"
)

// check places three orders, the last of which is too large.
func check(t *testing.T, place func(customer, product string, count int) error, orders func(customer string) ([]string, error)) {
	t.Helper()
	for _, o := range []struct {
		count int
		want  error
	}{{2, nil}, {5, nil}, {4, errSoldOut}} {
		if err := place("ada", "tea", o.count); !errors.Is(err, o.want) {
			t.Errorf("an order of %d: %v, want %v", o.count, err, o.want)
		}
	}
	if got, err := orders("ada"); err != nil || !slices.Equal(got, []string{"2 tea", "5 tea"}) {
		t.Errorf("ada has %q, %v", got, err)
	}
}

func TestDurus(t *testing.T) {
	db, err := durus.OpenMemory(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx := t.Context()
	err = db.Update(ctx, func(tx *durus.Tx) error {
		s := durus.Must(shop.Load(tx))
		tea := durus.Must(durus.Add(tx, &Product{Name: "tea", Stock: 10}))
		ada := durus.Must(durus.Add(tx, &Customer{}))
		return errors.Join(s.Products.Put(tx, "tea", tea), s.Customers.Put(tx, "ada", ada))
	})
	if err != nil {
		t.Fatal(err)
	}
	check(t, func(c, p string, n int) error { return place(ctx, db, c, p, n) },
		func(c string) ([]string, error) { return orders(ctx, db, c) })
}

func TestBolt(t *testing.T) {
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "bolt"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error {
		products, err := tx.CreateBucket([]byte("products"))
		if err != nil {
			return err
		}
		all, err := tx.CreateBucket([]byte("orders"))
		if err != nil {
			return err
		}
		if _, err := all.CreateBucket([]byte("ada")); err != nil {
			return err
		}
		tea, err := msgpack.Marshal(&boltProduct{Name: "tea", Stock: 10})
		if err != nil {
			return err
		}
		return products.Put([]byte("tea"), tea)
	})
	if err != nil {
		t.Fatal(err)
	}
	check(t, func(c, p string, n int) error { return boltPlace(db, c, p, n) },
		func(c string) ([]string, error) { return boltOrders(db, c) })
}

func TestSQL(t *testing.T) {
	if !slices.Contains(sql.Drivers(), "sqlite") {
		t.Skip("SKIP: no driver for SQLite is compiled in; the program compiles")
	}
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(t.TempDir(), "shop.sqlite")))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx := context.Background()
	if _, err := db.ExecContext(ctx, sqlSchema+`
		INSERT INTO product (name, stock) VALUES ('tea', 10);
		INSERT INTO customer (name) VALUES ('ada');`); err != nil {
		t.Fatal(err)
	}
	check(t, func(c, p string, n int) error { return sqlPlace(ctx, db, c, p, n) },
		func(c string) ([]string, error) { return sqlOrders(ctx, db, c) })
}
