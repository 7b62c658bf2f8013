package main

import (
	"context"
	"fmt"

	"github.com/durusdb/durus/durus"
)

func live(ctx context.Context, db *durus.DB) error {
	conn, err := db.Connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()

	ada := func() int64 {
		b, err := bank.Load(conn)
		if err != nil {
			return -1
		}
		a, err := b.Accounts["ada"].Load(conn)
		if err != nil {
			return -1
		}
		return a.Cents
	}
	fmt.Println(ada())
	if err := transfer(ctx, db, "bob", "ada", 10); err != nil {
		return err
	}
	fmt.Println(ada()) // the newest state, at once

	if err := conn.Pause(); err != nil {
		return err
	}
	if err := transfer(ctx, db, "bob", "ada", 10); err != nil {
		return err
	}
	fmt.Println(ada()) // still the state of Pause
	if err := conn.Continue(); err != nil {
		return err
	}
	fmt.Println(ada())
	return conn.Abort() // forget what was read
}
