package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/durusdb/durus/durus"
)

func backups(ctx context.Context, db *durus.DB) error {
	var file bytes.Buffer // or an *os.File, or a connection
	tid, err := db.Backup(ctx, &file)
	if err != nil {
		return err // what was written is not a backup
	}
	last, err := db.LastTID()
	if err != nil {
		return err
	}
	fmt.Println("up to the last transaction:", tid == last)
	return nil
}
