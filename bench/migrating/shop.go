package migrating

import (
	"context"
	"errors"
	"fmt"

	"github.com/durusdb/durus/durus"
)

var errSoldOut = errors.New("sold out")

type Product struct {
	Name  string
	Stock int
}

type Order struct {
	Product durus.Ref[Product]
	Count   int
}

type Customer struct{ Orders durus.List[durus.Ref[Order]] }

type Shop struct {
	Products  durus.BTree[string, durus.Ref[Product]]
	Customers durus.BTree[string, durus.Ref[Customer]]
}

var (
	_    = durus.Register[Product]("shop.Product")
	_    = durus.Register[Order]("shop.Order")
	_    = durus.Register[Customer]("shop.Customer")
	_    = durus.Register[Shop]("shop.Shop")
	shop = durus.NewRoot[Shop]("shop")
)

func place(ctx context.Context, db *durus.DB, customer, product string, count int) error {
	return db.Update(ctx, func(tx *durus.Tx) error {
		s := durus.Must(shop.Load(tx))
		what, found, err := s.Products.Get(tx, product)
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("no product %s", product)
		}
		p := durus.Must(what.Edit(tx))
		if p.Stock -= count; p.Stock < 0 {
			return errSoldOut
		}
		who, found, err := s.Customers.Get(tx, customer)
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("no customer %s", customer)
		}
		order := durus.Must(durus.Add(tx, &Order{Product: what, Count: count}))
		return durus.Must(who.Load(tx)).Orders.Append(tx, order)
	})
}

func orders(ctx context.Context, db *durus.DB, customer string) (lines []string, err error) {
	return durus.Result(ctx, db.View, func(tx *durus.Tx) (lines []string, err error) {
		who, found, err := durus.Must(shop.Load(tx)).Customers.Get(tx, customer)
		if err != nil || !found {
			return nil, err
		}
		for _, o := range durus.Each(tx, durus.Must(who.Load(tx)).Orders.All(tx)) {
			lines = append(lines, fmt.Sprintf("%d %s", o.Count, durus.Must(o.Product.Load(tx)).Name))
		}
		return lines, nil
	})
}
