package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/durusdb/durus/durus"
)

type Doctor struct {
	OnCall bool
}

type Ward struct {
	A, B durus.Ref[Doctor]
}

var (
	_    = durus.Register[Doctor]("guide.Doctor")
	_    = durus.Register[Ward]("guide.Ward")
	ward = durus.NewRoot[Ward]("ward")
)

func isolation(ctx context.Context, _ *durus.DB) error {
	for _, c := range []struct {
		name  string
		level durus.Isolation
	}{{"serializable", durus.Serializable}, {"snapshot isolation", durus.SnapshotIsolation}} {
		db, err := durus.OpenMemory(&durus.Options{Isolation: c.level})
		if err != nil {
			return err
		}
		defer db.Close()
		left, err := bothLeave(ctx, db)
		if err != nil {
			return err
		}
		fmt.Printf("%s: %d on call\n", c.name, left)
	}
	return nil
}

// bothLeave has two doctors who may leave if the other one stays, at the same
// time, and returns how many are left.
func bothLeave(ctx context.Context, db *durus.DB) (left int, err error) {
	err = db.Update(ctx, func(tx *durus.Tx) error {
		w := durus.Must(ward.Edit(tx))
		w.A = durus.Must(durus.Add(tx, &Doctor{OnCall: true}))
		w.B = durus.Must(durus.Add(tx, &Doctor{OnCall: true}))
		return nil
	})
	if err != nil {
		return 0, err
	}
	leave := func(tx *durus.Tx, own, other durus.Ref[Doctor]) error {
		colleague, err := other.Load(tx)
		if err != nil || !colleague.OnCall {
			return err
		}
		me, err := own.Edit(tx)
		if err != nil {
			return err
		}
		me.OnCall = false
		return nil
	}
	var txs [2]*durus.Tx
	for i := range txs {
		if txs[i], err = db.Begin(ctx, true); err != nil {
			return 0, err
		}
		defer txs[i].Rollback()
		w, err := ward.Load(txs[i])
		if err != nil {
			return 0, err
		}
		own, other := w.A, w.B
		if i == 1 {
			own, other = other, own
		}
		if err := leave(txs[i], own, other); err != nil {
			return 0, err
		}
	}
	for _, tx := range txs {
		if err := tx.Commit(); err != nil && !errors.Is(err, durus.ErrConflict) {
			return 0, err
		}
	}
	return durus.Result(ctx, db.View, func(tx *durus.Tx) (n int, err error) {
		w := durus.Must(ward.Load(tx))
		for _, ref := range []durus.Ref[Doctor]{w.A, w.B} {
			if durus.Must(ref.Load(tx)).OnCall {
				n++
			}
		}
		return n, nil
	})
}
