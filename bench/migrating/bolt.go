package migrating

import (
	"encoding/binary"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
	"go.etcd.io/bbolt"
)

type boltProduct struct {
	Name  string
	Stock int
}

type boltOrder struct {
	Product string // its key in the bucket of products
	Count   int
}

func boltPlace(db *bbolt.DB, customer, product string, count int) error {
	return db.Update(func(tx *bbolt.Tx) error {
		products := tx.Bucket([]byte("products"))
		value := products.Get([]byte(product))
		if value == nil {
			return fmt.Errorf("no product %s", product)
		}
		var p boltProduct
		if err := msgpack.Unmarshal(value, &p); err != nil {
			return err
		}
		if p.Stock -= count; p.Stock < 0 {
			return errSoldOut
		}
		value, err := msgpack.Marshal(&p)
		if err != nil {
			return err
		}
		if err := products.Put([]byte(product), value); err != nil {
			return err
		}
		mine := tx.Bucket([]byte("orders")).Bucket([]byte(customer))
		if mine == nil {
			return fmt.Errorf("no customer %s", customer)
		}
		number, err := mine.NextSequence()
		if err != nil {
			return err
		}
		value, err = msgpack.Marshal(&boltOrder{Product: product, Count: count})
		if err != nil {
			return err
		}
		return mine.Put(binary.BigEndian.AppendUint64(nil, number), value)
	})
}

func boltOrders(db *bbolt.DB, customer string) (lines []string, err error) {
	err = db.View(func(tx *bbolt.Tx) error {
		mine := tx.Bucket([]byte("orders")).Bucket([]byte(customer))
		if mine == nil {
			return nil
		}
		return mine.ForEach(func(_, value []byte) error {
			var o boltOrder
			if err := msgpack.Unmarshal(value, &o); err != nil {
				return err
			}
			var p boltProduct
			if err := msgpack.Unmarshal(tx.Bucket([]byte("products")).Get([]byte(o.Product)), &p); err != nil {
				return err
			}
			lines = append(lines, fmt.Sprintf("%d %s", o.Count, p.Name))
			return nil
		})
	})
	return lines, err
}
