package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/filestorage"
)

// verifyTables adds to a report what is wrong with tables: their trees must hold
// the same objects. It is about what programs have written, and looks at a state
// that may be newer than the one that was verified; so it is only done for a
// file whose bytes are right.
func verifyTables(ctx context.Context, path string, r *filestorage.Report) error {
	if !r.OK() || r.Objects == 0 {
		return nil
	}
	db, err := durus.Open(path, &durus.Options{ReadOnly: true, MustExist: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer db.Close()
	reports, err := durus.CheckTables(ctx, db)
	if errors.Is(err, durus.ErrCorrupt) || errors.Is(err, durus.ErrType) { // what leads to the tables is not what it should be
		r.Add(filestorage.Problem{OID: 1, Reason: err.Error()})
		return nil
	}
	if err != nil {
		return err
	}
	for _, t := range reports {
		for _, p := range t.Problems {
			r.Add(filestorage.Problem{OID: t.OID, Reason: "table: " + p})
		}
	}
	return nil
}
