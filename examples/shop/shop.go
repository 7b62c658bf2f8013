package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/durusdb/durus/durus"
)

// Product is one thing that is sold, and how many of it there are.
type Product struct {
	Name  string
	Cents int64
	Stock int
}

// Order is what somebody has bought. Names and prices are those of the day.
type Order struct {
	Placed  time.Time
	Shipped time.Time // zero: not yet
	Lines   []Line
}

// Line is a line of an order.
type Line struct {
	Name  string
	Count int
	Cents int64 // of all together
}

// Session is a visitor whose browser has a cookie.
type Session struct {
	Cart   map[string]int // number of each product
	Orders []durus.Ref[Order]
	Used   time.Time // when the cart was changed
}

// Shop leads to everything. It is never edited: what changes are its tables.
type Shop struct {
	Products durus.Table[string, Product] // by article
	Orders   durus.Table[string, Order]   // by number
	Sessions durus.Table[string, Session] // by cookie
}

var (
	byStock = durus.NewIndex("stock", func(p *Product) int { return p.Stock })
	byUsed  = durus.NewIndex("used", func(s *Session) time.Time { return s.Used })
	// Has the orders that wait, oldest first. An order leaves it when Shipped is set.
	byWaiting = durus.NewIndex("waiting", func(o *Order) time.Time { return o.Placed }).
			Where(func(o *Order) bool { return o.Shipped.IsZero() })

	_    = durus.Register[Product]("shop.Product", durus.Indexes(byStock))
	_    = durus.Register[Order]("shop.Order", durus.Indexes(byWaiting))
	_    = durus.Register[Session]("shop.Session", durus.Indexes(byUsed))
	_    = durus.Register[Shop]("shop.Shop")
	shop = durus.NewRoot[Shop]("shop")
)

// refusal is an error that is the visitor's to deal with.
type refusal string

func (r refusal) Error() string { return string(r) }

const (
	errEmptyCart = refusal("Your cart is empty.")
	errNoProduct = refusal("We do not sell this.")
)

// furnish fills the shelves of a new shop.
func furnish(ctx context.Context, db *durus.DB) error {
	return db.Update(ctx, func(tx *durus.Tx) error {
		products := durus.Must(shop.Load(tx)).Products
		if durus.Must(products.Len(tx)) > 0 {
			return nil
		}
		durus.Must(products.Insert(tx, "cup", &Product{"Tea cup", 900, 24}))
		durus.Must(products.Insert(tx, "pot", &Product{"Teapot", 4500, 6}))
		durus.Must(products.Insert(tx, "tea", &Product{"Assam, 100 g", 690, 40}))
		return nil
	})
}

// putInCart puts one more of a product into the visitor's cart, or takes one out.
func putInCart(ctx context.Context, db *durus.DB, cookie, article string, more int) error {
	return db.Update(ctx, func(tx *durus.Tx) error {
		s := durus.Must(shop.Load(tx))
		if !durus.Must(s.Products.Has(tx, article)) {
			return errNoProduct
		}
		visitor, found, err := s.Sessions.Edit(tx, cookie)
		if err != nil {
			return err
		}
		if !found {
			visitor = &Session{}
			durus.Must(s.Sessions.Insert(tx, cookie, visitor))
		}
		if visitor.Cart == nil {
			visitor.Cart = map[string]int{}
		}
		visitor.Used = time.Now()
		if visitor.Cart[article] += more; visitor.Cart[article] <= 0 {
			delete(visitor.Cart, article)
		}
		return nil
	})
}

// checkout makes an order of the visitor's cart: all of it or nothing. Whoever
// else buys one of these products meanwhile makes one of the two run again.
func checkout(ctx context.Context, db *durus.DB, cookie string) error {
	return db.Update(ctx, func(tx *durus.Tx) error {
		s := durus.Must(shop.Load(tx))
		visitor, found, err := s.Sessions.Edit(tx, cookie)
		if err != nil {
			return err
		}
		if !found || len(visitor.Cart) == 0 {
			return errEmptyCart
		}
		order := &Order{Placed: time.Now()}
		for _, article := range slices.Sorted(maps.Keys(visitor.Cart)) {
			p, found, err := s.Products.Edit(tx, article)
			if err != nil {
				return err
			}
			if !found {
				return errNoProduct
			}
			count := visitor.Cart[article]
			if p.Stock < count {
				// What was taken of other products is put back.
				return refusal(fmt.Sprintf("%s: there are only %d left.", p.Name, p.Stock))
			}
			p.Stock -= count
			order.Lines = append(order.Lines, Line{p.Name, count, int64(count) * p.Cents})
		}
		// A random number: the next one would conflict with all others that order.
		ref := durus.Must(s.Orders.Insert(tx, rand.Text()[:10], order))
		visitor.Orders = append(visitor.Orders, ref)
		visitor.Cart = nil
		return nil
	})
}
