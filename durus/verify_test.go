package durus

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
)

// What Verify counts in a database that is in order, and in use.
func TestVerify(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		openAccounts(t, db, 1, 2)
		update(t, db, func(tx *Tx) error { return Must(theShelf.Load(tx)).Hits.Add(tx, 1) })
		r, err := db.Verify(t.Context())
		if b.mem != nil {
			wantErr(t, err, errors.ErrUnsupported)
			return
		}
		if err != nil || !r.OK() || r.Objects < 6 || r.Containers == 0 || r.Transactions != 2 {
			t.Errorf("%+v, %v", r, err)
		}
		stop, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = db.Verify(stop)
		wantErr(t, err, context.Canceled)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		_, err = db.Verify(t.Context())
		wantErr(t, err, ErrClosed)
	})
}

// Damage is in the report, with its place, and is no error.
func TestVerifyFindsDamage(t *testing.T) {
	path := t.TempDir() + "/x.durus"
	db, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	openAccounts(t, db, 1, 2)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.LastIndex(string(data), "Owner")
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("o"), int64(at)); err != nil {
		t.Fatal(err)
	}
	r, err := db.Verify(t.Context())
	if err != nil || r.OK() || !strings.Contains(r.Problems[0].Reason, "object") || r.Problems[0].Offset == 0 || r.Problems[0].Offset > int64(at) {
		t.Errorf("%+v, %v", r, err)
	}
}
