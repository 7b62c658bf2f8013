package durus

import (
	"context"
	"errors"

	"github.com/durusdb/durus/internal/check"
	"github.com/durusdb/durus/storage"
)

// VerifyReport is what DB.Verify has found. OK tells whether nothing is wrong.
type VerifyReport = storage.VerifyReport

// verifier is what db.Verify asks for of a storage.
type verifier interface {
	VerifyRecords(ctx context.Context, check func(*storage.Record) string, progress func(done, total int64)) (*storage.VerifyReport, error)
}

// Verify reads the whole database and checks all that can be checked without the
// Go types: every checksum, the chain of frames, the chain of each object's
// states, classes, that references lead somewhere and are those of the stored
// states, the trees of containers, and that tables and their indexes agree (see
// CheckTables). It takes no lock and changes nothing, and goes on behind damage;
// others read and write meanwhile. What is wrong is in the report; an error means
// that the check could not be done. durusctl verify does the same.
//
// Errors: ErrClosed, ErrRewound, those of ctx and of reading, and
// errors.ErrUnsupported when the storage cannot be verified. Close waits for it.
func (db *DB) Verify(ctx context.Context) (VerifyReport, error) {
	if err := db.running.enter(); err != nil {
		return VerifyReport{}, err
	}
	defer db.running.leave()
	v, ok := db.st.(verifier)
	if !ok {
		return VerifyReport{}, errors.ErrUnsupported
	}
	r, err := v.VerifyRecords(ctx, check.Payload, nil)
	if err != nil {
		return VerifyReport{}, err
	}
	if !r.OK() { // what leads to containers and tables may be what is damaged
		return *r, nil
	}
	err = db.verifyContents(ctx, r)
	return *r, err
}

// verifyContents looks at what programs have stored, in a state that may be newer
// than the one whose bytes were looked at.
func (db *DB) verifyContents(ctx context.Context, r *VerifyReport) error {
	err := db.View(ctx, func(tx *Tx) error { return check.Containers(ctx, tx.c.snap, r) })
	if err != nil {
		return err
	}
	reports, err := CheckTables(ctx, db)
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrType) { // what leads to the tables is not what it should be
		r.Add(storage.Problem{OID: directoryOID, Reason: err.Error()})
		return nil
	}
	for _, t := range reports {
		for _, p := range t.Problems {
			r.Add(storage.Problem{OID: t.OID, Reason: "table: " + p})
		}
	}
	return err
}
