package main

import (
	"context"
	"log"
	"time"

	"github.com/durusdb/durus/durus"
)

const (
	lowStock   = 3
	delivery   = 12             // of each product that is low
	cartsLive  = 24 * time.Hour // since they were changed
	firstBatch = 100            // of what may be much
)

// worker does what does not have to happen while somebody waits for a page. Two
// of them do no harm.
type worker struct {
	db  *durus.DB
	log *log.Logger
}

func (w worker) loop(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		for _, task := range []func(*durus.Tx, *Shop) error{w.ship, w.restock, w.forget} {
			err := w.db.Update(ctx, func(tx *durus.Tx) error { return task(tx, durus.Must(shop.Load(tx))) })
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// ship sends the oldest orders. The letters are written when that is committed,
// so nobody gets one for nothing; a worker that is killed in between leaves some
// unwritten. What must not be left out is better stored in the same
// transaction, as in examples/jobs.
func (w worker) ship(tx *durus.Tx, s *Shop) error {
	n := 0
	for _, ref := range byWaiting.All(tx, s.Orders) {
		if n++; n > firstBatch {
			break
		}
		durus.Must(ref.Edit(tx)).Shipped = time.Now()
		number, _, err := s.Orders.Key(tx, ref)
		if err != nil {
			return err
		}
		tx.OnCommit(func(durus.TID) { w.log.Printf("mail: your order %s is on its way", number) })
	}
	return nil
}

func (w worker) restock(tx *durus.Tx, s *Shop) error {
	for _, ref := range byStock.Before(tx, s.Products, lowStock) {
		p := durus.Must(ref.Edit(tx))
		p.Stock += delivery
		tx.OnCommit(func(durus.TID) { w.log.Printf("%s: %d delivered", p.Name, delivery) })
	}
	return nil
}

// forget drops carts that nobody has come back for. The orders of the visitor
// stay where all orders are.
func (w worker) forget(tx *durus.Tx, s *Shop) error {
	n := 0
	for _, ref := range byUsed.Before(tx, s.Sessions, time.Now().Add(-cartsLive)) {
		if n++; n > firstBatch {
			break
		}
		cookie, found, err := s.Sessions.Key(tx, ref)
		if err != nil || !found {
			return err
		}
		durus.Must(s.Sessions.Delete(tx, cookie))
	}
	return nil
}
