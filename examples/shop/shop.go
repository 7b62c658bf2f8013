package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log"
	"maps"
	"time"

	"github.com/durusdb/durus/durus"
)

// Product is one thing that is sold, and how many of it there are.
type Product struct {
	Name  string
	Euros int
	Stock int
}

// Order is what somebody has bought, at the price of the day.
type Order struct {
	Number, Product string
	Euros           int
	Placed, Shipped time.Time // Shipped is zero until it is
}

// Shop leads to everything. It is never edited: what changes are its tables.
type Shop struct {
	Products durus.Table[string, Product] // by a word for it
	Orders   durus.Table[string, Order]   // by number
}

var (
	byStock   = durus.NewIndex("stock", func(p *Product) int { return p.Stock })
	byWaiting = durus.NewIndex("waiting", func(o *Order) time.Time { return o.Placed }).
			Where(func(o *Order) bool { return o.Shipped.IsZero() }) // an order leaves when it is shipped

	_          = durus.Register[Product]("shop.Product", durus.Indexes(byStock))
	_          = durus.Register[Order]("shop.Order", durus.Indexes(byWaiting))
	_          = durus.Register[Shop]("shop.Shop")
	shop       = durus.NewRoot[Shop]("shop")
	errUnknown = errors.New("there is no such thing here")
	errSoldOut = errors.New("sorry, somebody has bought the last one")
)

// furnish fills the shelves of a new shop.
func furnish(ctx context.Context, db *durus.DB) error {
	return db.Update(ctx, func(tx *durus.Tx) error {
		products := durus.Must(shop.Load(tx)).Products
		if durus.Must(products.Len(tx)) == 0 {
			durus.Must(products.Insert(tx, "cup", &Product{"Tea cup", 9, 24}))
			durus.Must(products.Insert(tx, "pot", &Product{"Teapot", 45, 6}))
		}
		return nil
	})
}

// view is what a page shows, when the View is over: what Load gives stays as it was.
type view struct {
	Products map[string]*Product
	Order    *Order // nil: none was asked for
}

func look(ctx context.Context, db *durus.DB, number string) (*view, error) {
	return durus.Result(ctx, db.View, func(tx *durus.Tx) (*view, error) {
		s := durus.Must(shop.Load(tx))
		order, found := durus.Must2(s.Orders.Get(tx, number))
		if number != "" && !found {
			return nil, errUnknown
		}
		return &view{maps.Collect(durus.Each(tx, s.Products.All(tx))), order}, nil
	})
}

// buy takes a product from the shelf and makes an order of it, both or neither.
// Whoever else buys the same meanwhile makes one of the two run again.
func buy(ctx context.Context, db *durus.DB, product string) (number string, err error) {
	return durus.Result(ctx, db.Update, func(tx *durus.Tx) (string, error) {
		s := durus.Must(shop.Load(tx))
		p, found := durus.Must2(s.Products.Edit(tx, product))
		switch {
		case !found:
			return "", errUnknown
		case p.Stock == 0:
			return "", errSoldOut
		}
		p.Stock--
		// A random number: the next one would conflict with all others that order.
		o := &Order{Number: rand.Text(), Product: p.Name, Euros: p.Euros, Placed: time.Now()}
		_, err := s.Orders.Insert(tx, o.Number, o)
		return o.Number, err
	})
}

// work ships the orders that wait, the oldest first, and restocks what is low. The
// letters are written when that is committed, so that nobody gets one for nothing.
func work(ctx context.Context, db *durus.DB) error {
	return db.Update(ctx, func(tx *durus.Tx) error {
		s := durus.Must(shop.Load(tx))
		for _, ref := range byWaiting.All(tx, s.Orders) {
			o := durus.Must(ref.Edit(tx))
			o.Shipped = time.Now()
			tx.OnCommit(func(durus.TID) { log.Printf("mail: your order %s is on its way", o.Number) })
		}
		for _, ref := range byStock.Before(tx, s.Products, 3) {
			durus.Must(ref.Edit(tx)).Stock += 12
		}
		return nil
	})
}
